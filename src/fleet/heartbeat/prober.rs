//! The loop behind the heartbeats of one replica: when to ask, on which connection, and what an outcome means.
//!
//! It judges one answer, never the replica. Surprising: the first good answer of a standby that is being given
//! its seat tells whether it knows it.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep_until};

use super::iterative::{self, ServerKind, TakingTurns};
use super::probe::{self, ProbeKind, ProbeOutcome};
use super::response::Identity;
use super::timing::timeout_excluding_stalls;
use super::{ProbeSchedule, ProbeTarget, ProbeTrigger};
use crate::fleet::plan::{MissReason, ProbeEvent};
use crate::metrics::SeatCounters;
use crate::roster::ReplicaId;

/// The deadline of the heartbeat that follows an unexpected end.
const CHECK_TIMEOUT: Duration = Duration::from_millis(100);
/// Between tries of one that has just been started.
const EAGER_DELAY: Duration = Duration::from_millis(10);
/// Until the next try after a fresh connection ended without an answer.
const AFTER_CLOSED: Duration = Duration::from_millis(100);
/// An end this soon after an answer is the server's style, not suspicious.
pub(super) const RIGHT_AFTER: Duration = Duration::from_millis(20);
/// Ends in a row, each of a connection that carried one answer, that make it a habit.
const CLOSES_EACH_TIME: u32 = 2;
/// How often a server is probed with a second connection, if it is not clear what it does.
const PROBES: u32 = 3;
/// The least time between two heartbeats, however often we are poked.
const POKE_GAP: Duration = Duration::from_millis(10);

/// When to ask next.
enum NextProbe {
    /// At once, with this much time for the answer.
    Now(Duration),
    /// Then, unless something happens before.
    At(Instant),
}

/// The loop of one replica's heartbeats.
pub(super) struct Prober {
    patient: ProbeTarget,
    /// Whether it has the seat that was to be given to it.
    is_seated: bool,
    rhythm: ProbeSchedule,
    cells: Arc<SeatCounters>,
    pulses: UnboundedSender<(ReplicaId, ProbeEvent)>,
    poke: Arc<ProbeTrigger>,
    held: Option<TcpStream>,
    last_answer: Option<Instant>,
    /// Held connections in a row that ended before they carried a second answer.
    ends: u32,
    /// How often it may still be probed with a second connection.
    probes: u32,
    /// Whether the held connection has just carried another answer, and the server is to be probed.
    probe_due: bool,
    /// How it is asked if it serves one connection at a time.
    turns: Option<TakingTurns>,
}

impl Prober {
    /// Before the first heartbeat.
    pub(super) fn new(
        patient: ProbeTarget,
        rhythm: ProbeSchedule,
        cells: Arc<SeatCounters>,
        pulses: UnboundedSender<(ReplicaId, ProbeEvent)>,
        poke: Arc<ProbeTrigger>,
    ) -> Self {
        Self {
            is_seated: patient.gives.is_none(),
            patient,
            probes: match rhythm.ask {
                ProbeKind::Get { .. } => PROBES,
                ProbeKind::Connect => 0,
            },
            rhythm,
            cells,
            pulses,
            poke,
            held: None,
            last_answer: None,
            ends: 0,
            probe_due: false,
            turns: None,
        }
    }

    /// Asks until nobody listens.
    pub(super) async fn run(mut self) {
        let mut limit = self.rhythm.timeout;
        while !self.pulses.is_closed() {
            let sent = Instant::now();
            let reused = self.held.is_some();
            let outcome = self.probe_once(limit).await;
            let outcome = self.patient.recognise(outcome);
            let next = self.evaluate(outcome, reused, sent);
            self.probe().await;
            limit = match next {
                NextProbe::Now(limit) => limit,
                NextProbe::At(then) => self.wait_watching(sent, then).await,
            };
        }
    }

    /// Sends a heartbeat, or waits on for the one that waits for its turn.
    async fn probe_once(&mut self, limit: Duration) -> ProbeOutcome {
        let ProbeTarget { addr, gives, .. } = self.patient;
        let Some(turns) = &mut self.turns else {
            let (held, keep) = (self.held.take(), !self.closes_each_time());
            let work = probe::run(addr, &self.rhythm.ask, held, keep, gives);
            return timeout_excluding_stalls(limit, work)
                .await
                .unwrap_or(ProbeOutcome::Silent);
        };
        turns.next_turn(addr, &self.rhythm.ask, gives, limit).await
    }

    /// Finds out once whether the server serves one connection at a time, if it is one that keeps them.
    async fn probe(&mut self) {
        if !mem::take(&mut self.probe_due) {
            return;
        }
        let Some(first) = self.held.take() else {
            return;
        };
        self.probes -= 1;
        let ProbeTarget { addr, gives, .. } = self.patient;
        let (ask, limit) = (&self.rhythm.ask, self.rhythm.timeout);
        match iterative::probe(addr, ask, gives, first, limit).await {
            ServerKind::Concurrent(first) => {
                self.held = Some(first);
                self.probes = 0;
            }
            ServerKind::Iterative(first, turns) => {
                tracing::info!("{addr} serves one connection at a time: none to it is kept");
                self.probes = 0;
                self.turns = Some(turns);
                // Before its turn ends, so that nobody keeps the next one.
                self.send(ProbeEvent::Iterative);
                drop(first);
            }
            ServerKind::Unclear => {}
        }
    }

    fn send(&self, pulse: ProbeEvent) {
        if matches!(pulse, ProbeEvent::Missed { .. } | ProbeEvent::Refused(_)) {
            self.cells.missed.add(1);
        }
        // Without a fleet there is nobody to tell, and the loop ends.
        let _ = self.pulses.send((self.patient.id, pulse));
    }

    fn missed(&self, sent: Instant, why: MissReason) {
        let sent = sent.into_std();
        self.send(ProbeEvent::Missed { sent, why });
    }

    /// Whether each connection is for one answer only, because the server ends it or serves no other
    /// meanwhile.
    fn closes_each_time(&self) -> bool {
        self.ends >= CLOSES_EACH_TIME || self.turns.is_some()
    }

    /// Tells what came of a heartbeat and says when to send the next.
    fn evaluate(&mut self, outcome: ProbeOutcome, reused: bool, sent: Instant) -> NextProbe {
        let starting = self.rhythm.eager && self.last_answer.is_none();
        let soon = |usual: Instant| {
            if starting {
                Instant::now() + EAGER_DELAY
            } else {
                usual
            }
        };
        let beat = sent + self.rhythm.interval;
        match outcome {
            ProbeOutcome::Healthy(stream, identity) => {
                self.answered(stream, identity, reused, sent)
            }
            ProbeOutcome::Wrong(status, stream) => {
                self.held = stream.filter(|_| !self.closes_each_time());
                self.missed(sent, MissReason::Wrong(status));
                NextProbe::At(soon(beat))
            }
            ProbeOutcome::Silent => {
                self.missed(sent, MissReason::Silent);
                NextProbe::Now(self.rhythm.timeout)
            }
            ProbeOutcome::Closed if reused => {
                let style = self
                    .style_until()
                    .is_some_and(|until| Instant::now() <= until);
                NextProbe::Now(self.ended(style))
            }
            ProbeOutcome::Closed => {
                self.missed(sent, MissReason::Closed);
                NextProbe::At(soon(sent + AFTER_CLOSED))
            }
            ProbeOutcome::Garbled => {
                self.missed(sent, MissReason::Garbled);
                NextProbe::At(soon(beat))
            }
            ProbeOutcome::Refused(_) if starting => NextProbe::At(soon(beat)),
            ProbeOutcome::Refused(why) => {
                self.send(ProbeEvent::Refused(why));
                NextProbe::At(beat)
            }
            ProbeOutcome::Unable(err) => {
                tracing::warn!("cannot send a heartbeat to {}: {err}", self.patient.addr);
                NextProbe::At(beat)
            }
        }
    }

    /// Tells of a good answer, and says when to send the next heartbeat.
    fn answered(
        &mut self,
        stream: Option<TcpStream>,
        identity: Option<Identity>,
        reused: bool,
        sent: Instant,
    ) -> NextProbe {
        if reused {
            self.ends = 0;
        }
        if identity.is_some() {
            // The bundled replica serves many connections.
            self.probes = 0;
        }
        if !mem::replace(&mut self.is_seated, true) {
            // Whoever takes no notice of seats does not say one either.
            let knows = identity.is_some_and(|who| who.seat.is_some());
            self.send(ProbeEvent::Seated { knows });
        }
        let now = Instant::now();
        self.last_answer = Some(now);
        self.cells.heartbeats.observe(now - sent);
        let micros = u64::try_from((now - sent).as_micros()).unwrap_or(u64::MAX);
        self.poke.latency.store(micros.max(1), Ordering::Relaxed);
        self.held = stream.filter(|_| !self.closes_each_time());
        self.send(ProbeEvent::Answered);
        let beat = sent + self.rhythm.interval;
        let is_unknown = self.held.is_some() && self.probes > 0;
        self.probe_due = is_unknown && reused;
        NextProbe::At(match is_unknown && !reused {
            // Whether the server keeps its connections shows soon.
            true => beat.min(now + RIGHT_AFTER),
            false => beat,
        })
    }

    /// The held connection ended; `expected` if the server said something before, or ends it right after
    /// its answers. Returns the time that the next heartbeat has.
    fn ended(&mut self, expected: bool) -> Duration {
        self.held = None;
        self.ends = self.ends.saturating_add(1);
        if !expected {
            self.send(ProbeEvent::Broken);
        }
        CHECK_TIMEOUT.min(self.rhythm.timeout)
    }

    /// Until when an end is the server's style.
    fn style_until(&self) -> Option<Instant> {
        self.last_answer.map(|at| at + RIGHT_AFTER)
    }

    /// Waits until `then`, a poke, or the end of the held connection. Returns the time that the next
    /// heartbeat has.
    ///
    /// What happened before a timer fires is looked at first: an end that we hear of late, having slept
    /// ourselves, was not late.
    async fn wait_watching(&mut self, sent: Instant, then: Instant) -> Duration {
        let mut style = self.style_until();
        loop {
            tokio::select! {
                biased;
                said = probe::has_unsolicited(self.held.as_ref(), &self.rhythm.ask) => return self.ended(said || style.is_some()),
                () = self.poke.now.notified() => break,
                () = sleep_until(style.unwrap_or(then)), if style.is_some() => style = None,
                () = sleep_until(then) => return self.rhythm.timeout,
            }
        }
        if self.poke.fresh.swap(false, Ordering::Relaxed) {
            self.held = None;
        }
        sleep_until(sent + POKE_GAP).await;
        self.rhythm.timeout
    }
}
