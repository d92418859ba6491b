//! The way of one connection: a place, its first line, which tells its protocol, and the close.
//!
//! A client to whom no answer is owed may lose its place to a newcomer (see `places.rs`). A newcomer for whom there
//! is none, because answers are owed to all others, waits for one in a hall: reads are not refused for a crowd of
//! them, and a probe is answered there, whatever else the port is busy with. Closing takes no place.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::task::{JoinSet, yield_now};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::connection::{Connection, PeekedLine};
use super::connection_slots::{EvictableSlot, Slots};
use super::http_slot::HttpSlot;
use super::server::{Endpoints, Shared, is_http, open};
use super::{ControlContext, http, text_protocol};
use crate::shutdown::Shutdown;

/// What each connection gets.
#[derive(Clone)]
pub(super) struct ControlServer {
    pub(super) shared: Arc<Shared>,
    router: http::Router,
    /// Answers probes and nothing else.
    probes: http::Router,
    pub(super) places: Slots,
    /// Where those wait for a place for whom there is none.
    hall: Slots,
    /// Those whose connections are being closed.
    lingering: Slots,
}

impl ControlServer {
    pub(super) fn new(context: ControlContext, shutdown: Shutdown) -> Self {
        let shared = Arc::new(Shared::new(context, shutdown));
        let limits = &shared.context.limits;
        Self {
            places: Slots::new(limits.connections),
            hall: Slots::new(limits.waiting),
            lingering: Slots::new(limits.lingering),
            router: http::router(Arc::clone(&shared)),
            probes: http::probes(Arc::clone(&shared)),
            shared,
        }
    }

    /// Gives a new client its place, or lets it wait for one.
    pub(super) async fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        clients: &mut JoinSet<()>,
    ) {
        if self.places.is_full() {
            // Nobody is silent whose line is here already: in the first turn the event loop hears of it,
            // in the second it is read.
            yield_now().await;
            yield_now().await;
        }
        let port = self.clone();
        if let Some(place) = self.places.acquire() {
            clients.spawn(port.serve_connection(stream, peer, place));
        } else if let Some(spot) = self.hall.acquire() {
            clients.spawn(port.wait_for_slot(stream, peer, spot));
        }
    }

    /// Serves one client, to the close, or until another needs its place while no answer is owed.
    pub(super) async fn serve_connection(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        mut place: EvictableSlot,
    ) {
        let limits = &self.shared.context.limits;
        let mut shutdown = self.shared.shutdown.clone();
        let Some((ends, mut conn)) = open(stream, peer, limits) else {
            return;
        };
        let first = tokio::select! {
            first = timeout(limits.idle_timeout, conn.peek_line(limits.line)) => first,
            () = place.evicted() => return,
            () = shutdown.cancelled() => return,
        };
        self.dispatch(conn, ends, first, place).await;
    }

    /// Serves one client whose first line, or what came instead of it, is known.
    async fn dispatch(
        self,
        mut conn: Connection,
        ends: Endpoints,
        first: FirstLine,
        place: EvictableSlot,
    ) {
        let limits = &self.shared.context.limits;
        let room = HttpSlot::new(place);
        let done = match first {
            Ok(Ok(PeekedLine::Whole(line))) if is_http(&line) => {
                return self.serve_http(conn, ends, self.router.clone(), room).await;
            }
            Ok(Ok(PeekedLine::Whole(line))) => {
                text_protocol::run(&mut conn, line, ends, &self.shared, &room).await
            }
            Ok(Ok(PeekedLine::TooLong)) => {
                text_protocol::send_error(&mut conn, &text_protocol::too_long(limits)).await
            }
            Err(_) if conn.has_begun() => {
                let sentence = format!("no line within {} s", limits.idle_timeout.as_secs_f32());
                text_protocol::send_error(&mut conn, &sentence).await
            }
            Ok(Ok(PeekedLine::Nothing)) | Err(_) => return,
            Ok(Err(err)) => Err(err),
        };
        drop(room);
        match done {
            Ok(()) => self.close(conn).await,
            Err(err) => tracing::debug!("control connection of {} broke: {err}", ends.client),
        }
    }

    async fn serve_http(
        &self,
        conn: Connection,
        ends: Endpoints,
        router: http::Router,
        room: HttpSlot,
    ) {
        let limits = &self.shared.context.limits;
        let mut shutdown = self.shared.shutdown.clone();
        let served = http::serve(conn, ends, router, limits, &room, &mut shutdown).await;
        drop(room);
        if let Some(conn) = served {
            self.close(conn).await;
        }
    }

    /// Closes so that the client can read the answer; it has no place any more, and when too many are being
    /// closed, the one that has taken longest is dropped.
    async fn close(&self, conn: Connection) {
        let limits = &self.shared.context.limits;
        let mut shutdown = self.shared.shutdown.clone();
        let Some(mut place) = self.lingering.acquire() else {
            return;
        };
        tokio::select! {
            () = conn.lingering_close(limits, &mut shutdown) => {}
            () = place.evicted() => {}
        }
    }

    /// Lets one client too many wait for a place; a probe is answered without one.
    async fn wait_for_slot(self, stream: TcpStream, peer: SocketAddr, mut spot: EvictableSlot) {
        let limits = &self.shared.context.limits;
        let mut shutdown = self.shared.shutdown.clone();
        let Some((ends, mut conn)) = open(stream, peer, limits) else {
            return;
        };
        let due = Instant::now() + limits.place_timeout;
        let first = tokio::select! {
            first = timeout_at(due, conn.peek_line(limits.line)) => first,
            () = spot.evicted() => return,
            () = shutdown.cancelled() => return,
        };
        if let Ok(Ok(PeekedLine::Whole(line))) = &first
            && http::is_probe(line)
        {
            let (router, room) = (self.probes.clone(), HttpSlot::new(spot));
            return self.serve_http(conn, ends, router, room).await;
        }
        if first.is_err() {
            return self.refuse(conn, first).await;
        }
        let place = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            place = self.places.acquire_next() => Some(place),
            () = spot.evicted() => None,
            () = sleep_until(due) => None,
        };
        drop(spot);
        match place {
            Some(place) => self.dispatch(conn, ends, first, place).await,
            None => self.refuse(conn, first).await,
        }
    }

    /// Tells one client too many so, in its own protocol.
    async fn refuse(self, mut conn: Connection, first: FirstLine) {
        let sentence = self.shared.context.limits.all_open();
        let done = match first {
            Ok(Ok(PeekedLine::Whole(line))) if is_http(&line) => {
                http::send_error(&mut conn, &sentence).await
            }
            Ok(Ok(_)) | Err(_) => text_protocol::send_error(&mut conn, &sentence).await,
            Ok(Err(err)) => Err(err),
        };
        if done.is_ok() {
            self.close(conn).await;
        }
    }
}

/// The first line of a client, or what came instead of it.
type FirstLine = Result<io::Result<PeekedLine>, Elapsed>;
