//! The bound on a replica's load, through the real program: it holds, it can be off, few requests do not
//! feel it, and a replica that falls silent is spared.

use std::collections::BTreeSet;

use super::ring::{servers, with_id};
use crate::support::{Backend, Load, PATIENCE, Ringmaster, eventually, load_turn, six_digits};

#[test]
fn no_replica_gets_more_than_5_percent_above_the_mean() {
    let _turn = load_turn();
    for workers in ["1", "2"] {
        let program = Ringmaster::start(&["--workers", workers]);
        let load = Load::start(program.listen, 8);
        load.reach(10_000);
        let tally = load.finish();
        tally.expect_no_failure();
        let total: u64 = tally.by_server.values().sum();
        let most = tally.by_server.values().max().copied().unwrap_or_default();
        let spread = most as f64 * 3.0 / total as f64;
        println!(
            "{total} requests over 3 replicas, {workers} workers: {:?}, max/mean {spread:.3}",
            tally.by_server
        );
        assert_eq!(tally.by_server.len(), 3);
        assert!(spread <= 1.05, "{spread}");
    }
}

#[test]
fn a_popular_key_is_shared_and_stays_at_home_without_a_bound() {
    for (bound, seats) in [("0", 1), ("1.03", 3)] {
        let program = Ringmaster::start(&["--bound", bound]);
        let ids = std::iter::repeat_n(with_id(six_digits(1)), 500);
        let answered = BTreeSet::from_iter(servers(program.listen, ids));
        assert_eq!(answered.len(), seats, "--bound {bound}");
    }
}

#[test]
fn few_requests_stay_at_home() {
    let program = Ringmaster::start(&[]);
    let ids = std::iter::repeat_n(with_id(six_digits(1)), 8);
    let answered = servers(program.listen, ids);
    assert_eq!(BTreeSet::from_iter(answered).len(), 1);
}

#[test]
fn a_successor_takes_part_in_the_bound() {
    let program = Ringmaster::start(&["--workers", "1"]);
    let ask = |ids: std::ops::Range<u64>| servers(program.listen, ids.map(six_digits).map(with_id));
    let mut answered = ask(0..2_000);
    program.command("replace S2");
    answered.extend(ask(2_000..6_000));
    for seat in 1..=3 {
        let count = answered.iter().filter(|server| **server == seat).count();
        assert!(count <= 6_000 * 105 / 300, "seat {seat}: {count} of 6,000");
    }
}

#[test]
fn a_replica_that_falls_silent_is_spared() {
    const REPLY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let silent = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        // Ends when the sender is dropped.
        let _ = released.lock().map(|released| released.recv());
        conversation.wire.write(REPLY)
    });
    let quick = [Backend::answering(REPLY), Backend::answering(REPLY)];
    let flags = [&silent, &quick[0], &quick[1]].map(|backend| backend.addr);
    let flags: Vec<String> = (1..)
        .zip(flags)
        .map(|(n, addr)| format!("--backend=S{n}={addr}"))
        .collect();
    let mut args: Vec<&str> = flags.iter().map(String::as_str).collect();
    // So high that only the guard moves a request; the classic ring gives ID 100000 to seat 1.
    args.extend(["--ring", "classic", "--bound", "1000", "--workers", "1"]);
    args.extend(["--heartbeat-interval", "0s"]);
    let program = Ringmaster::start(&args);
    let mut waiting = Vec::new();
    for asked in 1..=40 {
        let held = silent.requests().len();
        let mut client = program.client_after(with_id(100_000));
        let seen = || {
            let quick = quick.iter().map(|backend| backend.requests().len());
            quick.sum::<usize>() + silent.requests().len()
        };
        eventually(PATIENCE, "a request", || seen() == asked);
        if silent.requests().len() > held {
            waiting.push(client);
        } else {
            assert_eq!(client.reply().status(), 200);
        }
    }
    // With 12 waiting, the mean of 4 is reached, and 4 + 3 * 2 exceeded.
    assert_eq!(waiting.len(), 12);
    // The overflow goes to the least loaded, one as much as the other.
    assert_eq!(quick.each_ref().map(|b| b.requests().len()), [14, 14]);
    drop(release);
    for mut client in waiting {
        assert_eq!(client.reply().status(), 200);
    }
    let mut client = program.client_after(with_id(100_000));
    assert_eq!(client.reply().status(), 200);
    assert_eq!(silent.requests().len(), 13, "it is at home again");
}
