//! Servers behind every peer: they answer `GET /N` with N bytes as fast as possible.
//!
//! They run on the event loop that also sends the load, so that this CPU never switches threads.
//! Each request costs one read; a reply is one write as far as the socket takes it.

use std::io::{IoSlice, Write};
use std::net::SocketAddr;

use anyhow::{Context, ensure};
use httparse::{EMPTY_HEADER, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinSet, spawn_local};

use super::bulk::Handover;
use super::bulk_kind::BulkKind;

/// Number of backends.
pub(crate) const BACKEND_COUNT: usize = 3;

/// Connections that the kernel queues before they are accepted (limited by net.core.somaxconn).
const BACKLOG: u32 = 4096;

/// Longest request head in bytes, and highest number of fields.
const MAX_HEAD: usize = 4 * 1024;
const MAX_FIELDS: usize = 32;

/// Content of bodies: small enough for a cache, large enough for few writes.
static FILLER: [u8; 256 * 1024] = [b'x'; 256 * 1024];

/// All backends; they stop when dropped.
#[derive(Debug)]
pub(crate) struct Backends {
    pub(crate) addrs: Vec<SocketAddr>,
    _accepting: JoinSet<()>,
}

impl Backends {
    /// Starts the backends on free loopback ports. Must be called on a local runtime.
    ///
    /// # Errors
    /// No port is free.
    pub(crate) fn start(bulk: &Handover) -> anyhow::Result<Self> {
        let mut addrs = Vec::new();
        let mut accepting = JoinSet::new();
        for _ in 0..BACKEND_COUNT {
            let listener = listen().context("cannot listen on a loopback port")?;
            addrs.push(listener.local_addr()?);
            accepting.spawn_local(accept(listener, bulk.clone()));
        }
        Ok(Self {
            addrs,
            _accepting: accepting,
        })
    }
}

fn listen() -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Accepted connections inherit the option.
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, bulk: Handover) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let bulk = bulk.clone();
                spawn_local(async move {
                    // Errors are ignored: the client of the connection reports what it misses.
                    let _ = serve(stream, &bulk).await;
                });
            }
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn serve(mut stream: TcpStream, bulk: &Handover) -> anyhow::Result<()> {
    let mut unread = Vec::with_capacity(MAX_HEAD);
    let mut head = Vec::new();
    loop {
        let Some((request, len)) = parse(&unread)? else {
            ensure!(unread.len() < MAX_HEAD, "the head is too long");
            if stream.read_buf(&mut unread).await? == 0 {
                return Ok(());
            }
            continue;
        };
        unread.drain(..len);
        if let Some(kind) = request.endless {
            return bulk.serve(stream, kind, unread.len());
        }
        head.clear();
        let close = if request.close {
            "Connection: close\r\n"
        } else {
            ""
        };
        write!(
            head,
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n{close}\r\n",
            request.body_bytes
        )?;
        send(&mut stream, &head, request.body_bytes).await?;
        if request.close {
            return Ok(());
        }
    }
}

async fn send(stream: &mut TcpStream, head: &[u8], body_bytes: usize) -> std::io::Result<()> {
    let first = &FILLER[..body_bytes.min(FILLER.len())];
    let sent = stream
        .write_vectored(&[IoSlice::new(head), IoSlice::new(first)])
        .await?;
    if sent < head.len() {
        stream.write_all(&head[sent..]).await?;
    }
    let mut left = body_bytes - sent.saturating_sub(head.len());
    while left > 0 {
        left -= stream.write(&FILLER[..left.min(FILLER.len())]).await?;
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    body_bytes: usize,
    close: bool,
    /// Kind of the endless body, which another thread serves.
    endless: Option<BulkKind>,
}

/// Parses the request at the start of `bytes`. Returns it with the length of its head; `None` while
/// it is incomplete.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<(Request, usize)>> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let Status::Complete(len) = head.parse(bytes)? else {
        return Ok(None);
    };
    let endless = head.path.and_then(BulkKind::from_path);
    let size = head.path.and_then(|path| path.strip_prefix('/'));
    let size = size.and_then(|size| size.parse().ok());
    let request = Request {
        body_bytes: size.or(endless.map(|_| 0)).context("no size")?,
        endless,
        close: head.headers.iter().any(|field| {
            field.name.eq_ignore_ascii_case("connection")
                && field.value.eq_ignore_ascii_case(b"close")
        }),
    };
    Ok(Some((request, len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_the_size() {
        let text = b"GET /16384 HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\nGET";
        let request = Request {
            body_bytes: 16_384,
            close: true,
            endless: None,
        };
        assert_eq!(parse(text).unwrap(), Some((request, text.len() - 3)));
        assert_eq!(parse(&text[..40]).unwrap(), None);
        assert!(parse(b"GET /home HTTP/1.1\r\n\r\n").is_err());
    }
}
