//! Resource usage of a process: CPU time, its user and system parts, and memory (proc(5)).
//!
//! `schedstat` counts nanoseconds and is exact once the process sleeps. The split into user and
//! system is sampled in ticks.
//!
//! The kernel charges packet processing to the process on whose CPU it runs. With
//! CONFIG_IRQ_TIME_ACCOUNTING it is charged to no process. Figures are therefore comparable only on
//! the same kernel.

use std::fs;
use std::ops::Sub;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::Pid;

/// Usage of all threads since their start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Time on a CPU.
    pub(crate) cpu: Duration,
    /// Clock ticks in user mode and in kernel mode.
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
}

impl Usage {
    /// Reads the usage of process `pid`, without its children.
    ///
    /// # Errors
    /// The process has exited, or /proc is unreadable.
    pub(crate) fn read(pid: Pid) -> anyhow::Result<Self> {
        let folder = format!("/proc/{}/task", pid.as_raw_nonzero());
        let mut sum = Self::default();
        for thread in fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))? {
            let thread = thread?.path();
            let Some(used) = read_thread(&thread) else {
                // The thread may have exited since the directory was read.
                ensure!(!thread.exists(), "{}: no CPU times", thread.display());
                continue;
            };
            sum.cpu += used.cpu;
            sum.user_ticks += used.user_ticks;
            sum.system_ticks += used.system_ticks;
        }
        Ok(sum)
    }
}

impl Sub for Usage {
    type Output = Self;

    /// Usage between two reads. The time of a thread that exited in between is lost.
    fn sub(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            user_ticks: self.user_ticks.saturating_sub(before.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(before.system_ticks),
        }
    }
}

fn read_thread(folder: &Path) -> Option<Usage> {
    let schedstat = fs::read_to_string(folder.join("schedstat")).ok()?;
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let (user_ticks, system_ticks) = parse_stat(&stat)?;
    Some(Usage {
        cpu: parse_schedstat(&schedstat)?,
        user_ticks,
        system_ticks,
    })
}

/// First number of `schedstat`: nanoseconds on a CPU.
fn parse_schedstat(schedstat: &str) -> Option<Duration> {
    let nanos = schedstat.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// Fields 14 and 15 of `stat`, counted after the name, which may contain any character.
fn parse_stat(stat: &str) -> Option<(u64, u64)> {
    let (_, behind) = stat.rsplit_once(") ")?;
    let mut fields = behind.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Resident memory of a process, in KiB.
///
/// # Errors
/// The process has exited.
pub(crate) fn resident_kib(pid: Pid) -> anyhow::Result<u64> {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse_rss_kib(&status).with_context(|| format!("{path}: no VmRSS"))
}

fn parse_rss_kib(status: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    value.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read_as_written() {
        assert_eq!(
            parse_schedstat("123456 789 12\n"),
            Some(Duration::from_nanos(123_456))
        );
        assert_eq!(parse_schedstat(""), None);
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 17 230 3 4 20 0 1 0 55";
        assert_eq!(parse_stat(stat), Some((17, 230)));
        assert_eq!(parse_stat("42 (a"), None);
        let status = "Name:\tx\nVmRSS:\t    1640 kB\nThreads:\t1\n";
        assert_eq!(parse_rss_kib(status), Some(1640));
        assert_eq!(parse_rss_kib("Name:\tx\n"), None);
    }

    #[test]
    fn our_own_process_can_be_read() {
        let us = rustix::process::getpid();
        assert!(resident_kib(us).unwrap() > 0);
        let before = Usage::read(us).unwrap();
        // Differences are not checked: other tests start and end threads of this process.
        assert!(before.cpu > Duration::ZERO);
    }
}
