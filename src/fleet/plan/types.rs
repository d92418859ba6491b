//! Vocabulary of the plan: policy, inputs, actions, and the roster and status that it shows.
//!
//! There is no behaviour here, and no clock, socket or channel. The event loop carries the values
//! between the plan and the outside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::probe_types::{ProbeEvent, ProbeWording};
use crate::fleet::engine::{EngineEvent, Management, ServiceChange, StopMode, TaskContainer};
use crate::fleet::events::{ReplicaEvent, SettingChange};
use crate::fleet::rollout_event::RolloutEvent;
use crate::fleet::version::Version;
use crate::load::{LoadBound, SlowStart};
use crate::orders::{BackendAddr, BackendSeat, Order, OrderResult, VersionRequest};
use crate::ring::{Ring, Seat, Spec, Weight};
use crate::roster::{Evidence, Health, ReplicaAddr, ReplicaId, ReplicaName};

/// Settings of the plan.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct Policy {
    /// Keeper of the N replicas.
    pub(in crate::fleet) keeper: Management,
    /// `true` if there are heartbeats. Without them every replica counts as up.
    pub(in crate::fleet) watched: bool,
    /// Kind of ring.
    pub(in crate::fleet) ring: Spec,
    /// Limit of a seat's load above the mean.
    pub(in crate::fleet) bound: LoadBound,
    /// Misses in a row after which routing skips a replica.
    pub(in crate::fleet) misses: u32,
    /// Silence after which a skipped replica counts as dead and gets a successor.
    pub(in crate::fleet) replace_after: Duration,
    /// Time between heartbeats, and the window of self-suspicion.
    pub(in crate::fleet) interval: Duration,
    /// Time from the start of a replica to its first answer.
    pub(in crate::fleet) start_timeout: Duration,
    /// Time from leaving the ring to removal, for a replica that does not become idle.
    pub(in crate::fleet) drain_timeout: Duration,
    /// Time within which a replica that joins comes to take all keys of its seat; 0 for at once.
    pub(in crate::fleet) slow_start: Duration,
    /// Largest number of replicas that an order may ask for.
    pub(in crate::fleet) max_replicas: usize,
    /// `true` if holders of seats and standbys are left running at shutdown.
    pub(in crate::fleet) keep: bool,
    /// Number of standbys.
    pub(in crate::fleet) standbys: usize,
    /// Version of new seats and standbys; `None` with fixed backends.
    pub(in crate::fleet) version: Option<Version>,
    /// Words for the description of failed heartbeats.
    pub(in crate::fleet) wording: ProbeWording,
}

/// Seat at the start, and the replica that was found in it.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct InitialSeat {
    /// Number of the seat.
    pub(in crate::fleet) seat: Seat,
    /// Name of its replica.
    pub(in crate::fleet) name: ReplicaName,
    /// Address of its replica if that runs already.
    pub(in crate::fleet) addr: Option<ReplicaAddr>,
    /// Address of its fixed backend; `None` with other engines.
    pub(in crate::fleet) backend: Option<BackendAddr>,
    /// Version that it is known to run; `None`: that of the policy.
    pub(in crate::fleet) version: Option<Version>,
    /// Start of its replica, if that runs already and the engine tells it.
    pub(in crate::fleet) started: Option<Instant>,
    /// `true` if an order keeps new requests from the replica.
    pub(in crate::fleet) drained: bool,
    /// `true` if its replica serves another balancer, which is being taken over.
    pub(in crate::fleet) serves: bool,
    /// Weight of the seat.
    pub(in crate::fleet) weight: Weight,
}

impl InitialSeat {
    /// Seat that serves no other balancer. Its replica runs at this address, or is to be started.
    pub(in crate::fleet) fn new(seat: Seat, name: ReplicaName, addr: Option<ReplicaAddr>) -> Self {
        Self {
            seat,
            name,
            addr,
            backend: None,
            version: None,
            started: None,
            drained: false,
            serves: false,
            weight: Weight::ONE,
        }
    }
}

/// Standby that was found at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct InitialStandby {
    /// Name of the replica.
    pub(in crate::fleet) name: ReplicaName,
    /// Address at which it runs.
    pub(in crate::fleet) addr: ReplicaAddr,
    /// Version that it is known to run; `None`: that of the policy.
    pub(in crate::fleet) version: Option<Version>,
    /// Its start, if the engine tells it.
    pub(in crate::fleet) started: Option<Instant>,
}

/// Outside facts and random choices that the plan depends on.
pub(in crate::fleet) trait Environment {
    /// Returns a random name.
    fn name(&mut self) -> ReplicaName;
    /// Returns a random number from `0..n`; `n` is not 0.
    fn below(&mut self, n: usize) -> usize;
    /// Returns the time of the last answer of `id` on the data path.
    fn last_answer(&self, id: ReplicaId) -> Option<Instant>;
    /// Returns the traffic between the data path and `id`.
    fn traffic(&self, id: ReplicaId) -> Traffic;
}

/// Traffic between the data path and a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::fleet) struct Traffic {
    /// Number of exchanges under way.
    pub(in crate::fleet) in_flight: u64,
    /// Number of exchanges under way with which another replica fell silent before.
    pub(in crate::fleet) slow: u64,
    /// Bytes of the replica's replies that clients have received so far.
    pub(in crate::fleet) replied: u64,
}

/// Number of an order, which matches its answer to its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::fleet) struct OrderId(pub(in crate::fleet) u64);

/// Owner of the fleet while one process takes over from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ownership {
    /// This process takes over and becomes ready. Changes are refused. The other process still
    /// serves from the replicas that were found: none is removed, and no successor is started
    /// beside a running one.
    Acquiring,
    /// This process owns the fleet.
    #[default]
    Owned,
    /// This process owns the fleet, and the other one waits for it. Changes that are under way go
    /// on, all others are refused.
    Yielding,
    /// This process owns the fleet while the other one becomes ready. Changes are refused, and a
    /// replacement that is still under way ends where it is. No standby is promoted, because the
    /// other process may promote it too.
    Offering,
    /// The other process owns the fleet. This process starts, promotes and removes no replica.
    Released,
}

/// Input of a step.
#[derive(Clone, Debug)]
pub(in crate::fleet) enum Input {
    /// First input, which begins the work.
    Begin,
    /// Report of the engine.
    Engine(EngineEvent),
    /// Result of a heartbeat.
    Probe(ReplicaId, ProbeEvent),
    /// Evidence of the data path.
    Evidence(Evidence),
    /// A draining replica has no request in flight any more.
    Drained(ReplicaId),
    /// Version that the engine has looked up for an order, or the reason why it cannot.
    Prepared(OrderId, Result<Version, String>),
    /// The list of fixed backends was saved for an order, or could not be for this reason.
    Saved(OrderId, Result<(), String>),
    /// Order of an authorised client.
    Order(OrderId, Order),
    /// Refusal of all changes from here on.
    Close,
    /// Change of the fleet's owner.
    Ownership(Ownership),
    /// Shutdown; it implies `Close`.
    Stop {
        /// `true` if the serving replicas are left to another balancer, `false` if they are
        /// removed.
        leave: bool,
    },
    /// The deadline of the plan has passed.
    Tick,
}

/// Action for the event loop. The actions of a step are carried out in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) enum Action {
    /// Publish the plan's roster; always the first action of a step.
    Publish,
    /// Have the engine start a replica, for a seat or as a standby.
    Start(ReplicaId, Option<Seat>, ReplicaName),
    /// Begin the heartbeats of a replica, the first at once.
    StartProbing(ReplicaId, ReplicaAddr),
    /// Assign this seat to a standby with the next heartbeat, which is sent at once.
    AssignSeat(ReplicaId, ReplicaAddr, Seat),
    /// Send a heartbeat at once; `true`: on a fresh connection.
    ProbeNow(ReplicaId, bool),
    /// Have the engine check whether a replica still runs.
    CheckAlive(ReplicaId),
    /// Report when all workers have seen the newest roster and no request to the replica is in
    /// flight. Its heartbeats continue: a silent replica would hold its requests until the end of
    /// the drain timeout.
    Drain(ReplicaId),
    /// End the heartbeats and the draining of a replica, and have the engine remove it.
    Remove(ReplicaId, StopMode),
    /// Answer an order.
    Answer(OrderId, OrderResult),
    /// Kill a replica as a fault would.
    Kill(ReplicaId),
    /// Kill the container of a task of our own node.
    KillTask(TaskContainer),
    /// Record a change of a replica.
    Record(ReplicaEvent),
    /// Have the engine look a version up, for this order.
    Prepare(OrderId, VersionRequest),
    /// Save the list of fixed backends as it will be after this order, and report the result.
    Save(OrderId, Vec<BackendSeat>),
    /// Record the stage of a replacement by another version, and the order that caused it.
    Rollout(Option<OrderId>, RolloutEvent),
    /// Have the engine change the service, for this order.
    ChangeService(OrderId, ServiceChange),
    /// Record a change of a setting, and the order that made it. There is none if another balancer
    /// of the service got it.
    Switched(Option<OrderId>, SettingChange),
    /// The shutdown is complete: no replica is left.
    Finished,
}

/// Member of the roster without its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct MemberDraft {
    /// Replica in the seat.
    pub(in crate::fleet) id: ReplicaId,
    /// Number of the seat.
    pub(in crate::fleet) seat: Seat,
    /// Name of the replica.
    pub(in crate::fleet) name: ReplicaName,
    /// Address at which it accepts requests.
    pub(in crate::fleet) addr: ReplicaAddr,
    /// Health, as routing sees it.
    pub(in crate::fleet) health: Health,
    /// `true` if an order keeps new requests from it.
    pub(in crate::fleet) drained: bool,
    /// Its slow start, unless that is over.
    pub(in crate::fleet) slow_start: Option<SlowStart>,
    /// `true` if it serves one connection at a time, so that workers keep none open.
    pub(in crate::fleet) iterative: bool,
}

/// Roster without the counters of its members.
#[derive(Clone, Debug)]
pub(in crate::fleet) struct RosterDraft {
    /// Version, which grows by one with every change.
    pub(in crate::fleet) version: u64,
    /// Ring over the wanted seats.
    pub(in crate::fleet) ring: Arc<dyn Ring>,
    /// Limit of a seat's load above the mean.
    pub(in crate::fleet) bound: LoadBound,
    /// Members, at most one for each seat.
    pub(in crate::fleet) members: Vec<MemberDraft>,
}

/// Counts and readiness of the fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Number of wanted replicas.
    pub wanted: usize,
    /// Number of replicas that `/rep` lists: those that have answered and are not dead.
    pub answered: usize,
    /// Number of replicas that are up and not drained.
    pub up: usize,
    /// Number of inherited seats whose replica has not answered this process.
    pub unanswered_inherited: usize,
    /// Number of replicas that are drained by order.
    pub drained: usize,
    /// Number of standbys that are warm and wait for a seat.
    pub standbys: usize,
    /// Number of distinct versions that the replicas in seats run.
    pub versions: usize,
    /// `true` if a replica in a seat, or new ones, run another version than the settings say.
    pub has_other_versions: bool,
    /// `true` if a replacement is under way.
    pub replacing: bool,
    /// Owner of the fleet. Changes are refused unless that is this process alone.
    pub ownership: Ownership,
    /// `true` if an order is being carried out, or a replica is on its way to or from a seat.
    pub busy: bool,
    /// `true` if each of the first replicas has answered at least once, or was removed by order.
    pub complete: bool,
}
