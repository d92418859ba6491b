//! What a request to each route of a command asks for: its path, query or body as a command.
//!
//! It carries nothing out.

use super::request::RequestParts;
use crate::control::command::ControlCommand;
use crate::control::ring_query::{self, RingQuery};
use crate::orders::{ChangeKind, Order, OrderError, ReplaceTarget};
use crate::roster::ReplicaName;

/// `{"n":2,"hostnames":["S4","S5"]}`
pub(super) fn change(
    kind: ChangeKind,
    said: &RequestParts<'_>,
) -> Result<ControlCommand, OrderError> {
    Ok(ControlCommand::Change(
        kind,
        kind.parse_body(said.read_body())?,
    ))
}

/// The replica that the path names.
pub(super) fn name(said: &RequestParts<'_>) -> Result<ReplicaName, OrderError> {
    // What is no text is no name, and may be shown with a sign for what it is not.
    let piece = said.path_segment(1);
    let name = String::from_utf8_lossy(&piece).parse::<ReplicaName>();
    name.map_err(|err| OrderError::invalid(err.to_string()))
}

/// `all` stands for everybody, as in the text command; it is nobody's name.
pub(super) fn replace(said: &RequestParts<'_>) -> Result<ControlCommand, OrderError> {
    let target = match &*said.path_segment(1) {
        b"all" => ReplaceTarget::All,
        _ => ReplaceTarget::One(name(said)?),
    };
    Ok(ControlCommand::Order(Order::Replace(target)))
}

/// Nothing but the name.
pub(super) fn drain(said: &RequestParts<'_>) -> Result<ControlCommand, OrderError> {
    Ok(ControlCommand::Order(Order::Drain(name(said)?)))
}

/// The same.
pub(super) fn ready(said: &RequestParts<'_>) -> Result<ControlCommand, OrderError> {
    Ok(ControlCommand::Order(Order::Ready(name(said)?)))
}

/// `{"n":5}`
pub(super) fn scale(said: &RequestParts<'_>) -> Result<ControlCommand, OrderError> {
    let n = said.value("n")?.as_u64();
    let n = n.and_then(|n| usize::try_from(n).ok());
    let n = n.ok_or_else(|| OrderError::invalid("n is not a whole number"))?;
    Ok(ControlCommand::Order(Order::Scale(n)))
}

/// Nothing, or `?points=720`
pub(super) fn ring(said: &RequestParts<'_>) -> Result<ControlCommand, OrderError> {
    let [points] = said.fields(["points"])?;
    let question = points.map_or(Ok(RingQuery::Ring), |points| RingQuery::arcs(&points));
    Ok(ControlCommand::Query(
        question.map_err(OrderError::invalid)?,
    ))
}

/// `{"ring":"classic"}`
pub(super) fn set_ring(said: &RequestParts<'_>) -> Result<ControlCommand, OrderError> {
    let value = said.value("ring")?;
    let spec = value.as_str();
    let spec = spec.ok_or_else(|| OrderError::invalid("ring is not a string"))?;
    let spec = ring_query::parse_value(spec).map_err(OrderError::invalid)?;
    Ok(ControlCommand::Switch(Order::Ring(spec), RingQuery::Ring))
}

/// `{"bound":1.03}`
pub(super) fn set_bound(said: &RequestParts<'_>) -> Result<ControlCommand, OrderError> {
    let value = said.value("bound")?;
    if !value.is_number() {
        return Err(OrderError::invalid("bound is not a number"));
    }
    let bound = ring_query::parse_value(&value.to_string()).map_err(OrderError::invalid)?;
    Ok(ControlCommand::Switch(
        Order::Bound(bound),
        RingQuery::Bound,
    ))
}

/// `?key=132574`: any key, also one that is no piece of a path (RFC 3986 §5.2.4: `.` and `..`).
pub(super) fn whose(said: &RequestParts<'_>) -> Result<ControlCommand, OrderError> {
    let [key] = said.fields(["key"])?;
    let key = key.filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| OrderError::invalid("key is missing"))?;
    Ok(ControlCommand::Query(
        RingQuery::owner(key).map_err(OrderError::invalid)?,
    ))
}

/// `?add=2&names=S4,S5`, `?rm=1`, `?ring=SPEC` or `?bound=X`
pub(super) fn plan(said: &RequestParts<'_>) -> Result<ControlCommand, OrderError> {
    let [add, rm, ring, bound, names] = said.fields(["add", "rm", "ring", "bound", "names"])?;
    let changes = [("add", add), ("rm", rm), ("ring", ring), ("bound", bound)];
    let mut asked = changes
        .iter()
        .filter_map(|(word, value)| Some((*word, value.as_deref()?)));
    let (Some((word, value)), None) = (asked.next(), asked.next()) else {
        return Err(OrderError::invalid(
            "ask for one of add, rm, ring and bound",
        ));
    };
    let names = names.as_deref().map(|names| names.split(','));
    if names.is_some() && !matches!(word, "add" | "rm") {
        return Err(OrderError::invalid("names go with add and rm alone"));
    }
    let mut words = vec![word, value];
    words.extend(names.into_iter().flatten());
    ring_query::planned(&words).map_err(OrderError::invalid)
}
