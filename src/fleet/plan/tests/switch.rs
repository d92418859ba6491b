//! Switching the ring and the bound: in one step, for the seats that stay, and not at all when there is
//! no room.

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
    // Whoever comes and goes from here on does so on the new ring.
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
fn a_bound_stays_whatever_the_ring() {
    let mut bench = Bench::with(policy(Management::Managed), 3);
    assert_eq!(bench.plan.view().bound, LoadBound::OFF);
    bench.order(Order::Ring(Spec::Jump));
    assert_eq!(bench.plan.view().bound, LoadBound::OFF);
    bench.order(Order::Bound(bound("1.2")));
    assert!(bench.published());
    bench.order(Order::Ring(Spec::Classic));
    assert_eq!(bench.plan.view().bound, bound("1.2"));
    // The same again is no change, and is told all the same.
    bench.order(Order::Bound(bound("1.2")));
    assert!(!bench.published());
    let noted: Vec<String> = bench.did.iter().filter_map(told).collect();
    assert_eq!(noted, ["the bound is 1.2, it was 1.2"]);
}

fn told(action: &Action) -> Option<String> {
    match action {
        Action::Switched(_, switch) => Some(switch.to_string()),
        _ => None,
    }
}

#[test]
fn each_switch_is_noted_with_what_it_was() {
    let mut bench = Bench::with(policy(Management::Managed), 3);
    bench.order(Order::Ring(Spec::Classic));
    let noted: Vec<String> = bench.did.iter().filter_map(told).collect();
    assert_eq!(noted, ["the ring is classic, it was uniform"]);
    // A refused one is not.
    bench.order(Order::Ring("classic:slots=8,vnodes=4".parse().unwrap()));
    assert!(!bench.did.iter().any(|action| told(action).is_some()));
}
