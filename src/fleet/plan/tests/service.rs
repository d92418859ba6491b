//! A service whose tasks the swarm starts and removes: slots are seats, and nothing is started.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::super::*;
use super::bench::*;
use crate::fleet::engine::{
    EngineEvent, Management, ServiceSnapshot, StopMode, Task, TaskContainer, TaskId, TaskStage,
};
use crate::fleet::events::EventKind;
use crate::ring::Spec;
use crate::roster::{Health, ReplicaAddr};
use TaskStage::{Coming, Leaving, Runs};

/// Number of a task, its slot and its stage. A task of a higher number is newer.
pub(super) type Seen = (u16, u32, TaskStage);

pub(super) fn address(task: u16) -> ReplicaAddr {
    ReplicaAddr(([10, 0, 0, 1], task).into())
}

fn ended() -> TaskStage {
    TaskStage::Ended("task: non-zero exit (137)".to_owned())
}

/// Returns the snapshot of these tasks. Each slot with a task that comes or runs is a seat.
pub(super) fn snapshot(seen: &[Seen]) -> ServiceSnapshot {
    let wanted = seen
        .iter()
        .filter(|(_, _, stage)| matches!(stage, Coming | Runs));
    let seats = wanted.map(|(_, slot, _)| (Seat(*slot), name(&format!("S{slot}"))));
    let task = |(number, slot, stage): &Seen| {
        let id = TaskId::from(&*format!("t{number}"));
        let task = Task {
            seat: Seat(*slot),
            stage: stage.clone(),
            addr: Some(address(*number)),
            created: SystemTime::UNIX_EPOCH + Duration::from_secs((*number).into()),
            generation: 0,
            // Tasks of even numbers run on our own node.
            container: (number % 2 == 0).then(|| TaskContainer(format!("c{number}").into())),
        };
        (id, task)
    };
    let seats: BTreeMap<_, _> = seats.collect();
    ServiceSnapshot {
        service: "app_web".into(),
        version: 1,
        wanted: seats.len(),
        stopped_update: None,
        update_delay: Duration::ZERO,
        settings: Default::default(),
        seats,
        tasks: seen.iter().map(task).collect(),
    }
}

pub(super) fn policy_of_service(ring: Spec) -> Policy {
    Policy {
        ring,
        version: None,
        ..policy(Management::Orchestrated)
    }
}

fn unknown() -> Bench {
    let now = Instant::now();
    let policy = policy_of_service(Spec::Uniform);
    Bench::of(Plan::resume(policy, &[], &[], now).unwrap(), now)
}

/// Tasks 1 to 3 in slots 1 to 3, which are up.
pub(super) fn three() -> Bench {
    let mut bench = unknown();
    bench.see(&[(1, 1, Runs), (2, 2, Runs), (3, 3, Runs)]);
    for id in [S1, S2, S3] {
        bench.probe(id, ProbeEvent::Answered);
    }
    bench
}

impl Bench {
    fn see(&mut self, seen: &[Seen]) {
        self.report(EngineEvent::Service(snapshot(seen).into()));
    }
}

/// Address, health and order to stay away, of the member in a seat.
fn member(bench: &Bench, seat: u32) -> (ReplicaAddr, Health, bool) {
    let members = bench.plan.view().members;
    let found = members.into_iter().find(|member| member.seat == Seat(seat));
    let member = found.expect("a member");
    (member.addr, member.health, member.drained)
}

#[test]
fn slots_are_on_the_ring_before_any_task_answers() {
    let mut bench = unknown();
    assert!(!bench.plan.status().complete, "the slots are unknown");
    bench.see(&[(1, 1, Runs), (2, 4, Coming)]);
    assert!(bench.published() && bench.started().is_empty());
    assert_eq!(bench.seats(), [1, 4]);
    assert_eq!(
        bench.probed(),
        [(S1, address(1))],
        "a task that comes is not probed"
    );
    assert_eq!(bench.shown(), ["1 S1 down", "4 S4 waiting"]);
    bench.probe(S1, ProbeEvent::Answered);
    assert_eq!(bench.kinds(), [EventKind::Joined]);
    assert_eq!(bench.list(), names("S1"));
    assert!(!bench.plan.status().complete);
    bench.see(&[(1, 1, Runs), (2, 4, Runs)]);
    assert_eq!(bench.probed(), [(S2, address(2))]);
    bench.probe(S2, ProbeEvent::Answered);
    assert_eq!(bench.list(), names("S1 S4"));
    let status = bench.plan.status();
    assert!(status.complete && status.up == 2 && status.wanted == 2);
    bench.see(&[(1, 1, Runs), (2, 4, Runs)]);
    assert!(bench.did.is_empty(), "no news");
    // A later slot does not make it incomplete.
    bench.see(&[(1, 1, Runs), (2, 4, Runs), (3, 2, Coming)]);
    assert!(bench.plan.status().complete);
}

#[test]
fn a_task_that_has_ended_is_dead_and_its_successor_takes_the_seat_with_its_first_answer() {
    let mut bench = three();
    bench.see(&[(1, 1, Runs), (2, 2, ended()), (3, 3, Runs), (4, 2, Coming)]);
    assert_eq!(bench.kinds(), [EventKind::Down]);
    assert_eq!(bench.events()[0].reason, "task: non-zero exit (137)");
    assert_eq!(bench.removed(), [(S2, StopMode::Detach)]);
    bench.gone(S2);
    assert_eq!(
        (bench.seats(), bench.list()),
        (vec![1, 2, 3], names("S1 S3"))
    );
    bench.now += 300 * MS;
    bench.see(&[(1, 1, Runs), (3, 3, Runs), (4, 2, Runs)]);
    let successor = ReplicaId(4);
    assert_eq!(bench.probed(), [(successor, address(4))]);
    bench.probe(successor, ProbeEvent::Answered);
    assert_eq!(bench.kinds(), [EventKind::Moved]);
    assert_eq!(bench.events()[0].replaced_after, Some(300 * MS));
    assert_eq!(member(&bench, 2), (address(4), Health::Up, false));
    assert_eq!(bench.list(), names("S1 S2 S3"));
}

#[test]
fn a_silent_or_refusing_task_is_routed_around_and_comes_back() {
    let mut bench = three();
    bench.probe(S2, ProbeEvent::Refused(Refusal::Connection));
    assert_eq!(bench.health(2), Some(Health::Down));
    assert!(bench.removed().is_empty() && bench.started().is_empty());
    bench.falls_silent(S3);
    assert_eq!(bench.health(3), Some(Health::Down));
    for id in [S2, S3] {
        bench.probe(id, ProbeEvent::Answered);
        assert_eq!(bench.kinds(), [EventKind::Up]);
    }
    assert_eq!(bench.plan.status().up, 3);
}

#[test]
fn a_task_that_is_to_end_gets_nothing_new_and_finishes_when_its_successor_answers() {
    let mut bench = three();
    bench.see(&[(1, 1, Leaving), (2, 2, Runs), (3, 3, Runs), (4, 1, Runs)]);
    assert_eq!(bench.kinds(), [EventKind::Drained]);
    assert_eq!(member(&bench, 1), (address(1), Health::Up, true));
    assert!(bench.removed().is_empty(), "its requests go on");
    bench.probe(ReplicaId(4), ProbeEvent::Answered);
    assert_eq!(member(&bench, 1), (address(4), Health::Up, false));
    assert_eq!(bench.draining(), [S1]);
    bench.see(&[(1, 1, ended()), (2, 2, Runs), (3, 3, Runs), (4, 1, Runs)]);
    assert_eq!(bench.removed(), [(S1, StopMode::Detach)]);
}

#[test]
fn the_newer_of_two_running_tasks_has_the_slot_and_the_older_one_if_that_fails() {
    let both = [(1, 1, Runs), (2, 2, Runs), (3, 3, Runs), (4, 1, Runs)];
    let mut bench = three();
    bench.see(&both);
    let newer = ReplicaId(4);
    assert_eq!(bench.probed(), [(newer, address(4))]);
    bench.probe(newer, ProbeEvent::Answered);
    assert_eq!(
        (member(&bench, 1).0, bench.draining()),
        (address(4), vec![S1])
    );
    bench.feed(Input::Drained(S1));
    bench.gone(S1);
    bench.see(&both);
    assert!(bench.probed().is_empty(), "it does not go to and fro");
    bench.probe(newer, ProbeEvent::Refused(Refusal::Connection));
    let again = ReplicaId(5);
    assert_eq!(bench.probed(), [(again, address(1))]);
    bench.probe(again, ProbeEvent::Answered);
    assert_eq!(member(&bench, 1), (address(1), Health::Up, false));
}

#[test]
fn a_slot_without_a_wanted_task_leaves_and_finishes_its_requests() {
    let mut bench = three();
    bench.see(&[(1, 1, Runs), (2, 2, Runs), (3, 3, Leaving)]);
    assert_eq!((bench.seats(), bench.draining()), (vec![1, 2], vec![S3]));
    assert_eq!(bench.plan.view().members.len(), 2);
    bench.feed(Input::Drained(S3));
    assert_eq!(bench.removed(), [(S3, StopMode::Graceful)]);
    bench.gone(S3);
    assert_eq!(bench.kinds(), [EventKind::Left]);
    assert_eq!(bench.list(), names("S1 S2"));
    bench.see(&[]);
    assert_eq!(bench.seats(), [0; 0]);
    for id in [S1, S2] {
        bench.gone(id);
    }
    assert_eq!(bench.plan.status().wanted, 0);
}

#[test]
fn a_slot_that_returns_while_its_last_task_finishes_is_a_seat_at_once() {
    let mut bench = three();
    bench.see(&[(1, 1, Runs), (2, 2, Runs), (3, 3, Leaving)]);
    assert_eq!(bench.seats(), [1, 2]);
    bench.see(&[(1, 1, Runs), (2, 2, Runs), (3, 3, Leaving), (4, 3, Runs)]);
    assert_eq!(bench.seats(), [1, 2, 3]);
    assert_eq!(
        bench.plan.view().members.len(),
        2,
        "no task serves there yet"
    );
    bench.probe(ReplicaId(4), ProbeEvent::Answered);
    bench.feed(Input::Drained(S3));
    bench.gone(S3);
    assert_eq!(member(&bench, 3), (address(4), Health::Up, false));
}

#[test]
fn slots_for_which_the_ring_has_no_room_are_left_out_and_told_once() {
    let now = Instant::now();
    let policy = policy_of_service(Spec::Classic);
    let mut bench = Bench::of(Plan::resume(policy, &[], &[], now).unwrap(), now);
    bench.see(&[(1, 1, Runs), (2, 2, Runs)]);
    let too_many = [(1, 1, Runs), (3, 57, Coming)];
    bench.see(&too_many);
    assert_eq!(bench.seats(), [1], "slots still leave");
    assert!(bench.kinds().contains(&EventKind::Failing));
    bench.see(&too_many);
    assert!(bench.events().is_empty());
    bench.see(&[(1, 1, Runs), (4, 2, Coming)]);
    assert_eq!(bench.seats(), [1, 2]);
}

#[test]
fn a_stop_leaves_the_tasks_as_they_are() {
    let mut bench = three();
    bench.feed(Input::Stop { leave: false });
    assert_eq!(bench.removed().len(), 3);
    for id in [S1, S2, S3] {
        bench.gone(id);
    }
    assert!(bench.did.contains(&Action::Finished));
}
