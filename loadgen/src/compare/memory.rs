//! Scenarios that measure memory: the growth of a proxy's resident set while it holds many
//! connections. It excludes the proxy's own size and the kernel's socket memory.
//!
//! Each measurement has a fresh proxy, because memory that was used once is seldom given back.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::Pid;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::args::DuelPlan;
use super::installed::InstalledPeer;
use super::load::PeerLoad;
use super::memory_row::{
    MemoryRow, PIECE_BYTES, PIECE_COUNT, ROUND_COUNT, ROUND_REQUESTS, STUCK_UPLOAD_BYTES,
};
use super::proc_usage::{Usage, resident_kib};
use super::proxy::Proxy;
use super::results::MemorySample;
use super::scenario::{PLAIN, SMALL, Shape};
use super::testbed::Testbed;
use crate::arrivals::LoadLength;

/// Connections that fill pools and caches before memory is read first.
const WARM_UP_CONNECTIONS: usize = 64;

/// Time over which the CPU is measured.
const CPU_WINDOW: Duration = Duration::from_secs(1);

/// Time between two pieces of a slow upload, for all of them together.
const PIECE_INTERVAL: Duration = Duration::from_millis(50);

/// Time limit for the beginning of a reply.
const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(20);

/// Time after which an upload counts as stuck.
const STUCK_DELAY: Duration = Duration::from_millis(5);

/// Receive buffer of slow readers (SO_RCVBUF, socket(7)), in bytes. The kernel raises it to its
/// minimum.
const SMALL_RECV_BUFFER: u32 = 1;

/// Measures a peer once; `None` without a proxy.
///
/// # Errors
/// A request failed, or the proxy has exited.
pub(crate) async fn sample(
    testbed: &Testbed,
    installed: &InstalledPeer,
    row: MemoryRow,
    shape: Shape,
    plan: &DuelPlan,
    round: u32,
) -> anyhow::Result<Option<MemorySample>> {
    let backends = match row {
        MemoryRow::StuckUploads => &testbed.backends.small_window_addrs,
        _ => &testbed.backends.addrs,
    };
    let proxy = testbed.start(installed, PLAIN, shape, backends).await?;
    let Some(pid) = proxy.pid() else {
        return Ok(None);
    };
    warm_up(&proxy, shape, plan).await.context("warming up")?;
    tokio::time::sleep(plan.settle).await;
    let kib_before = resident_kib(pid)?;
    let held = open(row, &proxy, shape).await?;
    tokio::time::sleep(plan.settle).await;
    let cpu_us_per_second = cpu_us_per_second(pid).await?;
    let kib_after = resident_kib(pid)?;
    held.check(row)?;
    drop(held);
    testbed.backends.release();
    proxy.stop().await?;
    Ok(Some(MemorySample {
        round,
        kib_before,
        kib_after,
        cpu_us_per_second,
    }))
}

async fn warm_up(proxy: &Proxy, shape: Shape, plan: &DuelPlan) -> anyhow::Result<()> {
    let few = Shape {
        connections: shape.connections.min(WARM_UP_CONNECTIONS),
        ..shape
    };
    let result = PeerLoad::new(few, &proxy.addrs)
        .run(None, plan.span)
        .await?;
    ensure!(result.failed == 0, "{} requests failed", result.failed);
    Ok(())
}

async fn cpu_us_per_second(pid: Pid) -> anyhow::Result<f64> {
    let (start, before) = (Instant::now(), Usage::read(pid)?);
    tokio::time::sleep(CPU_WINDOW).await;
    let used = Usage::read(pid)? - before;
    Ok(used.cpu.as_secs_f64() * 1e6 / start.elapsed().as_secs_f64())
}

/// Connections of the load, held open until they are dropped.
#[derive(Debug)]
enum HeldConnections {
    /// All are closed.
    None,
    Idle {
        _load: PeerLoad,
    },
    Unanswered {
        streams: Vec<TcpStream>,
    },
}

impl HeldConnections {
    /// Checks that requests without an answer still have none.
    ///
    /// # Errors
    /// The proxy has answered or closed a connection.
    fn check(&self, row: MemoryRow) -> anyhow::Result<()> {
        let Self::Unanswered { streams } = self else {
            return Ok(());
        };
        let waiting = [
            MemoryRow::Waiting,
            MemoryRow::StuckUploads,
            MemoryRow::SlowUploads,
        ];
        for stream in streams.iter().filter(|_| waiting.contains(&row)) {
            match stream.try_read(&mut [0]) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) => bail!("the proxy closed a connection"),
                Ok(_) => bail!("the proxy answered a request that its backend did not answer"),
                Err(err) => return Err(err).context("a held connection"),
            }
        }
        Ok(())
    }
}

/// Opens the connections and brings them into the state of the row.
async fn open(row: MemoryRow, proxy: &Proxy, shape: Shape) -> anyhow::Result<HeldConnections> {
    let mut load = PeerLoad::new(shape, &proxy.addrs);
    match row {
        MemoryRow::Idle => load.each_once().await?,
        MemoryRow::Burst => load.all_at_once().await?,
        MemoryRow::Rounds => {
            send_rounds(proxy, shape).await?;
            return Ok(HeldConnections::None);
        }
        _ => {
            let addr = *proxy.addrs.first().context("no address")?;
            let streams = open_streams(row, addr, shape.connections).await?;
            return Ok(HeldConnections::Unanswered { streams });
        }
    }
    Ok(HeldConnections::Idle { _load: load })
}

async fn send_rounds(proxy: &Proxy, shape: Shape) -> anyhow::Result<()> {
    for _ in 0..ROUND_COUNT {
        let mut load = PeerLoad::new(shape, &proxy.addrs);
        let result = load.run(None, LoadLength::Requests(ROUND_REQUESTS)).await?;
        ensure!(
            result.failed == 0,
            "{} requests failed: {}",
            result.failed,
            result.fault.unwrap_or_default()
        );
    }
    Ok(())
}

async fn open_streams(
    row: MemoryRow,
    addr: SocketAddr,
    count: usize,
) -> anyhow::Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    let piece = vec![b'x'; STUCK_UPLOAD_BYTES];
    for id in 0..count {
        let mut stream = connect(row, addr).await.context("connecting")?;
        let line = row.request_line();
        let head = format!("{line}Host: {addr}\r\nX-Request-ID: {id}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        match row {
            MemoryRow::StuckUploads => {
                // As much as the proxy takes.
                if let Ok(written) = timeout(STUCK_DELAY, stream.write_all(&piece)).await {
                    written.context("uploading")?;
                }
            }
            MemoryRow::SlowReaders | MemoryRow::SlowChunks => {
                let begun = timeout(FIRST_BYTES_TIMEOUT, stream.readable()).await;
                begun.context("no reply began")??;
                let mut start = [0; "HTTP/1.1 200".len()];
                let len = stream.peek(&mut start).await?;
                ensure!(
                    len > 0 && b"HTTP/1.1 200".starts_with(&start[..len]),
                    "not status 200"
                );
            }
            _ => {}
        }
        streams.push(stream);
    }
    if row == MemoryRow::SlowUploads {
        for _ in 0..PIECE_COUNT {
            for stream in &mut streams {
                stream.write_all(&piece[..PIECE_BYTES]).await?;
            }
            tokio::time::sleep(PIECE_INTERVAL).await;
        }
    }
    Ok(streams)
}

async fn connect(row: MemoryRow, addr: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    if matches!(row, MemoryRow::SlowReaders | MemoryRow::SlowChunks) {
        socket.set_recv_buffer_size(SMALL_RECV_BUFFER)?;
    }
    socket.connect(addr).await
}

/// Returns the load of the row, for its number of connections.
pub(crate) fn shape(connections: usize) -> Shape {
    Shape {
        connections,
        ..SMALL
    }
}
