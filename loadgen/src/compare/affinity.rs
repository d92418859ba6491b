//! CPU affinity: the load and the backends run on the first allowed CPU, the proxies on the last
//! ones.

use anyhow::Context;
use rustix::thread::{CpuSet, sched_getaffinity};

/// CPUs that this process may use, in order.
#[derive(Debug, Clone)]
pub(crate) struct Cpus(Vec<usize>);

impl Cpus {
    /// Reads the CPUs of this process.
    ///
    /// # Errors
    /// sched_getaffinity(2) failed.
    pub(crate) fn allowed() -> anyhow::Result<Self> {
        let set = sched_getaffinity(None).context("cannot read the CPU affinity")?;
        Ok(Self(
            (0..CpuSet::MAX_CPU)
                .filter(|cpu| set.is_set(*cpu))
                .collect(),
        ))
    }

    /// CPU of the load.
    pub(crate) fn load(&self) -> Vec<usize> {
        self.0.first().copied().into_iter().collect()
    }

    /// CPUs of a proxy: one per worker, as far as there are enough.
    pub(crate) fn proxy(&self, workers: usize) -> Vec<usize> {
        self.0[self.0.len().saturating_sub(workers)..].to_vec()
    }

    /// Returns `true` if such a proxy shares a CPU with the load.
    pub(crate) fn is_shared(&self, workers: usize) -> bool {
        self.0.len() <= workers
    }

    /// Number of CPUs.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_first_and_the_proxies_are_last() {
        let cpus = Cpus(vec![0, 2, 5]);
        assert_eq!(
            (cpus.load(), cpus.proxy(1), cpus.proxy(2)),
            (vec![0], vec![5], vec![2, 5])
        );
        assert!(!cpus.is_shared(2) && cpus.is_shared(3));
        assert_eq!(Cpus(vec![4]).proxy(2), [4]);
        assert!(Cpus(vec![4]).is_shared(1));
    }
}
