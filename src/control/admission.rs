//! The way of one connection: a slot, its first line, which decides the protocol, and the close.
//!
//! A client that is owed no answer may lose its slot to a new client (see `connection_slots.rs`).
//! If all slots are pinned by answers, a new client waits for one, so that a burst of commands does
//! not refuse reads. Health probes are answered while they wait. A
//! closing connection has no slot.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::task::{JoinSet, yield_now};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::client_slot::ClientSlot;
use super::connection::{Connection, Endpoints, PeekedLine};
use super::connection_slots::{EvictableSlot, Slots};
use super::context::ControlContext;
use super::shared::Shared;
use super::{http, text_answer, text_protocol};
use crate::shutdown::Shutdown;
use crate::wire::peer_addr::PeerAddr;

/// The handles that each connection gets.
#[derive(Clone)]
pub(super) struct ControlServer {
    pub(super) shared: Arc<Shared>,
    router: http::Router,
    /// Answers health probes and refuses everything else.
    probe_router: http::Router,
    /// Slots of the connections that are served.
    pub(super) serving: Slots,
    /// Slots of the connections that wait to be served.
    waiting: Slots,
    /// Slots of the connections in a lingering close.
    lingering: Slots,
}

impl ControlServer {
    pub(super) fn new(context: ControlContext, shutdown: Shutdown) -> Self {
        let shared = Arc::new(Shared::new(context, shutdown));
        let limits = &shared.context.limits;
        Self {
            serving: Slots::new(limits.connections),
            waiting: Slots::new(limits.waiting),
            lingering: Slots::new(limits.lingering),
            router: http::router(Arc::clone(&shared)),
            probe_router: http::probes(Arc::clone(&shared)),
            shared,
        }
    }

    /// Gives a new client a slot, or lets it wait for one.
    pub(super) async fn admit(&self, stream: TcpStream, peer: PeerAddr, clients: &mut JoinSet<()>) {
        if self.serving.is_full() {
            // A client whose line has arrived must not be evicted as silent: the first yield lets
            // the event loop notice the line, the second lets the client's task read it.
            yield_now().await;
            yield_now().await;
        }
        let server = self.clone();
        if let Some(slot) = self.serving.acquire() {
            clients.spawn(server.serve_connection(stream, peer, slot));
        } else if let Some(slot) = self.waiting.acquire() {
            clients.spawn(server.wait_for_slot(stream, peer, slot));
        }
    }

    /// Serves one client until the close, or until it loses its slot while no answer is owed.
    pub(super) async fn serve_connection(
        self,
        stream: TcpStream,
        peer: PeerAddr,
        mut slot: EvictableSlot,
    ) {
        let limits = &self.shared.context.limits;
        let mut shutdown = self.shared.shutdown.clone();
        let Some((ends, mut conn)) = Connection::open(stream, peer, limits) else {
            return;
        };
        let first = tokio::select! {
            first = timeout(limits.idle_timeout, conn.peek_line(limits.line)) => first,
            () = slot.evicted() => return,
            () = shutdown.cancelled() => return,
        };
        self.dispatch(conn, ends, first, slot).await;
    }

    /// Serves one client by the protocol of its first line.
    async fn dispatch(
        self,
        mut conn: Connection,
        ends: Endpoints,
        first: FirstLine,
        slot: EvictableSlot,
    ) {
        let limits = &self.shared.context.limits;
        let slot = ClientSlot::new(slot);
        let done = match first {
            Ok(Ok(PeekedLine::Whole(line))) if is_http(&line) => {
                return self.serve_http(conn, ends, self.router.clone(), slot).await;
            }
            Ok(Ok(PeekedLine::Whole(line))) => {
                text_protocol::run(&mut conn, line, ends, &self.shared, &slot).await
            }
            Ok(Ok(PeekedLine::TooLong)) => {
                text_answer::send_error(&mut conn, &text_answer::too_long(limits)).await
            }
            Err(_) if conn.has_begun() => {
                let sentence = format!("no line within {} s", limits.idle_timeout.as_secs_f32());
                text_answer::send_error(&mut conn, &sentence).await
            }
            Ok(Ok(PeekedLine::Nothing)) | Err(_) => return,
            Ok(Err(err)) => Err(err),
        };
        drop(slot);
        match done {
            Ok(()) => self.close(conn).await,
            Err(err) => tracing::debug!("control connection of {} failed: {err}", ends.client),
        }
    }

    async fn serve_http(
        &self,
        conn: Connection,
        ends: Endpoints,
        router: http::Router,
        slot: ClientSlot,
    ) {
        let limits = &self.shared.context.limits;
        let mut shutdown = self.shared.shutdown.clone();
        let served = http::serve(conn, ends, router, limits, &slot, &mut shutdown).await;
        drop(slot);
        if let Some(conn) = served {
            self.close(conn).await;
        }
    }

    /// Lingering close. The client has no serving slot any more. At the limit of closing
    /// connections, the oldest is dropped.
    async fn close(&self, conn: Connection) {
        let limits = &self.shared.context.limits;
        let mut shutdown = self.shared.shutdown.clone();
        let Some(mut slot) = self.lingering.acquire() else {
            return;
        };
        tokio::select! {
            () = conn.lingering_close(limits, &mut shutdown) => {}
            () = slot.evicted() => {}
        }
    }

    /// Lets a client wait for a serving slot. A health probe is answered without one.
    async fn wait_for_slot(self, stream: TcpStream, peer: PeerAddr, mut slot: EvictableSlot) {
        let limits = &self.shared.context.limits;
        let mut shutdown = self.shared.shutdown.clone();
        let Some((ends, mut conn)) = Connection::open(stream, peer, limits) else {
            return;
        };
        let due = Instant::now() + limits.slot_timeout;
        let first = tokio::select! {
            first = timeout_at(due, conn.peek_line(limits.line)) => first,
            () = slot.evicted() => return,
            () = shutdown.cancelled() => return,
        };
        if let Ok(Ok(PeekedLine::Whole(line))) = &first
            && http::is_probe(line)
        {
            let (router, slot) = (self.probe_router.clone(), ClientSlot::new(slot));
            return self.serve_http(conn, ends, router, slot).await;
        }
        if first.is_err() {
            return self.refuse(conn, first).await;
        }
        let serving = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            serving = self.serving.acquire_next() => Some(serving),
            () = slot.evicted() => None,
            () = sleep_until(due) => None,
        };
        drop(slot);
        match serving {
            Some(serving) => self.dispatch(conn, ends, first, serving).await,
            None => self.refuse(conn, first).await,
        }
    }

    /// Refuses a client in its own protocol, because all slots are pinned.
    async fn refuse(self, mut conn: Connection, first: FirstLine) {
        let sentence = self.shared.context.limits.all_open();
        let done = match first {
            Ok(Ok(PeekedLine::Whole(line))) if is_http(&line) => {
                http::send_error(&mut conn, &sentence).await
            }
            Ok(Ok(_)) | Err(_) => text_answer::send_error(&mut conn, &sentence).await,
            Ok(Err(err)) => Err(err),
        };
        if done.is_ok() {
            self.close(conn).await;
        }
    }
}

/// The first line of a client, an error of its socket, or a timeout.
type FirstLine = Result<io::Result<PeekedLine>, Elapsed>;

/// Returns `true` for an HTTP request line: three words, the last of them a version (RFC 9112 §3).
/// A line with more words is malformed, and is answered in HTTP too.
pub(super) fn is_http(line: &[u8]) -> bool {
    let mut words = line.split(|b| *b == b' ');
    let version = words.next_back().unwrap_or_default();
    version.starts_with(b"HTTP/") && words.count() >= 2
}
