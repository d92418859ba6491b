//! Heartbeats: one task for each replica, which asks it again and again and tells what came of it.
//!
//! It gives no verdict: it says answered, missed, broken or refused, and the plan judges. Between two
//! heartbeats it holds the connection and notices its end at once, which is the fastest sign of death.
//! A heartbeat that is only a connection is a fresh one each time, which takes the held one's place.
//! Surprising: such an end alone proves nothing, since servers close kept connections as they like; so
//! it is only a reason to ask again at once, and a server that makes it a habit gets a connection for
//! each heartbeat. Our own lateness is no miss: see [`punctual`].

mod answer;
mod exchange;
mod wait;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::plan::{Miss, Pulse};
use crate::metrics::SeatCells;
use crate::roster::{ReplicaAddr, ReplicaId};
use exchange::Outcome;
use wait::{end, punctual, stir};

pub(super) use answer::Identity;
pub use exchange::Ask;
pub(super) use exchange::identify;

/// The deadline of the heartbeat that follows an unexpected end.
const CHECK: Duration = Duration::from_millis(100);
/// Between tries of one that has just been started.
const EAGER: Duration = Duration::from_millis(10);
/// Until the next try after a fresh connection ended without an answer.
const AFTER_CLOSED: Duration = Duration::from_millis(100);
/// An end this soon after an answer is the server's style, not suspicious.
const RIGHT_AFTER: Duration = Duration::from_millis(20);
/// Ends in a row, each of a connection that carried one answer, that make it a habit.
const HABIT: u32 = 2;
/// The least time between two heartbeats, however often we are poked.
const POKE_GAP: Duration = Duration::from_millis(10);

/// How to ask.
#[derive(Clone, Debug)]
pub(super) struct Rhythm {
    /// Time between heartbeats.
    pub(super) interval: Duration,
    /// An answer later than this is a miss.
    pub(super) timeout: Duration,
    /// What to ask.
    pub(super) ask: Ask,
    /// Ask one that has never answered again and again without delay: it is just starting.
    pub(super) eager: bool,
}

/// The heartbeats of one replica; they end when it is dropped.
#[derive(Debug)]
pub(super) struct Heart {
    poke: Arc<Poke>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Poke {
    now: Notify,
    fresh: AtomicBool,
    /// How long the last answer took, in microseconds and at least 1; 0 before the first.
    latency: AtomicU64,
}

impl Heart {
    /// Begins to ask `id` at `addr`, at once, and sends what comes of it to `pulses`. There is at most
    /// one heartbeat under way, so the channel cannot grow without end. An answer of somebody else than
    /// `expected` means that its address is another's by now. Times and misses are counted in `cells`.
    pub(super) fn begin(
        id: ReplicaId,
        addr: ReplicaAddr,
        expected: Option<Identity>,
        rhythm: Rhythm,
        cells: Arc<SeatCells>,
        pulses: UnboundedSender<(ReplicaId, Pulse)>,
    ) -> Self {
        let poke = Arc::new(Poke::default());
        let watcher = Watcher {
            id,
            addr,
            expected,
            rhythm,
            cells,
            pulses,
            poke: Arc::clone(&poke),
            held: None,
            last_answer: None,
            ends: 0,
        };
        let task = tokio::spawn(watcher.run());
        Self { poke, task }
    }

    /// Asks now rather than at the next beat; on a fresh connection if so said.
    pub(super) fn beat_now(&self, fresh: bool) {
        if fresh {
            self.poke.fresh.store(true, Ordering::Relaxed);
        }
        self.poke.now.notify_one();
    }

    /// How long the last heartbeat took that was answered.
    pub(super) fn latency(&self) -> Option<Duration> {
        let micros = self.poke.latency.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// When to ask next.
enum Next {
    /// At once, with this much time for the answer.
    Now(Duration),
    /// Then, unless something happens before.
    At(Instant),
}

struct Watcher {
    id: ReplicaId,
    addr: ReplicaAddr,
    expected: Option<Identity>,
    rhythm: Rhythm,
    cells: Arc<SeatCells>,
    pulses: UnboundedSender<(ReplicaId, Pulse)>,
    poke: Arc<Poke>,
    held: Option<TcpStream>,
    last_answer: Option<Instant>,
    /// Held connections in a row that ended before they carried a second answer.
    ends: u32,
}

impl Watcher {
    async fn run(mut self) {
        let mut limit = self.rhythm.timeout;
        while !self.pulses.is_closed() {
            let sent = Instant::now();
            let reused = self.held.is_some();
            let (held, keep) = (self.held.take(), !self.is_habit());
            let work = exchange::run(self.addr, &self.rhythm.ask, held, keep);
            let outcome = punctual(limit, work).await.unwrap_or(Outcome::Silent);
            let outcome = self.recognise(outcome);
            limit = match self.judge(outcome, reused, sent) {
                Next::Now(limit) => limit,
                Next::At(then) => self.rest(sent, then).await,
            };
        }
    }

    fn tell(&self, pulse: Pulse) {
        if matches!(pulse, Pulse::Missed { .. } | Pulse::Refused(_)) {
            self.cells.missed.add(1);
        }
        // Without a fleet there is nobody to tell, and the loop ends.
        let _ = self.pulses.send((self.id, pulse));
    }

    fn missed(&self, sent: Instant, why: Miss) {
        let sent = sent.into_std();
        self.tell(Pulse::Missed { sent, why });
    }

    /// Somebody else's answer is as good as a refusal.
    fn recognise(&self, outcome: Outcome) -> Outcome {
        match (outcome, &self.expected) {
            (Outcome::Healthy(_, Some(who)), Some(expected)) if who != *expected => {
                let Identity { name, seat } = who;
                Outcome::Refused(format!("its address is that of {name} in seat {seat}"))
            }
            (outcome, _) => outcome,
        }
    }

    /// Whether this server ends each connection after one answer.
    fn is_habit(&self) -> bool {
        self.ends >= HABIT
    }

    /// Tells what came of a heartbeat and says when to send the next.
    fn judge(&mut self, outcome: Outcome, reused: bool, sent: Instant) -> Next {
        let starting = self.rhythm.eager && self.last_answer.is_none();
        let soon = |usual: Instant| {
            if starting {
                Instant::now() + EAGER
            } else {
                usual
            }
        };
        let beat = sent + self.rhythm.interval;
        match outcome {
            Outcome::Healthy(stream, _) => {
                if reused {
                    self.ends = 0;
                }
                let now = Instant::now();
                self.last_answer = Some(now);
                self.cells.heartbeats.count(now - sent);
                let micros = u64::try_from((now - sent).as_micros()).unwrap_or(u64::MAX);
                self.poke.latency.store(micros.max(1), Ordering::Relaxed);
                self.held = stream.filter(|_| !self.is_habit());
                self.tell(Pulse::Answered);
                Next::At(beat)
            }
            Outcome::Wrong(status, stream) => {
                self.held = stream.filter(|_| !self.is_habit());
                self.missed(sent, Miss::Wrong(status));
                Next::At(soon(beat))
            }
            Outcome::Silent => {
                self.missed(sent, Miss::Silent);
                Next::Now(self.rhythm.timeout)
            }
            Outcome::Closed if reused => Next::Now(self.ended(false)),
            Outcome::Closed => {
                self.missed(sent, Miss::Closed);
                Next::At(soon(sent + AFTER_CLOSED))
            }
            Outcome::Garbled => {
                self.missed(sent, Miss::Garbled);
                Next::At(soon(beat))
            }
            Outcome::Refused(_) if starting => Next::At(soon(beat)),
            Outcome::Refused(why) => {
                self.tell(Pulse::Refused(why));
                Next::At(beat)
            }
            Outcome::Unable(err) => {
                tracing::warn!("cannot send a heartbeat to {}: {err}", self.addr);
                Next::At(beat)
            }
        }
    }

    /// The held connection ended; `expected` if the server said something before. Returns the time that
    /// the next heartbeat has.
    fn ended(&mut self, expected: bool) -> Duration {
        self.held = None;
        self.ends = self.ends.saturating_add(1);
        let after = self.last_answer.map(|at| at.elapsed());
        if !expected && after.is_none_or(|after| after > RIGHT_AFTER) {
            self.tell(Pulse::Broken);
        }
        CHECK.min(self.rhythm.timeout)
    }

    /// Waits for the end of the held connection; forever without one. Returns whether the server said
    /// something before, where it has nothing to say unasked. Cancel safe.
    async fn stirs(&self) -> bool {
        let Some(held) = &self.held else {
            return std::future::pending().await;
        };
        match self.rhythm.ask {
            Ask::Path(_) => stir(held).await,
            Ask::Connect => {
                end(held).await;
                false
            }
        }
    }

    /// Waits until `then`, a poke, or the end of the held connection. Returns the time that the next
    /// heartbeat has.
    async fn rest(&mut self, sent: Instant, then: Instant) -> Duration {
        tokio::select! {
            biased;
            expected = self.stirs() => return self.ended(expected),
            () = self.poke.now.notified() => {}
            () = sleep_until(then) => return self.rhythm.timeout,
        }
        if self.poke.fresh.swap(false, Ordering::Relaxed) {
            self.held = None;
        }
        sleep_until(sent + POKE_GAP).await;
        self.rhythm.timeout
    }
}

#[cfg(test)]
mod tests;
