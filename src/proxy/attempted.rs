//! Replicas that failed one request, and the count of requests that another replica rescued.
//!
//! A rescued request counts in the counters of the replica that did not serve it. It counts when
//! another replica takes it over, before that replica answers.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::upstream::Upstream;
use crate::roster::ReplicaId;

/// Reason why there is no fresh connection to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoConnection {
    /// The replica refused the connection, or it is unreachable.
    Refused,
    /// The connection was not established within this time.
    TimedOut(Duration),
    /// The connection broke before the first bytes were written.
    Broken,
    /// A local error prevented the connection.
    Ours,
    /// The replica's health degraded, and another replica is up.
    Degraded,
}

/// A replica to which no connection was established.
#[derive(Debug)]
pub(super) struct UnreachedReplica {
    upstream: Rc<Upstream>,
    why: NoConnection,
}

impl fmt::Display for UnreachedReplica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.upstream.name;
        match self.why {
            NoConnection::Refused => write!(f, "{name} refused the connection"),
            NoConnection::TimedOut(limit) => {
                write!(f, "the connection to {name} timed out after {limit:?}")
            }
            NoConnection::Broken => write!(f, "{name} closed the connection"),
            NoConnection::Ours => write!(f, "no connection to {name} could be opened"),
            NoConnection::Degraded => write!(f, "{name} fell silent"),
        }
    }
}

/// The replicas that one request has tried without success.
#[derive(Debug, Default)]
pub(super) struct Attempted {
    /// Replicas that refused the connection, or that received nothing of the request.
    pub(super) refused: Vec<ReplicaId>,
    /// Replicas that lost the request after it was sent, fell silent with it, or gave a status of
    /// `--retry-on`.
    pub(super) lost: Vec<ReplicaId>,
    /// The last replica that was not reached. It is boxed, because every request has this field and
    /// few set it.
    pub(super) unreached: Option<Box<UnreachedReplica>>,
    /// First replica that failed the request, or its home if that is not up. `None` again once
    /// another replica has taken over.
    failed_first: Option<Rc<Upstream>>,
    saved: bool,
    /// Rest of the time in queues; `None` before the first one.
    pub(super) queue_time: Option<Duration>,
}

impl Attempted {
    /// Records that no connection was established and nothing was sent.
    pub(super) fn not_reached(&mut self, upstream: &Rc<Upstream>, why: NoConnection) {
        self.refused.push(upstream.id);
        self.mark_failed(upstream);
        let upstream = Rc::clone(upstream);
        self.unreached = Some(Box::new(UnreachedReplica { upstream, why }));
    }

    /// Records that a replica has refused or lost the request, gave a status of `--retry-on`, or is
    /// not up.
    pub(super) fn mark_failed(&mut self, upstream: &Rc<Upstream>) {
        if self.failed_first.is_none() && !self.saved {
            self.failed_first = Some(Rc::clone(upstream));
        }
    }

    /// Records that a replica takes the request. If another replica failed it first, the request
    /// counts there as saved, at most once.
    pub(super) fn mark_taken_over(&mut self, upstream: &Upstream) {
        if let Some(failed_first) = self
            .failed_first
            .take_if(|failed_first| failed_first.id != upstream.id)
        {
            failed_first.counters().saved.add(1);
            self.saved = true;
        }
    }

    /// Returns `true` if the request has tried this replica without success.
    pub(super) fn contains(&self, id: ReplicaId) -> bool {
        self.refused.contains(&id) || self.lost.contains(&id)
    }
}
