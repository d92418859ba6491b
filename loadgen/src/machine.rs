//! Facts about this machine that a reader needs to judge measured figures (proc(5)).

use std::fs;

/// Name of the processor, if the kernel gives one.
pub(crate) fn processor() -> Option<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").ok()?;
    let mut names = cpuinfo
        .lines()
        .filter_map(|line| line.strip_prefix("model name"));
    Some(names.next()?.split_once(": ")?.1.to_owned())
}

/// Value of a setting below `/proc/sys`; empty if it cannot be read.
pub(crate) fn sysctl(name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/sys/{name}"));
    text.unwrap_or_default().trim().to_owned()
}
