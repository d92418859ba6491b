//! The calls that are let through. Every other call is refused.
//!
//! A call must have the method and the path of a rule. Each parameter of its query must be in the
//! rule and pass its check, and so must the body and the object that the call names.
//! `docker/README.md` has this table; a test compares both.

use super::conditions::Caller::{Any, Containers, Service};
use super::conditions::{
    BodyCheck, BodyCheck as B, Caller, Check, Check as C, Object, Object as O,
};

/// A call that is let through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) caller: Caller,
    pub(super) method: &'static str,
    /// Path without its version. A word in braces is the object.
    pub(super) path: &'static str,
    /// Parameters that the query may have.
    pub(super) query: &'static [(&'static str, Check)],
    pub(super) body: BodyCheck,
    pub(super) object: Object,
    /// Purpose in the fleet.
    pub(super) purpose: &'static str,
}

/// Returns a rule without body and query.
const fn rule(
    caller: Caller,
    method: &'static str,
    path: &'static str,
    object: Object,
    purpose: &'static str,
) -> Rule {
    Rule {
        caller,
        method,
        path,
        query: &[],
        body: BodyCheck::Empty,
        object,
        purpose,
    }
}

impl Rule {
    const fn query(self, query: &'static [(&'static str, Check)]) -> Self {
        Self { query, ..self }
    }

    const fn body(self, body: BodyCheck) -> Self {
        Self { body, ..self }
    }
}

/// The table.
pub(super) const RULES: [Rule; 23] = [
    rule(Any, "GET", "/version", O::None, "version of the API"),
    rule(Containers, "GET", "/containers/json", O::None, "list").query(&[
        ("all", C::Is("true")),
        ("size", C::Is("false")),
        ("filters", C::FleetFilter),
    ]),
    rule(Containers, "GET", "/events", O::None, "ends of containers")
        .query(&[("filters", C::EventFilter)]),
    rule(
        Containers,
        "GET",
        "/containers/{container}/json",
        O::ContainerOrBalancer,
        "state, address, labels",
    ),
    rule(
        Containers,
        "POST",
        "/containers/create",
        O::None,
        "replica, lock",
    )
    .query(&[("name", C::ContainerName), ("platform", C::Is(""))])
    .body(B::Container),
    rule(
        Containers,
        "POST",
        "/containers/{container}/start",
        O::Replica,
        "start",
    ),
    rule(
        Containers,
        "POST",
        "/containers/{container}/stop",
        O::Replica,
        "stop, after its requests",
    )
    .query(&[("t", C::Number)]),
    rule(
        Containers,
        "POST",
        "/containers/{container}/kill",
        O::Replica,
        "kill",
    )
    .query(&[("signal", C::Is("SIGKILL"))]),
    rule(
        Containers,
        "DELETE",
        "/containers/{container}",
        O::Container,
        "removal",
    )
    .query(&[
        ("v", C::Is("true")),
        ("force", C::Is("true")),
        ("link", C::Is("false")),
    ]),
    rule(
        Containers,
        "POST",
        "/containers/{container}/rename",
        O::Lock,
        "other wanted seats",
    )
    .query(&[("name", C::LockName)]),
    rule(
        Containers,
        "GET",
        "/containers/{container}/logs",
        O::Replica,
        "last output",
    )
    .query(&[
        ("follow", C::Is("false")),
        ("stdout", C::Is("true")),
        ("stderr", C::Is("true")),
        ("since", C::Is("0")),
        ("until", C::Is("0")),
        ("timestamps", C::Is("false")),
        ("tail", C::Number),
    ]),
    rule(
        Containers,
        "GET",
        "/networks/{network}",
        O::Network,
        "network of the replicas",
    ),
    rule(
        Containers,
        "GET",
        "/images/{image}/json",
        O::Image,
        "image of the replicas",
    ),
    rule(Containers, "POST", "/images/create", O::None, "pull")
        .query(&[("fromImage", C::Image), ("platform", C::Is(""))]),
    rule(
        Service,
        "GET",
        "/containers/{container}/json",
        O::Balancer,
        "own networks and stack",
    ),
    rule(Service, "GET", "/info", O::None, "role of the node"),
    rule(
        Service,
        "GET",
        "/services",
        O::None,
        "choice of the service",
    ),
    rule(
        Service,
        "GET",
        "/networks",
        O::None,
        "choice of the network",
    ),
    rule(
        Service,
        "GET",
        "/services/{service}",
        O::Service,
        "state, settings in labels",
    ),
    rule(
        Service,
        "POST",
        "/services/{service}/update",
        O::Service,
        "orders",
    )
    .query(&[("version", C::Version)])
    .body(B::Service),
    rule(Service, "GET", "/tasks", O::None, "tasks").query(&[("filters", C::TaskFilter)]),
    rule(Service, "GET", "/tasks/{task}", O::Task, "end of a task"),
    rule(
        Service,
        "POST",
        "/containers/{container}/kill",
        O::TaskContainer,
        "frozen task",
    ),
];

#[cfg(test)]
mod tests;
