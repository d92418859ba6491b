//! The plan's language: what it goes by, what it is told, what it answers, and what it shows.
//!
//! There is no behaviour here, and no clock, socket or channel either: whoever carries the words to and
//! from the world is the fleet's task.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fleet::engine::{EngineEvent, Management, StopMode};
use crate::fleet::events::{ReplicaEvent, SettingChange};
use crate::load::LoadBound;
use crate::orders::{Order, OrderResult};
use crate::ring::{Ring, Seat, Spec};
use crate::roster::{Evidence, Health, ReplicaAddr, ReplicaId, ReplicaName};

/// The numbers the plan goes by.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct Policy {
    /// Who keeps N.
    pub(in crate::fleet) keeper: Management,
    /// Whether there are heartbeats. Without them everybody counts as up.
    pub(in crate::fleet) watched: bool,
    /// The kind of ring.
    pub(in crate::fleet) ring: Spec,
    /// How far above the mean a seat's load may lie.
    pub(in crate::fleet) bound: LoadBound,
    /// Misses in a row after which routing passes a replica over.
    pub(in crate::fleet) misses: u32,
    /// Silence after which such a replica counts as dead and gets a successor.
    pub(in crate::fleet) replace_after: Duration,
    /// Time between heartbeats, and the window of self-suspicion.
    pub(in crate::fleet) interval: Duration,
    /// From the start of a replica to its first answer.
    pub(in crate::fleet) start_timeout: Duration,
    /// From leaving the ring to removal, for one that does not get idle.
    pub(in crate::fleet) drain_timeout: Duration,
    /// The most replicas that may be wanted.
    pub(in crate::fleet) max_replicas: usize,
    /// Whether those that hold seats are left running when everything is stopped.
    pub(in crate::fleet) keep: bool,
    /// How many more are kept warm, without seats.
    pub(in crate::fleet) standbys: usize,
}

/// A replica to begin with.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct InitialSeat {
    /// Its seat.
    pub(in crate::fleet) seat: Seat,
    /// Its name.
    pub(in crate::fleet) name: ReplicaName,
    /// Where it runs already, if it does.
    pub(in crate::fleet) addr: Option<ReplicaAddr>,
    /// Whether it gets no new requests, by order.
    pub(in crate::fleet) drained: bool,
    /// Whether somebody in this seat serves another balancer, which is taken over.
    pub(in crate::fleet) serves: bool,
}

impl InitialSeat {
    /// One that gets requests from us alone, as it runs at this address or is to be started.
    pub(in crate::fleet) fn new(seat: Seat, name: ReplicaName, addr: Option<ReplicaAddr>) -> Self {
        Self {
            seat,
            name,
            addr,
            drained: false,
            serves: false,
        }
    }
}

/// What the plan asks of the world outside.
pub(in crate::fleet) trait Environment {
    /// A name drawn at random.
    fn name(&mut self) -> ReplicaName;
    /// A number drawn at random from `0..n`; `n` is not 0.
    fn below(&mut self, n: usize) -> usize;
    /// When the data path last had an answer from `id`.
    fn last_answer(&self, id: ReplicaId) -> Option<Instant>;
    /// What the data path has under way with `id`.
    fn traffic(&self, id: ReplicaId) -> Traffic;
}

/// What the data path has under way with a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::fleet) struct Traffic {
    /// Number of exchanges.
    pub(in crate::fleet) in_flight: u64,
    /// Number of these requests with which another replica fell silent before.
    pub(in crate::fleet) slow: u64,
    /// Bytes of its replies that went to clients so far.
    pub(in crate::fleet) replied: u64,
}

/// An order's number, by which its answer finds whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::fleet) struct OrderId(pub(in crate::fleet) u64);

/// Why a heartbeat counts as missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum MissReason {
    /// No answer in time.
    Silent,
    /// An answer with a status that is not health.
    Wrong(u16),
    /// A fresh connection ended without an answer.
    Closed,
    /// Something that is no HTTP answer.
    Garbled,
}

/// What came of a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum ProbeEvent {
    /// It was answered with health.
    Answered,
    /// The one that gave it a seat was answered with health; an ordinary answer follows.
    Seated {
        /// Whether it says that seat itself. Somebody's own server does not.
        knows: bool,
    },
    /// It was not.
    Missed {
        /// When it was sent.
        sent: Instant,
        /// In which way.
        why: MissReason,
    },
    /// The held connection ended unexpectedly; a fresh one is being tried.
    Broken,
    /// It serves one connection at a time: a second one is not answered while the first is open.
    Iterative,
    /// A fresh connection was refused or found no host: dead for certain.
    Refused(String),
}

/// Whose the fleet is, when another process takes over, or we do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// We take over, and get ready: changes are refused, and what was found is the other one's, which serves from
    /// it still. It is not removed, whatever we think of it, and no successor is started for one that runs.
    Acquiring,
    /// Ours.
    Owned,
    /// Still ours, for as long as the other one gets ready: changes are refused, and no standby is called,
    /// for the other one may call it too.
    Offering,
    /// The other one's: nobody is started, called or removed any more, whoever dies.
    Released,
}

/// What the plan is told.
#[derive(Clone, Debug)]
pub(in crate::fleet) enum Input {
    /// Begin; the first input.
    Begin,
    /// From the engine.
    Engine(EngineEvent),
    /// From a heartbeat.
    Pulse(ReplicaId, ProbeEvent),
    /// From the data path.
    Evidence(Evidence),
    /// Nothing is in flight any more to one that was to be drained.
    Drained(ReplicaId),
    /// From whoever may command.
    Order(OrderId, Order),
    /// Refuse all changes from here on.
    Close,
    /// Whose the fleet is, when another process takes over.
    Hold(Ownership),
    /// Remove everything, or leave what serves to another balancer; it closes as well.
    Stop {
        /// Whether it is left.
        leave: bool,
    },
    /// The time of [`super::Plan::deadline`] has come.
    Tick,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum Action {
    /// Publish [`super::Plan::view`]; it comes first among the actions of a step.
    Publish,
    /// Let the engine start a replica, for a seat or as a standby.
    Start(ReplicaId, Option<Seat>, ReplicaName),
    /// Begin its heartbeats, the first at once.
    StartProbing(ReplicaId, ReplicaAddr),
    /// Give a standby this seat, with the next heartbeat, which is due now.
    AssignSeat(ReplicaId, ReplicaAddr, Seat),
    /// Heartbeat now; on a fresh connection if so said.
    ProbeNow(ReplicaId, bool),
    /// Let the engine look whether it still runs.
    CheckAlive(ReplicaId),
    /// Say when all workers have seen the newest roster and nothing is in flight to it. It is watched as
    /// before: one that falls silent would hold what is in flight to the end of the drain timeout.
    Drain(ReplicaId),
    /// End heartbeats and draining, and let the engine remove it.
    Remove(ReplicaId, StopMode),
    /// Answer an order.
    Answer(OrderId, OrderResult),
    /// Note a change.
    Record(ReplicaEvent),
    /// Note a switch that this order made.
    Switched(OrderId, SettingChange),
    /// After [`Input::Stop { leave: false }`]: nothing is left.
    Finished,
}

/// A member of the roster, but for its cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct MemberDraft {
    /// Which life of which replica.
    pub(in crate::fleet) id: ReplicaId,
    /// Where it sits.
    pub(in crate::fleet) seat: Seat,
    /// What it is called.
    pub(in crate::fleet) name: ReplicaName,
    /// Where it accepts requests.
    pub(in crate::fleet) addr: ReplicaAddr,
    /// What routing may do with it.
    pub(in crate::fleet) health: Health,
    /// Whether it gets no new requests, by order.
    pub(in crate::fleet) drained: bool,
    /// Whether it serves one connection at a time, so that none is kept.
    pub(in crate::fleet) iterative: bool,
}

/// The roster, but for its cells.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct RosterDraft {
    /// Grows by one with every change.
    pub(in crate::fleet) version: u64,
    /// Over the wanted seats.
    pub(in crate::fleet) ring: Arc<dyn Ring>,
    /// How far above the mean a seat's load may lie.
    pub(in crate::fleet) bound: LoadBound,
    /// At most one for each seat.
    pub(in crate::fleet) members: Vec<MemberDraft>,
}

/// How the fleet stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// How many replicas are wanted.
    pub wanted: usize,
    /// How many `/rep` lists: those that have answered and are not dead.
    pub answered: usize,
    /// How many of them requests are routed to without hesitation.
    pub up: usize,
    /// In how many seats somebody served the balancer that is taken over, and nobody answers us.
    pub owed: usize,
    /// How many get no new requests by order.
    pub drained: usize,
    /// How many are warm and wait for a seat.
    pub standbys: usize,
    /// Whether changes are refused because another process takes over.
    pub held: bool,
    /// Whether a change is being carried out, or somebody starts or leaves.
    pub busy: bool,
    /// Whether each of the first replicas has answered at least once, or was removed by order.
    pub complete: bool,
}
