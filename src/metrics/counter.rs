//! Counter with a single writer, and counters by status class.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number with a single writer and any number of readers.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the worker that owns the counter may call it.
    pub fn add(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// Returns the count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts by status class, 1xx to 5xx.
#[derive(Debug, Default)]
pub struct StatusClasses([Counter; 5]);

impl StatusClasses {
    /// Counts one reply with this status.
    pub fn count(&self, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5);
        self.0[class - 1].add(1);
    }

    /// Returns the count of each class, 1xx first.
    #[must_use]
    pub fn get(&self) -> [u64; 5] {
        self.0.each_ref().map(Counter::get)
    }
}
