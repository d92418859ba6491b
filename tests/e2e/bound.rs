//! The bound on a replica's load, through the real program: it holds on a ring that is as uneven as
//! can be, it is off unless it is given, and few requests do not feel it.

use std::collections::BTreeSet;

use super::ring::{servers, with_id};
use crate::support::{Load, Ringmaster, TEST_TIMEOUT, eventually, exclusive_load, six_digits};

#[test]
fn no_replica_gets_more_than_5_percent_above_the_mean() {
    let _turn = exclusive_load();
    for workers in ["1", "2"] {
        // Without the bound, this ring gives 84 % of all keys to seat 1.
        let ring = ["--ring", "classic", "--bound", "1.03"];
        let program = Ringmaster::start(&[&ring[..], &["--workers", workers]].concat());
        let load = Load::start(program.listen, 8);
        load.reach(15_000);
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
fn where_names_the_bound_while_the_home_is_full_and_not_without_a_bound() {
    let program = Ringmaster::start(&["--bound", "1.03", "--workers", "1"]);
    let (key, bound) = (
        six_digits(1),
        "is at its bound, and a part goes to the least loaded seat",
    );
    let ask = || program.command(&format!("where {key}"));
    assert!(!ask().contains(bound), "{}", ask());
    // A worker publishes it with each merge of the loads, after every 64 of its requests.
    eventually(TEST_TIMEOUT, bound, || {
        servers(program.listen, std::iter::repeat_n(with_id(key), 64));
        ask().contains(bound)
    });
    program.command("bound 0");
    assert!(!ask().contains(bound), "{}", ask());
}

#[test]
fn few_requests_stay_at_home() {
    let program = Ringmaster::start(&["--bound", "1.03"]);
    let ids = std::iter::repeat_n(with_id(six_digits(1)), 8);
    let answered = servers(program.listen, ids);
    assert_eq!(BTreeSet::from_iter(answered).len(), 1);
}

#[test]
fn a_successor_takes_part_in_the_bound() {
    // Seat 1 would have 84 % of the keys without the bound.
    let ring = ["--ring", "classic", "--bound", "1.03"];
    let program = Ringmaster::start(&[&ring[..], &["--workers", "1"]].concat());
    let ask = |ids: std::ops::Range<u64>| servers(program.listen, ids.map(six_digits).map(with_id));
    let mut answered = ask(0..2_000);
    program.command("replace S1");
    answered.extend(ask(2_000..6_000));
    for seat in 1..=3 {
        let count = answered.iter().filter(|server| **server == seat).count();
        assert!(count <= 6_000 * 105 / 300, "seat {seat}: {count} of 6,000");
    }
}
