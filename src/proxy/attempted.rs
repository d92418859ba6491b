//! Which replicas one request has tried in vain, and which of them it is saved from.
//!
//! Surprising: a request counts as saved where it would have failed, in the cell of the replica that did not
//! serve it, and as soon as another has it. Whether that one answers is not waited for.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::upstream::Upstream;
use crate::roster::ReplicaId;

/// Why there is no fresh connection to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoConnection {
    /// It refused, or there is no way to it.
    Refused,
    /// It took longer than this.
    TimedOut(Duration),
    /// It was made, and broke before the first bytes were written.
    Broken,
    /// Our own fault.
    Ours,
    /// The replica fell silent, and another one is up.
    Degraded,
}

/// A replica to which no connection was made.
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

/// The replicas that one request has tried in vain.
#[derive(Debug, Default)]
pub(super) struct Attempted {
    /// They refused it, unseen.
    pub(super) refused: Vec<ReplicaId>,
    /// They took it and fell silent.
    pub(super) lost: Vec<ReplicaId>,
    /// The last that was not reached; boxed, because every request holds this and hardly any needs it.
    pub(super) unreached: Option<Box<UnreachedReplica>>,
    /// The first of these, or its home if that is not up; `None` again once another has the request.
    failed_first: Option<Rc<Upstream>>,
    saved: bool,
}

impl Attempted {
    /// There was no connection to a replica; nothing was sent.
    pub(super) fn not_reached(&mut self, upstream: &Rc<Upstream>, why: NoConnection) {
        self.refused.push(upstream.id);
        self.mark_failed(upstream);
        let upstream = Rc::clone(upstream);
        self.unreached = Some(Box::new(UnreachedReplica { upstream, why }));
    }

    /// A replica has refused or lost it, or is not there to be asked.
    pub(super) fn mark_failed(&mut self, upstream: &Rc<Upstream>) {
        if self.failed_first.is_none() && !self.saved {
            self.failed_first = Some(Rc::clone(upstream));
        }
    }

    /// A replica gets it. If that is another than the one it was in trouble with, it counts there as
    /// saved; once, however far it travels.
    pub(super) fn mark_taken_over(&mut self, upstream: &Upstream) {
        if let Some(failed_first) = self
            .failed_first
            .take_if(|failed_first| failed_first.id != upstream.id)
        {
            failed_first.counters().saved.add(1);
            self.saved = true;
        }
    }

    /// Whether it was tried in vain.
    pub(super) fn contains(&self, id: ReplicaId) -> bool {
        self.refused.contains(&id) || self.lost.contains(&id)
    }
}
