//! The numbers of one moment, which both forms of the report show.

use std::time::{Duration, Instant};

use crate::control::context::{FleetCounts, StatsSources};
use crate::control::seat_state::seat_state;
use crate::ring::Seat;
use crate::roster::Roster;
use crate::stats::{Rates, SeatCounts, WindowedStats};

/// The numbers of one moment.
pub(super) struct StatsReport<'a> {
    pub(super) engine: &'static str,
    pub(super) fleet: FleetCounts,
    /// Version of the followed service, and the age of its latest reading.
    pub(super) service: Option<(u64, Duration)>,
    pub(super) roster: &'a Roster,
    pub(super) stats: WindowedStats,
    /// Sums over all seats, including those that have left the ring.
    pub(super) all: (SeatCounts, Rates),
}

/// The replica in a seat.
pub(super) struct Holder<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) address: Option<String>,
    pub(super) state: &'static str,
    pub(super) weight: u16,
}

impl<'a> StatsReport<'a> {
    pub(super) fn new(sources: &StatsSources, roster: &'a Roster, now: Instant) -> Self {
        let stats = sources.recorder.windowed(now);
        Self {
            engine: sources.engine,
            fleet: (sources.fleet_counts)(),
            service: sources.service_reading(now),
            roster,
            all: stats.total(),
            stats,
        }
    }

    /// Returns the seats on the ring, in order.
    pub(super) fn seats(&self) -> impl Iterator<Item = (Seat, SeatCounts, Rates)> + '_ {
        self.roster.ring.seats().iter().map(|seat| {
            let (counts, recent) = self.stats.seat(*seat);
            (*seat, counts, recent)
        })
    }

    pub(super) fn holder(&self, seat: Seat) -> Holder<'_> {
        let member = self.roster.member(seat);
        Holder {
            name: member.map(|member| member.name.as_ref()),
            address: member.map(|member| member.addr.to_string()),
            state: seat_state(member),
            weight: self.roster.ring.weights().of(seat).get(),
        }
    }
}

/// Converts to milliseconds.
pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
