//! Which ring is asked for: as typed (`uniform`, `classic:slots=1024`), as told, and as built.
//!
//! What is told can be typed again and means the same. A ring of one's own may leave out what is as in
//! the coursework; a comma parts its fields, and no expression holds one.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::slot_params::{
    BadHashFn, COURSEWORK_H, COURSEWORK_PHI, HashFn, MAX_SLOTS, Probing, SlotRingParams,
};
use super::{Classic, Jump, Maglev, Rendezvous, Ring, RingError, Seat, Uniform};

/// A kind of ring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Spec {
    /// A table of buckets, each owned by its highest score.
    #[default]
    Uniform,
    /// The coursework ring: 512 slots, 9 virtual servers per seat.
    Classic,
    /// The same with the functions of a common misprint: H(i) = i + 2i² + 17, Φ(i,j) = i + j + 2j² + 25.
    ClassicBrief,
    /// The highest draw of each key.
    Rendezvous,
    /// A table that seats fill in turns.
    Maglev,
    /// A jump over buckets.
    Jump,
    /// A ring of slots of one's own.
    Custom(Arc<SlotRingParams>),
}

/// The kinds that have a name of their own.
pub const NAMED: [Spec; 6] = [
    Spec::Uniform,
    Spec::Classic,
    Spec::ClassicBrief,
    Spec::Rendezvous,
    Spec::Maglev,
    Spec::Jump,
];

/// How to write a ring of one's own.
pub const CUSTOM_USAGE: &str = "classic:h=EXPR,phi=EXPR,slots=M,vnodes=K,probe=linear|quadratic";

/// A text that names no ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseSpecError {
    /// No such name.
    #[error(
        "unknown ring '{0}': use uniform, classic, classic-brief, rendezvous, maglev, jump or {CUSTOM_USAGE}"
    )]
    Unknown(String),
    /// Something between commas that is no field, or one for the second time.
    #[error("'{0}' is no field of a ring, or given twice: write {CUSTOM_USAGE}")]
    Field(String),
    /// A function that is none, or has no value.
    #[error(transparent)]
    Formula(#[from] BadHashFn),
    /// A size out of bounds.
    #[error("{0} is not a number from 1 to {1}")]
    Size(&'static str, u32),
    /// Neither of the two.
    #[error("probe is neither linear nor quadratic")]
    Probe,
}

impl Spec {
    /// Builds the ring of `seats`.
    ///
    /// # Errors
    /// When a seat does not fit on this kind of ring.
    pub fn build(&self, seats: &BTreeSet<Seat>) -> Result<Arc<dyn Ring>, RingError> {
        let slots = |recipe| Classic::new(self.clone(), recipe, seats);
        Ok(match self {
            Self::Uniform => Arc::new(Uniform::new(seats)?),
            Self::Classic => Arc::new(slots(SlotRingParams::hash_fn(&HashFn::Coursework))?),
            Self::ClassicBrief => Arc::new(slots(SlotRingParams::hash_fn(&HashFn::Brief))?),
            Self::Custom(recipe) => Arc::new(slots(SlotRingParams::clone(recipe))?),
            Self::Rendezvous => Arc::new(Rendezvous::new(seats)),
            Self::Maglev => Arc::new(Maglev::new(seats)),
            Self::Jump => Arc::new(Jump::new(seats)),
        })
    }

    /// Whether it is a ring of slots, uneven by its making.
    #[must_use]
    pub fn is_classic(&self) -> bool {
        matches!(self, Self::Classic | Self::ClassicBrief | Self::Custom(_))
    }
}

impl FromStr for Spec {
    type Err = ParseSpecError;

    fn from_str(text: &str) -> Result<Self, ParseSpecError> {
        if let Some(fields) = text.strip_prefix("classic:") {
            return Ok(Self::Custom(Arc::new(recipe(fields)?)));
        }
        let named = NAMED.into_iter().find(|spec| spec.to_string() == text);
        named.ok_or_else(|| ParseSpecError::Unknown(begin(text)))
    }
}

fn recipe(fields: &str) -> Result<SlotRingParams, ParseSpecError> {
    let mut recipe = SlotRingParams::hash_fn(&HashFn::Coursework);
    let mut met = BTreeSet::new();
    for field in fields.split(',') {
        let no_field = || ParseSpecError::Field(begin(field));
        let (name, value) = field.split_once('=').ok_or_else(no_field)?;
        if !met.insert(name) {
            return Err(no_field());
        }
        match name {
            "h" => recipe.h = HashFn::parse_h(value)?,
            "phi" => recipe.phi = HashFn::parse_phi(value)?,
            "slots" => recipe.slots = size("slots", value, MAX_SLOTS)?,
            "vnodes" => recipe.vnodes = size("vnodes", value, MAX_SLOTS)?,
            "probe" => {
                recipe.probe = match value {
                    "linear" => Probing::Linear,
                    "quadratic" => Probing::Quadratic,
                    _ => return Err(ParseSpecError::Probe),
                }
            }
            _ => return Err(no_field()),
        }
    }
    match recipe.vnodes <= recipe.slots {
        true => Ok(recipe),
        false => Err(ParseSpecError::Size("vnodes", recipe.slots)),
    }
}

fn size(name: &'static str, text: &str, most: u32) -> Result<u32, ParseSpecError> {
    // A leading `+` is a number to Rust and to nobody else.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = text
        .parse()
        .ok()
        .filter(|n| digits && (1..=most).contains(n));
    number.ok_or(ParseSpecError::Size(name, most))
}

/// As much of a text as is repeated in an error.
fn begin(text: &str) -> String {
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
            Self::Custom(recipe) => return write!(f, "classic:{recipe}"),
        })
    }
}

impl fmt::Display for SlotRingParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |formula: &HashFn, coursework: &str, brief: &str| match formula {
            HashFn::Coursework => coursework.to_owned(),
            HashFn::Brief => brief.to_owned(),
            HashFn::Typed(expr) => expr.to_string(),
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
