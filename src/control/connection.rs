//! One connection of the control port, below its protocol: bytes read ahead to tell the protocol stay
//! in front of what the socket still holds, a write that makes no progress ends in an error, and the
//! close does not eat the answer.
//!
//! It knows lines and no commands. The surprise: closing a socket with unread input makes the kernel send
//! a reset, which may destroy an answer that the client has not read yet (RFC 9112 §9.6).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::ControlLimits;
use crate::shutdown::Shutdown;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 4096;

/// A connection with what was read ahead.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    ahead: BytesMut,
    write_timeout: Duration,
    stall: Option<Pin<Box<Sleep>>>,
}

/// What a client said first.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PeekedLine {
    /// A line, without its ending; or what came before the end of all input.
    Whole(Vec<u8>),
    /// More bytes than a line may have.
    TooLong,
    /// Nothing: the client has gone.
    Nothing,
}

impl Connection {
    /// Wraps `stream`. A write that makes no progress for `write_timeout` fails.
    pub(super) fn new(stream: TcpStream, write_timeout: Duration) -> Self {
        Self {
            stream,
            ahead: BytesMut::new(),
            write_timeout,
            stall: None,
        }
    }

    /// Whether the client has said anything that was not consumed.
    pub(super) fn has_begun(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Waits for the first line of at most `limit` bytes and leaves it in front of the rest, to be read
    /// again. Cancel safe.
    ///
    /// # Errors
    /// What the socket says.
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

    /// Takes the line that [`Self::peek_line`] has found, with its ending, out of what is to be read.
    pub(super) fn skip_line(&mut self) {
        let end = self.ahead.iter().position(|b| *b == b'\n');
        self.ahead
            .advance(end.map_or(self.ahead.len(), |end| end + 1));
    }

    /// Waits for input and drops it; how many bytes that were, 0 at the end of all input. Cancel safe.
    ///
    /// # Errors
    /// What the socket says.
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

    /// Closes, so that the client can read what was written: ends our direction, then drops what still
    /// comes, as long as the limits and `shutdown` allow.
    pub(super) async fn lingering_close(mut self, limits: &ControlLimits, shutdown: &mut Shutdown) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let rest = async {
            let mut left = limits.discard_bytes;
            let mut room = vec![0; READ_BYTES];
            while left > 0 {
                match self.stream.read(&mut room).await {
                    Ok(n) if n > 0 => left = left.saturating_sub(n),
                    _ => return,
                }
            }
        };
        tokio::select! {
            () = rest => {}
            () = sleep(limits.discard_time) => {}
            () = shutdown.cancelled() => {}
        }
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
