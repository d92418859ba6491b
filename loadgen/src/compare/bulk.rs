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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::bulk_kind::{BulkKind, CHUNK_BYTES};
use super::discard::{DiscardBuf, discard};
use crate::console::note;

/// Number of clients, each at full speed.
pub(crate) const BULK_CLIENTS: usize = 20;

/// Priority of the thread (nice(2)).
const BULK_NICE: i32 = 10;

/// Time from the start of the clients to the first bytes, and interval between checks.
const START_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

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
        let command = BulkCommand::Serve(stream.into_std()?, kind, early as u64);
        self.0
            .send(command)
            .context("the thread of large bodies has ended")
    }
}

/// Handle of the thread. The thread ends when the last handle is dropped.
#[derive(Debug)]
pub(crate) struct Bulk {
    commands: Handover,
    moved: Arc<AtomicU64>,
}

impl Bulk {
    /// Starts the thread on the CPUs of the caller.
    ///
    /// # Errors
    /// The thread could not be created.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let (commands, inbox) = mpsc::unbounded_channel();
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
        let commands = Handover(commands);
        Ok(Self { commands, moved })
    }

    /// Handle for servers.
    pub(crate) fn handover(&self) -> Handover {
        self.commands.clone()
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
        self.commands.0.send(BulkCommand::Begin(addr, kind))?;
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
        let _ = self.commands.0.send(BulkCommand::End);
    }
}

async fn run_commands(mut inbox: mpsc::UnboundedReceiver<BulkCommand>, moved: Arc<AtomicU64>) {
    // If this fails, small requests are slightly slower, for all peers alike.
    let _ = rustix::process::nice(BULK_NICE);
    let discard_buf = Rc::new(RefCell::new(vec![0; CHUNK_BYTES]));
    let mut running = JoinSet::new();
    while let Some(command) = inbox.recv().await {
        let end = |stream| BulkConnection {
            stream,
            moved: Arc::clone(&moved),
            discard_buf: Rc::clone(&discard_buf),
        };
        match command {
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
