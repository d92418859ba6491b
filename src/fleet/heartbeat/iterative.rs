//! Finds out whether a server serves one connection at a time, as an iterative server does (Python's
//! `HTTPServer` with HTTP/1.1, many development servers).
//!
//! A connection that is held between heartbeats would be the only one that such a server ever serves. The
//! probe asks on a second connection while the first one stays open. Silence on the second is no proof,
//! since a server may be slow to accept. So the first must answer meanwhile, again and again. That the
//! second is answered as soon as the first is closed cannot be waited for: requests may be before it in the
//! server's queue. A server may also close each second connection, or answer there with an error: for the
//! heartbeats that is the same.
//!
//! Such a server gets one connection per heartbeat, and an unanswered heartbeat keeps its place in the
//! server's queue: a connection that is given up is still in that queue, which may have room for five.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::probe::{self, ProbeKind, ProbeOutcome};
use super::timing::timeout_excluding_stalls;
use crate::ring::Seat;
use crate::roster::ReplicaAddr;

/// The longest wait for each answer; less if heartbeats have less.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// How often the first connection must be answered while the second is not.
const PROBE_ROUNDS: u32 = 3;

/// The longest wait of one heartbeat for its turn.
const MAX_TURN: Duration = Duration::from_secs(5);

/// What the probe found.
#[derive(Debug)]
pub(super) enum ServerKind {
    /// Both connections are served; the first one can be used further.
    Concurrent(TcpStream),
    /// One connection is served at a time: the first, which is closed when this is dropped. The second
    /// waits for its turn.
    Iterative(TcpStream, TakingTurns),
    /// Neither is certain, and the first connection is closed.
    Unclear,
}

/// Probes the server at `addr`, which has answered on `first`. `limit` is the time for each answer.
/// Dropping it closes all connections.
pub(super) async fn probe(
    addr: ReplicaAddr,
    ask: &ProbeKind,
    gives: Option<Seat>,
    mut first: TcpStream,
    limit: Duration,
) -> ServerKind {
    let limit = limit.min(MAX_WAIT);
    let (began, mut second) = (Instant::now(), converse(addr, ask, gives));
    for _ in 0..PROBE_ROUNDS {
        match timeout_excluding_stalls(limit, second.as_mut()).await {
            None => {}
            Some(ProbeOutcome::Closed | ProbeOutcome::Wrong(..)) => {
                second = converse(addr, ask, gives)
            }
            Some(_) => return ServerKind::Concurrent(first),
        }
        let again = probe::run(addr, ask, Some(first), true, gives);
        match timeout_excluding_stalls(limit, again).await {
            Some(ProbeOutcome::Healthy(Some(stream), _)) => first = stream,
            _ => return ServerKind::Unclear,
        }
    }
    let waiting = Some((began, second));
    ServerKind::Iterative(first, TakingTurns { waiting })
}

/// A heartbeat on a connection of its own.
fn converse(addr: ReplicaAddr, ask: &ProbeKind, gives: Option<Seat>) -> Conversation {
    let ask = ask.clone();
    Box::pin(async move { probe::run(addr, &ask, None, false, gives).await })
}

/// The heartbeats of a server that serves one connection at a time.
#[derive(Default)]
pub(super) struct TakingTurns {
    /// The unanswered one, and when it was sent.
    waiting: Option<(Instant, Conversation)>,
}

type Conversation = Pin<Box<dyn Future<Output = ProbeOutcome> + Send>>;

impl TakingTurns {
    /// Asks once, or waits on for the answer that is still due, for at most `limit`.
    pub(super) async fn next_turn(
        &mut self,
        addr: ReplicaAddr,
        ask: &ProbeKind,
        gives: Option<Seat>,
        limit: Duration,
    ) -> ProbeOutcome {
        let now = Instant::now();
        let waiting = self.waiting.take();
        let waiting = waiting.filter(|(since, _)| now - *since < MAX_TURN);
        let (since, mut conversation) =
            waiting.unwrap_or_else(|| (now, converse(addr, ask, gives)));
        let outcome = timeout_excluding_stalls(limit, conversation.as_mut()).await;
        outcome.unwrap_or_else(|| {
            self.waiting = Some((since, conversation));
            ProbeOutcome::Silent
        })
    }
}

impl fmt::Debug for TakingTurns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.waiting.as_ref().map(|(since, _)| since);
        f.debug_struct("Turns").field("waiting", &since).finish()
    }
}
