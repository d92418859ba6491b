//! Extractors: the path, the query or the body of a request as a command.
//!
//! They parse only; `routes.rs` checks access and has the command carried out.

use std::time::Duration;

use serde_json::{Map, Value};

use super::request::RequestParts;
use crate::control::command::ControlCommand;
use crate::control::command::arguments::parse_value;
use crate::control::ring_query::RingQuery;
use crate::orders::{
    BackendChange, ChangeKind, ChangeRequest, Order, OrderError, ReplaceOptions, ReplaceRequest,
    ReplaceTarget, VersionRequest, parse_fields,
};
use crate::ring::BadWeight;
use crate::roster::ReplicaName;

/// A command, or the sentence that refuses the request.
pub(super) type Extracted = Result<ControlCommand, OrderError>;

/// `{"n":2,"hostnames":["S4","S5"]}`
pub(super) fn add(request: &RequestParts<'_>) -> Extracted {
    change(ChangeKind::Add, request)
}

/// `{"n":2,"hostnames":["S4","S5"]}`
pub(super) fn rm(request: &RequestParts<'_>) -> Extracted {
    change(ChangeKind::Rm, request)
}

fn change(kind: ChangeKind, request: &RequestParts<'_>) -> Extracted {
    let change = kind.parse_body(request.body)?;
    Ok(ControlCommand::Order(kind.into_order(change)))
}

/// The replica in the path, and `{"address":"10.0.0.7:5000"}`.
pub(super) fn add_backend(request: &RequestParts<'_>) -> Extracted {
    Ok(ControlCommand::Order(Order::AddBackend(backend(request)?)))
}

/// The replica in the path, and `{"address":"10.0.0.7:5000"}`.
pub(super) fn set_backend(request: &RequestParts<'_>) -> Extracted {
    Ok(ControlCommand::Order(Order::SetBackend(backend(request)?)))
}

fn backend(request: &RequestParts<'_>) -> Result<BackendChange, OrderError> {
    let mut fields = parse_fields(request.body, &["address"])?;
    let addr = text_field(&mut fields, "address")?;
    let addr = addr.ok_or_else(|| OrderError::invalid("address is missing"))?;
    Ok(BackendChange {
        name: name(request)?,
        addr: addr
            .parse()
            .map_err(|err| OrderError::invalid(format!("{err}")))?,
    })
}

/// The replica in the path.
pub(super) fn rm_replica(request: &RequestParts<'_>) -> Extracted {
    request.no_fields()?;
    let change = ChangeRequest::named(name(request)?);
    Ok(ControlCommand::Order(Order::Rm(change)))
}

/// The replica in the path.
pub(super) fn show(request: &RequestParts<'_>) -> Extracted {
    Ok(ControlCommand::Show(Some(name(request)?)))
}

/// The replica in the path. `all` stands for all replicas, as in the text command; no replica has
/// that name. The body is empty, or `{"image":"app:2","parallel":2}`.
pub(super) fn replace(request: &RequestParts<'_>) -> Extracted {
    let mut fields = match request.body.trim_ascii() {
        [] => Map::new(),
        body => parse_fields(body, &REPLACE_FIELDS)?,
    };
    let is_all = &*request.path_segment(1) == b"all";
    let target = match (is_all, count_field(&fields, "n")?) {
        (true, None) => ReplaceTarget::All,
        (true, Some(n)) => ReplaceTarget::Lowest(n),
        (false, None) => ReplaceTarget::One(name(request)?),
        (false, Some(_)) => return Err(OrderError::invalid("n goes with all, not with a name")),
    };
    let monitor = text_field(&mut fields, "monitor")?.map(|text| parse_monitor(&text));
    let options = ReplaceOptions {
        parallel: count_field(&fields, "parallel")?,
        max_failures: count_field(&fields, "max_failures")?,
        monitor: monitor.transpose()?,
    };
    let (image, command) = (
        text_field(&mut fields, "image")?,
        text_field(&mut fields, "command")?,
    );
    let request = ReplaceRequest::new(target, version(image, command)?, &options)?;
    Ok(ControlCommand::Order(Order::Replace(request)))
}

/// Fields of the body of a replacement.
const REPLACE_FIELDS: [&str; 6] = [
    "image",
    "command",
    "n",
    "parallel",
    "max_failures",
    "monitor",
];

fn version(
    image: Option<String>,
    command: Option<String>,
) -> Result<Option<VersionRequest>, OrderError> {
    match (image, command) {
        (Some(_), Some(_)) => Err(OrderError::invalid("image and command exclude each other")),
        (Some(image), None) => Ok(Some(VersionRequest::Image(image))),
        (None, command) => Ok(command.map(VersionRequest::Command)),
    }
}

fn parse_monitor(text: &str) -> Result<Duration, OrderError> {
    let time = humantime::parse_duration(text);
    time.map_err(|err| OrderError::invalid(format!("monitor: {err}")))
}

/// Returns a field that is a whole number.
fn count_field(fields: &Map<String, Value>, name: &str) -> Result<Option<usize>, OrderError> {
    let count = |value: &Value| {
        let count = value.as_u64().and_then(|n| usize::try_from(n).ok());
        count.ok_or_else(|| OrderError::invalid(format!("{name} is not a whole number")))
    };
    fields.get(name).map(count).transpose()
}

/// Takes a field that is a string.
fn text_field(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, OrderError> {
    match fields.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(OrderError::invalid(format!("{name} is not a string"))),
    }
}

/// No fields.
pub(super) fn stop_replace(request: &RequestParts<'_>) -> Extracted {
    request.no_fields()?;
    Ok(ControlCommand::Order(Order::StopReplace))
}

/// No fields.
pub(super) fn reload(request: &RequestParts<'_>) -> Extracted {
    request.no_fields()?;
    Ok(ControlCommand::Reload)
}

/// No fields.
pub(super) fn replace_back(request: &RequestParts<'_>) -> Extracted {
    request.no_fields()?;
    Ok(ControlCommand::Order(Order::ReplaceBack))
}

/// The replica in the path.
pub(super) fn drain(request: &RequestParts<'_>) -> Extracted {
    request.no_fields()?;
    Ok(ControlCommand::Order(Order::Drain(name(request)?)))
}

/// The replica in the path.
pub(super) fn ready(request: &RequestParts<'_>) -> Extracted {
    request.no_fields()?;
    Ok(ControlCommand::Order(Order::Ready(name(request)?)))
}

fn name(request: &RequestParts<'_>) -> Result<ReplicaName, OrderError> {
    // Bytes that are not UTF-8 are no name either, and become U+FFFD in the error.
    let segment = request.path_segment(1);
    parse_value(&String::from_utf8_lossy(&segment)).map_err(OrderError::invalid)
}

/// The replica in the path, and `{"weight":2}`.
pub(super) fn set_weight(request: &RequestParts<'_>) -> Extracted {
    let weight = request.value("weight")?.to_string();
    // 2.0 is an integer too (JSON Schema 2020-12, Validation §6.1.1).
    let weight = weight.strip_suffix(".0").unwrap_or(&weight).parse();
    let weight = weight.map_err(|err: BadWeight| OrderError::invalid(err.to_string()))?;
    Ok(ControlCommand::Order(Order::Weight(name(request)?, weight)))
}

/// `{"n":5}`
pub(super) fn scale(request: &RequestParts<'_>) -> Extracted {
    let n = request.value("n")?.as_u64();
    let n = n.and_then(|n| usize::try_from(n).ok());
    let n = n.ok_or_else(|| OrderError::invalid("n is not a whole number"))?;
    Ok(ControlCommand::Order(Order::Scale(n)))
}

/// No query, or `?points=720`
pub(super) fn ring(request: &RequestParts<'_>) -> Extracted {
    let [points] = request.fields(["points"])?;
    let question = points.map_or(Ok(RingQuery::Ring), |points| RingQuery::arcs(&points));
    let question = question.map_err(OrderError::invalid)?;
    Ok(ControlCommand::Query(question))
}

/// `{"ring":"classic"}`
pub(super) fn set_ring(request: &RequestParts<'_>) -> Extracted {
    let value = request.value("ring")?;
    let spec = value.as_str();
    let spec = spec.ok_or_else(|| OrderError::invalid("ring is not a string"))?;
    let spec = parse_value(spec).map_err(OrderError::invalid)?;
    Ok(ControlCommand::Order(Order::Ring(spec)))
}

/// `{"bound":1.03}`
pub(super) fn set_bound(request: &RequestParts<'_>) -> Extracted {
    let value = request.value("bound")?;
    if !value.is_number() {
        return Err(OrderError::invalid("bound is not a number"));
    }
    let bound = parse_value(&value.to_string()).map_err(OrderError::invalid)?;
    Ok(ControlCommand::Order(Order::Bound(bound)))
}

/// `/where/132574`
pub(super) fn where_in_path(request: &RequestParts<'_>) -> Extracted {
    owner(request.path_segment(1))
}

/// `?key=132574`: any key, also `.` and `..`, which no path can hold (RFC 3986 §5.2.4).
pub(super) fn where_in_query(request: &RequestParts<'_>) -> Extracted {
    let [key] = request.fields(["key"])?;
    let key = key.filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| OrderError::invalid("key is missing"))?;
    owner(key)
}

fn owner(key: impl Into<Vec<u8>>) -> Extracted {
    let question = RingQuery::owner(key).map_err(OrderError::invalid)?;
    Ok(ControlCommand::Query(question))
}
