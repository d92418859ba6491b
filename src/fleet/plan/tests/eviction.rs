//! Eviction of a frozen task, by the balancer of its node alone.

use super::super::*;
use super::bench::*;
use super::service::{Seen, policy_of_service, snapshot, three};
use crate::fleet::engine::{EngineEvent, TaskContainer, TaskStage};
use crate::fleet::events::EventKind;
use crate::orders::Order;
use crate::ring::Spec;
use crate::roster::Health;
use TaskStage::{Leaving, Runs};

impl Bench {
    /// Returns the containers that the last step has the engine kill.
    fn killed(&self) -> Vec<String> {
        let kill = |action: &Action| match action {
            Action::KillTask(TaskContainer(id)) => Some(id.to_string()),
            _ => None,
        };
        self.did.iter().filter_map(kill).collect()
    }
}

/// Tasks 1 to `n` in slots 1 to `n`, which are up; those of even numbers run on our own node.
fn up(n: u16) -> Bench {
    let now = Instant::now();
    let policy = Policy {
        replace_after: 3 * SEC,
        ..policy_of_service(Spec::Uniform)
    };
    let mut bench = Bench::of(Plan::resume(policy, &[], &[], now).unwrap(), now);
    let seen: Vec<Seen> = (1..=n).map(|n| (n, n.into(), Runs)).collect();
    bench.report(EngineEvent::Service(snapshot(&seen).into()));
    for id in 1..=n {
        bench.probe(ReplicaId(id.into()), ProbeEvent::Answered);
    }
    bench
}

/// These replicas give no answer for `time`. Returns the containers that are killed meanwhile.
fn silent_for(bench: &mut Bench, ids: &[ReplicaId], time: std::time::Duration) -> Vec<String> {
    let until = bench.now + time;
    let mut killed = Vec::new();
    while bench.now < until {
        bench.now += 250 * MS;
        for id in ids {
            bench.misses(*id, MissReason::Silent);
            killed.extend(bench.killed());
        }
        if let Some(at) = bench.plan.deadline().filter(|at| *at <= bench.now) {
            panic!("{at:?} has passed");
        }
    }
    killed
}

#[test]
fn a_task_of_our_own_node_that_is_silent_for_too_long_is_killed_once() {
    let mut bench = up(5);
    assert!(silent_for(&mut bench, &[S2], 2 * SEC).is_empty());
    assert_eq!(silent_for(&mut bench, &[S2], 2 * SEC), ["c2"]);
    assert!(silent_for(&mut bench, &[S2], 4 * SEC).is_empty());
    // It still seems to run: perhaps the call was lost.
    assert_eq!(silent_for(&mut bench, &[S2], 2 * SEC), ["c2"]);
}

#[test]
fn its_event_says_why() {
    let mut bench = up(5);
    let mut killed = Vec::new();
    while killed.is_empty() {
        killed = silent_for(&mut bench, &[S2], 250 * MS);
    }
    let kinds = bench.kinds();
    assert_eq!(kinds, [EventKind::Down, EventKind::Evicted]);
    assert_eq!(bench.events()[1].reason, "silent for 3s");
}

#[test]
fn a_task_of_another_node_or_one_that_is_to_end_is_left_alone() {
    let mut bench = up(5);
    assert!(silent_for(&mut bench, &[S1], 10 * SEC).is_empty());
    let mut bench = up(2);
    let seen = [(1, 1, Runs), (2, 2, Leaving), (3, 2, Runs)];
    bench.report(EngineEvent::Service(snapshot(&seen).into()));
    assert!(silent_for(&mut bench, &[S2], 10 * SEC).is_empty());
}

#[test]
fn a_task_that_refuses_connections_or_answers_wrongly_is_left_alone() {
    let mut bench = up(5);
    bench.probe(S2, ProbeEvent::Refused(Refusal::Connection));
    for _ in 0..20 {
        bench.misses(ReplicaId(4), MissReason::Wrong(500));
        assert!(bench.killed().is_empty());
        bench.after(SEC);
        assert!(bench.killed().is_empty());
    }
    assert_eq!(bench.health(4), Some(Health::Down));
}

#[test]
fn while_most_seats_do_not_answer_no_task_is_killed() {
    let mut bench = up(6);
    let most: Vec<ReplicaId> = [1, 2, 4, 6].map(ReplicaId).into();
    assert!(silent_for(&mut bench, &most, 20 * SEC).is_empty());
    // Half of them answer again: perhaps the network is whole.
    bench.probe(S1, ProbeEvent::Answered);
    assert_eq!(bench.killed(), ["c2"]);
}

#[test]
fn tasks_are_killed_one_at_a_time_as_long_as_half_of_the_seats_are_up() {
    let mut bench = up(6);
    let silent = [S2, ReplicaId(4)];
    assert_eq!(silent_for(&mut bench, &silent, 4 * SEC), ["c2"]);
    // It ends, and its slot is empty for a moment.
    let ended = TaskStage::Ended("task: non-zero exit (137)".to_owned());
    let mut seen: Vec<Seen> = (1..=6).map(|n| (n, n.into(), Runs)).collect();
    seen[1].2 = ended;
    bench.report(EngineEvent::Service(snapshot(&seen).into()));
    assert_eq!(bench.killed(), ["c4"], "four of six are up");
    let mut alone = up(1);
    assert!(silent_for(&mut alone, &[S1], 10 * SEC).is_empty());
}

#[test]
fn an_order_kills_a_task_of_our_own_node() {
    let mut bench = three();
    let answer = bench.order(Order::Kill(name("S2")));
    assert_eq!(answer, Some(Ok(names("S1 S2 S3"))));
    assert_eq!(bench.killed(), ["c2"]);
}
