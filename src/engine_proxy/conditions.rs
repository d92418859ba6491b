//! Conditions of the rules, in code and in the words of the table.

use std::fmt;

/// Kind of balancer that makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A balancer of either kind.
    Any,
    /// A balancer with containers of its own (`serve --engine docker`).
    Containers,
    /// A balancer of a service (`serve --engine swarm`).
    Service,
}

/// Check of the value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// This value.
    Is(&'static str),
    /// Decimal digits.
    Number,
    /// The name that belongs to the labels in the body.
    ContainerName,
    /// The name of the fleet's lock.
    LockName,
    /// A permitted image, with its tag.
    Image,
    /// The fleet's label, and nothing else.
    FleetFilter,
    /// The fleet's label, of containers alone.
    EventFilter,
    /// The wanted tasks of the service.
    TaskFilter,
    /// The version of the service as it is.
    Version,
}

/// Check of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyCheck {
    /// There is no body.
    Empty,
    /// The specification of a replica or lock, as the flags make it.
    Container,
    /// The service with another number, image, forced update or `ringmaster.…` label.
    Service,
}

/// Object that a call names, and that the engine is asked for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    /// The call names none.
    None,
    /// A container of the fleet.
    Container,
    /// A container of the fleet, or one of a balancer of it.
    ContainerOrBalancer,
    /// A container of the fleet that has a seat or is a standby.
    Replica,
    /// The lock of the fleet.
    Lock,
    /// The network of the replicas.
    Network,
    /// A permitted image.
    Image,
    /// Container of a balancer.
    Balancer,
    /// The service.
    Service,
    /// A task of the service.
    Task,
    /// A container of the service.
    TaskContainer,
}

impl Check {
    /// Returns `true` if a call without this parameter is refused: the engine's default is more
    /// than the rule permits.
    pub(super) fn is_required(self) -> bool {
        !matches!(self, Self::Is(_) | Self::Number)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is("") => f.write_str("empty"),
            Self::Is(value) => write!(f, "`{value}`"),
            Self::Number => f.write_str("a number"),
            Self::ContainerName => f.write_str("the name of these labels"),
            Self::LockName => f.write_str("the name of the lock"),
            Self::Image => f.write_str("a permitted image"),
            Self::FleetFilter => f.write_str("the label of the fleet"),
            Self::EventFilter => f.write_str("containers with the label of the fleet"),
            Self::TaskFilter => f.write_str("wanted tasks of the service"),
            Self::Version => f.write_str("that of the service as it is"),
        }
    }
}

impl fmt::Display for BodyCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "",
            Self::Container => "body: exactly what these flags make",
            Self::Service => "body: another number, image, forced update or `ringmaster.…` label",
        })
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "",
            Self::Container => "container of the fleet",
            Self::ContainerOrBalancer => "container of the fleet or of its balancer",
            Self::Replica => "replica of the fleet",
            Self::Lock => "lock of the fleet",
            Self::Network => "network of the replicas",
            Self::Image => "permitted image",
            Self::Balancer => "container of the balancer",
            Self::Service => "the service",
            Self::Task => "task of the service",
            Self::TaskContainer => "container of the service",
        })
    }
}
