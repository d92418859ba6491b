//! The table entries of the commands about replicas: `rep`, `show`, `add`, `rm`, `scale`,
//! `drain`, `ready`, `weight` and `kill`.

use super::arguments::{
    UsageError, is_names, no_args, parse_change, parse_count, parse_names, parse_value,
};
use super::control_command::{CommandSpec, ControlCommand};
use crate::orders::{BackendChange, ChangeKind, Order};

pub(super) const REP: CommandSpec = CommandSpec {
    name: "rep",
    usage: "rep",
    about: "the replicas that have answered and are not dead",
    more: &["The first line is 'N' and their number; then one name a line."],
    read: |words| no_args(words, ControlCommand::Rep),
};

pub(super) const SHOW: CommandSpec = CommandSpec {
    name: "show",
    usage: "show [NAME|config|clients]",
    about: "the replicas in a table; one and the past of its seat; or all settings",
    more: &[
        "States: starting, answered (waits for the others of its 'add'), up, ejected (it answers with",
        "errors, see --eject-5xx), drained, suspect, silent, down, leaving (finishes its requests),",
        "removing, waiting (for the next start), standby, promoting.",
        "NAME may be a dead replica: then the seat that it held last is shown.",
        "config: every setting with its value and its source. A secret is 'set'.",
        "clients: the limits for each client of the data port, and up to 20 clients, those with the most",
        "refusals first.",
    ],
    read: |words| match words {
        [] => Ok(ControlCommand::Show(None)),
        ["config"] => Ok(ControlCommand::ShowConfig),
        ["clients"] => Ok(ControlCommand::Clients),
        [name] => Ok(ControlCommand::Show(Some(parse_value(name)?))),
        _ => Err(UsageError::Usage),
    },
};

pub(super) const ADD: CommandSpec = CommandSpec {
    name: "add",
    usage: "add N [NAME...]|NAME ADDR",
    about: "start N replicas, the first under these names; or add a fixed backend",
    more: &[
        "The others get random names. The answer is the list of 'rep', sent when all of them answer;",
        "if one of them cannot be started, none stays.",
        "With --backend, 'add NAME ADDR' adds your server when it answers there; ADDR is HOST:PORT",
        "or unix:PATH.",
    ],
    read: |words| match words {
        words if is_backend(words) => Ok(ControlCommand::Order(Order::AddBackend(parse_backend(
            words,
        )?))),
        words => change(ChangeKind::Add, words),
    },
};

pub(super) const RM: CommandSpec = CommandSpec {
    name: "rm",
    usage: "rm N [NAME...]|NAME...",
    about: "remove N replicas, these first and the others at random; or just these",
    more: &[
        "'rm all' removes every replica that was started here. A fixed backend runs on, without requests.",
        "The answer is the list of 'rep', sent when their requests are finished and they are gone.",
    ],
    read: |words| match words {
        ["all"] => Ok(ControlCommand::Order(Order::RmAll)),
        words if is_names(words) => Ok(ControlCommand::Order(Order::Rm(parse_names(words)?))),
        words => change(ChangeKind::Rm, words),
    },
};

pub(super) const SET: CommandSpec = CommandSpec {
    name: "set",
    usage: "set NAME ADDR",
    about: "move a fixed backend to this address, in its seat",
    more: &[
        "ADDR is HOST:PORT or unix:PATH. Requests go there when your server answers there, and",
        "until then to the old address. If it does not answer in time (--start-timeout), nothing",
        "changes.",
    ],
    read: |words| match words {
        ["server", ..] => Err(UsageError::Reason(
            "HAProxy's is 'drain NAME', 'ready NAME' or 'set NAME HOST:PORT' here".to_owned(),
        )),
        [_, _] => Ok(ControlCommand::Order(Order::SetBackend(parse_backend(
            words,
        )?))),
        _ => Err(UsageError::Usage),
    },
};

pub(super) const SCALE: CommandSpec = CommandSpec {
    name: "scale",
    usage: "scale N",
    about: "have N replicas: add random names, or remove the highest seats",
    more: &[
        "The answer is the list of 'rep', sent when the new ones answer or the old ones are gone.",
    ],
    read: |words| match words {
        [n] => Ok(ControlCommand::Order(Order::Scale(parse_count(n)?))),
        _ => Err(UsageError::Usage),
    },
};

pub(super) const DRAIN: CommandSpec = CommandSpec {
    name: "drain",
    usage: "drain NAME",
    about: "give it no new requests; it stays, and is listed",
    more: &[
        "Requests under way go on: see IN_FLIGHT in 'show'. 'ready NAME' gives its keys back to it.",
    ],
    read: |words| match words {
        [name] => Ok(ControlCommand::Order(Order::Drain(parse_value(name)?))),
        _ => Err(UsageError::Usage),
    },
};

pub(super) const READY: CommandSpec = CommandSpec {
    name: "ready",
    usage: "ready NAME",
    about: "undo 'drain NAME'",
    more: &[],
    read: |words| match words {
        [name] => Ok(ControlCommand::Order(Order::Ready(parse_value(name)?))),
        _ => Err(UsageError::Usage),
    },
};

pub(super) const WEIGHT: CommandSpec = CommandSpec {
    name: "weight",
    usage: "weight NAME W",
    about: "give its seat W shares of the keys, 1 to 256",
    more: &[
        "A seat of weight 2 has twice the keys of one of weight 1, and its successors keep the weight.",
        "Keys move only to or from this seat. The rings classic and jump have no weights. The answer is",
        "that of 'ring'. Preview it first: plan weight NAME W. For no new requests: drain NAME.",
    ],
    read: |words| match words {
        [name, weight] => {
            let (name, weight) = (parse_value(name)?, parse_value(weight)?);
            Ok(ControlCommand::Order(Order::Weight(name, weight)))
        }
        _ => Err(UsageError::Usage),
    },
};

pub(super) const KILL: CommandSpec = CommandSpec {
    name: "kill",
    usage: "kill NAME",
    about: "kill it (SIGKILL), to see what its death costs; local peers only",
    more: &[
        "The balancer is not told: it finds the death, and replaces the replica, as after any fault.",
        "The answer comes when the signal is on its way. Fixed backends cannot be killed.",
    ],
    read: |words| match words {
        [name] => Ok(ControlCommand::Order(Order::Kill(parse_value(name)?))),
        _ => Err(UsageError::Usage),
    },
};

/// Returns `true` for a name and an address, rather than a number and a name.
pub(super) fn is_backend(words: &[&str]) -> bool {
    matches!(words, [_, addr] if addr.contains(':'))
}

/// Parses the name and the address of a fixed backend.
pub(super) fn parse_backend(words: &[&str]) -> Result<BackendChange, UsageError> {
    let [name, addr] = words else {
        return Err(UsageError::Usage);
    };
    Ok(BackendChange {
        name: parse_value(name)?,
        addr: parse_value(addr)?,
    })
}

fn change(kind: ChangeKind, words: &[&str]) -> Result<ControlCommand, UsageError> {
    let [n, names @ ..] = words else {
        return Err(UsageError::Usage);
    };
    // A name in the place of the number.
    if n.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Err(UsageError::Usage);
    }
    let change = parse_change(kind, n, names)?;
    Ok(ControlCommand::Order(kind.into_order(change)))
}
