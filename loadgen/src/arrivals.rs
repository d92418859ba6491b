//! When requests are due: at once when a connection is free (closed loop), or at a fixed rate, whatever
//! the server does (open loop).
//!
//! At a fixed rate a latency counts from the moment a request was *due*, not from the moment it could be
//! sent: while a server stalls, the requests that should have been sent count with all the time they
//! waited. Counting from the sending would leave them out, and with them the stall (coordinated
//! omission). So the hand that sends must not be late itself: tokio's timers tick in milliseconds, and
//! the last two before a request is due are waited for awake, which keeps the thread busy above
//! 500 requests/s.

use std::cell::Cell;
use std::str::FromStr;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// How long before its time a request is waited for awake.
const SPIN: Duration = Duration::from_millis(2);

/// A fixed rate of requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    per_second: f64,
}

impl Rate {
    /// The slowest and the fastest, in requests per second.
    pub(crate) const SLOWEST: f64 = 0.01;
    pub(crate) const FASTEST: f64 = 10_000_000.0;

    /// So many requests a second; `None` outside the bounds.
    pub(crate) fn new(per_second: f64) -> Option<Self> {
        let sane = (Self::SLOWEST..=Self::FASTEST).contains(&per_second);
        sane.then_some(Self { per_second })
    }

    /// Requests per second.
    pub(crate) fn per_second(self) -> f64 {
        self.per_second
    }

    /// When request `index`, counted from 0, is due after the start.
    pub(crate) fn due(self, index: u64) -> Duration {
        let seconds = crate::float::as_f64(index) / self.per_second;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rate = text.parse().ok().and_then(Self::new);
        rate.ok_or_else(|| {
            format!(
                "a rate is {} to {} requests/s",
                Self::SLOWEST,
                Self::FASTEST
            )
        })
    }
}

/// When a load ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoadLength {
    /// After so many requests.
    Requests(u64),
    /// With the last request that is due before so much time has passed.
    Time(Duration),
}

/// The requests of one load, handed out one by one to whoever has a connection free.
#[derive(Debug)]
pub(crate) struct Arrivals {
    start: Instant,
    rate: Option<Rate>,
    length: LoadLength,
    next: Cell<u64>,
    /// At a fixed rate only the first of those who wait watches the clock.
    pacing_lock: Mutex<()>,
}

/// A request to be sent now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// Its number, counted from 0.
    pub(crate) index: u64,
    /// From when its latency counts.
    pub(crate) due: Instant,
}

impl Arrivals {
    /// A load that starts now: at this rate, or as fast as it is answered.
    pub(crate) fn start(rate: Option<Rate>, length: LoadLength) -> Self {
        Self {
            start: Instant::now(),
            rate,
            length,
            next: Cell::new(0),
            pacing_lock: Mutex::new(()),
        }
    }

    /// The next request, when it is due; `None` once the load is over. Cancel safe: nothing is lost.
    pub(crate) async fn next(&self) -> Option<Arrival> {
        let Some(rate) = self.rate else {
            return self.take(Instant::now());
        };
        let _turn = self.pacing_lock.lock().await;
        let due = self.start.checked_add(rate.due(self.next.get()))?;
        if !self.is_over(due) {
            wait_until(due).await;
        }
        self.take(due)
    }

    fn take(&self, due: Instant) -> Option<Arrival> {
        if self.is_over(due) {
            return None;
        }
        let index = self.next.get();
        self.next.set(index + 1);
        Some(Arrival { index, due })
    }

    fn is_over(&self, due: Instant) -> bool {
        match self.length {
            LoadLength::Requests(count) => self.next.get() >= count,
            LoadLength::Time(time) => due.saturating_duration_since(self.start) >= time,
        }
    }
}

async fn wait_until(due: Instant) {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if left > SPIN {
            tokio::time::sleep(left - SPIN).await;
        } else {
            // Sockets are looked after in between.
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Latencies;

    #[test]
    fn requests_are_due_in_even_steps() {
        let rate = Rate::new(4.0).unwrap();
        let due = [0, 1, 4, 10].map(|index| rate.due(index).as_millis());
        assert_eq!(due, [0, 250, 1_000, 2_500]);
        assert_eq!(
            Rate::new(1e7).unwrap().due(u64::MAX).as_secs(),
            1_844_674_407_370
        );
        for nonsense in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e8] {
            assert_eq!(Rate::new(nonsense), None, "{nonsense}");
        }
    }

    /// A server that answers one at a time within 1 ms, but for one second at 5 s in which it stalls,
    /// asked 100 times a second for 10 s. Returns latencies counted from the sending and from the time
    /// a request was due.
    fn stalled() -> (Latencies, Latencies) {
        let (mut naive, mut corrected) = (Latencies::new().unwrap(), Latencies::new().unwrap());
        let rate = Rate::new(100.0).unwrap();
        let ms = Duration::from_millis;
        let mut free = Duration::ZERO;
        for index in 0..1_000 {
            let due = rate.due(index);
            let sent = due.max(free);
            let stalls = (ms(5_000)..ms(6_000)).contains(&sent);
            free = ms(1) + if stalls { ms(6_000) } else { sent };
            naive.record(free - sent);
            corrected.record(free - due);
        }
        (naive, corrected)
    }

    #[test]
    fn a_stall_counts_for_all_who_should_have_been_sent() {
        let (naive, corrected) = stalled();
        // 1 of 1,000 was sent into the stall, but 100 were due in it, waiting 0 to 1 s.
        assert!(naive.quantile(0.99) < Duration::from_millis(2));
        assert!(corrected.quantile(0.5) < Duration::from_millis(2));
        let late = corrected.quantile(0.95).as_millis();
        assert!((400..650).contains(&late), "{late} ms");
        let latest = corrected.quantile(0.99).as_millis();
        assert!((850..1_000).contains(&latest), "{latest} ms");
    }

    fn paused() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().build().unwrap()
    }

    #[test]
    fn so_many_and_no_more() {
        paused().block_on(async {
            for rate in [None, Rate::new(1e6)] {
                let arrivals = Arrivals::start(rate, LoadLength::Requests(3));
                for index in 0..3 {
                    assert_eq!(arrivals.next().await.unwrap().index, index);
                }
                assert!(arrivals.next().await.is_none());
            }
        });
    }

    #[test]
    fn none_is_handed_out_before_it_is_due_or_after_the_end() {
        paused().block_on(async {
            let arrivals = Arrivals::start(
                Rate::new(1_000.0),
                LoadLength::Time(Duration::from_millis(5)),
            );
            let mut handed = 0;
            while let Some(arrival) = arrivals.next().await {
                assert!(Instant::now() >= arrival.due);
                assert_eq!(arrival.due - arrivals.start, Duration::from_millis(handed));
                handed += 1;
            }
            assert_eq!(handed, 5);
        });
    }
}
