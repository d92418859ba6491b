//! Detection of a server that serves one connection at a time, as an iterative server does
//! (Python's `HTTPServer` with HTTP/1.1, many development servers).
//!
//! A connection that is held between heartbeats would be the only one that such a server ever
//! serves. So a heartbeat is sent on a second connection while the first stays open. Silence on the
//! second is no proof, since a server may be slow to accept. Therefore the first must answer
//! meanwhile, several times. An answer on the second after the first was closed cannot be awaited:
//! other requests may be before it in the server's queue. A server that closes or rejects each
//! second connection is treated the same.
//!
//! An iterative server gets one connection per heartbeat. An unanswered heartbeat keeps its place
//! in the server's queue: an abandoned connection would still occupy the queue, which may hold only
//! five.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::probe::{self, Probe, ProbeOutcome};
use super::timing::timeout_excluding_stalls;
use crate::ring::Seat;
use crate::roster::ReplicaAddr;

/// Maximum time for each answer; less if heartbeats have less.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Number of answers on the first connection that are needed while the second is silent.
const PROBE_ROUNDS: u32 = 3;
/// Maximum time that one heartbeat waits for its turn.
const MAX_TURN: Duration = Duration::from_secs(5);

/// The result of the detection.
#[derive(Debug)]
pub(super) enum ServerKind {
    /// Both connections are served; the first can be used further.
    Concurrent(TcpStream),
    /// Only the first connection is served; it is closed when this is dropped. The second waits for
    /// its turn.
    Iterative(TcpStream, TakingTurns),
    /// The result is unclear, and the first connection is closed.
    Unclear,
}

/// Detects the kind of the server at `addr`, which has answered on `first`. `limit` is the time for
/// each answer. Dropping the future closes all connections.
pub(super) async fn detect(
    addr: ReplicaAddr,
    probe: &Probe,
    assigned_seat: Option<Seat>,
    mut first: TcpStream,
    limit: Duration,
) -> ServerKind {
    let limit = limit.min(MAX_WAIT);
    let (sent, mut second) = (Instant::now(), probe_alone(addr, probe, assigned_seat));
    for _ in 0..PROBE_ROUNDS {
        match timeout_excluding_stalls(limit, second.as_mut()).await {
            None => {}
            Some(ProbeOutcome::Closed | ProbeOutcome::Wrong(..)) => {
                second = probe_alone(addr, probe, assigned_seat);
            }
            Some(_) => return ServerKind::Concurrent(first),
        }
        let again = probe::run(addr, probe, Some(first), true, assigned_seat);
        match timeout_excluding_stalls(limit, again).await {
            Some(ProbeOutcome::Healthy(Some(stream), _)) => first = stream,
            _ => return ServerKind::Unclear,
        }
    }
    let waiting = Some((sent, second));
    ServerKind::Iterative(first, TakingTurns { waiting })
}

/// Sends a heartbeat on a connection of its own.
fn probe_alone(addr: ReplicaAddr, probe: &Probe, assigned_seat: Option<Seat>) -> PendingProbe {
    let probe = probe.clone();
    Box::pin(async move { probe::run(addr, &probe, None, false, assigned_seat).await })
}

/// The heartbeats of a server that serves one connection at a time.
#[derive(Default)]
pub(super) struct TakingTurns {
    /// The unanswered heartbeat, and its send time.
    waiting: Option<(Instant, PendingProbe)>,
}

/// A heartbeat on a connection of its own.
type PendingProbe = Pin<Box<dyn Future<Output = ProbeOutcome> + Send>>;

impl TakingTurns {
    /// Sends a heartbeat, or waits on for the answer of the last one, for at most `limit`.
    pub(super) async fn next_turn(
        &mut self,
        addr: ReplicaAddr,
        probe: &Probe,
        assigned_seat: Option<Seat>,
        limit: Duration,
    ) -> ProbeOutcome {
        let now = Instant::now();
        let waiting = self.waiting.take();
        let waiting = waiting.filter(|(sent, _)| now - *sent < MAX_TURN);
        let (sent, mut pending) =
            waiting.unwrap_or_else(|| (now, probe_alone(addr, probe, assigned_seat)));
        let outcome = timeout_excluding_stalls(limit, pending.as_mut()).await;
        outcome.unwrap_or_else(|| {
            self.waiting = Some((sent, pending));
            ProbeOutcome::Silent
        })
    }
}

impl fmt::Debug for TakingTurns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = self.waiting.as_ref().map(|(sent, _)| sent);
        f.debug_struct("TakingTurns")
            .field("waiting", &sent)
            .finish()
    }
}
