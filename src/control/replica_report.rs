//! The commands about replicas: `show`, `scale`, `replace`, `drain` and `ready`, as words and as answers.
//!
//! It knows neither who asks nor in which protocol. Cards are shown as a table whose columns no value
//! breaks, or one card as a name and a value a line; in JSON, times are moments and durations milliseconds.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::ControlContext;
use super::command::{ControlCommand, UsageError};
use super::command_table::{CommandSpec, parse_int};
use super::ring_report::Report;
use crate::orders::{FleetSnapshot, Order, OrderError, PastReplica, ReplaceTarget, ReplicaInfo};
use crate::roster::ReplicaName;

/// The heads of the columns of the table.
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

/// The entry of `show`.
pub(super) const SHOW: CommandSpec = CommandSpec {
    name: "show",
    usage: "show [NAME]",
    about: "the replicas in a table; or all about one, and who sat there before",
    more: &[
        "States: starting, answered (waits for the others of its 'add'), up, drained, suspect, silent,",
        "down, leaving (finishes what it has begun), removing, waiting (for the next start), standby,",
        "promoting.",
        "NAME may be one that is dead: then it is about the seat in which it sat.",
    ],
    read: |words| match words {
        [] => Ok(ControlCommand::Show(None)),
        [word] => Ok(ControlCommand::Show(Some(parse_name(word)?))),
        _ => Err(UsageError::Usage),
    },
};

/// The entry of `scale`.
pub(super) const SCALE: CommandSpec = CommandSpec {
    name: "scale",
    usage: "scale N",
    about: "have N replicas: add random names, or remove the highest seats",
    more: &["It answers when they answer, or are gone, with the list of 'rep'."],
    read: |words| match words {
        [n] => match parse_int(n) {
            Some(n) => Ok(ControlCommand::Order(Order::Scale(n))),
            None => Err(UsageError::Reason("N is not a whole number".into())),
        },
        _ => Err(UsageError::Usage),
    },
};

/// The entry of `replace`.
pub(super) const REPLACE: CommandSpec = CommandSpec {
    name: "replace",
    usage: "replace NAME|all",
    about: "start another for its seat, then stop this one; or so with all",
    more: &[
        "'all' goes from seat to seat, one at a time. It answers when the old ones have finished their",
        "requests and are gone. If a new one does not start, the old one stays, and nothing more is",
        "done.",
    ],
    read: |words| match words {
        ["all"] => Ok(ControlCommand::Order(Order::Replace(ReplaceTarget::All))),
        [word] => Ok(ControlCommand::Order(Order::Replace(ReplaceTarget::One(
            parse_name(word)?,
        )))),
        _ => Err(UsageError::Usage),
    },
};

/// The entry of `drain`.
pub(super) const DRAIN: CommandSpec = CommandSpec {
    name: "drain",
    usage: "drain NAME",
    about: "give it no new requests; it stays, and is listed",
    more: &[
        "What it has begun goes on: see IN_FLIGHT in 'show'. Its keys come back with 'ready NAME'.",
    ],
    read: |words| match words {
        [word] => Ok(ControlCommand::Order(Order::Drain(parse_name(word)?))),
        _ => Err(UsageError::Usage),
    },
};

/// The entry of `ready`.
pub(super) const READY: CommandSpec = CommandSpec {
    name: "ready",
    usage: "ready NAME",
    about: "undo 'drain NAME'",
    more: &[],
    read: |words| match words {
        [word] => Ok(ControlCommand::Order(Order::Ready(parse_name(word)?))),
        _ => Err(UsageError::Usage),
    },
};

fn parse_name(word: &str) -> Result<ReplicaName, UsageError> {
    let name = word.parse::<ReplicaName>();
    name.map_err(|err| UsageError::Reason(err.to_string()))
}

/// The path of an order, which is what a denial calls it.
pub(super) fn path_of(order: &Order) -> &'static str {
    match order {
        Order::Scale(_) => "/scale",
        _ => "/replicas",
    }
}

/// All cards, or the one that `name` asks for.
///
/// # Errors
/// There is none of that name, or the fleet is gone.
pub(super) async fn show(
    context: &ControlContext,
    name: Option<&ReplicaName>,
) -> Result<Report, OrderError> {
    let cards = context.desk.show().await?;
    match name {
        None => Ok(table(&cards)),
        Some(name) => {
            let card = find_replica(&cards.all, name).ok_or_else(|| OrderError::not_found(name))?;
            Ok((to_lines(card, cards.at), to_json(card, cards.at)))
        }
    }
}

/// The card of this name, or else that of the seat in which one of this name sat last.
fn find_replica<'c>(cards: &'c [ReplicaInfo], name: &ReplicaName) -> Option<&'c ReplicaInfo> {
    let present = cards.iter().find(|card| card.name == *name);
    present.or_else(|| {
        let was = |card: &&ReplicaInfo| card.past.iter().any(|past| past.name == *name);
        cards.iter().filter(was).max_by_key(|card| card.in_rep_list)
    })
}

fn table(FleetSnapshot { at, all: cards }: &FleetSnapshot) -> Report {
    let now = *at;
    let mut rows = vec![COLUMNS.map(str::to_owned)];
    rows.extend(cards.iter().map(|card| cells(card, now)));
    let mut widths = [0; COLUMNS.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; COLUMNS.len()]| {
        let cells = row.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    let lines = rows.iter().map(line).collect();
    let listed = cards.iter().filter(|card| card.in_rep_list).count();
    let replicas: Vec<Value> = cards.iter().map(|card| to_json(card, now)).collect();
    (lines, json!({"N": listed, "replicas": replicas}))
}

/// The values of a card, in the order of [`COLUMNS`]; a dash for what is not there.
fn cells(card: &ReplicaInfo, now: SystemTime) -> [String; COLUMNS.len()] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let heartbeat = card.heartbeat.map(|time| format!("{:.2}ms", millis(time)));
    [
        or_dash(card.seat.map(|seat| seat.to_string())),
        card.name.to_string(),
        card.state.as_str().into(),
        or_dash(card.addr.map(|addr| addr.to_string())),
        or_dash(card.engine_id.clone()),
        or_dash(card.up_for.map(|ago| format_time(now, ago))),
        card.deaths.to_string(),
        or_dash(heartbeat),
        card.in_flight.to_string(),
    ]
}

/// A name and a value a line, then what there is to say of each who sat there before.
fn to_lines(card: &ReplicaInfo, now: SystemTime) -> Vec<String> {
    let named = COLUMNS.iter().zip(cells(card, now));
    let mut lines: Vec<String> = named
        .map(|(column, cell)| format!("{} {cell}", column.to_ascii_lowercase()))
        .collect();
    lines.extend(card.reason.iter().map(|reason| format!("reason {reason}")));
    for past in &card.past {
        let PastReplica { name, reason, .. } = past;
        lines.push(format!(
            "past {name} {} {reason}",
            format_time(now, past.ago)
        ));
        let ended = past.exit.iter().filter(|ended| *ended != reason);
        lines.extend(ended.map(|ended| format!("ended {name} {ended}")));
        lines.extend(
            past.last_lines
                .iter()
                .map(|line| format!("said {name} {line}")),
        );
    }
    lines
}

fn to_json(card: &ReplicaInfo, now: SystemTime) -> Value {
    let past = card.past.iter().map(|past| {
        json!({
            "name": past.name.as_ref(),
            "time": format_time(now, past.ago),
            "reason": past.reason,
            "ended": past.exit,
            "said": past.last_lines,
        })
    });
    json!({
        "name": card.name.as_ref(),
        "seat": card.seat.map(|seat| seat.0),
        "state": card.state.as_str(),
        "address": card.addr.map(|addr| addr.to_string()),
        "engine_id": card.engine_id,
        "up_since": card.up_for.map(|ago| format_time(now, ago)),
        "deaths": card.deaths,
        "heartbeat_ms": card.heartbeat.map(millis),
        "in_flight": card.in_flight,
        "listed": card.in_rep_list,
        "reason": card.reason,
        "past": past.collect::<Vec<_>>(),
    })
}

/// In milliseconds, to the microsecond; no heartbeat takes an hour.
fn millis(time: Duration) -> f64 {
    let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1000.0
}

/// The moment that was so long ago, in RFC 3339.
fn format_time(now: SystemTime, ago: Duration) -> String {
    let then = now.checked_sub(ago).unwrap_or(now);
    humantime::format_rfc3339_millis(then).to_string()
}
