//! The ring: a pure function from (set of seats, their weights, ring spec) to the owner of each key
//! and its fallbacks.
//!
//! It owns the types [`Seat`] and [`Key`] and knows nothing of replicas, addresses or health. A
//! seat whose replica is down stays on the ring and the caller skips it, so only its own keys move,
//! and they return. No file of this folder uses a socket, a clock or a random source.

mod arcs;
mod bid;
mod build;
mod checked;
mod circle;
mod classic;
mod error;
mod expr;
pub mod forecast;
mod jump;
mod key;
mod lookup;
mod maglev;
mod rendezvous;
mod ring_hash;
mod slot_params;
mod spec;
mod uniform;
mod weight;

pub use arcs::ArcOwners;
pub use checked::ArithmeticError;
pub use classic::Classic;
pub use error::RingError;
pub use expr::{Expr, ParseExprError};
pub use jump::Jump;
pub use key::{Key, Seat};
pub use lookup::Ring;
pub use maglev::Maglev;
pub use rendezvous::Rendezvous;
pub use ring_hash::RingHash;
pub use slot_params::{BadHashFn, HashFn, Probing, SlotRingParams};
pub use spec::{CUSTOM_USAGE, NAMED, ParseSpecError, Spec};
pub use uniform::Uniform;
pub use weight::{BadWeight, Weight, Weights};

#[cfg(test)]
mod tests;
