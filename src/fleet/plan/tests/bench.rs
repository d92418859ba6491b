//! Test bench of the rules: a plan with a made-up time, the actions of its last step, and random
//! choices that are always the same.
//!
//! All rule tests use all of it, so it stays in one file.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::super::*;
use crate::fleet::engine::{EngineEvent, Management, StopMode};
use crate::fleet::events::{EventKind, ReplicaEvent};
use crate::fleet::rollout_event::RolloutStage;
use crate::fleet::version::Program;
use crate::orders::{
    self, BackendAddr, Order, OrderError, OrderResult, ReplaceOptions, ReplaceRequest,
    ReplaceTarget, VersionRequest,
};
use crate::ring::{RingError, Spec};
use crate::roster::{Health, ReplicaAddr};

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SEC: Duration = Duration::from_secs(1);

/// Environment with the names r1, r2, r3 …, the choice of the first, and preset answers and
/// traffic.
#[derive(Default)]
pub(super) struct Dice {
    pub(super) drawn: u32,
    pub(super) answers: HashMap<ReplicaId, Instant>,
    pub(super) traffic: HashMap<ReplicaId, Traffic>,
}

impl Environment for Dice {
    fn name(&mut self) -> ReplicaName {
        self.drawn += 1;
        name(&format!("r{}", self.drawn))
    }

    fn below(&mut self, _n: usize) -> usize {
        0
    }

    fn last_answer(&self, id: ReplicaId) -> Option<Instant> {
        self.answers.get(&id).copied()
    }

    fn traffic(&self, id: ReplicaId) -> Traffic {
        self.traffic.get(&id).copied().unwrap_or_default()
    }
}

/// Plan, its time, and the actions of the last step.
pub(super) struct Bench {
    pub(super) plan: Plan,
    pub(super) now: Instant,
    pub(super) dice: Dice,
    pub(super) orders_sent: u64,
    pub(super) did: Vec<Action>,
}

/// Has a plan handle an input, and checks that nothing follows from a routine one.
pub(super) fn step(
    plan: &mut Plan,
    input: Input,
    now: Instant,
    env: &mut dyn Environment,
) -> Vec<Action> {
    let is_due = plan.deadline().is_some_and(|at| at <= now);
    let is_routine = !is_due && routine::replica(&plan.state, &input).is_some();
    let before = (plan.status(), plan.deadline());
    let actions = plan.step(input, now, env);
    if is_routine {
        assert!(
            actions.is_empty(),
            "{actions:?} follow from a routine answer"
        );
        assert_eq!((plan.status(), plan.deadline()), before);
    }
    actions
}

pub(super) fn name(text: &str) -> ReplicaName {
    text.parse().unwrap()
}

pub(super) fn names(text: &str) -> Vec<ReplicaName> {
    text.split_whitespace().map(name).collect()
}

pub(super) fn addr(id: ReplicaId) -> ReplicaAddr {
    let port = u16::try_from(1000 + id.0).unwrap();
    ReplicaAddr(([127, 0, 0, 1], port).into())
}

pub(super) fn wording() -> ProbeWording {
    ProbeWording {
        request: Some("GET /heartbeat".to_owned()),
        timeout: 200 * MS,
        port_hint: "see --replica-port",
    }
}

pub(super) fn policy(keeper: Management) -> Policy {
    Policy {
        keeper,
        watched: true,
        ring: Spec::Uniform,
        bound: crate::load::LoadBound::OFF,
        misses: 3,
        // These tests skip the wait before a death by silence; the tests in `silence` cover it.
        replace_after: Duration::ZERO,
        interval: 250 * MS,
        start_timeout: 10 * SEC,
        drain_timeout: 10 * SEC,
        slow_start: Duration::ZERO,
        max_replicas: 256,
        keep: false,
        standbys: 0,
        version: Some(version("v1")),
        wording: wording(),
    }
}

/// Returns a standby that was found at the address of `id`.
pub(super) fn found_standby(text: &str, id: ReplicaId) -> InitialStandby {
    InitialStandby {
        name: name(text),
        addr: addr(id),
        version: None,
        started: None,
    }
}

/// Returns the version of this command.
pub(super) fn version(command: &str) -> Version {
    Version::new(Program::Command(command.to_owned()))
}

/// Returns the plan for these first replicas, in seats 1, 2, 3 …. An address is given for those
/// that run already.
///
/// # Errors
/// When the ring has no room for them.
fn plan_in_first_seats(
    policy: Policy,
    first: &[(ReplicaName, Option<ReplicaAddr>)],
    now: Instant,
) -> Result<Plan, RingError> {
    let seats = (1..).map(Seat).zip(first);
    let first = seats.map(|(seat, (name, addr))| InitialSeat::new(seat, name.clone(), *addr));
    Plan::resume(policy, &first.collect::<Vec<_>>(), &[], now)
}

impl Bench {
    pub(super) fn new(policy: Policy, first: &[(ReplicaName, Option<ReplicaAddr>)]) -> Self {
        let now = Instant::now();
        Self::of(plan_in_first_seats(policy, first, now).unwrap(), now)
    }

    /// Begins this plan.
    pub(super) fn of(plan: Plan, now: Instant) -> Self {
        let mut bench = Self {
            plan,
            now,
            dice: Dice::default(),
            orders_sent: 0,
            did: Vec::new(),
        };
        bench.feed(Input::Begin);
        bench
    }

    /// Returns `n` replicas S1, S2 … that are starting.
    pub(super) fn starting(n: usize) -> Self {
        Self::with(policy(Management::Managed), n)
    }

    pub(super) fn with(policy: Policy, n: usize) -> Self {
        let first: Vec<_> = (1..=n).map(|n| (name(&format!("S{n}")), None)).collect();
        Self::new(policy, &first)
    }

    /// Returns `n` replicas that are up.
    pub(super) fn up(n: usize) -> Self {
        let mut bench = Self::starting(n);
        for id in bench.started() {
            bench.rises(id);
        }
        bench
    }

    pub(super) fn fixed(watched: bool) -> Self {
        let [a, b] = [S1, S2].map(|id| addr(id).to_string());
        Self::of_backends(watched, &[("a", &a), ("b", &b)])
    }

    /// Returns fixed backends of these names at these addresses.
    pub(super) fn of_backends(watched: bool, backends: &[(&str, &str)]) -> Self {
        let now = Instant::now();
        let seats = (1..).map(Seat).zip(backends);
        let seats = seats.map(|(seat, (text, addr))| {
            let addr: BackendAddr = addr.parse().unwrap();
            InitialSeat {
                backend: Some(addr.clone()),
                ..InitialSeat::new(seat, name(text), addr.literal())
            }
        });
        let policy = Policy {
            watched,
            version: None,
            ..policy(Management::External)
        };
        let plan = Plan::resume(policy, &seats.collect::<Vec<_>>(), &[], now);
        Self::of(plan.unwrap(), now)
    }

    pub(super) fn feed(&mut self, input: Input) -> &[Action] {
        self.did = step(&mut self.plan, input, self.now, &mut self.dice);
        &self.did
    }

    pub(super) fn after(&mut self, time: Duration) -> &[Action] {
        self.now += time;
        self.feed(Input::Tick)
    }

    pub(super) fn report(&mut self, report: EngineEvent) {
        self.feed(Input::Engine(report));
    }

    /// Reports that a name has the addresses of these replicas.
    pub(super) fn resolves(&mut self, backend: &str, at: &[ReplicaId]) {
        let result = Ok(at.iter().map(|id| addr(*id)).collect());
        let addr = backend.parse().unwrap();
        self.report(EngineEvent::Resolved { addr, result });
    }

    pub(super) fn does_not_resolve(&mut self, backend: &str, sentence: &str) {
        let (addr, result) = (backend.parse().unwrap(), Err(sentence.to_owned()));
        self.report(EngineEvent::Resolved { addr, result });
    }

    /// Returns the replicas that the last step began to probe, with their addresses.
    pub(super) fn probed(&self) -> Vec<(ReplicaId, ReplicaAddr)> {
        let probe = |action: &Action| match action {
            Action::StartProbing(id, addr) => Some((*id, *addr)),
            _ => None,
        };
        self.did.iter().filter_map(probe).collect()
    }

    pub(super) fn probe(&mut self, id: ReplicaId, event: ProbeEvent) {
        self.feed(Input::Probe(id, event));
    }

    /// Reports that `id` started and answered.
    pub(super) fn rises(&mut self, id: ReplicaId) {
        self.report(EngineEvent::Started { id, addr: addr(id) });
        self.probe(id, ProbeEvent::Answered);
    }

    pub(super) fn ends(&mut self, id: ReplicaId) {
        let how = "process ended, signal: 9 (SIGKILL)".to_owned().into();
        self.report(EngineEvent::Ended { id, how });
    }

    pub(super) fn fails(&mut self, id: ReplicaId) {
        let why = "no luck".to_owned();
        self.report(EngineEvent::Failed { id, why });
    }

    pub(super) fn gone(&mut self, id: ReplicaId) {
        self.report(EngineEvent::Removed { id });
    }

    pub(super) fn misses(&mut self, id: ReplicaId, why: MissReason) {
        let sent = self.now - 200 * MS;
        self.probe(id, ProbeEvent::Missed { sent, why });
    }

    pub(super) fn falls_silent(&mut self, id: ReplicaId) {
        for _ in 0..3 {
            self.misses(id, MissReason::Silent);
        }
    }

    /// Returns the replicas that the last step has the engine kill.
    pub(super) fn kills(&self) -> Vec<ReplicaId> {
        let kill = |action: &Action| match action {
            Action::Kill(id) => Some(*id),
            _ => None,
        };
        self.did.iter().filter_map(kill).collect()
    }

    /// Returns the replicas that the last step started.
    pub(super) fn started(&self) -> Vec<ReplicaId> {
        let start = |action: &Action| match action {
            Action::Start(id, ..) => Some(*id),
            _ => None,
        };
        self.did.iter().filter_map(start).collect()
    }

    pub(super) fn removed(&self) -> Vec<(ReplicaId, StopMode)> {
        let remove = |action: &Action| match action {
            Action::Remove(id, mode) => Some((*id, *mode)),
            _ => None,
        };
        self.did.iter().filter_map(remove).collect()
    }

    pub(super) fn events(&self) -> Vec<&ReplicaEvent> {
        let mut events = Vec::new();
        for action in &self.did {
            if let Action::Record(event) = action {
                events.push(event);
            }
        }
        events
    }

    pub(super) fn kinds(&self) -> Vec<EventKind> {
        self.events().iter().map(|event| event.kind).collect()
    }

    pub(super) fn answer(&self) -> Option<OrderResult> {
        self.answers().into_iter().next()
    }

    pub(super) fn answers(&self) -> Vec<OrderResult> {
        let answer = |action: &Action| match action {
            Action::Answer(_, answer) => Some(answer.clone()),
            _ => None,
        };
        self.did.iter().filter_map(answer).collect()
    }

    pub(super) fn published(&self) -> bool {
        let count = self.did.iter().filter(|a| **a == Action::Publish).count();
        assert!(count == 0 || self.did[0] == Action::Publish && count == 1);
        count == 1
    }

    pub(super) fn order(&mut self, order: Order) -> Option<OrderResult> {
        self.orders_sent += 1;
        self.feed(Input::Order(OrderId(self.orders_sent), order));
        self.answer()
    }

    pub(super) fn add(&mut self, n: usize, given: &str) -> Option<OrderResult> {
        let names = names(given);
        self.order(Order::Add(orders::ChangeRequest { n, names }))
    }

    pub(super) fn rm(&mut self, n: usize, given: &str) -> Option<OrderResult> {
        let names = names(given);
        self.order(Order::Rm(orders::ChangeRequest { n, names }))
    }

    pub(super) fn replace(&mut self, given: &str) -> Option<OrderResult> {
        let target = match given {
            "all" => ReplaceTarget::All,
            given => ReplaceTarget::One(name(given)),
        };
        self.order(Order::Replace(ReplaceRequest::same_version(target)))
    }

    /// Orders a replacement by a command, which is found at once.
    pub(super) fn roll_out(&mut self, line: &str) -> Option<OrderResult> {
        self.order(Order::Replace(request(line)));
        let id = OrderId(self.orders_sent);
        let asked = VersionRequest::Command("v2".to_owned());
        assert_eq!(self.did, [Action::Prepare(id, asked)]);
        self.feed(Input::Prepared(id, Ok(version("v2"))));
        self.answer()
    }

    /// Returns the stages of a replacement that the last step recorded, with their reasons.
    pub(super) fn stages(&self) -> Vec<(RolloutStage, String)> {
        let stage = |action: &Action| match action {
            Action::Rollout(_, event) => Some((event.stage, event.reason.clone())),
            _ => None,
        };
        self.did.iter().filter_map(stage).collect()
    }

    /// Returns the versions of `show`, one for each replica or waiting seat.
    pub(super) fn versions(&self) -> Vec<String> {
        let infos = self.plan.replica_infos(self.now).into_iter();
        infos.filter_map(|(_, info)| info.version).collect()
    }

    /// Returns the standbys that the last step promoted, with their seats.
    pub(super) fn promoted(&self) -> Vec<(ReplicaId, u32)> {
        let give = |action: &Action| match action {
            Action::AssignSeat(id, _, seat) => Some((*id, seat.0)),
            _ => None,
        };
        self.did.iter().filter_map(give).collect()
    }

    /// Returns the replicas that the last step began to drain.
    pub(super) fn draining(&self) -> Vec<ReplicaId> {
        let drain = |action: &Action| match action {
            Action::Drain(id) => Some(*id),
            _ => None,
        };
        self.did.iter().filter_map(drain).collect()
    }

    /// Returns the descriptions of `show`, as `seat name state`.
    pub(super) fn shown(&self) -> Vec<String> {
        let infos = self.plan.replica_infos(self.now).into_iter();
        let line = |info: orders::ReplicaInfo| {
            let seat = info
                .seat
                .map_or_else(|| "-".to_owned(), |seat| seat.to_string());
            format!("{seat} {} {}", info.name, info.state.as_str())
        };
        infos.map(|(_, info)| line(info)).collect()
    }

    /// Returns the names that `/rep` lists.
    pub(super) fn list(&self) -> Vec<ReplicaName> {
        self.plan.listed()
    }

    pub(super) fn health(&self, seat: u32) -> Option<Health> {
        let members = self.plan.view().members;
        let member = members.into_iter().find(|shown| shown.seat == Seat(seat));
        member.map(|shown| shown.health)
    }

    pub(super) fn seats(&self) -> Vec<u32> {
        let view = self.plan.view();
        view.ring.seats().iter().map(|seat| seat.0).collect()
    }

    /// Returns the seats and names that the last step started; seat 0 for a standby.
    pub(super) fn starting_names(&self) -> Vec<(u32, String)> {
        let start = |action: &Action| match action {
            Action::Start(_, seat, name) => Some((seat.map_or(0, |seat| seat.0), name.to_string())),
            _ => None,
        };
        self.did.iter().filter_map(start).collect()
    }
}

/// Returns the replacement of `target` by v2, monitored for 5 s.
pub(super) fn request(target: &str) -> ReplaceRequest {
    let target = match (target, target.parse()) {
        ("all", _) => ReplaceTarget::All,
        (_, Ok(n)) => ReplaceTarget::Lowest(n),
        (given, Err(_)) => ReplaceTarget::One(name(given)),
    };
    let version = Some(VersionRequest::Command("v2".to_owned()));
    ReplaceRequest::new(target, version, &ReplaceOptions::default()).unwrap()
}

pub(super) fn bad(sentence: &str) -> Option<OrderResult> {
    Some(Err(OrderError::invalid(sentence)))
}

pub(super) const S1: ReplicaId = ReplicaId(1);
pub(super) const S2: ReplicaId = ReplicaId(2);
pub(super) const S3: ReplicaId = ReplicaId(3);
