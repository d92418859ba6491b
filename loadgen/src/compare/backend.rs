//! Servers behind every peer, as fast as possible. The path of a request says what it gets:
//!
//! | path | reply |
//! |---|---|
//! | `/N` | N bytes |
//! | `/chunks/SIZE/COUNT` | chunks, each of SIZE bytes |
//! | `/hold` | none; the body is read |
//! | `/unread` | none; nothing more is read |
//! | `/endless/KIND` | an endless body, on another thread |
//!
//! They run on the event loop that also sends the load, so that this CPU never switches threads.
//! Each request costs one read; a reply is one write as far as the socket takes it.

use std::io::{IoSlice, Write};
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Context, ensure};
use httparse::{EMPTY_HEADER, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_local};

use super::backend_addr::BackendAddr;
use super::bulk::Handover;
use super::bulk_kind::BulkKind;
use super::setting::{MAX_BACKENDS, PLAIN};

/// Connections that the kernel queues before they are accepted (limited by net.core.somaxconn).
const BACKLOG: u32 = 4096;

/// Longest request head in bytes, and highest number of fields.
const MAX_HEAD: usize = 4 * 1024;
const MAX_FIELDS: usize = 32;

/// Content of bodies: small enough for a cache, large enough for few writes.
static FILLER: [u8; 256 * 1024] = [b'x'; 256 * 1024];

/// Receive buffer of the backends with small windows (SO_RCVBUF, socket(7)), in bytes. The kernel
/// raises it to its minimum.
const SMALL_RECV_BUFFER: u32 = 1;

/// Backends at loopback ports; they stop when dropped.
#[derive(Debug)]
pub(crate) struct Backends {
    pub(crate) addrs: Vec<BackendAddr>,
    /// Backends whose sockets take few bytes before they are read.
    pub(crate) small_window_addrs: Vec<BackendAddr>,
    /// Ends the connections that are held without a reply.
    release: Rc<Notify>,
    _accepting: JoinSet<()>,
}

impl Backends {
    /// Starts the backends on free loopback ports. Must be called on a local runtime.
    ///
    /// # Errors
    /// No port is free.
    pub(crate) fn start(bulk: &Handover) -> anyhow::Result<Self> {
        let release = Rc::new(Notify::new());
        let mut accepting = JoinSet::new();
        let mut start = |count: usize, recv_buffer: Option<u32>| {
            let mut addrs = Vec::new();
            for _ in 0..count {
                let listener = listen(recv_buffer).context("cannot listen on a loopback port")?;
                addrs.push(BackendAddr::Port(listener.local_addr()?));
                accepting.spawn_local(accept(listener, bulk.clone(), Rc::clone(&release)));
            }
            anyhow::Ok(addrs)
        };
        Ok(Self {
            addrs: start(MAX_BACKENDS, None)?,
            small_window_addrs: start(PLAIN.backends, Some(SMALL_RECV_BUFFER))?,
            release,
            _accepting: accepting,
        })
    }

    /// Closes the connections whose requests are held without a reply.
    pub(crate) fn release(&self) {
        self.release.notify_waiters();
    }
}

fn listen(recv_buffer: Option<u32>) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Accepted connections inherit both options.
    socket.set_nodelay(true)?;
    if let Some(bytes) = recv_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, bulk: Handover, release: Rc<Notify>) {
    loop {
        match listener.accept().await {
            Ok((mut stream, _)) => {
                let (bulk, release) = (bulk.clone(), Rc::clone(&release));
                spawn_local(async move {
                    // Errors are ignored: the client of the connection reports what it misses.
                    if let Ok(Served::Endless { kind, early }) = serve(&mut stream, &release).await
                    {
                        let _ = bulk.serve(stream, kind, early);
                    }
                });
            }
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Rest of the work for a connection.
#[derive(Debug)]
pub(super) enum Served {
    All,
    /// An endless body, of which `early` bytes were read.
    Endless {
        kind: BulkKind,
        early: usize,
    },
}

/// Answers the requests of a connection until its end, or until an endless body.
///
/// # Errors
/// The connection failed, or a request is unknown.
pub(super) async fn serve<S>(stream: &mut S, release: &Notify) -> anyhow::Result<Served>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut unread = Vec::with_capacity(MAX_HEAD);
    let mut head = Vec::new();
    loop {
        let Some((request, len)) = parse(&unread)? else {
            ensure!(unread.len() < MAX_HEAD, "the head is too long");
            if stream.read_buf(&mut unread).await? == 0 {
                return Ok(Served::All);
            }
            continue;
        };
        unread.drain(..len);
        let framing = match request.reply {
            Reply::Length(bytes) => format!("Content-Length: {bytes}"),
            Reply::Chunks { .. } => "Transfer-Encoding: chunked".to_owned(),
            Reply::Endless(kind) => {
                let early = unread.len();
                return Ok(Served::Endless { kind, early });
            }
            Reply::Hold => {
                hold(stream, release).await?;
                return Ok(Served::All);
            }
            Reply::Unread => {
                release.notified().await;
                return Ok(Served::All);
            }
        };
        head.clear();
        let close = if request.close {
            "Connection: close\r\n"
        } else {
            ""
        };
        write!(
            head,
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n{framing}\r\n{close}\r\n"
        )?;
        match request.reply {
            Reply::Chunks { size, count } => {
                stream.write_all(&head).await?;
                send_chunks(stream, size, count).await?;
            }
            Reply::Length(bytes) => send(stream, &head, bytes).await?,
            Reply::Endless(_) | Reply::Hold | Reply::Unread => {}
        }
        if request.close {
            return Ok(Served::All);
        }
    }
}

/// Reads and discards the body of a request until its connection ends or is released.
async fn hold(stream: &mut (impl AsyncRead + Unpin), release: &Notify) -> anyhow::Result<()> {
    let mut body = vec![0; MAX_HEAD];
    let released = release.notified();
    tokio::pin!(released);
    loop {
        tokio::select! {
            read = stream.read(&mut body) => if read? == 0 { return Ok(()) },
            () = &mut released => return Ok(()),
        }
    }
}

async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    head: &[u8],
    body_bytes: usize,
) -> std::io::Result<()> {
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

/// Sends `count` chunks of `size` bytes and the last chunk (RFC 9112, section 7.1).
async fn send_chunks(
    stream: &mut (impl AsyncWrite + Unpin),
    size: usize,
    mut count: usize,
) -> std::io::Result<()> {
    let chunk = [format!("{size:x}\r\n").as_bytes(), &FILLER[..size], b"\r\n"].concat();
    let batch = (FILLER.len() / chunk.len()).clamp(1, count.max(1));
    let chunks = chunk.repeat(batch);
    while count > 0 {
        let now = count.min(batch);
        stream.write_all(&chunks[..now * chunk.len()]).await?;
        count -= now;
    }
    stream.write_all(b"0\r\n\r\n").await
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    reply: Reply,
    close: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Length(usize),
    Chunks {
        size: usize,
        count: usize,
    },
    /// Served by another thread.
    Endless(BulkKind),
    Hold,
    Unread,
}

impl Reply {
    fn from_path(path: &str) -> Option<Self> {
        let words: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        match words[..] {
            ["hold"] => Some(Self::Hold),
            ["unread"] => Some(Self::Unread),
            ["chunks", size, count] => {
                let size = size.parse().ok()?;
                let sendable = (1..=FILLER.len()).contains(&size);
                let count = count.parse().ok()?;
                sendable.then_some(Self::Chunks { size, count })
            }
            [bytes] => bytes.parse().ok().map(Self::Length),
            _ => BulkKind::from_path(path).map(Self::Endless),
        }
    }
}

/// Parses the request at the start of `bytes`. Returns it with the length of its head; `None` while
/// it is incomplete.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<(Request, usize)>> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let Status::Complete(len) = head.parse(bytes)? else {
        return Ok(None);
    };
    let reply = head.path.and_then(Reply::from_path);
    let request = Request {
        reply: reply.context("an unknown path")?,
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
    fn the_path_is_the_reply() {
        let text = b"GET /16384 HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\nGET";
        let request = Request {
            reply: Reply::Length(16_384),
            close: true,
        };
        assert_eq!(parse(text).unwrap(), Some((request, text.len() - 3)));
        assert_eq!(parse(&text[..40]).unwrap(), None);
        assert!(parse(b"GET /home HTTP/1.1\r\n\r\n").is_err());
        let chunks = Reply::Chunks { size: 1, count: 9 };
        for (path, reply) in [
            ("/chunks/1/9", Some(chunks)),
            ("/chunks/0/9", None),
            ("/hold", Some(Reply::Hold)),
            ("/unread", Some(Reply::Unread)),
            ("/endless/tunnels", Some(Reply::Endless(BulkKind::Tunnels))),
            ("200", None),
        ] {
            assert_eq!(Reply::from_path(path), reply, "{path}");
        }
    }
}
