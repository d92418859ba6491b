//! The control port: takes commands from people and programs, in text or HTTP, whichever the first line
//! of a connection is, on a thread of its own.
//!
//! It knows who may command and how answers look; the work is done by whoever stands behind the desk.
//! It reads the roster and writes nothing. The surprise: an order outlives its sender: a client that
//! leaves in the middle of a long `add` still gets the replicas.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout};

use crate::admin::{Answer, Change, Desk, Kind, Order};
use crate::peer::Access;
use crate::roster::Observer;
use crate::shutdown::Shutdown;

pub mod command;
mod conn;
mod hint;
mod http;
mod outlook;
mod places;
pub mod question;
mod stats;
mod text;

use conn::{Conn, Line};
use places::{Place, Places};

pub use stats::{Sources, Standing};

/// How long accepting rests after it failed, most likely for want of descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(200);

/// What the control port may ask of the rest of the program.
#[derive(Clone)]
pub struct Context {
    /// Where orders are handed in.
    pub desk: Desk,
    /// Who may command.
    pub access: Access,
    /// Where the newest roster is seen.
    pub roster: Observer,
    /// The most replicas that may be wanted.
    pub max_replicas: usize,
    /// Whether requests can be served now; if not, why, in a sentence without `<Error> `.
    pub ready: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// What statistics are made of.
    pub sources: Sources,
    /// What happened of late, the oldest first.
    pub events: Arc<dyn Fn() -> Vec<EventView> + Send + Sync>,
    /// The limits of the port.
    pub limits: Limits,
}

/// One event, in both forms that are shown.
#[derive(Debug, Clone)]
pub struct EventView {
    /// One line for people.
    pub text: String,
    /// The same for programs.
    pub json: serde_json::Value,
}

/// What one client, or all of them together, may use up.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How many connections are served at once; to one more, the one silent longest gives its place.
    pub connections: usize,
    /// How many more, when none is silent, are told so at once; those beyond are closed without a word.
    pub refusals: usize,
    /// The longest line, in bytes, without its ending.
    pub line: usize,
    /// Until the whole first line is here.
    pub idle_timeout: Duration,
    /// From the first line, or from an answer, until the whole (next) HTTP head is here.
    pub head_timeout: Duration,
    /// From an HTTP head until its whole body is here.
    pub body_timeout: Duration,
    /// How long a client may read nothing while something is written to it.
    pub write_timeout: Duration,
    /// How much is read and dropped before a close, in bytes.
    pub discard_bytes: usize,
    /// How long it is read and dropped before a close.
    pub discard_time: Duration,
    /// How long running answers may take after the word to stop.
    pub stop_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            refusals: 16,
            line: 64 * 1024,
            idle_timeout: Duration::from_secs(60),
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            discard_bytes: 1024 * 1024,
            discard_time: Duration::from_secs(1),
            stop_timeout: Duration::from_secs(1),
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("desk", &self.desk)
            .field("access", &self.access)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Context {
    async fn rep(&self, peer: SocketAddr) -> Answer {
        self.desk.ask(Order::Rep, peer.to_string()).await
    }

    async fn change(&self, kind: Kind, change: Change, peer: SocketAddr) -> Answer {
        let order = kind.order(change);
        self.desk.ask(order, peer.to_string()).await
    }
}

/// The path of a change: also what text answers call it.
fn path(kind: Kind) -> &'static str {
    match kind {
        Kind::Add => "/add",
        Kind::Rm => "/rm",
    }
}

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
            _ = ticks.tick() => port.context.sources.recorder.tick(Instant::now().into_std()),
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

/// What each connection gets.
#[derive(Clone)]
struct Port {
    context: Arc<Context>,
    router: http::Router,
    shutdown: Shutdown,
    places: Places,
    refused: Arc<Semaphore>,
}

impl Port {
    fn new(context: Context, shutdown: Shutdown) -> Self {
        let context = Arc::new(context);
        Self {
            router: http::router(Arc::clone(&context)),
            places: Places::new(context.limits.connections),
            refused: Arc::new(Semaphore::new(context.limits.refusals)),
            context,
            shutdown,
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
    async fn talk(mut self, stream: TcpStream, peer: SocketAddr, mut place: Place) {
        let limits = &self.context.limits;
        let mut conn = Conn::new(stream, limits.write_timeout);
        let wait = limits.idle_timeout;
        let first = tokio::select! {
            first = timeout(wait, conn.peek_line(limits.line)) => first,
            () = place.lost() => return,
            () = self.shutdown.wait() => return,
        };
        let Some(_place) = place.keep() else { return };
        let done = match first {
            Ok(Ok(Line::Whole(line))) if is_http(&line) => {
                conn = http::serve(conn, peer, self.router, limits, &mut self.shutdown).await;
                Ok(())
            }
            Ok(Ok(Line::Whole(line))) => text::session(&mut conn, &line, peer, &self.context).await,
            Ok(Ok(Line::TooLong)) => text::fail(&mut conn, &text::too_long(limits)).await,
            Err(_) if conn.has_begun() => {
                let sentence = format!("no line within {} s", wait.as_secs_f32());
                text::fail(&mut conn, &sentence).await
            }
            Ok(Ok(Line::Nothing)) | Err(_) => return,
            Ok(Err(err)) => Err(err),
        };
        match done {
            Ok(()) => conn.farewell(limits, &mut self.shutdown).await,
            Err(err) => tracing::debug!("control connection of {peer} broke: {err}"),
        }
    }

    /// Tells one client too many so, in its own protocol.
    async fn refuse(mut self, stream: TcpStream) {
        let limits = &self.context.limits;
        let mut conn = Conn::new(stream, limits.write_timeout);
        let first = tokio::select! {
            first = timeout(limits.discard_time, conn.peek_line(limits.line)) => first,
            () = self.shutdown.wait() => return,
        };
        let sentence = format!("{} connections are open already", limits.connections);
        let done = match first {
            Ok(Ok(Line::Whole(line))) if is_http(&line) => http::fail(&mut conn, &sentence).await,
            Ok(Ok(_)) | Err(_) => text::fail(&mut conn, &sentence).await,
            Ok(Err(err)) => Err(err),
        };
        if done.is_ok() {
            conn.farewell(limits, &mut self.shutdown).await;
        }
    }
}

/// Whether a first line is an HTTP request line: three words, the last a version (RFC 9112 §3). One with
/// more words is a malformed one, and answered as HTTP too.
fn is_http(line: &[u8]) -> bool {
    let mut words = line.split(|b| *b == b' ');
    let version = words.next_back().unwrap_or_default();
    version.starts_with(b"HTTP/") && words.count() >= 2
}

#[cfg(test)]
mod tests;
