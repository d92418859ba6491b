//! Families of metrics, and their text: the one file that names the Prometheus library.
//!
//! The library's own counters are not used: ours are the workers' cells, read when somebody asks. It brings
//! the format (0.0.4, which every Prometheus and all its tools read), with its escapes and its infinities.

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair};
use prometheus::proto::{Metric, MetricFamily, MetricType};
use prometheus::{TEXT_FORMAT, TextEncoder};

use crate::metrics::HistogramSnapshot;

/// What every name begins with.
const PREFIX: &str = "ringmaster_";

/// The media type of the text.
pub(in crate::control) const MEDIA_TYPE: &str = TEXT_FORMAT;

/// Names and values that tell the samples of a family apart.
pub(super) type MetricLabels = Vec<(&'static str, String)>;

/// Families in the order in which they are shown.
#[derive(Debug, Default)]
pub(super) struct Families(Vec<MetricFamily>);

impl Families {
    /// Counts that only grow. The name ends with `_total`.
    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (MetricLabels, u64)>,
    ) {
        let samples = samples.into_iter().map(|(labels, count)| {
            let mut counter = Counter::default();
            counter.set_value(count as f64);
            let mut metric = labelled(labels);
            metric.set_counter(counter);
            metric
        });
        self.add(name, help, MetricType::COUNTER, samples.collect());
    }

    /// Numbers of now.
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

    /// Times in seconds, by `bounds` in microseconds which are some of [`crate::metrics::BOUNDS_MICROS`].
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        bounds: &[u64],
        samples: impl IntoIterator<Item = (MetricLabels, HistogramSnapshot)>,
    ) {
        let samples = samples.into_iter().map(|(labels, times)| {
            let buckets = bounds.iter().zip(times.at_most(bounds));
            let buckets = buckets.map(|(bound, count)| {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(*bound as f64 / 1e6);
                bucket.set_cumulative_count(count);
                bucket
            });
            let mut histogram = Histogram::default();
            histogram.set_bucket(buckets.collect());
            histogram.set_sample_count(times.count());
            histogram.set_sample_sum(times.sum().as_secs_f64());
            let mut metric = labelled(labels);
            metric.set_histogram(histogram);
            metric
        });
        self.add(name, help, MetricType::HISTOGRAM, samples.collect());
    }

    /// A family without samples is left out, which the library would not write.
    fn add(&mut self, name: &str, help: &str, kind: MetricType, samples: Vec<Metric>) {
        if samples.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(format!("{PREFIX}{name}"));
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(samples);
        self.0.push(family);
    }

    /// All of them as text.
    ///
    /// # Errors
    /// What the library has to say of a family that it cannot write; it is a fault of ours.
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
