//! The plan against a model of the world: an engine and replicas that die, hang, come back, start late
//! or not at all, and people who order changes meanwhile; thousands of random schedules from fixed seeds.
//!
//! After every step the roster is checked, and after things have settled the whole: N live replicas,
//! each seat once, nothing orphaned in the engine, every order answered. A failure names its seed.
//!
//! Long because it is one machine: the world, what can happen in it and what must hold all share its state.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::super::*;
use crate::admin;
use crate::fleet::engine::{Ending, Farewell, Keeper, Report};
use crate::ring::Spec;
use crate::roster::{Evidence, Sign};

const SCHEDULES: u64 = 3_000;
const STEPS: usize = 150;
const FIRST: usize = 3;
const MS: Duration = Duration::from_millis(1);

/// SplitMix64: small, and the same everywhere.
struct Dice {
    state: u64,
    answers: BTreeMap<ReplicaId, Instant>,
}

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sides = u64::try_from(sides).unwrap();
        usize::try_from((z ^ (z >> 31)) % sides).unwrap()
    }

    fn millis(&mut self, below: usize) -> Duration {
        let millis = self.roll(below);
        Duration::from_millis(u64::try_from(millis).unwrap())
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.roll(from.len())])
    }
}

impl World for Dice {
    /// From a small pool, so that names do collide.
    fn name(&mut self) -> ReplicaName {
        format!("r{}", self.roll(40)).parse().unwrap()
    }

    fn below(&mut self, n: usize) -> usize {
        self.roll(n)
    }

    fn last_answer(&self, id: ReplicaId) -> Option<Instant> {
        self.answers.get(&id).copied()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Running,
    Frozen,
    Dead,
}

/// A replica as the engine has it.
#[derive(Debug)]
struct Sim {
    name: ReplicaName,
    state: State,
    watched: bool,
    /// Its next good heartbeat gives it a seat.
    called: bool,
    removing: bool,
    /// The plan was told that it ended.
    end_told: bool,
}

struct Model {
    dice: Dice,
    now: Instant,
    plan: Plan,
    sims: BTreeMap<ReplicaId, Sim>,
    reports: Vec<(Instant, Report)>,
    draining: BTreeSet<ReplicaId>,
    tickets: BTreeMap<Ticket, Order>,
    next_ticket: u64,
    last_id: u64,
    wanted: usize,
    standbys: usize,
    /// Who was found, and whether another balancer serves from them still.
    found: BTreeSet<ReplicaId>,
    is_theirs: bool,
    version: u64,
    members: Vec<Shown>,
    /// From here on the engine starts what it is told to.
    calm: bool,
    finished: bool,
    stops: bool,
}

fn about(report: &Report) -> ReplicaId {
    match report {
        Report::Started { id, .. }
        | Report::Failed { id, .. }
        | Report::NameRefused { id, .. }
        | Report::Ended { id, .. }
        | Report::Removed { id } => *id,
    }
}

impl Model {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        let standbys = [0, 1, 2][usize::try_from(seed % 3).unwrap()];
        let policy = Policy {
            keeper: Keeper::Fleet,
            watched: true,
            ring: Spec::Classic,
            bound: Some(crate::balance::Bound::OFF),
            misses: 3,
            interval: 250 * MS,
            start_timeout: 1_000 * MS,
            drain_timeout: 1_000 * MS,
            max_replicas: 12,
            keep: false,
            standbys,
        };
        // Sometimes they are found, and serve another balancer.
        let is_theirs = seed % 5 < 2;
        let addr = ReplicaAddr(([127, 0, 0, 1], 1).into());
        let first = (1..=FIRST).map(|n| First {
            serves: is_theirs,
            ..First::new(
                Seat(u32::try_from(n).unwrap()),
                format!("S{n}").parse().unwrap(),
                is_theirs.then_some(addr),
            )
        });
        let first: Vec<_> = first.collect();
        let mut plan = Plan::resume(policy, &first, &[], now).unwrap();
        let mut found = BTreeSet::new();
        if is_theirs {
            plan.borrow();
            found = (1..=3).map(ReplicaId).collect();
        }
        Self {
            dice: Dice {
                state: seed,
                answers: BTreeMap::new(),
            },
            now,
            plan,
            sims: BTreeMap::new(),
            reports: Vec::new(),
            draining: BTreeSet::new(),
            tickets: BTreeMap::new(),
            next_ticket: 0,
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
        let actions = self.plan.step(input, self.now, &mut self.dice);
        for (at, action) in actions.into_iter().enumerate() {
            self.act(at, action);
        }
        self.check_roster();
    }

    fn act(&mut self, at: usize, action: Action) {
        match action {
            Action::Publish => {
                assert_eq!(at, 0, "the roster is published before all else");
                let view = self.plan.view();
                assert_eq!(view.version, self.version + 1);
                self.version = view.version;
                self.members = view.members;
                let seats: BTreeSet<Seat> = self.members.iter().map(|m| m.seat).collect();
                assert_eq!(seats.len(), self.members.len(), "each seat once");
                assert!(seats.is_subset(view.ring.seats()));
            }
            Action::Start(id, _, name) => self.engine_starts(id, name),
            Action::Watch(id, _) => self.sim(id).watched = true,
            Action::Give(id, _, seat) => {
                assert!(self.sim(id).watched && !self.sim(id).called, "a warm one");
                assert!(!self.members.iter().any(|m| m.id == id), "without a seat");
                assert_eq!(self.plan.seat(id), Some(seat));
                self.sim(id).called = true;
            }
            Action::Poke(..) | Action::Look(_) | Action::Note(_) => {}
            Action::Drain(id) => {
                assert!(!self.members.iter().any(|member| member.id == id));
                self.draining.insert(id);
            }
            Action::Remove(id, farewell) => self.engine_removes(id, farewell),
            Action::Answer(ticket, answer) => {
                let order = self.tickets.remove(&ticket).expect("one answer each");
                if answer.is_ok() {
                    match order {
                        Order::Rep => {}
                        Order::Add(change) => self.wanted += change.n,
                        Order::Rm(change) => self.wanted -= change.n,
                        Order::Scale(n) => self.wanted = n,
                        Order::Replace(_) | Order::Drain(_) | Order::Ready(_) => {}
                        Order::Ring(_) | Order::Bound(_) => {}
                    }
                }
            }
            Action::Finished => self.finished = true,
            Action::Switched(..) => {}
        }
    }

    fn sim(&mut self, id: ReplicaId) -> &mut Sim {
        self.sims.get_mut(&id).expect("known to the engine")
    }

    fn engine_starts(&mut self, id: ReplicaId, name: ReplicaName) {
        assert!(id.0 > self.last_id, "an ID is used once");
        self.last_id = id.0;
        let twin = self.sims.values().any(|sim| sim.name == name);
        assert!(!twin, "{name} is there already");
        let sim = Sim {
            name,
            state: State::Starting,
            watched: false,
            called: false,
            removing: false,
            end_told: false,
        };
        self.sims.insert(id, sim);
        let addr = ReplicaAddr(([127, 0, 0, 1], 1).into());
        let started = Report::Started { id, addr };
        let text = String::new;
        let how = Ending::default;
        let runs = self.calm || self.found.contains(&id);
        let fate = if runs { 0 } else { self.dice.roll(10) };
        let due = self.now + self.dice.millis(300);
        match fate {
            0..7 => self.reports.push((due, started)),
            7 => self.reports.push((due, Report::Failed { id, why: text() })),
            8 => self.reports.push((due, Report::Ended { id, how: how() })),
            _ => {}
        }
    }

    fn engine_removes(&mut self, id: ReplicaId, farewell: Farewell) {
        if self.is_theirs {
            // Before that only at a stop, and what it started itself goes.
            let left = farewell == Farewell::Leave;
            assert_eq!(left, self.found.contains(&id), "{id:?} {farewell:?}");
            assert!(!left || self.stops, "{id:?} is theirs");
        }
        let due = self.now + self.dice.millis(200);
        let sim = self.sim(id);
        assert!(!sim.removing, "removed once");
        sim.removing = true;
        sim.watched = false;
        self.draining.remove(&id);
        self.reports
            .retain(|(at, report)| about(report) != id || *at < due);
        if self.dice.roll(2) == 0 {
            let how = Ending::default();
            self.reports.push((due, Report::Ended { id, how }));
        }
        self.reports.push((due, Report::Removed { id }));
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
    }

    /// Whether all was left to another balancer; then the roster stays as it was.
    fn has_left(&self) -> bool {
        self.stops && self.is_theirs
    }

    fn check_cards(&self) {
        if self.has_left() {
            return;
        }
        let cards = self.plan.cards(self.now);
        let listed = cards.iter().filter(|(_, card)| card.listed).count();
        assert_eq!(listed, self.plan.listed().len());
        let seats: BTreeSet<_> = cards.iter().filter_map(|(_, card)| card.seat).collect();
        let members = self.members.iter().map(|member| member.seat);
        assert!(
            members.collect::<BTreeSet<_>>().is_subset(&seats),
            "each has a card"
        );
    }

    /// Lets time pass, with what is due meanwhile.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let report = self.reports.iter().map(|(at, _)| *at).min();
            let deadline = self.plan.deadline();
            let next = report.into_iter().chain(deadline).min();
            let Some(next) = next.filter(|next| *next <= until) else {
                break;
            };
            self.now = self.now.max(next);
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
        self.check_cards();
    }

    fn deliver(&mut self, report: Report) {
        let id = about(&report);
        let sim = self.sim(id);
        match &report {
            Report::Started { .. } if sim.state == State::Starting => sim.state = State::Running,
            Report::Started { .. } => {}
            Report::Failed { .. } | Report::NameRefused { .. } => sim.state = State::Dead,
            Report::Ended { .. } => {
                sim.state = State::Dead;
                sim.end_told = true;
            }
            Report::Removed { .. } => {
                self.sims.remove(&id);
            }
        }
        self.feed(Input::Engine(report));
    }

    /// A heartbeat of one that is watched, as its state has it; now and then a false one.
    fn beat(&mut self, id: ReplicaId, lies: bool) {
        let sent = self.now - 200 * MS;
        let why = Miss::Silent;
        let lie = lies && self.dice.roll(20) == 0;
        if self.sim(id).state == State::Running && self.sim(id).called && !lie {
            self.sim(id).called = false;
            // Every second one is somebody's own server.
            let knows = id.0.is_multiple_of(2);
            self.feed(Input::Pulse(id, Pulse::Seated { knows }));
        }
        let pulse = match self.sim(id).state {
            State::Running if lie => {
                [Pulse::Broken, Pulse::Missed { sent, why }][self.dice.roll(2)].clone()
            }
            State::Running => Pulse::Answered,
            State::Frozen | State::Starting => Pulse::Missed { sent, why },
            State::Dead if lie => Pulse::Broken,
            State::Dead => Pulse::Refused(String::new()),
        };
        self.feed(Input::Pulse(id, pulse));
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

    fn order(&mut self, add: bool) {
        let n = 1 + self.dice.roll(3);
        let mut names = BTreeSet::new();
        for _ in 0..self.dice.roll(n + 1) {
            let listed = self.plan.listed();
            let name = if !add && !listed.is_empty() && self.dice.roll(4) > 0 {
                listed[self.dice.roll(listed.len())].clone()
            } else {
                self.dice.name()
            };
            names.insert(name);
        }
        let names = names.into_iter().collect();
        let change = admin::Change { n, names };
        let order = match self.dice.roll(10) {
            0 => Order::Rep,
            _ if add => Order::Add(change),
            _ => Order::Rm(change),
        };
        self.hand_in(order);
    }

    fn other_order(&mut self) {
        let listed = self.plan.listed();
        let name = match listed.len() {
            0 => self.dice.name(),
            n => listed[self.dice.roll(n)].clone(),
        };
        let order = match self.dice.roll(6) {
            0 => Order::Scale(self.dice.roll(8)),
            1 => Order::Replace(admin::Target::All),
            2 => Order::Replace(admin::Target::One(name)),
            3 | 4 => Order::Drain(name),
            _ => Order::Ready(name),
        };
        self.hand_in(order);
    }

    fn hand_in(&mut self, order: Order) {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.tickets.insert(ticket, order.clone());
        self.feed(Input::Order(ticket, order));
    }

    /// One random thing happens.
    fn stumble(&mut self) {
        match self.dice.roll(26) {
            0..3 => {
                let time = self.dice.millis(400);
                self.pass(time);
            }
            3..6 => self.pass(10 * MS),
            6..13 => {
                if let Some(id) = self.dice.pick(&self.watched()) {
                    self.beat(id, true);
                }
            }
            13 => {
                // The kernel's word may come at once or late.
                if let Some(id) = self.dice.pick(&self.in_state(State::Running)) {
                    self.sim(id).state = State::Dead;
                    if !self.sim(id).removing {
                        let due = self.now + self.dice.millis(100);
                        let how = Ending::default();
                        self.reports.push((due, Report::Ended { id, how }));
                    }
                }
            }
            14 => {
                for id in self.in_state(State::Running) {
                    if self.dice.roll(3) == 0 {
                        self.sim(id).state = State::Frozen;
                    }
                }
            }
            15 | 16 => {
                for id in self.in_state(State::Frozen) {
                    self.sim(id).state = State::Running;
                }
            }
            17 => {
                let last = usize::try_from(self.last_id).unwrap();
                let id = ReplicaId(u64::try_from(self.dice.roll(last + 1)).unwrap());
                let signs = [Sign::Refused, Sign::Lost, Sign::ReplyTimeout];
                let sign = signs[self.dice.roll(3)];
                self.feed(Input::Evidence(Evidence { id, sign }));
            }
            18 => {
                if let Some(id) = self.dice.pick(&self.in_state(State::Running)) {
                    self.dice.answers.insert(id, self.now);
                }
            }
            19 | 20 => {
                let draining: Vec<_> = self.draining.iter().copied().collect();
                if let Some(id) = self.dice.pick(&draining) {
                    self.draining.remove(&id);
                    self.feed(Input::Drained(id));
                }
            }
            21 | 22 => {
                let add = self.dice.roll(2) == 0;
                self.order(add);
            }
            23 | 24 => self.other_order(),
            _ => {
                for id in self.watched() {
                    if self.sims.contains_key(&id) && self.sim(id).watched {
                        self.beat(id, false);
                    }
                }
            }
        }
    }

    fn is_settled(&self) -> bool {
        let up = self.members.iter();
        let up = up.filter(|m| m.health == Health::Up && !m.drained);
        self.tickets.is_empty()
            && self.reports.is_empty()
            && up.count() == self.wanted
            && self.sims.len() == self.wanted + self.standbys
            && self.in_state(State::Running).len() == self.wanted + self.standbys
            && self.plan.status().standbys == self.standbys
    }

    /// Nothing happens any more but what must.
    fn settle(&mut self) {
        self.calm = true;
        for _ in 0..1_000 {
            if self.is_settled() {
                break;
            }
            for id in self.watched() {
                if self.sims.contains_key(&id) && self.sim(id).watched {
                    self.beat(id, false);
                }
            }
            self.pass(250 * MS);
            let drained = self.members.iter().find(|member| member.drained);
            if let Some(name) = drained.map(|member| member.name.clone()) {
                self.hand_in(Order::Ready(name));
            }
        }
        assert!(self.tickets.is_empty(), "unanswered: {:?}", self.tickets);
        let status = self.plan.status();
        let n = self.wanted;
        assert_eq!((status.wanted, status.up, status.answered), (n, n, n));
        assert!(status.complete);
        let seats: BTreeSet<Seat> = self.members.iter().map(|m| m.seat).collect();
        assert_eq!(seats, *self.plan.view().ring.seats());
        let members: BTreeSet<_> = self.members.iter().map(|m| m.id).collect();
        let held: BTreeSet<_> = self.sims.keys().copied().collect();
        let (all, standbys) = (held.len(), held.difference(&members).count());
        assert_eq!(
            (all, standbys),
            (n + self.standbys, self.standbys),
            "nothing orphaned"
        );
        assert_eq!(status.standbys, self.standbys);
        assert_eq!(self.in_state(State::Running).len(), all);
    }

    fn close(&mut self) {
        self.feed(Input::Close);
        assert!(self.tickets.is_empty(), "unanswered: {:?}", self.tickets);
        self.pass(Duration::from_secs(1));
    }

    /// Nobody else serves from what was found.
    fn all_is_ours(&mut self) {
        if std::mem::take(&mut self.is_theirs) {
            self.feed(Input::Hold(Hold::Ours));
        }
    }

    fn stop(&mut self) {
        self.stops = true;
        let leave = self.is_theirs;
        self.feed(Input::Stop { leave });
        self.pass(Duration::from_secs(60));
        assert!(self.finished && self.sims.is_empty() && self.tickets.is_empty());
    }
}

fn run(seed: u64) {
    let mut model = Model::new(seed);
    model.feed(Input::Begin);
    let got_ready = usize::try_from(seed % 200).unwrap();
    for step in 0..STEPS {
        if step == got_ready {
            model.all_is_ours();
        }
        model.stumble();
    }
    // Sometimes the stop comes in the middle of everything.
    if !seed.is_multiple_of(8) {
        model.all_is_ours();
        model.settle();
    }
    if seed.is_multiple_of(3) {
        model.close();
    }
    model.stop();
}

#[test]
fn after_random_schedules_the_fleet_is_as_wanted() {
    for seed in 0..SCHEDULES {
        let result = catch_unwind(AssertUnwindSafe(|| run(seed)));
        assert!(result.is_ok(), "seed {seed}");
    }
}
