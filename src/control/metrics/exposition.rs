//! Metric families and their text. Only this file names the Prometheus library.
//!
//! The library's counters are not used: the counters are the workers' counters, read at each
//! request. The library renders the text format 0.0.4, which every Prometheus and all its tools
//! read.

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair};
use prometheus::proto::{Metric, MetricFamily, MetricType};
use prometheus::{TEXT_FORMAT, TextEncoder};

use crate::metrics::HistogramSnapshot;

/// Prefix of every name but those that begin with [`PROCESS_PREFIX`].
const PREFIX: &str = "ringmaster_";
/// Prefix of names that all programs have.
const PROCESS_PREFIX: &str = "process_";

/// Media type of the text.
pub(in crate::control) const MEDIA_TYPE: &str = TEXT_FORMAT;

/// Names and values that distinguish the samples of a family.
pub(super) type MetricLabels = Vec<(&'static str, String)>;

/// Families in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Families(Vec<MetricFamily>);

impl Families {
    /// Adds a counter, which only grows. The name ends with `_total`.
    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (MetricLabels, u64)>,
    ) {
        let samples = samples.into_iter();
        self.seconds(name, help, samples.map(|(labels, n)| (labels, n as f64)));
    }

    /// Adds a counter of seconds, which need not be whole.
    pub(super) fn seconds(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (MetricLabels, f64)>,
    ) {
        let samples = samples.into_iter().map(|(labels, seconds)| {
            let mut counter = Counter::default();
            counter.set_value(seconds);
            let mut metric = labelled(labels);
            metric.set_counter(counter);
            metric
        });
        self.add(name, help, MetricType::COUNTER, samples.collect());
    }

    /// Adds a gauge, a current value.
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (MetricLabels, f64)>,
    ) {
        let samples = samples.into_iter().map(|(labels, value)| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = labelled(labels);
            metric.set_gauge(gauge);
            metric
        });
        self.add(name, help, MetricType::GAUGE, samples.collect());
    }

    /// Adds a histogram of times in seconds. `bounds` are in microseconds, a subset of
    /// [`crate::metrics::BOUNDS_MICROS`].
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        bounds: &[u64],
        samples: impl IntoIterator<Item = (MetricLabels, HistogramSnapshot)>,
    ) {
        self.scaled_histogram(name, help, (bounds, 1), samples);
    }

    /// Adds a histogram of times that were divided by `scale` before they were counted. The
    /// `bounds` are those of the divided times.
    pub(super) fn scaled_histogram(
        &mut self,
        name: &str,
        help: &str,
        (bounds, scale): (&[u64], u32),
        samples: impl IntoIterator<Item = (MetricLabels, HistogramSnapshot)>,
    ) {
        let scale = f64::from(scale);
        let samples = samples.into_iter().map(|(labels, times)| {
            let buckets = bounds.iter().zip(times.at_most(bounds));
            let buckets = buckets.map(|(bound, count)| {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(*bound as f64 * scale / 1e6);
                bucket.set_cumulative_count(count);
                bucket
            });
            let mut histogram = Histogram::default();
            histogram.set_bucket(buckets.collect());
            histogram.set_sample_count(times.count());
            histogram.set_sample_sum(times.sum().as_secs_f64() * scale);
            let mut metric = labelled(labels);
            metric.set_histogram(histogram);
            metric
        });
        self.add(name, help, MetricType::HISTOGRAM, samples.collect());
    }

    /// Adds a family, unless it has no samples: the library refuses to write such a family.
    fn add(&mut self, name: &str, help: &str, kind: MetricType, samples: Vec<Metric>) {
        if samples.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        let prefix = match name.starts_with(PROCESS_PREFIX) {
            true => "",
            false => PREFIX,
        };
        family.set_name(format!("{prefix}{name}"));
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(samples);
        self.0.push(family);
    }

    /// Returns the text of all families.
    ///
    /// # Errors
    /// The library's sentence about an invalid family, which would be a bug in this program.
    pub(super) fn text(&self) -> Result<String, String> {
        let text = TextEncoder::new().encode_to_string(&self.0);
        text.map_err(|err| err.to_string())
    }
}

fn labelled(labels: MetricLabels) -> Metric {
    let pairs = labels.into_iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value);
        pair
    });
    Metric::from_label(pairs.collect())
}
