//! What can be asked of the ring, as words: `where KEY`, `ring`, `bound` and `plan CHANGE`.
//!
//! Pure: it reads words and knows neither the ring nor who is there.

use std::fmt;
use std::str::FromStr;

use super::command::{ControlCommand, UsageError};
use super::command_table::{no_args, parse_change};
use crate::load::LoadBound;
use crate::orders::{ChangeKind, ChangeRequest, Order};
use crate::ring::Spec;

/// The longest key, in bytes.
const MAX_KEY: usize = 1024;
/// The most arcs that a picture of the ring may have.
const MAX_ARCS: u32 = 4096;

/// What `help ring` says of SPEC.
pub(super) const RING_COMMANDS: &[&str] = &[
    "SPEC is uniform, classic, classic-brief, rendezvous, maglev, jump, or one of your own:",
    "classic:h=EXPR,phi=EXPR,slots=M,vnodes=K,probe=linear|quadratic, where each part may be left",
    "out. EXPR is made of i, j, whole numbers, + - * / % ^ and brackets, without blanks; a sign",
    "binds tightest, then ^, and equals go from left to right. A key is i modulo 2^30.",
    "No request fails by a switch. Ask first: plan ring SPEC.",
];

/// A question about the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RingQuery {
    /// Whose is this key, in bytes?
    Owner(Vec<u8>),
    /// Which ring is it, and how do its seats share the keys?
    Ring,
    /// The same, and who owns each of so many equal arcs?
    Arcs(u32),
    /// How far above the mean may a load lie?
    Bound,
    /// What would this change?
    Plan(PlannedChange),
}

/// A change that is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedChange {
    /// More replicas.
    Add(ChangeRequest),
    /// Fewer.
    Rm(ChangeRequest),
    /// Another ring.
    Ring(Spec),
    /// Another bound.
    Bound(LoadBound),
}

/// As it would be typed.
impl fmt::Display for PlannedChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, change) = match self {
            Self::Add(change) => ("add", change),
            Self::Rm(change) => ("rm", change),
            Self::Ring(spec) => return write!(f, "ring {spec}"),
            Self::Bound(bound) => return write!(f, "bound {bound}"),
        };
        write!(f, "{word} {}", change.n)?;
        let mut names = change.names.iter();
        names.try_for_each(|name| write!(f, " {name}"))
    }
}

impl RingQuery {
    /// Asks whose `key` is.
    ///
    /// # Errors
    /// A sentence, when it is too long.
    pub fn owner(key: impl Into<Vec<u8>>) -> Result<Self, String> {
        let key = key.into();
        match key.len() > MAX_KEY {
            true => Err(format!("key is longer than {MAX_KEY} bytes")),
            false => Ok(Self::Owner(key)),
        }
    }

    /// Asks for a picture of the ring with this many arcs, in digits.
    ///
    /// # Errors
    /// A sentence, when it is no number, or too large a one.
    pub fn arcs(arcs: &str) -> Result<Self, String> {
        let digits = arcs.bytes().all(|b| b.is_ascii_digit());
        let arcs = arcs
            .parse()
            .ok()
            .filter(|arcs| (1..=MAX_ARCS).contains(arcs));
        let arcs = arcs.filter(|_| digits).map(Self::Arcs);
        arcs.ok_or_else(|| format!("points is not a whole number from 1 to {MAX_ARCS}"))
    }
}

/// The words after `where`.
pub(super) fn parse_where(words: &[&str]) -> Result<ControlCommand, UsageError> {
    match words {
        [key] => Ok(ControlCommand::Query(
            RingQuery::owner(*key).map_err(UsageError::Reason)?,
        )),
        _ => Err(UsageError::Usage),
    }
}

/// The words after `ring`.
pub(super) fn parse_ring(words: &[&str]) -> Result<ControlCommand, UsageError> {
    match words {
        ["set", spec] => Ok(ControlCommand::Switch(
            Order::Ring(parse(spec)?),
            RingQuery::Ring,
        )),
        words => no_args(words, ControlCommand::Query(RingQuery::Ring)),
    }
}

/// The words after `bound`.
pub(super) fn parse_bound(words: &[&str]) -> Result<ControlCommand, UsageError> {
    match words {
        [bound] => Ok(ControlCommand::Switch(
            Order::Bound(parse(bound)?),
            RingQuery::Bound,
        )),
        words => no_args(words, ControlCommand::Query(RingQuery::Bound)),
    }
}

/// The words after `plan`.
pub(super) fn parse_plan(words: &[&str]) -> Result<ControlCommand, UsageError> {
    let proposal = match words {
        ["add", words @ ..] => PlannedChange::Add(parse_change(ChangeKind::Add, words)?),
        ["rm", words @ ..] => PlannedChange::Rm(parse_change(ChangeKind::Rm, words)?),
        ["ring", spec] => PlannedChange::Ring(parse(spec)?),
        ["bound", bound] => PlannedChange::Bound(parse(bound)?),
        _ => {
            let sentence = "usage: plan add N [NAME...] | rm N [NAME...] | ring SPEC | bound X";
            return Err(UsageError::Reason(sentence.into()));
        }
    };
    Ok(ControlCommand::Query(RingQuery::Plan(proposal)))
}

/// The same for words that are put together by a program.
///
/// # Errors
/// A sentence, when they make no plan.
pub(super) fn planned(words: &[&str]) -> Result<ControlCommand, String> {
    parse_plan(words).map_err(|fault| match fault {
        UsageError::Reason(sentence) => sentence,
        UsageError::Usage => "that is no change to plan".into(),
    })
}

fn parse<T: FromStr<Err: fmt::Display>>(word: &str) -> Result<T, UsageError> {
    parse_value(word).map_err(UsageError::Reason)
}

/// Reads what somebody typed; the sentence repeats nothing that moves a terminal.
///
/// # Errors
/// What the type says.
pub(super) fn parse_value<T: FromStr<Err: fmt::Display>>(word: &str) -> Result<T, String> {
    let tame = |c: char| match c.is_control() {
        true => c.escape_debug().to_string(),
        false => c.to_string(),
    };
    let sentence = |err: T::Err| err.to_string().chars().map(tame).collect();
    word.parse().map_err(sentence)
}
