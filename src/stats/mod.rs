//! Statistics: the counters of all workers, summed at one moment, kept for a few seconds and
//! subtracted for rates and recent times. The rates of all seats together are kept for two minutes.
//!
//! Nothing here is on a request's way: the reader does the work. Only the [`CounterRegistry`] is
//! shared with the fleet. The rest are values, and the time is a parameter. The counts of a seat
//! never decrease, although each of its replicas starts with new counters.

mod connection_counts;
mod counts;
mod history;
mod queue_counts;
mod registry;
mod sampler;
mod timeline;

pub use connection_counts::ConnectionCounts;
pub use counts::{FleetCountsSnapshot, PortCounts, SeatCounts};
pub use history::{History, Rates, SNAPSHOTS_KEPT, StatsSnapshot, TICK};
pub use queue_counts::QueueCounts;
pub use registry::CounterRegistry;
pub use sampler::{Sampler, WindowedStats};
pub use timeline::{TIMELINE_POINTS, Timeline, TimelinePoint};
