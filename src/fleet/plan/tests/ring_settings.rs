//! Changes of the ring, of the weights and of the bound: in one step and over the same seats, or
//! refused.

use super::super::Action;
use super::bench::*;
use crate::fleet::engine::Management;
use crate::fleet::events::EventKind;
use crate::load::LoadBound;
use crate::orders::{Order, OrderError, OrderResult};
use crate::ring::{Seat, Spec, Weight};

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

fn weigh(bench: &mut Bench, text: &str, weight: u64) -> Option<OrderResult> {
    bench.order(Order::Weight(name(text), weight.try_into().unwrap()))
}

fn weights(bench: &Bench) -> Vec<u16> {
    let ring = bench.plan.view().ring;
    let seats = ring.seats().iter();
    seats.map(|seat| ring.weights().of(*seat).get()).collect()
}

#[test]
fn a_weight_belongs_to_the_seat_and_outlives_its_replica() {
    let mut bench = Bench::up(3);
    assert_eq!(weigh(&mut bench, "S2", 5), Some(Ok(names("S1 S2 S3"))));
    assert!(bench.published());
    assert_eq!(bench.kinds(), [EventKind::Weight]);
    assert_eq!(weights(&bench), [1, 5, 1]);
    // The same weight again changes nothing.
    assert!(matches!(weigh(&mut bench, "S2", 5), Some(Ok(_))));
    assert!(!bench.published() && bench.kinds().is_empty());
    let id = bench.plan.view().members[1].id;
    bench.ends(id);
    let successor = bench.started()[0];
    bench.rises(successor);
    assert_ne!(bench.plan.view().members[1].id, id);
    assert_eq!(weights(&bench), [1, 5, 1]);
    let infos = bench.plan.replica_infos(bench.now);
    let shown = infos.iter().find(|(_, info)| info.seat == Some(Seat(2)));
    assert_eq!(shown.unwrap().1.weight, Some(Weight::try_from(5).unwrap()));
    // A seat that is removed loses its weight, and a new one has weight 1.
    let name = bench.plan.view().members[1].name.to_string();
    bench.rm(1, &name);
    assert_eq!(weights(&bench), [1, 1]);
}

#[test]
fn a_weight_that_the_ring_cannot_have_changes_nothing() {
    let mut bench = Bench::up(3);
    let unknown = Some(Err(OrderError::not_found(&name("x"))));
    assert_eq!(weigh(&mut bench, "x", 2), unknown);
    weigh(&mut bench, "S2", 5);
    let sentence = "ring classic has no weights, and seat 2 has weight 5: use ring uniform, rendezvous or maglev, or weight 1";
    assert_eq!(bench.order(Order::Ring(Spec::Classic)), bad(sentence));
    assert_eq!(bench.plan.view().ring.spec(), Spec::Uniform);
    bench.order(Order::Ring(Spec::Maglev));
    assert_eq!(
        (bench.plan.view().ring.spec(), weights(&bench)),
        (Spec::Maglev, vec![1, 5, 1])
    );
    weigh(&mut bench, "S2", 1);
    bench.order(Order::Ring(Spec::Jump));
    let sentence = "ring jump has no weights, and seat 3 has weight 2: use ring uniform, rendezvous or maglev, or weight 1";
    assert_eq!(weigh(&mut bench, "S3", 2), bad(sentence));
    assert!(!bench.published());
    assert_eq!(weights(&bench), [1, 1, 1]);
}
