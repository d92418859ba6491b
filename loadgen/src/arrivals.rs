//! Arrival schedule of a load. In a closed loop a request is due when a connection is free; in an
//! open loop requests are due at a fixed rate, independent of the server.
//!
//! At a fixed rate, latency counts from the moment a request was *due*, not from the moment it was
//! sent. While a server stalls, the requests that should have been sent count with their whole
//! waiting time. Counting from the send would hide the stall (coordinated omission).
//!
//! The sender must not add delay of its own, and must leave the processor to the server. One task
//! waits on a [`Timer`] for the next due time. Requests that are overdue cost no system call here.

use std::cell::Cell;
use std::io;
use std::str::FromStr;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::timer::Timer;

/// Fixed rate of requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    per_second: f64,
}

impl Rate {
    /// Lowest and highest rate, in requests per second.
    pub(crate) const SLOWEST: f64 = 0.01;
    pub(crate) const FASTEST: f64 = 10_000_000.0;

    /// Returns the rate; `None` outside the bounds.
    pub(crate) fn new(per_second: f64) -> Option<Self> {
        let sane = (Self::SLOWEST..=Self::FASTEST).contains(&per_second);
        sane.then_some(Self { per_second })
    }

    /// Requests per second.
    pub(crate) fn per_second(self) -> f64 {
        self.per_second
    }

    /// Returns the time after the start at which request `index`, counted from 0, is due.
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

/// Length of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoadLength {
    /// Number of requests.
    Requests(u64),
    /// Time in which requests become due. The load ends when the last of them is answered.
    Time(Duration),
    /// Whichever of both ends first.
    First(u64, Duration),
}

/// Requests of one load, given one by one to its free connections.
#[derive(Debug)]
pub(crate) struct Arrivals {
    start: Instant,
    /// `None` in a closed loop.
    pacing: Option<Pacing>,
    length: LoadLength,
    next: Cell<u64>,
}

/// Fixed rate, and the timer that keeps it.
#[derive(Debug)]
struct Pacing {
    rate: Rate,
    /// Locked by the task that waits for the next due time. The other tasks wait for the lock.
    timer: Mutex<Timer>,
}

/// A request to be sent immediately.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// Number of the request, counted from 0.
    pub(crate) index: u64,
    /// Moment from which its latency counts.
    pub(crate) due: Instant,
}

impl Arrivals {
    /// Starts a load: at the given rate, or without one as fast as requests are answered.
    ///
    /// # Errors
    /// A rate needs a timer, and the descriptor limit is reached.
    pub(crate) fn start(rate: Option<Rate>, length: LoadLength) -> io::Result<Self> {
        let pacing = rate.map(Pacing::new).transpose()?;
        Ok(Self {
            start: Instant::now(),
            pacing,
            length,
            next: Cell::new(0),
        })
    }

    /// Waits for the next request and returns it; `None` once the load is over. Cancel safe: no
    /// number is skipped.
    ///
    /// # Errors
    /// The timer failed, because the event loop is shutting down.
    pub(crate) async fn next(&self) -> io::Result<Option<Arrival>> {
        let Some(pacing) = &self.pacing else {
            return Ok(self.take(Instant::now()));
        };
        let timer = pacing.timer.lock().await;
        let due = pacing.rate.due(self.next.get());
        let Some(due) = self.start.checked_add(due) else {
            return Ok(None);
        };
        if !self.is_over(due) {
            timer.wait_until(due).await?;
        }
        Ok(self.take(due))
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
        let is_enough = |count| self.next.get() >= count;
        let is_late = |time| due.saturating_duration_since(self.start) >= time;
        match self.length {
            LoadLength::Requests(count) => is_enough(count),
            LoadLength::Time(time) => is_late(time),
            LoadLength::First(count, time) => is_enough(count) || is_late(time),
        }
    }
}

impl Pacing {
    fn new(rate: Rate) -> io::Result<Self> {
        let timer = Mutex::new(Timer::new()?);
        Ok(Self { rate, timer })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;

    use rustix::time::{ClockId, clock_gettime};
    use tokio::time::timeout;

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

    /// Simulates 10 s at 100 requests/s on a server that answers one request at a time in 1 ms, but
    /// stalls from 5 s to 6 s. Returns the latencies counted from the send and from the due time.
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
    fn a_stall_counts_for_all_requests_that_became_due() {
        let (naive, corrected) = stalled();
        // 1 of 1,000 requests was sent into the stall, but 100 became due in it and waited up to 1
        // s.
        assert!(naive.quantile(0.99) < Duration::from_millis(2));
        assert!(corrected.quantile(0.5) < Duration::from_millis(2));
        let late = corrected.quantile(0.95).as_millis();
        assert!((400..650).contains(&late), "{late} ms");
        let latest = corrected.quantile(0.99).as_millis();
        assert!((850..1_000).contains(&latest), "{latest} ms");
    }

    fn event_loop() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    }

    #[test]
    fn a_load_ends_after_its_number_of_requests() {
        event_loop().block_on(async {
            for rate in [None, Rate::new(1e6)] {
                let arrivals = Arrivals::start(rate, LoadLength::Requests(3)).unwrap();
                for index in 0..3 {
                    assert_eq!(arrivals.next().await.unwrap().unwrap().index, index);
                }
                assert!(arrivals.next().await.unwrap().is_none());
            }
        });
    }

    #[test]
    fn no_request_is_given_out_before_its_due_time_or_after_the_end() {
        event_loop().block_on(async {
            let length = LoadLength::Time(Duration::from_millis(5));
            let arrivals = Arrivals::start(Rate::new(1_000.0), length).unwrap();
            let mut handed = 0;
            while let Some(arrival) = arrivals.next().await.unwrap() {
                assert!(Instant::now() >= arrival.due);
                assert_eq!(arrival.due - arrivals.start, Duration::from_millis(handed));
                handed += 1;
            }
            assert_eq!(handed, 5);
        });
    }

    /// Returns the output of a future, and the number of times it was polled.
    async fn count_polls<F: Future>(future: F) -> (F::Output, u32) {
        let (mut future, mut polls) = (pin!(future), 0);
        let output = poll_fn(|cx| {
            polls += 1;
            future.as_mut().poll(cx)
        });
        let output = output.await;
        (output, polls)
    }

    #[test]
    fn a_wait_for_a_due_time_is_one_wake_up() {
        // Without `enable_time`, Tokio's timers panic: their resolution is too low.
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_io().build().unwrap().block_on(async {
            let arrivals = Arrivals::start(Rate::new(1_000.0), LoadLength::Requests(20)).unwrap();
            for _ in 0..20 {
                let (arrival, polls) = count_polls(arrivals.next()).await;
                assert!(arrival.unwrap().is_some());
                // The first poll arms the timer, the second follows its expiry.
                assert!(polls <= 2, "{polls} polls");
            }
        });
    }

    #[test]
    fn waiting_for_due_times_leaves_the_processor_idle() {
        event_loop().block_on(async {
            let cpu_time = || clock_gettime(ClockId::ThreadCPUTime);
            let (start, before) = (Instant::now(), cpu_time());
            let arrivals = Arrivals::start(Rate::new(500.0), LoadLength::Requests(50)).unwrap();
            while arrivals.next().await.unwrap().is_some() {}
            let used = Duration::try_from(cpu_time() - before).unwrap();
            let took = start.elapsed();
            assert!(used < took / 2, "{used:?} of {took:?}");
        });
    }

    #[test]
    fn the_next_request_after_a_canceled_wait_is_neither_skipped_nor_early() {
        event_loop().block_on(async {
            let arrivals = Arrivals::start(Rate::new(10.0), LoadLength::Requests(3)).unwrap();
            arrivals.next().await.unwrap();
            let canceled = timeout(Duration::from_millis(1), arrivals.next()).await;
            assert!(canceled.is_err());
            // The timer of the canceled wait expires, and the event loop sees it.
            while arrivals.start.elapsed() < Duration::from_millis(110) {
                tokio::task::yield_now().await;
            }
            for index in 1..3 {
                let arrival = arrivals.next().await.unwrap().unwrap();
                assert_eq!(arrival.index, index);
                assert!(Instant::now() >= arrival.due);
            }
        });
    }

    #[test]
    fn overdue_requests_are_given_out_without_waiting() {
        event_loop().block_on(async {
            let mut arrivals = Arrivals::start(Rate::new(1e6), LoadLength::Requests(100)).unwrap();
            arrivals.start -= Duration::from_millis(1);
            for index in 0..100 {
                let (arrival, polls) = count_polls(arrivals.next()).await;
                assert_eq!((arrival.unwrap().unwrap().index, polls), (index, 1));
            }
        });
    }
}
