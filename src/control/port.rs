//! The port itself: its thread, accepting, the places of the clients, and the first line of each, which tells
//! its protocol.
//!
//! It carries out nothing. The surprise: a client who has not said a line yet may lose its place (see
//! `places.rs`), one who has said it keeps it to the end of the close, but for the pauses of a prompt and
//! between requests.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout};

use super::conn::{Conn, Line};
use super::places::{Place, Places};
use super::room::Room;
use super::{Context, http, stats, text};
use crate::shutdown::Shutdown;

/// How long accepting rests after it failed, most likely for want of descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(200);

/// After so much silence of both sides the kernel asks whether the client is still there.
const PROBE_AFTER: Duration = Duration::from_secs(30);
/// How often it asks again.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// How often in all, before the connection breaks.
const PROBES: u32 = 3;

/// Serves the control port until `shutdown`, on a thread of its own that then ends.
///
/// # Errors
/// When the system refuses the thread or its event loop.
pub fn start(
    listener: std::net::TcpListener,
    context: Context,
    shutdown: Shutdown,
) -> io::Result<thread::JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener)?
    };
    let serve = move || runtime.block_on(serve(listener, context, shutdown));
    thread::Builder::new().name("control".into()).spawn(serve)
}

async fn serve(listener: TcpListener, context: Context, mut shutdown: Shutdown) {
    let stop_timeout = context.limits.stop_timeout;
    let port = Port::new(context, shutdown.clone());
    let mut clients = JoinSet::new();
    let mut ticks = stats::ticks();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => port.admit(stream, peer, &mut clients).await,
                Err(err) => {
                    tracing::warn!("control port cannot accept: {err}");
                    sleep(ACCEPT_REST).await;
                }
            },
            Some(ended) = clients.join_next() => note(ended),
            _ = ticks.tick() => {
                let sources = &port.shared.context.sources;
                sources.recorder.tick(Instant::now().into_std());
            }
            () = shutdown.wait() => break,
        }
    }
    drop(listener);
    let rest = async {
        while let Some(ended) = clients.join_next().await {
            note(ended);
        }
    };
    // What is not done by then is dropped with the set.
    let _ = timeout(stop_timeout, rest).await;
}

fn note(ended: Result<(), JoinError>) {
    if let Err(err) = ended {
        tracing::error!("a control connection ended unexpectedly: {err}");
    }
}

/// What all connections share, in either protocol.
pub(super) struct Shared {
    pub(super) context: Context,
    /// Leave to stream.
    streams: Arc<Semaphore>,
    pub(super) shutdown: Shutdown,
}

impl Shared {
    /// Leave to stream, as long as the permit is held.
    ///
    /// # Errors
    /// A sentence, when too many do already.
    pub(super) fn stream(&self) -> Result<OwnedSemaphorePermit, String> {
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        let streams = self.context.limits.streams;
        permit.map_err(|_| format!("{streams} streams are open already"))
    }
}

/// What each connection gets.
#[derive(Clone)]
pub(super) struct Port {
    pub(super) shared: Arc<Shared>,
    router: http::Router,
    pub(super) places: Places,
    refused: Arc<Semaphore>,
}

impl Port {
    pub(super) fn new(context: Context, shutdown: Shutdown) -> Self {
        let shared = Arc::new(Shared {
            streams: Arc::new(Semaphore::new(context.limits.streams)),
            context,
            shutdown,
        });
        let limits = &shared.context.limits;
        Self {
            places: Places::new(limits.connections),
            refused: Arc::new(Semaphore::new(limits.refusals)),
            router: http::router(Arc::clone(&shared)),
            shared,
        }
    }

    /// Gives a new client its place, or the reason why it has none, or nothing.
    async fn admit(&self, stream: TcpStream, peer: SocketAddr, clients: &mut JoinSet<()>) {
        if self.places.all_taken() {
            // Nobody is silent whose line is here already: in the first turn the event loop hears of it,
            // in the second it is read.
            yield_now().await;
            yield_now().await;
        }
        let port = self.clone();
        if let Some(place) = self.places.take() {
            clients.spawn(port.talk(stream, peer, place));
        } else if let Ok(place) = Arc::clone(&self.refused).try_acquire_owned() {
            clients.spawn(async move {
                port.refuse(stream).await;
                drop(place);
            });
        }
    }

    /// Serves one client, to the close, or until another needs its place while it is silent.
    pub(super) async fn talk(self, stream: TcpStream, peer: SocketAddr, mut place: Place) {
        let limits = &self.shared.context.limits;
        let mut shutdown = self.shared.shutdown.clone();
        probe(&stream);
        let mut conn = Conn::new(stream, limits.write_timeout);
        let wait = limits.idle_timeout;
        let first = tokio::select! {
            first = timeout(wait, conn.peek_line(limits.line)) => first,
            () = place.lost() => return,
            () = shutdown.wait() => return,
        };
        if let Ok(Ok(Line::Whole(line))) = &first
            && is_http(line)
        {
            // To the end of all, so that those who linger count.
            let room = Room::new(&self.places, place);
            let router = self.router.clone();
            let served = http::serve(conn, peer, router, limits, &room, &mut shutdown);
            if let Some(conn) = served.await {
                conn.farewell(limits, &mut shutdown).await;
            }
            return;
        }
        // Kept for the same reason.
        let mut held = place.keep();
        if held.is_none() {
            return;
        }
        let done = match first {
            Ok(Ok(Line::Whole(line))) => {
                text::session(&mut conn, line, peer, &self, &mut held).await
            }
            Ok(Ok(Line::TooLong)) => text::fail(&mut conn, &text::too_long(limits)).await,
            Err(_) if conn.has_begun() => {
                let sentence = format!("no line within {} s", wait.as_secs_f32());
                text::fail(&mut conn, &sentence).await
            }
            Ok(Ok(Line::Nothing)) | Err(_) => return,
            Ok(Err(err)) => Err(err),
        };
        match done {
            Ok(()) => conn.farewell(limits, &mut shutdown).await,
            Err(err) => tracing::debug!("control connection of {peer} broke: {err}"),
        }
    }

    /// Tells one client too many so, in its own protocol.
    async fn refuse(self, stream: TcpStream) {
        let limits = &self.shared.context.limits;
        let mut shutdown = self.shared.shutdown.clone();
        let mut conn = Conn::new(stream, limits.write_timeout);
        let first = tokio::select! {
            first = timeout(limits.discard_time, conn.peek_line(limits.line)) => first,
            () = shutdown.wait() => return,
        };
        let sentence = format!("{} connections are open already", limits.connections);
        let done = match first {
            Ok(Ok(Line::Whole(line))) if is_http(&line) => http::fail(&mut conn, &sentence).await,
            Ok(Ok(_)) | Err(_) => text::fail(&mut conn, &sentence).await,
            Ok(Err(err)) => Err(err),
        };
        if done.is_ok() {
            conn.farewell(limits, &mut shutdown).await;
        }
    }
}

/// Has the kernel ask whether the client is still there, for connections on which nothing is to be written
/// for long. One that the system refuses goes without.
pub(super) fn probe(stream: &TcpStream) {
    let probes = TcpKeepalive::new()
        .with_time(PROBE_AFTER)
        .with_interval(PROBE_INTERVAL)
        .with_retries(PROBES);
    if let Err(err) = SockRef::from(stream).set_tcp_keepalive(&probes) {
        tracing::debug!("no keep-alive probes on a control connection: {err}");
    }
}

/// Whether a first line is an HTTP request line: three words, the last a version (RFC 9112 §3). One with
/// more words is a malformed one, and answered as HTTP too.
pub(super) fn is_http(line: &[u8]) -> bool {
    let mut words = line.split(|b| *b == b' ');
    let version = words.next_back().unwrap_or_default();
    version.starts_with(b"HTTP/") && words.count() >= 2
}
