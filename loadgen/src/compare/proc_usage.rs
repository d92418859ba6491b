//! What a process has cost: CPU time, its split, and memory, from /proc (proc(5)).
//!
//! `schedstat` counts nanoseconds and is exact once the process sleeps; the split into user and system
//! comes from ticks and is a sample. Work that the kernel does for a packet on the CPU of its sender
//! counts for the sender, unless the kernel was built with CONFIG_IRQ_TIME_ACCOUNTING: then it counts for
//! nobody, and only figures of one kernel can be compared.

use std::fs;
use std::ops::Sub;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::Pid;

/// What all threads of a process have used since they began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Time on a CPU.
    pub(crate) cpu: Duration,
    /// Clock ticks found in the program itself, and in the kernel on its behalf.
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
}

impl Usage {
    /// What process `pid` has used, without its children.
    ///
    /// # Errors
    /// It is gone, or the kernel does not say.
    pub(crate) fn read(pid: Pid) -> anyhow::Result<Self> {
        let folder = format!("/proc/{}/task", pid.as_raw_nonzero());
        let mut sum = Self::default();
        for thread in fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))? {
            let thread = thread?.path();
            let Some(used) = read_thread(&thread) else {
                // It may have ended while we looked.
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

    /// What was used between two looks; a thread that ended in between takes its time with it.
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

/// The first number of `schedstat`: nanoseconds on a CPU.
fn parse_schedstat(schedstat: &str) -> Option<Duration> {
    let nanos = schedstat.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// Fields 14 and 15 of `stat`, counted behind the name, which may hold anything.
fn parse_stat(stat: &str) -> Option<(u64, u64)> {
    let (_, behind) = stat.rsplit_once(") ")?;
    let mut fields = behind.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Resident memory of a process, in KiB.
///
/// # Errors
/// It is gone.
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
        // The work of this test alone: other threads come and go.
        assert!(before.cpu > Duration::ZERO);
    }
}
