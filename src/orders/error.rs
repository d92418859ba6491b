//! The error of an order: its HTTP status and its sentence.

use crate::roster::ReplicaName;

/// Maximum number of orders that wait for the fleet; more are refused with 503.
pub const MAX_QUEUED_ORDERS: usize = 64;

/// Reason for which an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderError {
    /// HTTP status: 400 for an invalid order, 404 for an unknown replica, 503 for a failed order.
    pub status: u16,
    /// Reason in a sentence, without the leading `<Error> `.
    pub sentence: String,
}

impl OrderError {
    /// Returns the error of an invalid order; nothing has changed.
    pub fn invalid(sentence: impl Into<String>) -> Self {
        Self {
            status: 400,
            sentence: sentence.into(),
        }
    }

    /// Returns the error of an order about an unknown replica; nothing has changed.
    #[must_use]
    pub fn not_found(name: &ReplicaName) -> Self {
        Self {
            status: 404,
            sentence: format!("there is no replica named {name}"),
        }
    }

    /// Returns the error of a valid order that could not be carried out.
    pub fn unavailable(sentence: impl Into<String>) -> Self {
        Self {
            status: 503,
            sentence: sentence.into(),
        }
    }

    /// Returns the error of an order that would start, stop or kill fixed backends. Other programs
    /// look for the beginning of its sentence.
    #[must_use]
    pub fn fixed_backends() -> Self {
        Self::invalid("fixed backends are neither started nor stopped")
    }

    /// Returns the same for an order that changes the number of replicas, with the commands for
    /// that.
    #[must_use]
    pub fn fixed_number_of_backends() -> Self {
        let Self { status, sentence } = Self::fixed_backends();
        let sentence = sentence + ": add NAME ADDR and rm NAME change the list";
        Self { status, sentence }
    }

    /// Returns the error of an `rm` that does not name each backend: a choice at random is of no
    /// use among servers that the operator runs.
    #[must_use]
    pub fn unnamed_backend() -> Self {
        Self::invalid("name each fixed backend that is to be removed: rm NAME")
    }

    /// Returns the error of an order about an address, with an engine that starts the replicas.
    #[must_use]
    pub fn no_backends() -> Self {
        Self::invalid("only fixed backends (--backend) have addresses of yours")
    }

    /// Returns the error of an `rm` of names, or a plan of one, with a service.
    #[must_use]
    pub fn unchosen_slots() -> Self {
        Self::invalid("a swarm chooses itself which replicas go: leave the names out")
    }

    /// Returns the error of an `add` of names, or a plan of one, with a service whose next slots
    /// have other names.
    #[must_use]
    pub fn other_slots(names: &[String]) -> Self {
        let names = names.join(", ");
        Self::invalid(format!("the next replicas of a swarm are named {names}"))
    }

    /// Returns the error of a plan of a replacement with a service.
    #[must_use]
    pub fn unplanned_update() -> Self {
        Self::invalid(
            "a swarm replaces its tasks as update_config of the service says: docker service inspect",
        )
    }

    /// Returns the error of an order that would add `n` replicas to these.
    #[must_use]
    pub fn too_many(n: usize, wanted: usize, max: usize) -> Self {
        Self::invalid(format!(
            "cannot add {n} to {wanted} replicas: at most {max} are allowed (--max-replicas)"
        ))
    }

    /// Returns the error of an order that would scale to more replicas than are allowed.
    #[must_use]
    pub fn too_large_scale(n: usize, max: usize) -> Self {
        Self::invalid(format!(
            "cannot scale to {n} replicas: at most {max} are allowed (--max-replicas)"
        ))
    }

    /// Returns the error of an order that would remove `n` of fewer replicas.
    #[must_use]
    pub fn too_few(n: usize, wanted: usize) -> Self {
        Self::invalid(format!(
            "cannot remove {n} replicas: there are only {wanted}"
        ))
    }

    /// Returns the error of an order about a service that other balancers change meanwhile.
    #[must_use]
    pub fn changed_by_others() -> Self {
        Self::unavailable("others are changing the service; try again")
    }

    /// Returns the error of an order beyond [`MAX_QUEUED_ORDERS`].
    #[must_use]
    pub fn queue_full() -> Self {
        Self::unavailable(format!("{MAX_QUEUED_ORDERS} commands wait already"))
    }

    /// Returns the error of an order to a fleet that is stopping or gone.
    #[must_use]
    pub fn stopping() -> Self {
        Self::unavailable("ringmaster is stopping")
    }
}
