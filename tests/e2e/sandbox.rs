//! The sandbox of the running program: which threads are in it. What it refuses is tested in
//! `src/sandbox`.

use std::collections::BTreeMap;
use std::fs;

use crate::support::Ringmaster;

/// Filters of system calls that a thread in the sandbox has beside those of its process.
const FILTERS: u32 = 2;

/// Returns the number of filters of each thread of a process by its name (proc(5)).
fn filters(pid: u32) -> BTreeMap<String, u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a running process");
    // A thread may end meanwhile.
    let statuses = tasks
        .filter_map(|task| fs::read_to_string(task.expect("a thread").path().join("status")).ok());
    let figures = statuses.map(|status| {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.expect("a field of proc(5)").trim().to_owned()
        };
        (
            field("Name:"),
            field("Seccomp_filters:").parse().expect("a number"),
        )
    });
    figures.collect()
}

#[test]
fn workers_and_the_control_port_are_in_it_and_replicas_are_not() {
    let program = Ringmaster::start(&["--workers", "2"]);
    let threads = filters(program.pid());
    let outside = threads["ringmaster"];
    for name in ["worker-0", "worker-1", "control"] {
        assert_eq!(threads[name], outside + FILTERS, "{name}: {threads:?}");
    }
    assert_eq!(threads["fleet"], outside);
    let replicas = program.children();
    assert_eq!(replicas.len(), 3);
    for replica in replicas {
        assert_eq!(filters(replica)["replica"], outside);
    }
    // The figures of the process are read from files.
    assert!(program.metrics().contains("\nprocess_open_fds "));
}

#[test]
fn off_restricts_no_thread() {
    let program = Ringmaster::start(&["--sandbox", "off"]);
    let threads = filters(program.pid());
    let outside = threads["ringmaster"];
    assert!(threads.contains_key("worker-0"));
    assert!(
        threads.values().all(|&filters| filters == outside),
        "{threads:?}"
    );
}
