//! System calls per request, counted by strace(1) under a load of its own: tracing slows a program
//! many times over.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal};
use serde::Serialize;

use crate::child_process::{self, ChildGuard, POLL_INTERVAL};
use crate::float::as_f64;

/// Time from the start of strace until it is attached, and from the signal to its table.
const STRACE_TIMEOUT: Duration = Duration::from_secs(10);

/// Message of strace for each attached process.
const ATTACHED_MESSAGE: &str = " attached";

/// Lowest number of calls per request that is listed.
const MIN_LISTED_PER_REQUEST: f64 = 0.01;

/// System calls during one load.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SyscallCounts {
    pub(crate) requests: u64,
    pub(crate) per_request: f64,
    /// Calls per request by name, at least 0.01.
    pub(crate) by_name: BTreeMap<String, f64>,
}

/// A running strace. Dropping it kills strace, which detaches from the program.
#[derive(Debug)]
pub(crate) struct Strace(ChildGuard);

impl Strace {
    /// Attaches to a process and its threads. Cancel safe.
    ///
    /// # Errors
    /// strace is missing, or may not trace the process.
    pub(crate) async fn attach(pid: Pid, cpus: &[usize]) -> anyhow::Result<Self> {
        let mut command = child_process::command(Path::new("strace"), cpus)?;
        command.args(["-c", "-f", "-p", &pid.as_raw_nonzero().to_string()]);
        let mut strace = ChildGuard::start(command)?;
        let start = Instant::now();
        while !strace.log().contains(ATTACHED_MESSAGE) {
            if strace.try_wait()?.is_some() {
                let log = strace.log();
                bail!(
                    "{}",
                    log.lines().next_back().unwrap_or("strace printed nothing")
                );
            }
            ensure!(
                start.elapsed() < STRACE_TIMEOUT,
                "strace did not attach within {STRACE_TIMEOUT:?}"
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(Self(strace))
    }

    /// Detaches, and returns the calls per request.
    ///
    /// # Errors
    /// strace printed no table.
    pub(crate) async fn detach(mut self, requests: u64) -> anyhow::Result<SyscallCounts> {
        let ended = self.0.stop(Signal::INT, STRACE_TIMEOUT).await?;
        ensure!(
            ended.is_some(),
            "strace did not detach within {STRACE_TIMEOUT:?}"
        );
        let calls = parse(&self.0.log());
        ensure!(!calls.is_empty() && requests > 0, "strace counted no calls");
        let per = |count: u64| as_f64(count) / as_f64(requests);
        Ok(SyscallCounts {
            requests,
            per_request: per(calls.values().sum()),
            by_name: calls
                .into_iter()
                .map(|(name, count)| (name, per(count)))
                .filter(|(_, count)| *count >= MIN_LISTED_PER_REQUEST)
                .collect(),
        })
    }
}

/// Checks that strace can be started.
///
/// # Errors
/// The program cannot be started.
pub(crate) fn available() -> anyhow::Result<()> {
    let output = std::process::Command::new("strace").arg("-V").output();
    output.map(drop).context("cannot start strace")
}

/// Parses the table of `strace -c`: `% time, seconds, usecs/call, calls, [errors,] syscall`.
fn parse(log: &str) -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    for line in log.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [share, seconds, per_call, count, .., name] = words[..]
            && let (Ok(_), Ok(_), Ok(_)) = (
                share.parse::<f64>(),
                seconds.parse::<f64>(),
                per_call.parse::<u64>(),
            )
            && let Ok(count) = count.parse::<u64>()
            && name != "total"
        {
            *calls.entry(name.to_owned()).or_default() += count;
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "strace: Process 7 attached with 2 threads
strace: Process 7 detached
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 51.53    0.006100           3      2000           sendto
 46.45    0.005500           2      2040        40 recvfrom
  2.02    0.000239          11        21           epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.011839           2      4061        40 total
";

    #[test]
    fn the_table_is_read_without_its_total() {
        let calls: Vec<_> = parse(TABLE).into_iter().collect();
        let expected = [("epoll_wait", 21), ("recvfrom", 2040), ("sendto", 2000)];
        assert_eq!(
            calls,
            expected.map(|(name, count)| (name.to_owned(), count))
        );
        assert!(
            parse("strace: attach: ptrace(PTRACE_SEIZE, 7): Operation not permitted").is_empty()
        );
        let older = "100.00    0.011839                  4061        40 total";
        assert!(parse(older).is_empty());
    }
}
