//! The loop behind the heartbeats of one replica: the time and the connection of each heartbeat,
//! and the meaning of its result.
//!
//! It reports single results and does not decide about health. The first good answer of a standby
//! with an assigned seat tells whether the standby knows that seat.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep_until};

use super::close_habit::{CloseHabit, USUAL_CLOSE};
use super::iterative::{self, ServerKind, TakingTurns};
use super::probe::{self, ProbeKind, ProbeOutcome};
use super::response::Identity;
use super::target::{ProbeSchedule, ProbeTarget};
use super::timing::timeout_excluding_stalls;
use super::trigger::ProbeTrigger;
use crate::fleet::plan::{MissReason, ProbeEvent, Refusal};
use crate::metrics::SeatCounters;
use crate::roster::ReplicaId;

/// Deadline of the heartbeat that follows an unexpected close.
const CHECK_TIMEOUT: Duration = Duration::from_millis(100);
/// Delay between heartbeats of a replica that is starting.
const EAGER_DELAY: Duration = Duration::from_millis(10);
/// Minimum time between two reports that a starting replica refuses connections.
const REFUSAL_INTERVAL: Duration = Duration::from_millis(500);
/// Delay after a fresh connection ended without an answer.
const CLOSED_RETRY_DELAY: Duration = Duration::from_millis(100);
/// Maximum number of detections with a second connection, if the result is unclear.
const DETECTIONS: u32 = 3;
/// Minimum time between two heartbeats, however often one is requested.
const MIN_GAP: Duration = Duration::from_millis(10);

/// The time of the next heartbeat.
enum NextProbe {
    /// At once, with this timeout.
    Now(Duration),
    /// At this time, unless something happens before.
    At(Instant),
}

/// The loop of one replica's heartbeats.
pub(super) struct Prober {
    target: ProbeTarget,
    /// `true` if the assigned seat was acknowledged.
    is_seated: bool,
    schedule: ProbeSchedule,
    counters: Arc<SeatCounters>,
    events: UnboundedSender<(ReplicaId, ProbeEvent)>,
    trigger: Arc<ProbeTrigger>,
    held: Option<TcpStream>,
    habit: CloseHabit,
    /// Number of detections of an iterative server that are left.
    detections: u32,
    /// `true` if a detection is due: the held connection has carried a second answer.
    detection_due: bool,
    /// Heartbeats of an iterative server.
    turns: Option<TakingTurns>,
    /// Time from which on the next refusal of a starting replica is reported.
    next_refusal: Option<Instant>,
}

impl Prober {
    /// Creates the loop before the first heartbeat.
    pub(super) fn new(
        target: ProbeTarget,
        schedule: ProbeSchedule,
        counters: Arc<SeatCounters>,
        events: UnboundedSender<(ReplicaId, ProbeEvent)>,
        trigger: Arc<ProbeTrigger>,
    ) -> Self {
        Self {
            is_seated: target.assigned_seat.is_none(),
            target,
            detections: match schedule.probe.kind {
                ProbeKind::Get { .. } => DETECTIONS,
                ProbeKind::Connect => 0,
            },
            schedule,
            counters,
            events,
            trigger,
            held: None,
            habit: CloseHabit::default(),
            detection_due: false,
            turns: None,
            next_refusal: None,
        }
    }

    /// Sends heartbeats until the receiver of results is dropped.
    pub(super) async fn run(mut self) {
        let mut limit = self.schedule.timeout;
        while !self.events.is_closed() {
            let sent = Instant::now();
            let reused = self.held.is_some();
            let outcome = self.probe_once(limit).await;
            let outcome = self.target.verify_identity(outcome);
            let next = self.evaluate(outcome, reused, sent);
            self.detect_kind().await;
            limit = match next {
                NextProbe::Now(limit) => limit,
                NextProbe::At(then) => self.wait_watching(sent, then).await,
            };
        }
    }

    /// Sends a heartbeat, or waits on for one that an iterative server has not answered.
    async fn probe_once(&mut self, limit: Duration) -> ProbeOutcome {
        let (addr, assigned_seat) = (self.target.addr, self.target.assigned_seat);
        let Some(turns) = &mut self.turns else {
            let (held, keep) = (self.held.take(), !self.closes_each_time());
            let work = probe::run(addr, &self.schedule.probe, held, keep, assigned_seat);
            return timeout_excluding_stalls(limit, work)
                .await
                .unwrap_or(ProbeOutcome::Silent);
        };
        let probe = &self.schedule.probe;
        turns.next_turn(addr, probe, assigned_seat, limit).await
    }

    /// Detects whether a server that keeps connections serves one at a time, if that is due.
    async fn detect_kind(&mut self) {
        if !mem::take(&mut self.detection_due) {
            return;
        }
        let Some(first) = self.held.take() else {
            return;
        };
        self.detections -= 1;
        let (addr, assigned_seat) = (self.target.addr, self.target.assigned_seat);
        let (probe, limit) = (&self.schedule.probe, self.schedule.timeout);
        match iterative::detect(addr, probe, assigned_seat, first, limit).await {
            ServerKind::Concurrent(first) => {
                self.held = Some(first);
                self.detections = 0;
            }
            ServerKind::Iterative(first, turns) => {
                tracing::info!("{addr} serves one connection at a time: none to it is kept");
                self.detections = 0;
                self.turns = Some(turns);
                // Before the first connection is closed, so that no worker holds the next one.
                self.send(ProbeEvent::Iterative);
                drop(first);
            }
            ServerKind::Unclear => {}
        }
    }

    fn send(&self, event: ProbeEvent) {
        if matches!(event, ProbeEvent::Missed { .. } | ProbeEvent::Refused(_)) {
            self.counters.missed.add(1);
        }
        // Sending fails only if the fleet has ended; the loop then ends.
        let _ = self.events.send((self.target.id, event));
    }

    fn missed(&self, sent: Instant, why: MissReason) {
        let sent = sent.into_std();
        self.send(ProbeEvent::Missed { sent, why });
    }

    /// Reports a refusal of a starting replica, at most once each [`REFUSAL_INTERVAL`].
    fn not_listening(&mut self, refusal: Refusal) {
        let now = Instant::now();
        if self.next_refusal.is_none_or(|at| at <= now) {
            self.next_refusal = Some(now + REFUSAL_INTERVAL);
            self.send(ProbeEvent::NotListening(refusal));
        }
    }

    /// Returns `true` if each connection carries one answer only: the server closes it, or serves
    /// no other connection meanwhile.
    fn closes_each_time(&self) -> bool {
        self.habit.closes_each_time() || self.turns.is_some()
    }

    /// Reports the result of a heartbeat, and returns the time of the next.
    fn evaluate(&mut self, outcome: ProbeOutcome, reused: bool, sent: Instant) -> NextProbe {
        let starting = self.schedule.eager && !self.habit.has_answered();
        let soon = |usual: Instant| match starting {
            true => Instant::now() + EAGER_DELAY,
            false => usual,
        };
        let regular = sent + self.schedule.interval;
        match outcome {
            ProbeOutcome::Healthy(stream, identity) => {
                self.answered(stream, identity, reused, sent)
            }
            ProbeOutcome::Wrong(status, stream) => {
                self.held = stream.filter(|_| !self.closes_each_time());
                self.missed(sent, MissReason::Wrong(status));
                NextProbe::At(soon(regular))
            }
            ProbeOutcome::Silent => {
                self.missed(sent, MissReason::Silent);
                NextProbe::Now(self.schedule.timeout)
            }
            ProbeOutcome::Closed if reused => {
                let usual_until = self.habit.usual_until();
                let is_usual = usual_until.is_some_and(|until| Instant::now() <= until);
                NextProbe::Now(self.closed(is_usual))
            }
            ProbeOutcome::Closed => {
                self.missed(sent, MissReason::Closed);
                NextProbe::At(soon(sent + CLOSED_RETRY_DELAY))
            }
            ProbeOutcome::Garbled => {
                self.missed(sent, MissReason::Garbled);
                NextProbe::At(soon(regular))
            }
            ProbeOutcome::Refused(refusal) if starting => {
                self.not_listening(refusal);
                NextProbe::At(soon(regular))
            }
            ProbeOutcome::Refused(refusal) => {
                self.send(ProbeEvent::Refused(refusal));
                NextProbe::At(regular)
            }
            ProbeOutcome::Unable(err) => {
                tracing::warn!("cannot send a heartbeat to {}: {err}", self.target.addr);
                NextProbe::At(regular)
            }
        }
    }

    /// Reports a good answer, and returns the time of the next heartbeat.
    fn answered(
        &mut self,
        stream: Option<TcpStream>,
        identity: Option<Identity>,
        reused: bool,
        sent: Instant,
    ) -> NextProbe {
        if identity.is_some() {
            // The bundled replica serves many connections.
            self.detections = 0;
        }
        if !mem::replace(&mut self.is_seated, true) {
            // A server without support for seats reports none.
            let knows = identity.is_some_and(|identity| identity.seat.is_some());
            self.send(ProbeEvent::Seated { knows });
        }
        let now = Instant::now();
        self.habit.record_answer(now, reused);
        self.counters.heartbeats.observe(now - sent);
        self.trigger.set_latency(now - sent);
        self.held = stream.filter(|_| !self.closes_each_time());
        self.send(ProbeEvent::Answered);
        let regular = sent + self.schedule.interval;
        let is_unknown = self.held.is_some() && self.detections > 0;
        self.detection_due = is_unknown && reused;
        NextProbe::At(match is_unknown && !reused {
            // The next answer shows whether the server keeps its connections.
            true => regular.min(now + USUAL_CLOSE),
            false => regular,
        })
    }

    /// Handles the close of the held connection. It is `expected` if the server sent data before,
    /// or closes connections right after its answers. Returns the timeout of the next heartbeat.
    fn closed(&mut self, expected: bool) -> Duration {
        self.held = None;
        self.habit.record_close();
        if !expected {
            self.send(ProbeEvent::Broken);
        }
        CHECK_TIMEOUT.min(self.schedule.timeout)
    }

    /// Waits until `then`, a request, or the close of the held connection. Returns the timeout of
    /// the next heartbeat.
    ///
    /// The held connection is polled before the timers: if this process was stalled, a close that
    /// came in time must not be reported as late.
    async fn wait_watching(&mut self, sent: Instant, then: Instant) -> Duration {
        let mut usual = self.habit.usual_until();
        loop {
            tokio::select! {
                biased;
                unsolicited = probe::until_unusable(self.held.as_ref(), &self.schedule.probe.kind) => {
                    return self.closed(unsolicited || usual.is_some());
                }
                () = self.trigger.requested() => break,
                () = sleep_until(usual.unwrap_or(then)), if usual.is_some() => usual = None,
                () = sleep_until(then) => return self.schedule.timeout,
            }
        }
        if self.trigger.take_fresh() {
            self.held = None;
        }
        sleep_until(sent + MIN_GAP).await;
        self.schedule.timeout
    }
}
