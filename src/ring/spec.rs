//! Kind of a ring: as typed (`uniform`, `classic:slots=1024`), as printed, and as built.
//!
//! The printed form can be parsed again and means the same. A custom ring may omit the fields that
//! are as in the coursework. A comma separates its fields, and no expression contains one.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::slot_params::{
    BadHashFn, COURSEWORK_H, COURSEWORK_PHI, HashFn, MAX_SLOTS, Probing, SlotRingParams,
};

/// Kind of ring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Spec {
    /// Table of buckets, each owned by the seat with the highest score.
    #[default]
    Uniform,
    /// The coursework ring: 512 slots, 9 virtual servers per seat.
    Classic,
    /// The same with the functions of a common misprint: H(i) = i + 2i² + 17, Φ(i,j) = i + j + 2j²
    /// + 25.
    ClassicBrief,
    /// Highest score of each key.
    Rendezvous,
    /// Table that the seats fill in turns.
    Maglev,
    /// Jumps over buckets.
    Jump,
    /// Custom slot ring.
    Custom(Arc<SlotRingParams>),
}

/// Kinds that have a name.
pub const NAMED: [Spec; 6] = [
    Spec::Uniform,
    Spec::Classic,
    Spec::ClassicBrief,
    Spec::Rendezvous,
    Spec::Maglev,
    Spec::Jump,
];

/// Syntax of a custom ring.
pub const CUSTOM_USAGE: &str = "classic:h=EXPR,phi=EXPR,slots=M,vnodes=K,probe=linear|quadratic";

/// Error for a text that is not a ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseSpecError {
    /// The name is unknown.
    #[error(
        "unknown ring '{0}': use uniform, classic, classic-brief, rendezvous, maglev, jump or {CUSTOM_USAGE}"
    )]
    Unknown(String),
    /// A part between commas is not a field, or repeats one.
    #[error("'{0}' is not a field of a ring, or is given twice: write {CUSTOM_USAGE}")]
    Field(String),
    /// A function is invalid, or has no value.
    #[error(transparent)]
    Function(#[from] BadHashFn),
    /// A size is out of bounds.
    #[error("{0} is not a number from 1 to {1}")]
    Size(&'static str, u32),
    /// The probing is neither linear nor quadratic.
    #[error("probe is neither linear nor quadratic")]
    Probe,
}

impl Spec {
    /// Returns `true` for a slot ring, which is uneven by design.
    #[must_use]
    pub fn is_classic(&self) -> bool {
        matches!(self, Self::Classic | Self::ClassicBrief | Self::Custom(_))
    }

    /// Returns `true` if seats may have different weights. More virtual servers would change the
    /// slots of the coursework, and jump hashing has only equal buckets.
    #[must_use]
    pub fn has_weights(&self) -> bool {
        matches!(self, Self::Uniform | Self::Rendezvous | Self::Maglev)
    }
}

impl FromStr for Spec {
    type Err = ParseSpecError;

    fn from_str(text: &str) -> Result<Self, ParseSpecError> {
        if let Some(fields) = text.strip_prefix("classic:") {
            return Ok(Self::Custom(Arc::new(parse_params(fields)?)));
        }
        let named = NAMED.into_iter().find(|spec| spec.to_string() == text);
        named.ok_or_else(|| ParseSpecError::Unknown(excerpt(text)))
    }
}

fn parse_params(fields: &str) -> Result<SlotRingParams, ParseSpecError> {
    let mut params = SlotRingParams::with_functions(&HashFn::Coursework);
    let mut seen = BTreeSet::new();
    for field in fields.split(',') {
        let bad_field = || ParseSpecError::Field(excerpt(field));
        let (name, value) = field.split_once('=').ok_or_else(bad_field)?;
        if !seen.insert(name) {
            return Err(bad_field());
        }
        match name {
            "h" => params.h = HashFn::parse_h(value)?,
            "phi" => params.phi = HashFn::parse_phi(value)?,
            "slots" => params.slots = size("slots", value, MAX_SLOTS)?,
            "vnodes" => params.vnodes = size("vnodes", value, MAX_SLOTS)?,
            "probe" => {
                params.probe = match value {
                    "linear" => Probing::Linear,
                    "quadratic" => Probing::Quadratic,
                    _ => return Err(ParseSpecError::Probe),
                }
            }
            _ => return Err(bad_field()),
        }
    }
    match params.vnodes <= params.slots {
        true => Ok(params),
        false => Err(ParseSpecError::Size("vnodes", params.slots)),
    }
}

fn size(name: &'static str, text: &str, max: u32) -> Result<u32, ParseSpecError> {
    // Rust's parser accepts a leading `+`, which is not part of the syntax.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = text
        .parse()
        .ok()
        .filter(|n| digits && (1..=max).contains(n));
    number.ok_or(ParseSpecError::Size(name, max))
}

/// Returns the part of a text that an error repeats.
fn excerpt(text: &str) -> String {
    text.chars().take(60).collect()
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uniform => "uniform",
            Self::Classic => "classic",
            Self::ClassicBrief => "classic-brief",
            Self::Rendezvous => "rendezvous",
            Self::Maglev => "maglev",
            Self::Jump => "jump",
            Self::Custom(params) => return write!(f, "classic:{params}"),
        })
    }
}

impl fmt::Display for SlotRingParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |function: &HashFn, coursework: &str, brief: &str| match function {
            HashFn::Coursework => coursework.to_owned(),
            HashFn::Brief => brief.to_owned(),
            HashFn::Custom(expr) => expr.to_string(),
        };
        let probe = match self.probe {
            Probing::Linear => "linear",
            Probing::Quadratic => "quadratic",
        };
        let h = text(&self.h, COURSEWORK_H, "i+2*i^2+17");
        let phi = text(&self.phi, COURSEWORK_PHI, "i+j+2*j^2+25");
        let (slots, vnodes) = (self.slots, self.vnodes);
        write!(
            f,
            "h={h},phi={phi},slots={slots},vnodes={vnodes},probe={probe}"
        )
    }
}
