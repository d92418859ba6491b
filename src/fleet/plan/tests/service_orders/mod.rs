//! Orders about a service: one change each, complete when its effect is seen here.

mod settings;
mod updates;

use super::super::*;
use super::bench::*;
use super::service::{Seen, snapshot, three};
use crate::fleet::engine::{
    ChangeId, ChangedService, EngineEvent, ServiceChange, ServiceSnapshot, TaskId, TaskStage,
};
use crate::fleet::events::{EventKind, SettingChange};
use crate::orders::{
    ChangeRequest, MAX_QUEUED_ORDERS, Order, OrderError, OrderResult, ReplaceOptions,
    ReplaceRequest, ReplaceTarget, VersionRequest,
};
use crate::ring::{Spec, Weight};
use TaskStage::{Leaving, Runs};

const FOUR: [Seen; 4] = [(1, 1, Runs), (2, 2, Runs), (3, 3, Runs), (4, 4, Runs)];

fn change(n: usize, given: &str) -> ChangeRequest {
    let names = names(given);
    ChangeRequest { n, names }
}

fn image(target: ReplaceTarget, options: &ReplaceOptions) -> Order {
    let version = Some(VersionRequest::Image("web:2".to_owned()));
    Order::Replace(ReplaceRequest::new(target, version, options).unwrap())
}

fn weight(number: u64) -> Weight {
    number.try_into().unwrap()
}

impl Bench {
    /// Returns the changes that the last step has the engine make.
    fn changes(&self) -> Vec<ServiceChange> {
        let change = |action: &Action| match action {
            Action::ChangeService(_, change) => Some(change.clone()),
            _ => None,
        };
        self.did.iter().filter_map(change).collect()
    }

    /// Returns the changes of settings that the last step recorded, with their orders.
    fn switches(&self) -> Vec<(Option<OrderId>, String)> {
        let switch = |action: &Action| match action {
            Action::Switched(id, SettingChange { setting, to, .. }) => {
                Some((*id, format!("{} {to}", setting.as_str())))
            }
            _ => None,
        };
        self.did.iter().filter_map(switch).collect()
    }

    /// Reports that the last order changed the service, which has this version now.
    fn written(&mut self, version: u64, generation: u64) -> Option<OrderResult> {
        let id = ChangeId(self.orders_sent);
        let service = ChangedService {
            version,
            generation,
        };
        self.report(EngineEvent::Changed {
            id,
            result: Ok(service),
        });
        self.answer()
    }

    /// Sees these tasks at a version of the service, of which the rest is edited.
    fn sees(
        &mut self,
        version: u64,
        seen: &[Seen],
        edit: impl FnOnce(&mut ServiceSnapshot),
    ) -> Option<OrderResult> {
        let mut snapshot = snapshot(seen);
        snapshot.version = version;
        edit(&mut snapshot);
        self.report(EngineEvent::Service(snapshot.into()));
        self.answer()
    }
}

#[test]
fn an_add_is_answered_when_the_new_slots_have_answered_here() {
    let mut bench = three();
    assert_eq!(bench.order(Order::Add(change(1, ""))), None);
    let (n, max) = (1, 256);
    let add = ServiceChange::Add { n, max, from: None };
    assert_eq!(bench.changes(), [add]);
    assert_eq!(bench.written(5, 0), None, "no snapshot has it yet");
    assert_eq!(bench.sees(5, &FOUR[..3], |seen| seen.wanted = 4), None);
    assert_eq!(
        bench.sees(5, &FOUR, |_| {}),
        None,
        "its task has not answered"
    );
    bench.probe(ReplicaId(4), ProbeEvent::Answered);
    assert_eq!(bench.answer(), Some(Ok(names("S1 S2 S3 S4"))));
    assert_eq!(bench.plan.deadline(), None);
}

#[test]
fn a_snapshot_from_before_the_change_does_not_complete_its_order() {
    let mut bench = three();
    bench.order(Order::Rm(change(1, "")));
    assert_eq!(bench.changes(), [ServiceChange::Remove(1)]);
    bench.written(5, 0);
    assert_eq!(bench.sees(4, &FOUR[..3], |_| {}), None);
    let two = [(1, 1, Runs), (2, 2, Runs), (3, 3, Leaving)];
    assert_eq!(bench.sees(5, &two, |_| {}), None, "its requests go on");
    bench.feed(Input::Drained(S3));
    bench.gone(S3);
    assert_eq!(bench.answer(), Some(Ok(names("S1 S2"))));
}

#[test]
fn a_task_that_does_not_answer_is_told_and_not_undone() {
    let mut bench = three();
    bench.order(Order::Scale(4));
    bench.written(5, 0);
    bench.sees(5, &FOUR, |_| {});
    let limit = 20 * SEC;
    bench.after(limit - MS);
    assert_eq!(bench.answer(), None);
    assert_eq!(bench.plan.deadline(), Some(bench.now + MS));
    bench.after(MS);
    let sentence = "S4 has not answered within 20s; the swarm goes on (docker service ps app_web)";
    let refusal = OrderError::unavailable(sentence);
    assert_eq!(bench.answer(), Some(Err(refusal)));
    assert_eq!(bench.seats(), [1, 2, 3, 4]);
    bench.after(SEC);
    assert!(bench.did.is_empty(), "it is answered once");
}

#[test]
fn each_lack_of_a_number_of_replicas_has_its_sentence() {
    let mut bench = three();
    for (seen, wanted, sentence) in [
        (&FOUR[..3], 4, "the swarm has 3 slots and not 4"),
        (&FOUR[..2], 2, "the replica of seat 3 has not finished"),
    ] {
        bench.order(Order::Scale(wanted));
        bench.written(5, 0);
        bench.sees(5, seen, |seen| seen.wanted = wanted);
        bench.after(20 * SEC);
        let refusal = bench.answer().expect("an answer").unwrap_err();
        assert!(refusal.sentence.starts_with(sentence), "{refusal:?}");
    }
    let mut bench = three();
    bench.order(Order::Bound("1.25".parse().unwrap()));
    bench.written(7, 0);
    bench.after(10 * SEC);
    let refusal = bench.answer().expect("an answer").unwrap_err();
    let sentence = "the swarm has the change, and this balancer has not read it within 10s";
    assert!(refusal.sentence.starts_with(sentence), "{refusal:?}");
}

#[test]
fn the_refusal_of_a_change_is_that_of_its_order() {
    let mut bench = three();
    bench.order(Order::Scale(2));
    let refusal = OrderError::unavailable("the swarm has no leader");
    let (id, result) = (ChangeId(1), Err(refusal.clone()));
    bench.report(EngineEvent::Changed { id, result });
    assert_eq!(bench.answer(), Some(Err(refusal)));
    // A late result of an order that was answered.
    assert_eq!(bench.written(5, 0), None);
}

#[test]
fn names_are_those_of_the_next_slots() {
    let mut bench = three();
    bench.sees(2, &[(1, 1, Runs), (3, 3, Runs)], |_| {});
    let (n, max, from) = (2, 256, Some(2));
    for given in ["S2 S4", "S4", "S2"] {
        bench.order(Order::Add(change(2, given)));
        assert_eq!(bench.changes(), [ServiceChange::Add { n, max, from }]);
    }
    let sentence = "the next replicas of a swarm are named S2, S4";
    assert_eq!(bench.order(Order::Add(change(2, "S5"))), bad(sentence));
    assert_eq!(bench.order(Order::Add(change(2, "S3"))), bad(sentence));
    let sentence = "a swarm chooses itself which replicas go: leave the names out";
    assert_eq!(bench.order(Order::Rm(change(1, "S1"))), bad(sentence));
}

#[test]
fn orders_that_a_service_cannot_carry_out_are_refused_and_change_nothing() {
    let mut bench = three();
    let slow = ReplaceOptions {
        parallel: Some(2),
        ..ReplaceOptions::default()
    };
    let all_or_none = "a swarm replaces all or none: replace all";
    let rollback = "the swarm keeps no former version: replace all IMAGE, with the image of before";
    let plain = ReplaceOptions::default();
    for (order, sentence) in [
        (
            Order::Add(change(254, "")),
            "cannot add 254 to 3 replicas: at most 256 are allowed (--max-replicas)",
        ),
        (
            Order::Scale(257),
            "cannot scale to 257 replicas: at most 256 are allowed (--max-replicas)",
        ),
        (image(ReplaceTarget::One(name("S1")), &plain), all_or_none),
        (image(ReplaceTarget::Lowest(1), &plain), all_or_none),
        (
            image(ReplaceTarget::All, &slow),
            "the swarm has the pace of its updates: \
             docker service update --update-parallelism … app_web",
        ),
        (
            Order::Replace(request("all")),
            "the swarm has the command of its tasks: docker service update --args … app_web",
        ),
        (Order::StopReplace, rollback),
        (Order::ReplaceBack, rollback),
        (
            Order::Kill(name("S1")),
            "S1 runs on another node: send this to the balancer there",
        ),
    ] {
        assert_eq!(bench.order(order), bad(sentence));
        assert!(bench.changes().is_empty());
    }
    let unknown = Some(Err(OrderError::not_found(&name("S9"))));
    assert_eq!(bench.order(Order::Drain(name("S9"))), unknown);
    assert_eq!(bench.order(Order::Weight(name("S9"), weight(2))), unknown);
}

#[test]
fn a_service_above_the_limit_can_be_scaled_to_its_present_number() {
    let mut bench = three();
    bench.plan.state.policy.max_replicas = 2;
    let sentence = "cannot scale to 4 replicas: at most 2 are allowed (--max-replicas)";
    assert_eq!(bench.order(Order::Scale(4)), bad(sentence));
    assert_eq!(bench.order(Order::Scale(3)), None);
    assert_eq!(bench.changes(), [ServiceChange::Scale(3)]);
}

#[test]
fn a_ring_without_room_is_refused_before_the_service_is_changed() {
    let mut bench = three();
    bench.sees(2, &FOUR[..3], |seen| {
        seen.settings.ring = Some(Spec::Classic)
    });
    let refusal = bench.order(Order::Scale(200)).expect("an answer");
    assert!(refusal.unwrap_err().sentence.contains("classic"));
    assert!(bench.changes().is_empty());
}

#[test]
fn orders_are_bounded_and_refused_before_the_service_is_known() {
    let mut bench = three();
    for _ in 0..MAX_QUEUED_ORDERS {
        assert_eq!(bench.order(Order::Add(change(1, ""))), None);
    }
    let refusal = Some(Err(OrderError::queue_full()));
    assert_eq!(bench.order(Order::Add(change(1, ""))), refusal);
    bench.feed(Input::Close);
    assert_eq!(bench.answers().len(), MAX_QUEUED_ORDERS);
    let stopping = Some(Err(OrderError::stopping()));
    assert_eq!(bench.order(Order::Add(change(1, ""))), stopping);
    let now = std::time::Instant::now();
    let policy = super::service::policy_of_service(Spec::Uniform);
    let mut bench = Bench::of(Plan::resume(policy, &[], &[], now).unwrap(), now);
    let refusal = bench
        .order(Order::Scale(1))
        .expect("an answer")
        .unwrap_err();
    let sentence = "the slots of the service are not known yet; try again in a moment";
    assert_eq!(refusal, OrderError::unavailable(sentence));
}
