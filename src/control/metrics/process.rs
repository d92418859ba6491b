//! Figures of this process, under the names that Prometheus clients use for them: `process_…`.
//!
//! A figure that cannot be read has no sample.

use std::fs;
use std::time::UNIX_EPOCH;

use super::exposition::{Families, MetricLabels};
use crate::control::context::ControlContext;

/// Ticks of CPU times per second: `USER_HZ` is 100 wherever Linux runs (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;
/// Position of `utime` behind the name of the program in /proc/PID/stat; `stime` follows.
const USER_TIME: usize = 11;

/// Adds the figures.
pub(super) fn add(families: &mut Families, context: &ControlContext) {
    let one = |value: Option<f64>| value.map(|value| (MetricLabels::new(), value));
    let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let (stat, status, limits) = (read("stat"), read("status"), read("limits"));
    let help = "CPU time in user and kernel mode, in seconds.";
    families.seconds("process_cpu_seconds_total", help, one(cpu_seconds(&stat)));
    let help = "Number of open file descriptors.";
    let open = fs::read_dir("/proc/self/fd").ok();
    // Reading the folder opens it.
    let open = open.map(|open| open.count().saturating_sub(1) as f64);
    families.gauge("process_open_fds", help, one(open));
    let help = "Maximum number of open file descriptors.";
    families.gauge("process_max_fds", help, one(max_descriptors(&limits)));
    let help = "Resident memory size, in bytes.";
    let resident = kilobytes(&status, "VmRSS:");
    families.gauge("process_resident_memory_bytes", help, one(resident));
    let help = "Virtual memory size, in bytes.";
    let virtual_size = kilobytes(&status, "VmSize:");
    families.gauge("process_virtual_memory_bytes", help, one(virtual_size));
    let help = "Number of threads.";
    families.gauge("process_threads", help, one(field(&status, "Threads:")));
    let started = context.sources.started.duration_since(UNIX_EPOCH);
    let started = started.ok().map(|started| started.as_secs_f64());
    let help = "Start time of this program, in seconds since the Unix epoch.";
    families.gauge("process_start_time_seconds", help, one(started));
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the name of the program in parentheses, and may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut times = rest.split_whitespace().skip(USER_TIME);
    let mut ticks = || times.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

/// Returns the soft limit, in the second column; `None` without a limit.
fn max_descriptors(limits: &str) -> Option<f64> {
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Returns the first number of a line.
fn field(status: &str, name: &str) -> Option<f64> {
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Returns a field in kB as bytes.
fn kilobytes(status: &str, name: &str) -> Option<f64> {
    field(status, name).map(|kilobytes| kilobytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_proc() {
        let stat = "7 (a) 1 b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("7 (a) S 1"), None);
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(max_descriptors(limits), Some(1024.0));
        assert_eq!(
            max_descriptors("Max open files  unlimited  unlimited  files"),
            None
        );
        let status = "Name:\ta\nVmSize:\t    2048 kB\nVmRSS:\t     12 kB\nThreads:\t9\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(12_288.0));
        assert_eq!(field(status, "Threads:"), Some(9.0));
        assert_eq!(field(status, "VmSwap:"), None);
    }
}
