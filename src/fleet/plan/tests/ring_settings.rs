//! Changes of the ring and of the bound: in one step and over the same seats, or refused without
//! room.

use super::super::Action;
use super::bench::*;
use crate::fleet::engine::Management;
use crate::load::LoadBound;
use crate::orders::Order;
use crate::ring::{Seat, Spec};

fn bound(text: &str) -> LoadBound {
    text.parse().unwrap()
}

#[test]
fn another_ring_is_published_at_once_over_the_same_seats() {
    let mut bench = Bench::up(3);
    let before = bench.plan.view();
    assert_eq!(
        bench.order(Order::Ring(Spec::Classic)),
        Some(Ok(names("S1 S2 S3")))
    );
    assert!(bench.published());
    let after = bench.plan.view();
    assert_eq!(after.ring.spec(), Spec::Classic);
    assert_eq!(after.ring.seats(), before.ring.seats());
    assert_eq!(after.members, before.members);
    // Later changes of seats use the new ring.
    bench.rm(1, "S2");
    assert_eq!(bench.plan.view().ring.spec(), Spec::Classic);
    assert_eq!(bench.plan.view().ring.seats(), &[Seat(1), Seat(3)].into());
}

#[test]
fn a_ring_without_room_changes_nothing() {
    let mut bench = Bench::up(3);
    let small: Spec = "classic:slots=8,vnodes=4".parse().unwrap();
    let sentence = format!("ring {small} has room for seats 1 to 2, not for seat 3");
    assert_eq!(bench.order(Order::Ring(small)), bad(&sentence));
    let faulty: Spec = "classic:phi=1/(i-2)".parse().unwrap();
    let sentence = "phi divides by zero at i=2, j=1";
    assert_eq!(bench.order(Order::Ring(faulty)), bad(sentence));
    assert!(!bench.published());
    assert_eq!(bench.plan.view().ring.spec(), Spec::Uniform);
}

#[test]
fn fixed_backends_have_their_ring_switched_too() {
    let mut bench = Bench::fixed(true);
    assert!(matches!(
        bench.order(Order::Ring(Spec::Maglev)),
        Some(Ok(_))
    ));
    assert_eq!(bench.plan.view().ring.spec(), Spec::Maglev);
}

#[test]
fn the_bound_stays_when_the_ring_changes() {
    let mut bench = Bench::with(policy(Management::Managed), 3);
    assert_eq!(bench.plan.view().bound, LoadBound::OFF);
    bench.order(Order::Ring(Spec::Jump));
    assert_eq!(bench.plan.view().bound, LoadBound::OFF);
    bench.order(Order::Bound(bound("1.2")));
    assert!(bench.published());
    bench.order(Order::Ring(Spec::Classic));
    assert_eq!(bench.plan.view().bound, bound("1.2"));
    // The same bound again changes nothing, and is recorded.
    bench.order(Order::Bound(bound("1.2")));
    assert!(!bench.published());
    let recorded: Vec<String> = bench.did.iter().filter_map(recorded_switch).collect();
    assert_eq!(recorded, ["the bound is 1.2, it was 1.2"]);
}

fn recorded_switch(action: &Action) -> Option<String> {
    match action {
        Action::Switched(_, switch) => Some(switch.to_string()),
        _ => None,
    }
}

#[test]
fn each_switch_is_recorded_with_the_former_value() {
    let mut bench = Bench::with(policy(Management::Managed), 3);
    bench.order(Order::Ring(Spec::Classic));
    let recorded: Vec<String> = bench.did.iter().filter_map(recorded_switch).collect();
    assert_eq!(recorded, ["the ring is classic, it was uniform"]);
    // A refused switch is not recorded.
    bench.order(Order::Ring("classic:slots=8,vnodes=4".parse().unwrap()));
    assert!(
        !bench
            .did
            .iter()
            .any(|action| recorded_switch(action).is_some())
    );
}
