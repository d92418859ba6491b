//! Limits of legal names, and the lookup of members by seat.

use super::*;
use crate::metrics::ReplicaCounters;
use std::collections::BTreeSet;

#[test]
fn names_are_checked_at_their_limits() {
    let longest = "a".repeat(MAX_NAME);
    for good in ["S1", "a", "0-x_y.z", longest.as_str()] {
        assert!(good.parse::<ReplicaName>().is_ok(), "{good}");
    }
    let long = "a".repeat(MAX_NAME + 1);
    for bad in [
        "",
        "-a",
        ".a",
        "_a",
        "a b",
        "ä",
        "a/b",
        "json",
        "a\n",
        long.as_str(),
    ] {
        assert!(bad.parse::<ReplicaName>().is_err(), "{bad}");
    }
}

#[test]
fn members_are_found_with_gaps_between_seats() {
    let seats: BTreeSet<Seat> = [Seat(1), Seat(3), Seat(7)].into();
    let ring = crate::ring::Spec::Uniform.build(&seats).unwrap();
    let member = |seat: Seat| Member {
        id: ReplicaId(u64::from(seat.0)),
        seat,
        name: format!("S{seat}").parse().unwrap(),
        addr: ReplicaAddr(([127, 0, 0, 1], 1).into()),
        health: Health::Up,
        drained: false,
        slow_start: None,
        counters: Arc::new(ReplicaCounters::new(1)),
    };
    let roster = Roster::new(
        1,
        ring,
        LoadBound::OFF,
        true,
        vec![member(Seat(7)), member(Seat(1)), member(Seat(3))],
    );
    for seat in seats {
        assert_eq!(roster.member(seat).map(|m| m.seat), Some(seat));
    }
    assert!(roster.member(Seat(2)).is_none() && roster.member(Seat(0)).is_none());
}
