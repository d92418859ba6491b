//! The table entries of the commands about the ring: `where`, `ring`, `bound` and `plan`.

use super::arguments::{
    UsageError, is_names, no_args, parse_change, parse_count, parse_names, parse_value,
};
use super::control_command::{CommandSpec, ControlCommand};
use super::replace_command::{REPLACE, parse_replace};
use super::replica_commands::{is_backend, parse_backend};
use crate::control::ring_query::{PlannedChange, RingQuery};
use crate::orders::{ChangeKind, Order, ReplaceRequest};

pub(super) const WHERE: CommandSpec = CommandSpec {
    name: "where",
    usage: "where KEY",
    about: "the seat that owns a key, and its fallbacks in order",
    more: &[
        "One seat a line with its replica: the home of the key first, then its fallbacks in order. KEY",
        "may also be written as in the access log: xxh3: and 16 hexadecimal digits is used as the hash.",
        "With a bound, 'home' is the part of all requests that it leaves at home.",
    ],
    read: |words| match words {
        [key] => Ok(ControlCommand::Query(RingQuery::owner(*key)?)),
        _ => Err(UsageError::Usage),
    },
};

pub(super) const RING: CommandSpec = CommandSpec {
    name: "ring",
    usage: "ring [set SPEC]",
    about: "the ring and the share of each seat; or another ring",
    more: &[
        "SPEC is uniform, classic, classic-brief, rendezvous, maglev, jump, or one of your own:",
        "classic:h=EXPR,phi=EXPR,slots=M,vnodes=K,probe=linear|quadratic, where each part may be left",
        "out. EXPR is made of i, j, whole numbers, + - * / % ^ and brackets, without blanks; a sign",
        "binds tightest, then ^, and equals go from left to right. A key is i modulo 2^30.",
        "A switch fails no request. Preview it first: plan ring SPEC.",
    ],
    read: |words| match words {
        ["set", spec] => Ok(ControlCommand::Order(Order::Ring(parse_value(spec)?))),
        words => no_args(words, ControlCommand::Query(RingQuery::Ring)),
    },
};

pub(super) const BOUND: CommandSpec = CommandSpec {
    name: "bound",
    usage: "bound [X]",
    about: "how far above the mean a load may lie; or another bound",
    more: &[
        "1.03 is 3 % above the mean; 0 is no bound, so that every key stays at its home. Requests above",
        "a bound leave their home: 'plan bound X' tells how many. A change counts all loads from 0 again.",
    ],
    read: |words| match words {
        [bound] => Ok(ControlCommand::Order(Order::Bound(parse_value(bound)?))),
        words => no_args(words, ControlCommand::Query(RingQuery::Bound)),
    },
};

pub(super) const PLAN: CommandSpec = CommandSpec {
    name: "plan",
    usage: "plan CHANGE",
    about: "what a change would move, without doing it",
    more: &[
        "CHANGE is add, rm, scale or replace with its words, weight NAME W, ring SPEC or bound X.",
        "The ADDR of 'plan add NAME ADDR' is not tried. Shares are counted over up to 65536 sample keys.",
        "'home' is the part of many requests that is served where the ring alone would.",
    ],
    read: |words| {
        let change = match words {
            ["add", words @ ..] if is_backend(words) => {
                PlannedChange::AddBackend(parse_backend(words)?)
            }
            ["rm", "all"] => PlannedChange::RmAll,
            ["scale", n] => PlannedChange::Scale(parse_count(n)?),
            ["rm", words @ ..] if is_names(words) => PlannedChange::Rm(parse_names(words)?),
            ["add", n, names @ ..] => PlannedChange::Add(parse_change(ChangeKind::Add, n, names)?),
            ["rm", n, names @ ..] => PlannedChange::Rm(parse_change(ChangeKind::Rm, n, names)?),
            ["weight", name, weight] => {
                PlannedChange::Weight(parse_value(name)?, parse_value(weight)?)
            }
            ["ring", spec] => PlannedChange::Ring(parse_value(spec)?),
            ["bound", bound] => PlannedChange::Bound(parse_value(bound)?),
            ["replace", words @ ..] => PlannedChange::Replace(plan_replace(words)?),
            _ => {
                let usage = "usage: plan add N [NAME...] | add NAME ADDR | rm N [NAME...] | rm NAME... | \
                             rm all | scale N | weight NAME W | ring SPEC | bound X | \
                             replace NAME|all [VERSION]";
                return Err(UsageError::Reason(usage.into()));
            }
        };
        Ok(ControlCommand::Query(RingQuery::Plan(change)))
    },
};

/// Parses the words behind `plan replace`, whose usage is that of `replace`.
fn plan_replace(words: &[&str]) -> Result<ReplaceRequest, UsageError> {
    parse_replace(words).map_err(|err| match err {
        UsageError::Usage => UsageError::Reason(format!("usage: {}", REPLACE.usage)),
        reason @ UsageError::Reason(_) => reason,
    })
}
