//! The state of the replicas as a report: `show`.
//!
//! All replicas are a table; the columns are aligned to their longest value. A last column has the
//! reasons, if there is one. One replica is a name and a value a line. In JSON, times are moments
//! and durations are milliseconds.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::context::ControlContext;
use super::ring_report::Report;
use super::text_table::aligned;
use crate::orders::{
    FleetSnapshot, OrderError, PastReplica, ReplacementInfo, ReplicaInfo, ReplicaState,
};
use crate::ring::Weight;
use crate::roster::ReplicaName;

/// Column heads of the table.
const COLUMNS: [&str; 9] = [
    "SEAT",
    "NAME",
    "STATE",
    "ADDRESS",
    "ENGINE",
    "UP_SINCE",
    "DEATHS",
    "HEARTBEAT",
    "IN_FLIGHT",
];

/// Head of the column that is there only if an order has changed the version of a replica.
const VERSION_COLUMN: &str = "VERSION";

/// Head of the column that is there only if a seat has another weight than 1.
const WEIGHT_COLUMN: &str = "WEIGHT";

/// Head of the column that is there only if a fixed backend has a name as its host.
const BACKEND_COLUMN: &str = "BACKEND";

/// Head of the last column, which is there only if a replica has a reason.
const REASON_COLUMN: &str = "REASON";

/// Reports all replicas, or the one called `name`.
///
/// # Errors
/// When there is no replica of that name, or the fleet has stopped.
pub(super) async fn show(
    context: &ControlContext,
    name: Option<&ReplicaName>,
) -> Result<Report, OrderError> {
    let fleet = context.orders.show().await?;
    match name {
        None => Ok(table(&fleet)),
        Some(name) => {
            let replica = find_replica(&fleet.all, name).ok_or_else(|| unknown(name))?;
            Ok((to_lines(replica, fleet.at), to_json(replica, fleet.at)))
        }
    }
}

/// Returns the state of the replica called `name` in a sentence, for the answer to `drain` (with
/// `drained`) and `ready`.
///
/// # Errors
/// The replica has left meanwhile, or the fleet has stopped.
pub(super) async fn describe(
    context: &ControlContext,
    name: &ReplicaName,
    drained: bool,
) -> Result<String, OrderError> {
    let fleet = context.orders.show().await?;
    let replica = fleet.all.iter().find(|replica| replica.name == *name);
    let replica = replica.ok_or_else(|| OrderError::not_found(name))?;
    let mut state = replica.state.as_str().to_owned();
    if drained && replica.state != ReplicaState::Drained {
        state += " and drained";
    }
    let seat = replica
        .seat
        .map_or_else(String::new, |seat| format!(" in seat {seat}"));
    Ok(match replica.in_flight {
        0 => format!("{name}{seat} is {state}; no request is under way"),
        1 => format!("{name}{seat} is {state}; 1 request is under way"),
        requests => format!("{name}{seat} is {state}; {requests} requests are under way"),
    })
}

/// Returns the error about an unknown name, with our command for a word of HAProxy's `show`.
fn unknown(name: &ReplicaName) -> OrderError {
    let mut refusal = OrderError::not_found(name);
    let ours = match name.as_ref() {
        "stat" | "info" => "stats",
        "servers" | "backend" => "show",
        "events" => "events",
        _ => return refusal,
    };
    refusal.sentence += &format!("; HAProxy's 'show {name}' is '{ours}' here");
    refusal
}

/// Returns the replica of this name, or else the holder of the seat that a replica of this name
/// held last.
fn find_replica<'a>(replicas: &'a [ReplicaInfo], name: &ReplicaName) -> Option<&'a ReplicaInfo> {
    let present = replicas.iter().find(|replica| replica.name == *name);
    present.or_else(|| {
        let was = |replica: &&ReplicaInfo| replica.past.iter().any(|past| past.name == *name);
        let holders = replicas.iter().filter(was);
        holders.max_by_key(|replica| replica.in_rep_list)
    })
}

fn table(fleet: &FleetSnapshot) -> Report {
    let (now, replicas) = (fleet.at, &fleet.all);
    let mut rows = vec![COLUMNS.map(str::to_owned).to_vec()];
    rows.extend(replicas.iter().map(|replica| cells(replica, now).to_vec()));
    if fleet.has_other_versions {
        let versions = replicas.iter().map(|replica| replica.version.as_deref());
        add_column(&mut rows, VERSION_COLUMN, versions);
    }
    if replicas
        .iter()
        .any(|replica| other_weight(replica).is_some())
    {
        let weights = replicas.iter().map(|replica| replica.weight);
        let weights: Vec<_> = weights.map(|weight| Some(weight?.to_string())).collect();
        let weights = weights.iter().map(Option::as_deref);
        add_column(&mut rows, WEIGHT_COLUMN, weights);
    }
    if replicas.iter().any(has_host_name) {
        let backends = replicas.iter().map(|replica| replica.backend.as_ref());
        let backends: Vec<_> = backends.map(|addr| Some(addr?.to_string())).collect();
        let backends = backends.iter().map(Option::as_deref);
        add_column(&mut rows, BACKEND_COLUMN, backends);
    }
    if replicas.iter().any(|replica| replica.reason.is_some()) {
        let reasons = replicas.iter().map(|replica| replica.reason.as_deref());
        add_column(&mut rows, REASON_COLUMN, reasons);
    }
    let mut lines = aligned(&rows);
    lines.extend(fleet.replacement.iter().map(ToString::to_string));
    let listed = replicas
        .iter()
        .filter(|replica| replica.in_rep_list)
        .count();
    let values: Vec<Value> = replicas
        .iter()
        .map(|replica| to_json(replica, now))
        .collect();
    let replacement = fleet.replacement.as_ref().map(replacement_json);
    let json = json!({"N": listed, "replicas": values, "replacement": replacement});
    (lines, json)
}

/// Returns the weight of a replica's seat if it is not 1.
fn other_weight(replica: &ReplicaInfo) -> Option<Weight> {
    replica.weight.filter(|weight| *weight != Weight::ONE)
}

/// Returns `true` for a fixed backend whose address is looked up.
fn has_host_name(replica: &ReplicaInfo) -> bool {
    let mut backend = replica.backend.iter();
    backend.any(|addr| addr.literal().is_none())
}

fn replacement_json(replacement: &ReplacementInfo) -> Value {
    json!({
        "version": replacement.version,
        "back": replacement.back,
        "done": replacement.done,
        "total": replacement.total,
        "failures": replacement.failures,
        "preparing": replacement.preparing,
    })
}

/// Adds a column to the rows, of which the first has the heads.
fn add_column<'a>(
    rows: &mut [Vec<String>],
    head: &'a str,
    values: impl Iterator<Item = Option<&'a str>>,
) {
    let column = [Some(head)].into_iter().chain(values);
    for (row, value) in rows.iter_mut().zip(column) {
        row.push(value.unwrap_or("-").to_owned());
    }
}

/// Returns the values of a replica in the order of [`COLUMNS`], with a dash for a missing value.
fn cells(replica: &ReplicaInfo, now: SystemTime) -> [String; COLUMNS.len()] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let heartbeat = replica
        .heartbeat
        .map(|time| format!("{:.2}ms", millis(time)));
    [
        or_dash(replica.seat.map(|seat| seat.to_string())),
        replica.name.to_string(),
        replica.state.as_str().into(),
        or_dash(replica.addr.map(|addr| addr.to_string())),
        or_dash(replica.engine_id.clone()),
        or_dash(replica.up_for.map(|ago| format_time(now, ago))),
        replica.deaths.to_string(),
        or_dash(heartbeat),
        replica.in_flight.to_string(),
    ]
}

/// Returns a name and a value a line, then the earlier holders of the seat.
fn to_lines(replica: &ReplicaInfo, now: SystemTime) -> Vec<String> {
    let named = COLUMNS.iter().zip(cells(replica, now));
    let mut lines: Vec<String> = named
        .map(|(column, cell)| format!("{} {cell}", column.to_ascii_lowercase()))
        .collect();
    lines.extend(
        replica
            .version
            .iter()
            .map(|version| format!("version {version}")),
    );
    lines.extend(other_weight(replica).map(|weight| format!("weight {weight}")));
    lines.extend(replica.backend.iter().map(|addr| format!("backend {addr}")));
    lines.extend(
        replica
            .reason
            .iter()
            .map(|reason| format!("reason {reason}")),
    );
    for past in &replica.past {
        let PastReplica { name, reason, .. } = past;
        lines.push(format!(
            "past {name} {} {reason}",
            format_time(now, past.ago)
        ));
        let exits = past.exit.iter().filter(|exit| *exit != reason);
        lines.extend(exits.map(|exit| format!("ended {name} {exit}")));
        lines.extend(
            past.last_lines
                .iter()
                .map(|line| format!("said {name} {line}")),
        );
    }
    lines
}

fn to_json(replica: &ReplicaInfo, now: SystemTime) -> Value {
    let past = replica.past.iter().map(|past| {
        json!({
            "name": past.name.as_ref(),
            "time": format_time(now, past.ago),
            "reason": past.reason,
            "ended": past.exit,
            "said": past.last_lines,
        })
    });
    json!({
        "name": replica.name.as_ref(),
        "seat": replica.seat.map(|seat| seat.0),
        "state": replica.state.as_str(),
        "address": replica.addr.map(|addr| addr.to_string()),
        "backend": replica.backend.as_ref().map(ToString::to_string),
        "engine_id": replica.engine_id,
        "up_since": replica.up_for.map(|ago| format_time(now, ago)),
        "deaths": replica.deaths,
        "heartbeat_ms": replica.heartbeat.map(millis),
        "in_flight": replica.in_flight,
        "weight": replica.weight.map(Weight::get),
        "version": replica.version,
        "listed": replica.in_rep_list,
        "reason": replica.reason,
        "past": past.collect::<Vec<_>>(),
    })
}

/// Converts to milliseconds, exact to the microsecond for times below 71 minutes.
fn millis(time: Duration) -> f64 {
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1000.0
}

/// Returns the moment `ago` before `now`, in RFC 3339.
fn format_time(now: SystemTime, ago: Duration) -> String {
    let then = now.checked_sub(ago).unwrap_or(now);
    humantime::format_rfc3339_millis(then).to_string()
}
