//! Settings that stand in the service, and drains of its tasks.

use super::*;

#[test]
fn a_setting_is_in_effect_when_it_is_read_here_or_at_any_other_balancer() {
    let (mut here, mut there) = (three(), three());
    assert_eq!(here.order(Order::Ring(Spec::Classic)), None);
    assert_eq!(here.changes(), [ServiceChange::Ring(Spec::Classic)]);
    assert_eq!(here.plan.view().ring.seats().len(), 3);
    here.written(5, 0);
    let edit = |seen: &mut ServiceSnapshot| seen.settings.ring = Some(Spec::Classic);
    assert_eq!(here.sees(5, &FOUR[..3], edit), Some(Ok(names("S1 S2 S3"))));
    let switch = "ring classic".to_owned();
    assert_eq!(here.switches(), [(Some(OrderId(1)), switch.clone())]);
    there.sees(5, &FOUR[..3], edit);
    assert_eq!(there.switches(), [(None, switch)]);
    // Without the label the flags have their say again.
    there.sees(6, &FOUR[..3], |_| {});
    assert_eq!(there.switches(), [(None, "ring uniform".to_owned())]);
    there.sees(6, &FOUR[..3], |_| {});
    assert!(there.did.is_empty());
}

#[test]
fn bound_and_weights_stand_in_the_service() {
    let mut bench = three();
    let bound: crate::load::LoadBound = "1.25".parse().unwrap();
    bench.order(Order::Bound(bound));
    bench.written(5, 0);
    bench.sees(5, &FOUR[..3], |seen| seen.settings.bound = Some(bound));
    assert_eq!(bench.plan.view().bound, bound);
    assert_eq!(bench.switches().len(), 1);
    bench.order(Order::Weight(name("S2"), weight(4)));
    assert_eq!(bench.changes(), [ServiceChange::Weight(Seat(2), weight(4))]);
    bench.written(6, 0);
    let weigh = |seen: &mut ServiceSnapshot| {
        let weights = [(Seat(2), weight(4)), (Seat(9), weight(2))];
        seen.settings.weights = weights.into_iter().collect();
        seen.settings.bound = Some(bound);
    };
    let answer = bench.sees(6, &FOUR[..3], weigh);
    assert!(answer.is_some_and(|answer| answer.is_ok()));
    assert_eq!(bench.plan.view().ring.weights().of(Seat(2)), weight(4));
    assert_eq!(bench.kinds(), [EventKind::Weight]);
    assert_eq!(bench.events()[0].reason, "4, it was 1");
    // Another slot keeps them, and a ring without weights leaves them out.
    bench.sees(6, &FOUR, weigh);
    assert_eq!(bench.plan.view().ring.weights().of(Seat(2)), weight(4));
    bench.sees(7, &FOUR, |seen| {
        weigh(seen);
        seen.settings.ring = Some(Spec::Classic);
    });
    assert_eq!(bench.plan.view().ring.weights().of(Seat(2)), weight(1));
    assert_eq!(bench.seats(), [1, 2, 3, 4]);
}

#[test]
fn a_drain_is_about_the_task_and_not_about_its_slot() {
    let mut bench = three();
    bench.order(Order::Drain(name("S2")));
    let task = TaskId::from("t2");
    assert_eq!(bench.changes(), [ServiceChange::Drain(task.clone(), true)]);
    bench.written(5, 0);
    let drained = |seen: &mut ServiceSnapshot| {
        seen.settings.drained.insert(task.clone());
    };
    let answer = bench.sees(5, &FOUR[..3], drained);
    assert!(answer.is_some_and(|answer| answer.is_ok()));
    assert_eq!(bench.kinds(), [EventKind::Drained]);
    assert_eq!(bench.plan.status().drained, 1);
    assert_eq!(bench.list(), names("S1 S2 S3"), "it stays on the list");
    bench.order(Order::Ready(name("S2")));
    assert_eq!(bench.changes(), [ServiceChange::Drain(task.clone(), false)]);
    // Its successor serves.
    let next = [(1, 1, Runs), (2, 2, Leaving), (3, 3, Runs), (4, 2, Runs)];
    bench.sees(6, &next, drained);
    bench.probe(ReplicaId(4), ProbeEvent::Answered);
    assert_eq!(bench.plan.status().drained, 0);
}
