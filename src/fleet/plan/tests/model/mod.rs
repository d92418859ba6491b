//! Model test: the plan against a simulated engine and simulated replicas under random schedules.
//!
//! Replicas die, hang, recover, and start late or not at all, while clients order changes. There
//! are thousands of schedules from fixed seeds. The roster is checked after every step. When a
//! schedule has settled, the whole is checked: N live replicas, each seat once, no orphan in the
//! engine, every order answered. A failure names its seed.
//!
//! The files of this folder share the state of one [`Model`].

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::super::*;
use super::bench::{step, version, wording};
use crate::fleet::engine::{EngineEvent, ExitReport, Management, StopMode};
use crate::orders::{self, Order};
use crate::ring::Spec;
use crate::roster::{Evidence, EvidenceKind, Health, ReplicaAddr};
use dice::Dice;

mod dice;
mod engine;
mod random_events;
mod settle;

const SCHEDULES: u64 = 3_000;
const STEPS: usize = 150;
const FIRST: usize = 3;
const MS: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Running,
    Frozen,
    Dead,
}

/// Replica in the simulated engine.
#[derive(Debug)]
struct Sim {
    name: ReplicaName,
    state: State,
    watched: bool,
    /// `true` if its next healthy heartbeat takes a seat.
    called: bool,
    removing: bool,
    /// `true` if the plan has the report of its end.
    end_told: bool,
}

struct Model {
    dice: Dice,
    now: Instant,
    plan: Plan,
    sims: BTreeMap<ReplicaId, Sim>,
    reports: Vec<(Instant, EngineEvent)>,
    /// Versions that are being looked up.
    lookups: Vec<(Instant, OrderId)>,
    /// Versions as the engine started them.
    versions: BTreeMap<ReplicaId, Version>,
    draining: BTreeSet<ReplicaId>,
    unanswered: BTreeMap<OrderId, Order>,
    last_order_id: u64,
    last_id: u64,
    wanted: usize,
    standbys: usize,
    /// Replicas that were found.
    found: BTreeSet<ReplicaId>,
    /// `true` while another balancer still serves from them.
    is_theirs: bool,
    version: u64,
    members: Vec<MemberDraft>,
    /// `true` if every start succeeds from here on.
    calm: bool,
    finished: bool,
    stops: bool,
}

fn about(report: &EngineEvent) -> ReplicaId {
    match report {
        EngineEvent::Started { id, .. }
        | EngineEvent::Failed { id, .. }
        | EngineEvent::NameRefused { id, .. }
        | EngineEvent::Ended { id, .. }
        | EngineEvent::Removed { id } => *id,
        EngineEvent::Resolved { .. } | EngineEvent::Service(_) | EngineEvent::Changed { .. } => {
            panic!("the model has neither fixed backends nor a service")
        }
    }
}

impl Model {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        let standbys = [0, 1, 2][usize::try_from(seed % 3).unwrap()];
        let policy = Policy {
            keeper: Management::Managed,
            watched: true,
            ring: Spec::Classic,
            bound: crate::load::LoadBound::OFF,
            misses: 3,
            replace_after: [0, 1_000, 3_000][usize::try_from(seed % 7 % 3).unwrap()] * MS,
            interval: 250 * MS,
            start_timeout: 1_000 * MS,
            drain_timeout: 1_000 * MS,
            slow_start: Duration::from_secs(1),
            max_replicas: 12,
            keep: false,
            standbys,
            version: Some(version("v1")),
            wording: wording(),
        };
        // In some schedules the first replicas were found, and serve another balancer.
        let is_theirs = seed % 5 < 2;
        let addr = ReplicaAddr(([127, 0, 0, 1], 1).into());
        let first = (1..=FIRST).map(|n| InitialSeat {
            serves: is_theirs,
            ..InitialSeat::new(
                Seat(u32::try_from(n).unwrap()),
                format!("S{n}").parse().unwrap(),
                is_theirs.then_some(addr),
            )
        });
        let first: Vec<_> = first.collect();
        let mut plan = Plan::resume(policy, &first, &[], now).unwrap();
        let mut found = BTreeSet::new();
        if is_theirs {
            plan.begin_acquiring();
            found = (1..=3).map(ReplicaId).collect();
        }
        Self {
            dice: Dice {
                state: seed,
                answers: BTreeMap::new(),
                slow: None,
            },
            now,
            plan,
            sims: BTreeMap::new(),
            reports: Vec::new(),
            lookups: Vec::new(),
            versions: BTreeMap::new(),
            draining: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            last_order_id: 0,
            last_id: 0,
            wanted: FIRST,
            standbys,
            found,
            is_theirs,
            version: 0,
            members: Vec::new(),
            calm: false,
            finished: false,
            stops: false,
        }
    }

    fn feed(&mut self, input: Input) {
        let actions = step(&mut self.plan, input, self.now, &mut self.dice);
        for (at, action) in actions.into_iter().enumerate() {
            self.act(at, action);
        }
        self.check_roster();
    }

    fn check_roster(&mut self) {
        if self.has_left() {
            return;
        }
        for member in &self.members {
            let told = self.sims.get(&member.id).is_none_or(|sim| sim.end_told);
            assert!(!told || member.health == Health::Down, "{member:?} ended");
        }
        let listed = self.plan.listed();
        let distinct: BTreeSet<_> = listed.iter().collect();
        assert_eq!(distinct.len(), listed.len());
        assert_eq!(self.plan.status().answered, listed.len());
        self.check_versions();
    }

    /// Checks that a replica never changes its version.
    fn check_versions(&mut self) {
        for (id, version) in &self.versions {
            if let Some(now) = self.plan.version(*id) {
                assert_eq!(now, version, "{id:?}");
            }
        }
    }

    /// Returns `true` if the replicas were left to another balancer. The roster then stays as it
    /// was.
    fn has_left(&self) -> bool {
        self.stops && self.is_theirs
    }

    fn check_infos(&self) {
        if self.has_left() {
            return;
        }
        let infos = self.plan.replica_infos(self.now);
        let listed = infos.iter().filter(|(_, info)| info.in_rep_list).count();
        assert_eq!(listed, self.plan.listed().len());
        let seats: BTreeSet<_> = infos.iter().filter_map(|(_, info)| info.seat).collect();
        let members = self.members.iter().map(|member| member.seat);
        assert!(
            members.collect::<BTreeSet<_>>().is_subset(&seats),
            "show describes every member"
        );
    }

    /// Advances the time, and delivers the reports and deadlines that are due meanwhile.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let report = self.reports.iter().map(|(at, _)| *at).min();
            let lookup = self.lookups.iter().map(|(at, _)| *at).min();
            let deadline = self.plan.deadline();
            let next = report.into_iter().chain(lookup).chain(deadline).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                break;
            };
            self.now = self.now.max(next);
            if let Some(at) = self.lookups.iter().position(|(at, _)| *at <= next) {
                self.look_up(at);
                continue;
            }
            match self.reports.iter().position(|(at, _)| *at <= next) {
                Some(at) => {
                    let (_, report) = self.reports.remove(at);
                    self.deliver(report);
                }
                None => self.feed(Input::Tick),
            }
        }
        self.now = until;
        self.feed(Input::Tick);
        self.check_infos();
    }

    /// Answers a lookup: there is a version, or there is none.
    fn look_up(&mut self, at: usize) {
        let (_, order_id) = self.lookups.remove(at);
        let found = match self.dice.roll(6) {
            0 => Err(String::new()),
            n => Ok(version(&format!("v{n}"))),
        };
        self.feed(Input::Prepared(order_id, found));
    }

    fn deliver(&mut self, report: EngineEvent) {
        let id = about(&report);
        let sim = self.sim(id);
        match &report {
            EngineEvent::Started { .. } if sim.state == State::Starting => {
                sim.state = State::Running
            }
            EngineEvent::Started { .. }
            | EngineEvent::Resolved { .. }
            | EngineEvent::Service(_)
            | EngineEvent::Changed { .. } => {}
            EngineEvent::Failed { .. } | EngineEvent::NameRefused { .. } => sim.state = State::Dead,
            EngineEvent::Ended { .. } => {
                sim.state = State::Dead;
                sim.end_told = true;
            }
            EngineEvent::Removed { .. } => {
                self.sims.remove(&id);
            }
        }
        self.feed(Input::Engine(report));
    }

    /// Sends a heartbeat to `id`. The result follows its state, with an occasional false one if
    /// `lies`.
    fn beat(&mut self, id: ReplicaId, lies: bool) {
        let sent = self.now - 200 * MS;
        let why = MissReason::Silent;
        let lie = lies && self.dice.roll(20) == 0;
        if self.sim(id).state == State::Running && self.sim(id).called && !lie {
            self.sim(id).called = false;
            // Every second replica is a custom server that does not learn its seat.
            let knows = id.0.is_multiple_of(2);
            self.feed(Input::Probe(id, ProbeEvent::Seated { knows }));
        }
        let event = match self.sim(id).state {
            State::Running if lie => {
                [ProbeEvent::Broken, ProbeEvent::Missed { sent, why }][self.dice.roll(2)].clone()
            }
            State::Running => ProbeEvent::Answered,
            State::Frozen | State::Starting => ProbeEvent::Missed { sent, why },
            State::Dead if lie => ProbeEvent::Broken,
            State::Dead => ProbeEvent::Refused(Refusal::Connection),
        };
        self.feed(Input::Probe(id, event));
    }

    fn watched(&self) -> Vec<ReplicaId> {
        let sims = self.sims.iter();
        sims.filter(|(_, sim)| sim.watched)
            .map(|(id, _)| *id)
            .collect()
    }

    fn in_state(&self, state: State) -> Vec<ReplicaId> {
        let sims = self.sims.iter();
        sims.filter(|(_, sim)| sim.state == state)
            .map(|(id, _)| *id)
            .collect()
    }
}

fn run(seed: u64) {
    let mut model = Model::new(seed);
    model.feed(Input::Begin);
    let got_ready = usize::try_from(seed % 200).unwrap();
    for step in 0..STEPS {
        if step == got_ready {
            model.complete_takeover();
        }
        model.random_event();
    }
    // Every eighth schedule stops before it has settled.
    if !seed.is_multiple_of(8) {
        model.complete_takeover();
        model.settle();
    }
    if seed.is_multiple_of(3) {
        model.close();
    }
    model.stop();
}

#[test]
fn the_fleet_is_as_wanted_after_random_schedules() {
    for seed in 0..SCHEDULES {
        let result = catch_unwind(AssertUnwindSafe(|| run(seed)));
        assert!(result.is_ok(), "seed {seed}");
    }
}
