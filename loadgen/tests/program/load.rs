//! A correct server: every request is answered, counted and reported. Also an unreachable server,
//! and invalid flags.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::{loadgen, replica};

#[test]
fn a_run_against_a_replica_is_clean() {
    let replica = replica(7);
    let target = format!("http://{}", replica.addr);
    let ended = loadgen(&format!("run --target {target} --requests 3000 --seed 5"));
    ended.exits(0);
    assert_eq!(ended.stderr, "");
    let first = format!("3,000 requests to {target}/home over 100 connections, seed 5\n");
    assert!(ended.stdout.starts_with(&first), "{ended:?}");
    ended.prints("3,000 answered, 0 failed\n");
    ended.prints("latency of the answered: p50 ");
    ended.prints(&format!(
        "     7       3,000  100.0 %  {}\n",
        "█".repeat(40)
    ));
    assert!(
        ended.stdout.ends_with("max/mean 1.000 over 1 server\n"),
        "{ended:?}"
    );
}

#[test]
fn a_fixed_rate_is_kept() {
    let replica = replica(1);
    let target = format!("http://{}", replica.addr);
    let start = Instant::now();
    let ended = loadgen(&format!("run --target {target} --requests 101 --rate 500"));
    // The last request is due after 200 ms, even if all are answered faster.
    assert!(start.elapsed() >= Duration::from_millis(200));
    ended.exits(0);
    ended.prints(" at 500 requests/s, seed ");
    ended.prints("from when each was due: p50 ");
}

#[test]
fn the_distribution_stands_beside_equal_shares() {
    let replica = replica(2);
    let target = format!("http://{}", replica.addr);
    let ended = loadgen(&format!("distribution --target {target} --requests 300"));
    ended.exits(0);
    assert_eq!(
        (ended.count("1 "), ended.count("2 "), ended.count("3 ")),
        (0, 300, 0)
    );
    ended.prints("max/mean    3.000  (equal shares: 1.000)\n");
    ended.prints("chi-square  600.00  ");
    ended.prints("note: 1 server answered");
}

#[test]
fn other_paths_are_checked_by_status_only() {
    let replica = replica(1);
    let target = format!("http://{}", replica.addr);
    let run = |path| {
        loadgen(&format!(
            "run --target {target} --requests 20 --path {path}"
        ))
    };
    let ended = run("/heartbeat");
    ended.exits(0);
    assert!(!ended.stdout.contains("server "), "{ended:?}");
    let ended = run("/other");
    assert_eq!((ended.code, ended.count("status 400")), (Some(1), 20));
}

#[test]
fn an_unreachable_target_is_one_sentence() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let ended = loadgen(&format!("run --target http://{addr}"));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(
        ended
            .stderr
            .starts_with(&format!("loadgen: cannot reach http://{addr}: ")),
        "{ended:?}"
    );
    assert_eq!(ended.stderr.lines().count(), 1);
}

#[test]
fn bad_usage_is_exit_2() {
    for line in [
        "run --target localhost:5000",
        "run --requests 0",
        "run --spawn --target http://localhost:5000",
        "walk",
        "",
    ] {
        loadgen(line).exits(2);
    }
}
