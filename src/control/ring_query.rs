//! What can be asked of the ring, as words: `where KEY`, `ring`, `bound` and `plan CHANGE`.
//!
//! Pure: it reads words and knows neither the ring nor who is there.

use std::fmt;
use std::str::FromStr;

use super::command::{Command, Fault};
use super::command_table::{alone, counted};
use crate::load::LoadBound;
use crate::orders::{ChangeKind, ChangeRequest, Order};
use crate::ring::Spec;

/// The longest key, in bytes.
const MAX_KEY: usize = 1024;
/// The most arcs that a picture of the ring may have.
const MAX_ARCS: u32 = 4096;

/// What `help ring` says of SPEC.
pub(super) const RINGS: &[&str] = &[
    "SPEC is uniform, classic, classic-brief, rendezvous, maglev, jump, or one of your own:",
    "classic:h=EXPR,phi=EXPR,slots=M,vnodes=K,probe=linear|quadratic, where each part may be left",
    "out. EXPR is made of i, j, whole numbers, + - * / % ^ and brackets, without blanks; a sign",
    "binds tightest, then ^, and equals go from left to right. A key is i modulo 2^30.",
    "No request fails by a switch. Ask first: plan ring SPEC.",
];

/// A question about the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Whose is this key, in bytes?
    Whose(Vec<u8>),
    /// Which ring is it, and how do its seats share the keys?
    Ring,
    /// The same, and who owns each of so many equal arcs?
    Picture(u32),
    /// How far above the mean may a load lie?
    Bound,
    /// What would this change?
    Plan(Proposal),
}

/// A change that is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
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
impl fmt::Display for Proposal {
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

impl Question {
    /// Asks whose `key` is.
    ///
    /// # Errors
    /// A sentence, when it is too long.
    pub fn whose(key: impl Into<Vec<u8>>) -> Result<Self, String> {
        let key = key.into();
        match key.len() > MAX_KEY {
            true => Err(format!("key is longer than {MAX_KEY} bytes")),
            false => Ok(Self::Whose(key)),
        }
    }

    /// Asks for a picture of the ring with this many arcs, in digits.
    ///
    /// # Errors
    /// A sentence, when it is no number, or too large a one.
    pub fn picture(arcs: &str) -> Result<Self, String> {
        let digits = arcs.bytes().all(|b| b.is_ascii_digit());
        let arcs = arcs
            .parse()
            .ok()
            .filter(|arcs| (1..=MAX_ARCS).contains(arcs));
        let arcs = arcs.filter(|_| digits).map(Self::Picture);
        arcs.ok_or_else(|| format!("points is not a whole number from 1 to {MAX_ARCS}"))
    }
}

/// The words after `where`.
pub(super) fn whose(words: &[&str]) -> Result<Command, Fault> {
    match words {
        [key] => Ok(Command::Ask(Question::whose(*key).map_err(Fault::Because)?)),
        _ => Err(Fault::Usage),
    }
}

/// The words after `ring`.
pub(super) fn ring(words: &[&str]) -> Result<Command, Fault> {
    match words {
        ["set", spec] => Ok(Command::Switch(Order::Ring(parse(spec)?), Question::Ring)),
        words => alone(words, Command::Ask(Question::Ring)),
    }
}

/// The words after `bound`.
pub(super) fn bound(words: &[&str]) -> Result<Command, Fault> {
    match words {
        [bound] => Ok(Command::Switch(
            Order::Bound(parse(bound)?),
            Question::Bound,
        )),
        words => alone(words, Command::Ask(Question::Bound)),
    }
}

/// The words after `plan`.
pub(super) fn plan(words: &[&str]) -> Result<Command, Fault> {
    let proposal = match words {
        ["add", words @ ..] => Proposal::Add(counted(ChangeKind::Add, words)?),
        ["rm", words @ ..] => Proposal::Rm(counted(ChangeKind::Rm, words)?),
        ["ring", spec] => Proposal::Ring(parse(spec)?),
        ["bound", bound] => Proposal::Bound(parse(bound)?),
        _ => {
            let sentence = "usage: plan add N [NAME...] | rm N [NAME...] | ring SPEC | bound X";
            return Err(Fault::Because(sentence.into()));
        }
    };
    Ok(Command::Ask(Question::Plan(proposal)))
}

/// The same for words that are put together by a program.
///
/// # Errors
/// A sentence, when they make no plan.
pub(super) fn planned(words: &[&str]) -> Result<Command, String> {
    plan(words).map_err(|fault| match fault {
        Fault::Because(sentence) => sentence,
        Fault::Usage => "that is no change to plan".into(),
    })
}

fn parse<T: FromStr<Err: fmt::Display>>(word: &str) -> Result<T, Fault> {
    typed(word).map_err(Fault::Because)
}

/// Reads what somebody typed; the sentence repeats nothing that moves a terminal.
///
/// # Errors
/// What the type says.
pub(super) fn typed<T: FromStr<Err: fmt::Display>>(word: &str) -> Result<T, String> {
    let tame = |c: char| match c.is_control() {
        true => c.escape_debug().to_string(),
        false => c.to_string(),
    };
    let sentence = |err: T::Err| err.to_string().chars().map(tame).collect();
    word.parse().map_err(sentence)
}
