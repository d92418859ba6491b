//! Samples of families: without a label, and by the class of a status.

use super::exposition::MetricLabels;

/// Returns one sample without a label.
pub(super) fn unlabelled<T>(value: T) -> [(MetricLabels, T); 1] {
    [(MetricLabels::new(), value)]
}

/// Returns the counts of the classes with their names.
pub(super) fn classes(counts: [u64; 5]) -> [(&'static str, u64); 5] {
    let [one, two, three, four, five] = counts;
    [
        ("1xx", one),
        ("2xx", two),
        ("3xx", three),
        ("4xx", four),
        ("5xx", five),
    ]
}

/// Returns a sample for each class.
pub(super) fn by_class(counts: [u64; 5]) -> impl Iterator<Item = (MetricLabels, u64)> {
    let labelled = |(class, count): (&str, u64)| (vec![("class", class.to_owned())], count);
    classes(counts).into_iter().map(labelled)
}
