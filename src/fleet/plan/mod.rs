//! What the fleet does next: a pure state machine from what is wanted and what was seen to actions.
//!
//! All verdicts, replacement, back-off, self-suspicion and the carrying out of orders are here, so that
//! every race can be tested. It has no clock, no socket and no randomness of its own: time is passed in
//! and the rest is asked of [`World`]. Surprising: after every input it looks at all seats again, so a
//! seat is filled because it is empty, not because somebody remembered to fill it.

mod add;
mod backoff;
mod drain;
mod engine_events;
mod handover;
mod health;
mod orders;
mod replace;
mod replacement;
mod ring_settings;
mod rm;
mod scale;
mod seat_history;
mod seats;
mod show;
mod silence;
mod standby;
#[cfg(test)]
mod tests;
mod types;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use crate::fleet::engine::{Management, StopMode};
use crate::orders::Order;
use crate::ring::{Ring, RingError, Seat};
use crate::roster::{Health, ReplicaAddr, ReplicaId, ReplicaName};
use backoff::Backoff;
use orders::ActiveOrder;
use seats::{Holder, SeatRecord};
use silence::Silence;
pub(super) use types::{
    Action, Environment, InitialSeat, Input, MemberDraft, MissReason, OrderId, Policy, ProbeEvent,
    RosterDraft, Traffic,
};

pub use types::{Ownership, Status};

/// One replica that the engine holds.
#[derive(Debug)]
struct Replica {
    /// `None` for a standby.
    seat: Option<Seat>,
    name: ReplicaName,
    addr: Option<ReplicaAddr>,
    phase: Phase,
    misses: u32,
    /// When a heartbeat was last answered.
    last_ok: Option<Instant>,
    silence: Option<Silence>,
    /// Whether an event told of the silence that goes on. It may be interrupted by answers of the data path.
    silence_told: bool,
    /// Whether it serves one connection at a time.
    iterative: bool,
    /// Whether it ran before we did.
    was_found: bool,
    /// How it ended, if that is known and its removal has to wait.
    ended: Option<String>,
}

/// Where a replica is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It was started and has not answered.
    Starting { until: Instant },
    /// It has answered and waits for the others of its `/add`.
    Answered,
    /// It is warm and has no seat.
    Standby { since: Instant },
    /// It was a standby, and is being given a seat.
    Promoting { until: Instant },
    /// It holds its seat.
    Up,
    /// It holds its seat, and routing skips it.
    Suspect,
    /// It is down and still watched: it may speak again.
    Unresponsive,
    /// It left the ring and finishes what it has begun.
    Draining { until: Instant },
    /// The engine was told to remove it. `unexplained`: it was refused, and how it ended is not known.
    Removing { unexplained: bool },
}

/// The state of the fleet.
#[derive(Debug)]
pub(super) struct Plan {
    policy: Policy,
    now: Instant,
    version: u64,
    changed: bool,
    ring: Arc<dyn Ring>,
    /// In the order of `/rep`: start order, then `/add` order.
    places: Vec<SeatRecord>,
    lives: BTreeMap<ReplicaId, Replica>,
    next_id: u64,
    /// How long to wait before the next start of a standby.
    standbys: Backoff,
    /// The first seats that have not answered yet.
    awaited: BTreeSet<Seat>,
    change: Option<ActiveOrder>,
    waiting: VecDeque<(OrderId, Order)>,
    /// When seats fell silent, within the last interval.
    silences: VecDeque<Instant>,
    /// Since many fell silent at once: nobody silent is replaced before, then one at a time.
    held_until: Option<Instant>,
    /// Whether changes are refused.
    closed: bool,
    /// Whose the fleet is.
    hold: Ownership,
    /// Removals that wait until the fleet is ours.
    put_off: Vec<(ReplicaId, StopMode)>,
    stopping: bool,
    /// Whether those who serve are left to another balancer: the roster stays as it is.
    left: bool,
    finished: bool,
    actions: Vec<Action>,
}

impl Plan {
    /// The plan for what was found, in seats and standing by; seats are distinct. One that runs has a
    /// moment to answer before a successor is started beside it.
    ///
    /// # Errors
    /// When the ring has no room for them.
    pub(super) fn resume(
        policy: Policy,
        first: &[InitialSeat],
        standbys: &[(ReplicaName, ReplicaAddr)],
        now: Instant,
    ) -> Result<Self, RingError> {
        let place = |first: &InitialSeat| SeatRecord::new(first.seat, first.name.clone());
        let mut places: Vec<SeatRecord> = first.iter().map(place).collect();
        let on_ring: BTreeSet<Seat> = places.iter().map(|place| place.seat).collect();
        let ring = policy.ring.build(&on_ring)?;
        let mut lives = BTreeMap::new();
        let mut next_id = 1;
        for (
            place,
            InitialSeat {
                name,
                addr,
                drained,
                serves,
                ..
            },
        ) in places.iter_mut().zip(first)
        {
            place.begins_drained = *drained;
            place.is_owed = *serves;
            let Some(addr) = *addr else { continue };
            if policy.keeper == Management::Managed {
                let moment = policy.interval * (policy.misses + 1);
                place.patience.retry_at = Some(now + moment.max(policy.replace_after));
            }
            let id = ReplicaId(next_id);
            next_id += 1;
            let (phase, health) = if policy.watched {
                (Phase::Unresponsive, Health::Down)
            } else {
                (Phase::Up, Health::Up)
            };
            place.holder = Some(Holder {
                id,
                name: name.clone(),
                addr,
                health,
                drained: *drained,
                stands_in: false,
            });
            let seat = Some(place.seat);
            lives.insert(id, Replica::found(seat, name.clone(), addr, phase));
        }
        for (name, addr) in standbys {
            let warm = Phase::Standby { since: now };
            let life = Replica::found(None, name.clone(), *addr, warm);
            lives.insert(ReplicaId(next_id), life);
            next_id += 1;
        }
        let awaited = if policy.watched {
            on_ring
        } else {
            BTreeSet::new()
        };
        Ok(Self {
            policy,
            now,
            version: 0,
            changed: false,
            ring,
            places,
            lives,
            next_id,
            standbys: Backoff::default(),
            awaited,
            change: None,
            waiting: VecDeque::new(),
            silences: VecDeque::new(),
            held_until: None,
            closed: false,
            hold: Ownership::Owned,
            put_off: Vec::new(),
            stopping: false,
            left: false,
            finished: false,
            actions: Vec::new(),
        })
    }

    /// Takes one input at `now` and says what is to be done.
    pub(super) fn step(
        &mut self,
        input: Input,
        now: Instant,
        world: &mut dyn Environment,
    ) -> Vec<Action> {
        self.now = now;
        match input {
            Input::Begin => self.begin(),
            Input::Engine(report) => self.report(report, world),
            Input::Pulse(id, pulse) => self.probe_event(id, pulse, world),
            Input::Evidence(evidence) => self.evidence(evidence),
            Input::Drained(id) => self.drained(id),
            Input::Order(ticket, order) => self.order(ticket, order),
            Input::Close => self.close(),
            Input::Hold(hold) => self.set_ownership(hold),
            Input::Stop { leave } => self.stop(leave),
            Input::Tick => {}
        }
        self.expire();
        if self.stopping {
            self.finish();
        } else {
            while self.finish_order(world) || self.begin_next(world) {}
            self.fill(world);
            self.fill_standbys(world);
        }
        if mem::take(&mut self.changed) {
            self.version += 1;
            self.actions.insert(0, Action::Publish);
        }
        mem::take(&mut self.actions)
    }

    /// When the plan wants to be asked again at the latest, whatever happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let lives = self.lives.values().filter_map(|life| match life.phase {
            Phase::Starting { until } | Phase::Promoting { until } | Phase::Draining { until } => {
                Some(until)
            }
            _ => None,
        });
        let waiting = self.places.iter().map(|place| &place.patience);
        let waiting = waiting.chain([&self.standbys]);
        let starts = waiting.filter_map(|patience| patience.retry_at);
        let times = lives.chain(starts).chain(self.held_until);
        // What is due and was not done now waits for something else than time.
        times.filter(|at| *at > self.now).min()
    }

    /// The roster as the plan wants it.
    pub(super) fn view(&self) -> RosterDraft {
        let staying = self.places.iter().filter(|place| !place.leaving);
        RosterDraft {
            version: self.version,
            ring: Arc::clone(&self.ring),
            bound: self.policy.bound,
            members: staying.filter_map(|place| self.shown(place)).collect(),
        }
    }

    /// What the roster shows of `place`.
    fn shown(&self, place: &SeatRecord) -> Option<MemberDraft> {
        let holder = place.holder.as_ref()?;
        let life = self.lives.get(&holder.id);
        Some(MemberDraft {
            id: holder.id,
            seat: place.seat,
            name: holder.name.clone(),
            addr: holder.addr,
            health: holder.health,
            drained: holder.drained,
            iterative: life.is_some_and(|life| life.iterative),
        })
    }

    /// How the fleet stands.
    pub(super) fn status(&self) -> Status {
        Status {
            wanted: self.wanted(),
            answered: self.places.iter().filter(|p| p.is_held()).count(),
            up: self.up(),
            owed: self.unanswered_inherited(),
            drained: self.drained_count(),
            standbys: self.warm(),
            held: self.hold != Ownership::Owned,
            busy: self.is_busy(),
            complete: self.awaited.is_empty(),
        }
    }

    /// Whose seat `id` has, or is to have; `None` for a standby.
    pub(super) fn seat(&self, id: ReplicaId) -> Option<Seat> {
        self.lives.get(&id).and_then(|life| life.seat)
    }

    /// Whether `id` runs already, as far as is known.
    pub(super) fn runs(&self, id: ReplicaId) -> bool {
        let life = self.lives.get(&id);
        life.is_some_and(|life| life.addr.is_some())
    }

    /// Whether `id` is still of any interest.
    pub(super) fn knows(&self, id: ReplicaId) -> bool {
        let mut holders = self.places.iter().filter_map(|place| place.holder.as_ref());
        self.lives.contains_key(&id) || holders.any(|holder| holder.id == id)
    }
}
