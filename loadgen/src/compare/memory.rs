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
    HeldState, MemoryRow, PIECE_BYTES, PIECE_COUNT, ROUND_COUNT, ROUND_REQUESTS,
};
use super::proc_usage::{Usage, resident_kib};
use super::proxy::Proxy;
use super::results::MemorySample;
use super::scenario::{SMALL, Shape};
use super::setting::PLAIN;
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
    row: &MemoryRow,
    shape: Shape,
    plan: &DuelPlan,
    round: u32,
) -> anyhow::Result<Option<MemorySample>> {
    let backends = match row.held {
        HeldState::Uploading { slow: false, .. } => &testbed.backends.small_window_addrs,
        _ => &testbed.backends.addrs,
    };
    let proxy = testbed.start(installed, PLAIN, shape, backends).await?;
    let Some(pid) = proxy.pid() else {
        return Ok(None);
    };
    warm_up(&proxy, shape, plan).await.context("warming up")?;
    tokio::time::sleep(plan.settle).await;
    let kib_before = resident_kib(pid)?;
    let held = open(row.held, &proxy, shape).await?;
    tokio::time::sleep(plan.settle).await;
    let cpu_us_per_second = cpu_us_per_second(pid).await?;
    let kib_after = resident_kib(pid)?;
    held.check()?;
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
    Answered {
        _load: PeerLoad,
    },
    /// Their requests have no answer.
    Unanswered(Vec<TcpStream>),
    /// Their replies are not read.
    Unread {
        _streams: Vec<TcpStream>,
    },
}

impl HeldConnections {
    /// Checks that requests without an answer still have none.
    ///
    /// # Errors
    /// The proxy has answered or closed a connection.
    fn check(&self) -> anyhow::Result<()> {
        let Self::Unanswered(streams) = self else {
            return Ok(());
        };
        for stream in streams {
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

/// Opens the connections and brings them into their state.
async fn open(held: HeldState, proxy: &Proxy, shape: Shape) -> anyhow::Result<HeldConnections> {
    let addr = *proxy.addrs.first().context("no address")?;
    Ok(match held {
        HeldState::Answered { at_once } => {
            let mut load = PeerLoad::new(shape, &proxy.addrs);
            match at_once {
                true => load.all_at_once().await?,
                false => load.each_once().await?,
            }
            HeldConnections::Answered { _load: load }
        }
        HeldState::Closed => {
            send_rounds(proxy, shape).await?;
            HeldConnections::None
        }
        HeldState::Unread { .. } => HeldConnections::Unread {
            _streams: open_streams(held, addr, shape.connections).await?,
        },
        HeldState::Unanswered | HeldState::Uploading { .. } => {
            HeldConnections::Unanswered(open_streams(held, addr, shape.connections).await?)
        }
    })
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
    held: HeldState,
    addr: SocketAddr,
    count: usize,
) -> anyhow::Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    let line = held.request_line();
    for id in 0..count {
        let mut stream = connect(held, addr).await.context("connecting")?;
        let head = format!("{line}Host: {addr}\r\nX-Request-ID: {id}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        match held {
            HeldState::Uploading { bytes, slow: false } => upload(&mut stream, bytes).await?,
            HeldState::Unread { .. } => expect_reply(&stream).await?,
            _ => {}
        }
        streams.push(stream);
    }
    if matches!(held, HeldState::Uploading { slow: true, .. }) {
        upload_pieces(&mut streams).await?;
    }
    Ok(streams)
}

/// Uploads as much as the proxy takes.
async fn upload(stream: &mut TcpStream, bytes: usize) -> anyhow::Result<()> {
    match timeout(STUCK_DELAY, stream.write_all(&vec![b'x'; bytes])).await {
        Ok(written) => written.context("uploading"),
        Err(_) => Ok(()),
    }
}

async fn upload_pieces(streams: &mut [TcpStream]) -> anyhow::Result<()> {
    for _ in 0..PIECE_COUNT {
        for stream in &mut *streams {
            stream.write_all(&[b'x'; PIECE_BYTES]).await?;
        }
        tokio::time::sleep(PIECE_INTERVAL).await;
    }
    Ok(())
}

/// Waits until a reply with status 200 begins.
async fn expect_reply(stream: &TcpStream) -> anyhow::Result<()> {
    let begun = timeout(FIRST_BYTES_TIMEOUT, stream.readable()).await;
    begun.context("no reply began")??;
    let mut start = [0; "HTTP/1.1 200".len()];
    let len = stream.peek(&mut start).await?;
    ensure!(
        len > 0 && b"HTTP/1.1 200".starts_with(&start[..len]),
        "not status 200"
    );
    Ok(())
}

async fn connect(held: HeldState, addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    if matches!(held, HeldState::Unread { .. }) {
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    /// Returns a held connection and its other end.
    async fn held() -> (HeldConnections, std::net::TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let stream = connect(HeldState::Unanswered, addr).await.unwrap();
        let (peer, _) = listener.accept().unwrap();
        (HeldConnections::Unanswered(vec![stream]), peer)
    }

    /// Waits until something has arrived at the held connection.
    async fn arrival(held: &HeldConnections) {
        let HeldConnections::Unanswered(streams) = held else {
            panic!("{held:?}");
        };
        timeout(FIRST_BYTES_TIMEOUT, streams[0].readable())
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn an_answer_or_an_end_of_a_held_connection_is_an_error() {
        let (silent, _peer) = held().await;
        silent.check().unwrap();
        let (answered, mut peer) = held().await;
        peer.write_all(b"HTTP/1.1 503 No\r\n").unwrap();
        arrival(&answered).await;
        let fault = answered.check().unwrap_err();
        assert!(fault.to_string().contains("answered"), "{fault}");
        let (closed, peer) = held().await;
        drop(peer);
        arrival(&closed).await;
        let fault = closed.check().unwrap_err();
        assert!(fault.to_string().contains("closed"), "{fault}");
    }

    #[tokio::test]
    async fn only_a_reply_with_status_200_is_held_unread() {
        for (reply, accepted) in [
            ("HTTP/1.1 200 OK", true),
            ("HTTP/1.1 503", false),
            ("", false),
        ] {
            let (held, mut peer) = held().await;
            peer.write_all(reply.as_bytes()).unwrap();
            drop(peer);
            let HeldConnections::Unanswered(streams) = held else {
                panic!("{held:?}");
            };
            let found = expect_reply(&streams[0]).await;
            assert_eq!(found.is_ok(), accepted, "{reply:?}: {found:?}");
        }
    }
}
