//! Connection of the control port, below its protocol.
//!
//! Bytes that were read ahead to recognise the protocol are delivered before those still in the
//! socket. A write that makes no progress fails. Before a close, remaining input is discarded:
//! closing a socket with unread input makes the kernel send a reset, which may destroy an answer
//! that the client has not read yet (RFC 9112 §9.6). Commands are unknown here.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::limits::ControlLimits;
use crate::shutdown::Shutdown;
use crate::wire::peer_addr::PeerAddr;
use crate::wire::socket_owner::{self, SocketOwner};

/// Size of one read, in bytes.
const READ_BYTES: usize = 4096;

/// Silence of both sides after which the kernel probes the client.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
/// Interval between probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Number of unanswered probes after which the connection breaks.
const KEEPALIVE_PROBES: u32 = 3;

/// The two ends of a client's connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoints {
    pub(super) client: PeerAddr,
    /// Our own address; `None` for a Unix socket.
    local: Option<SocketAddr>,
}

impl Endpoints {
    /// Returns the user that owns the client's socket. A client of our Unix socket commands as our
    /// own user: the mode of the socket is the rule.
    ///
    /// # Errors
    /// When the kernel does not report it.
    pub(super) fn owner(self) -> io::Result<SocketOwner> {
        match (self.client, self.local) {
            (PeerAddr::Tcp(client), Some(local)) => socket_owner::owner_of(client, local),
            _ => Ok(SocketOwner::User(socket_owner::own_user())),
        }
    }
}

/// A connection, with the bytes that were read ahead.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    ahead: BytesMut,
    write_timeout: Duration,
    /// Deadline of a write that makes no progress.
    stall: Option<Pin<Box<Sleep>>>,
}

/// First input of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PeekedLine {
    /// A line without its ending, or the bytes before the end of input.
    Whole(Vec<u8>),
    /// More bytes than a line may have.
    TooLong,
    /// End of input without a byte.
    Nothing,
}

impl Connection {
    /// Makes `stream` ready to be read. `None` if it is broken already.
    pub(super) fn open(
        stream: TcpStream,
        client: PeerAddr,
        limits: &ControlLimits,
    ) -> Option<(Endpoints, Self)> {
        let local = match client {
            PeerAddr::Tcp(_) => {
                enable_keepalive(&stream);
                Some(stream.local_addr().ok()?)
            }
            PeerAddr::Unix => None,
        };
        let conn = Self {
            stream,
            ahead: BytesMut::new(),
            write_timeout: limits.write_timeout,
            stall: None,
        };
        Some((Endpoints { client, local }, conn))
    }

    /// Returns `true` if input of the client was read and not consumed.
    pub(super) fn has_begun(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Waits for a line of at most `limit` bytes and does not consume it. Cancel safe.
    ///
    /// # Errors
    /// Errors of the socket.
    pub(super) async fn peek_line(&mut self, limit: usize) -> io::Result<PeekedLine> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.ahead[searched..].iter().position(|b| *b == b'\n') {
                return Ok(classify_line(&self.ahead[..searched + end], limit));
            }
            searched = self.ahead.len();
            // One byte more than the limit may still be the first half of CR LF.
            if searched > limit && classify_line(&self.ahead, limit) == PeekedLine::TooLong {
                return Ok(PeekedLine::TooLong);
            }
            self.ahead.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.ahead).await? == 0 {
                return Ok(match searched {
                    0 => PeekedLine::Nothing,
                    _ => classify_line(&self.ahead, limit),
                });
            }
        }
    }

    /// Consumes the line that [`Self::peek_line`] has found, with its ending.
    pub(super) fn skip_line(&mut self) {
        let end = self.ahead.iter().position(|b| *b == b'\n');
        self.ahead
            .advance(end.map_or(self.ahead.len(), |end| end + 1));
    }

    /// Waits for input and discards it. Returns the number of bytes, 0 at the end of input. Cancel
    /// safe.
    ///
    /// # Errors
    /// Errors of the socket.
    pub(super) async fn drop_input(&mut self) -> io::Result<usize> {
        if self.ahead.is_empty() {
            self.ahead.reserve(READ_BYTES);
            self.stream.read_buf(&mut self.ahead).await?;
        }
        let dropped = self.ahead.len();
        self.ahead.clear();
        Ok(dropped)
    }

    /// Waits until the connection is broken, without reading. Cancel safe.
    pub(super) async fn disconnected(&self) -> io::Error {
        let ready = self.stream.ready(Interest::ERROR).await;
        let error = ready.and_then(|_| self.stream.take_error());
        let reset = || io::ErrorKind::ConnectionReset.into();
        error.unwrap_or_else(Some).unwrap_or_else(reset)
    }

    /// Lingering close: ends the sending direction, then discards input within the limits, so that
    /// a reset does not destroy the answer.
    pub(super) async fn lingering_close(mut self, limits: &ControlLimits, shutdown: &mut Shutdown) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let discard = async {
            let mut left = limits.discard_bytes;
            let mut buffer = vec![0; READ_BYTES];
            while left > 0 {
                match self.stream.read(&mut buffer).await {
                    Ok(n) if n > 0 => left = left.saturating_sub(n),
                    _ => return,
                }
            }
        };
        tokio::select! {
            () = discard => {}
            () = sleep(limits.discard_time) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

/// Lets the kernel probe a client to which nothing is written for long. If the system refuses, the
/// connection has no probes.
pub(super) fn enable_keepalive(stream: &TcpStream) {
    let probes = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    if let Err(err) = SockRef::from(stream).set_tcp_keepalive(&probes) {
        tracing::debug!("control connection has no keep-alive probes: {err}");
    }
}

fn classify_line(line: &[u8], limit: usize) -> PeekedLine {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.len() <= limit {
        true => PeekedLine::Whole(line.to_vec()),
        false => PeekedLine::TooLong,
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let n = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..n]);
        self.ahead.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(done) = Pin::new(&mut self.stream).poll_write(cx, buf) {
            self.stall = None;
            return Poll::Ready(done);
        }
        let wait = self.write_timeout;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(wait)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
