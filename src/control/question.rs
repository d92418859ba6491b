//! What can be asked of the ring, as words: `where KEY`, `ring`, `bound` and `plan CHANGE`.
//!
//! Pure: it reads words and knows neither the ring nor who is there.

use std::fmt;

use super::command::{Command, Fault, alone, counted};
use crate::admin::{Change, Kind, Order};
use crate::balance::Bound;
use crate::ring::Spec;

/// The longest key, in bytes.
const MAX_KEY: usize = 1024;

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
    /// Whose is this key?
    Whose(String),
    /// Which ring is it, and how do its seats share the keys?
    Ring,
    /// How far above the mean may a load lie?
    Bound,
    /// What would this change?
    Plan(Proposal),
}

/// A change that is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// More replicas.
    Add(Change),
    /// Fewer.
    Rm(Change),
    /// Another ring.
    Ring(Spec),
    /// Another bound.
    Bound(Bound),
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

/// The words after `where`.
pub(super) fn whose(words: &[&str]) -> Result<Command, Fault> {
    match words {
        [key] if key.len() > MAX_KEY => {
            let sentence = format!("key is longer than {MAX_KEY} bytes");
            Err(Fault::Because(sentence))
        }
        [key] => Ok(Command::Ask(Question::Whose((*key).to_owned()))),
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
        ["add", words @ ..] => Proposal::Add(counted(Kind::Add, words)?),
        ["rm", words @ ..] => Proposal::Rm(counted(Kind::Rm, words)?),
        ["ring", spec] => Proposal::Ring(parse(spec)?),
        ["bound", bound] => Proposal::Bound(parse(bound)?),
        _ => {
            let sentence = "usage: plan add N [NAME...] | rm N [NAME...] | ring SPEC | bound X";
            return Err(Fault::Because(sentence.into()));
        }
    };
    Ok(Command::Ask(Question::Plan(proposal)))
}

fn parse<T: std::str::FromStr<Err: fmt::Display>>(word: &str) -> Result<T, Fault> {
    let tame = |c: char| match c.is_control() {
        true => c.escape_debug().to_string(),
        false => c.to_string(),
    };
    let sentence = |err: T::Err| err.to_string().chars().map(tame).collect();
    word.parse().map_err(|err| Fault::Because(sentence(err)))
}

/// The text command of a query: `add=2&names=S4,S5`, `rm=1`, `ring=SPEC`, `bound=X`.
pub(super) fn planned(query: &str) -> String {
    let mut line = "plan".to_owned();
    for field in query.split('&') {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        match name {
            "names" => line += &format!(" {}", plain(value).replace(',', " ")),
            name => line += &format!(" {} {}", plain(name), plain(value)),
        }
    }
    line
}

/// A text without its percent signs (RFC 3986 §2.1). `+` stays what it is: it is part of expressions.
pub(super) fn plain(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let coded = after.first_chunk().filter(|_| *first == b'%');
        match coded.and_then(hex) {
            Some(byte) => (bytes.push(byte), rest = &after[2..]),
            None => (bytes.push(*first), rest = after),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digits: &[u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}
