//! Who runs where: the load and the backends on the first CPU we may use, the proxies on the last ones.

use anyhow::Context;
use rustix::thread::{CpuSet, sched_getaffinity};

/// The CPUs we may use, in order.
#[derive(Debug, Clone)]
pub(crate) struct Cpus(Vec<usize>);

impl Cpus {
    /// Those of this process.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(crate) fn allowed() -> anyhow::Result<Self> {
        let set = sched_getaffinity(None).context("cannot tell which CPUs we may use")?;
        Ok(Self(
            (0..CpuSet::MAX_CPU)
                .filter(|cpu| set.is_set(*cpu))
                .collect(),
        ))
    }

    /// The one for the load.
    pub(crate) fn load(&self) -> Vec<usize> {
        self.0.first().copied().into_iter().collect()
    }

    /// Those for a proxy with so many workers: one for each, as far as they reach.
    pub(crate) fn proxy(&self, workers: usize) -> Vec<usize> {
        self.0[self.0.len().saturating_sub(workers)..].to_vec()
    }

    /// Whether such a proxy has to share a CPU with the load.
    pub(crate) fn is_shared(&self, workers: usize) -> bool {
        self.0.len() <= workers
    }

    /// How many.
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
