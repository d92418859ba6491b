//! Clients and servers of endless bodies, which compete with the small requests of the scenario
//! `fairness`.
//!
//! Both ends run on their own thread: on the event loop of the small requests they would delay
//! these directly. The thread shares the CPU of the load, with lower priority (nice(2)).

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::discard::{DiscardBuf, discard};
use crate::console::note;

/// Number of clients, each at full speed.
pub(crate) const BULK_CLIENTS: usize = 20;

/// Priority of the thread (nice(2)).
const BULK_NICE: i32 = 10;

/// Time from the start of the clients to the first bytes, and interval between checks.
const START_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Size of one write or discard, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// Content-Length that no test reaches: 1 TiB.
const ENDLESS_BYTES: u64 = 1 << 40;

/// Traffic beside the small requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BulkKind {
    Nothing,
    Uploads,
    Downloads,
    Tunnels,
    /// Replies in chunks of one byte.
    Chunks,
}

impl BulkKind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Nothing,
        Self::Uploads,
        Self::Downloads,
        Self::Tunnels,
        Self::Chunks,
    ];

    /// Name in tables and paths.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Uploads => "uploads",
            Self::Downloads => "downloads",
            Self::Tunnels => "tunnels",
            Self::Chunks => "chunks",
        }
    }

    /// Returns the kind that a client requests with this path.
    pub(crate) fn from_path(path: &str) -> Option<Self> {
        let name = path.strip_prefix("/endless/")?;
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    fn request(self, addr: SocketAddr, id: usize) -> String {
        let name = self.name();
        let (method, fields) = match self {
            Self::Uploads => ("POST", format!("Content-Length: {ENDLESS_BYTES}\r\n")),
            Self::Tunnels => ("GET", "Connection: upgrade\r\nUpgrade: bytes\r\n".into()),
            Self::Nothing | Self::Downloads | Self::Chunks => ("GET", String::new()),
        };
        format!(
            "{method} /endless/{name} HTTP/1.1\r\nHost: {addr}\r\nX-Request-ID: {id}\r\n{fields}\r\n"
        )
    }

    /// Head of the server's reply; empty if the server only reads.
    fn reply(self) -> String {
        match self {
            Self::Nothing | Self::Uploads => String::new(),
            Self::Downloads => {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {ENDLESS_BYTES}\r\n\r\n")
            }
            Self::Chunks => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            Self::Tunnels => {
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: bytes\r\n\r\n"
                    .into()
            }
        }
    }

    fn chunk(self) -> Vec<u8> {
        match self {
            Self::Chunks => b"1\r\nx\r\n".repeat(CHUNK_BYTES / 6),
            _ => vec![b'x'; CHUNK_BYTES],
        }
    }
}

/// Command to the thread.
#[derive(Debug)]
enum BulkCommand {
    /// Server end of a connection whose request head was read, and the number of body bytes read
    /// with it.
    Serve(std::net::TcpStream, BulkKind, u64),
    Begin(SocketAddr, BulkKind),
    End,
}

/// Handle that moves connections of endless bodies to the thread.
#[derive(Debug, Clone)]
pub(crate) struct Handover(mpsc::UnboundedSender<BulkCommand>);

impl Handover {
    /// Moves the server end of a connection to the thread; `early` bytes of the body were already
    /// read.
    pub(crate) fn serve(
        &self,
        stream: TcpStream,
        kind: BulkKind,
        early: usize,
    ) -> anyhow::Result<()> {
        let order = BulkCommand::Serve(stream.into_std()?, kind, early as u64);
        self.0
            .send(order)
            .context("the thread of large bodies has ended")
    }
}

/// Handle of the thread. The thread ends when the last handle is dropped.
#[derive(Debug)]
pub(crate) struct Bulk {
    orders: Handover,
    moved: Arc<AtomicU64>,
}

impl Bulk {
    /// Starts the thread on the CPUs of the caller.
    ///
    /// # Errors
    /// The thread could not be created.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let moved = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&moved);
        let runtime = || {
            Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default())
        };
        let run = move || match runtime() {
            Ok(runtime) => runtime.block_on(run_commands(inbox, counted)),
            Err(err) => note(&format!(
                "cannot start the event loop of large bodies: {err}"
            )),
        };
        std::thread::Builder::new().name("bulk".into()).spawn(run)?;
        let orders = Handover(orders);
        Ok(Self { orders, moved })
    }

    /// Handle for servers.
    pub(crate) fn handover(&self) -> Handover {
        self.orders.clone()
    }

    /// Number of bytes received so far.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Connects the clients and waits until bytes arrive.
    ///
    /// # Errors
    /// No bytes arrived within 5 s.
    pub(crate) async fn begin(&self, addr: SocketAddr, kind: BulkKind) -> anyhow::Result<()> {
        if kind == BulkKind::Nothing {
            return Ok(());
        }
        let (start, before) = (Instant::now(), self.moved());
        self.orders.0.send(BulkCommand::Begin(addr, kind))?;
        while self.moved() - before < CHUNK_BYTES as u64 {
            ensure!(
                start.elapsed() < START_TIMEOUT,
                "no bytes of {} arrived within {START_TIMEOUT:?}",
                kind.name()
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    /// Closes all connections.
    pub(crate) fn end(&self) {
        // If the thread has ended, its connections are closed already.
        let _ = self.orders.0.send(BulkCommand::End);
    }
}

async fn run_commands(mut inbox: mpsc::UnboundedReceiver<BulkCommand>, moved: Arc<AtomicU64>) {
    // If this fails, small requests are slightly slower, for all peers alike.
    let _ = rustix::process::nice(BULK_NICE);
    let discard_buf = Rc::new(RefCell::new(vec![0; CHUNK_BYTES]));
    let mut running = JoinSet::new();
    while let Some(order) = inbox.recv().await {
        let end = |stream| BulkConnection {
            stream,
            moved: Arc::clone(&moved),
            discard_buf: Rc::clone(&discard_buf),
        };
        match order {
            BulkCommand::End => running.shutdown().await,
            BulkCommand::Serve(stream, kind, early) => {
                moved.fetch_add(early, Ordering::Relaxed);
                if let Ok(stream) = TcpStream::from_std(stream) {
                    running.spawn_local(end(stream).run_server(kind));
                }
            }
            BulkCommand::Begin(addr, kind) => {
                for id in 0..BULK_CLIENTS {
                    match TcpStream::connect(addr).await {
                        Ok(stream) => {
                            drop(running.spawn_local(end(stream).run_client(kind, addr, id)))
                        }
                        Err(err) => {
                            note(&format!("cannot connect a client of large bodies: {err}"))
                        }
                    }
                }
            }
        }
    }
}

/// An end of a connection.
struct BulkConnection {
    stream: TcpStream,
    moved: Arc<AtomicU64>,
    discard_buf: Rc<DiscardBuf>,
}

impl BulkConnection {
    /// Serves an endless body until the connection ends.
    async fn run_server(mut self, kind: BulkKind) {
        if self
            .stream
            .write_all(kind.reply().as_bytes())
            .await
            .is_err()
        {
            return;
        }
        match kind {
            BulkKind::Uploads => self.discard_all().await,
            _ => self.fill(kind).await,
        }
    }

    /// Requests an endless body, and receives or sends it.
    async fn run_client(mut self, kind: BulkKind, addr: SocketAddr, id: usize) {
        let request = kind.request(addr, id);
        if self.stream.write_all(request.as_bytes()).await.is_err() {
            return;
        }
        match kind {
            BulkKind::Uploads => self.fill(kind).await,
            _ if self.is_accepted(kind).await => self.discard_all().await,
            _ => note(&format!("{addr} refused {}", kind.name())),
        }
    }

    /// Returns `true` if the reply begins with the expected status.
    async fn is_accepted(&mut self, kind: BulkKind) -> bool {
        let mut start = [0; "HTTP/1.1 200".len()];
        let read = self.stream.read_exact(&mut start).await;
        let status: &[u8] = if kind == BulkKind::Tunnels {
            b"101"
        } else {
            b"200"
        };
        read.is_ok() && start.ends_with(status)
    }

    async fn fill(&mut self, kind: BulkKind) {
        let chunk = kind.chunk();
        while self.stream.write_all(&chunk).await.is_ok() {}
    }

    async fn discard_all(&self) {
        while let Ok(len @ 1..) = discard(&self.stream, &self.discard_buf, CHUNK_BYTES).await {
            self.moved.fetch_add(len as u64, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_kind() {
        for kind in BulkKind::ALL {
            let request = kind.request(SocketAddr::from(([127, 0, 0, 1], 80)), 1);
            let path = request.split(' ').nth(1).unwrap();
            assert_eq!(BulkKind::from_path(path), Some(kind));
        }
        assert_eq!(BulkKind::from_path("/200"), None);
    }
}
