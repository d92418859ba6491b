//! What was counted, as plain numbers: read off the cells of all workers at one moment, kept for a few
//! seconds, and subtracted to tell rates and times of late.
//!
//! Nothing here is on a request's way: whoever looks does the work. Only the [`Ledger`] is shared with the
//! fleet; the rest are values, and time is passed in. The surprise: a seat's counts never go back, though
//! each replica that sits in it begins with cells of its own.

mod counts;
mod history;
mod registry;
mod sampler;

pub use counts::{FleetCountsSnapshot, PortCounts, SeatCounts};
pub use history::{History, KEPT, Rates, StatsSnapshot, TICK};
pub use registry::CounterRegistry;
pub use sampler::{Sampler, WindowedStats};
