//! What a child says: the line that tells where it listens, and its last words.
//!
//! Everything is read and nearly everything thrown away, so that a talkative child never blocks on a
//! full pipe. Surprising: when a child has ended, its last words may still be in the pipe, so they are
//! fetched without waiting, and without trusting that the pipe has an end: a grandchild may hold it.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdout};

use crate::roster::ReplicaAddr;

/// The longest line that tells where a child listens, in bytes.
const MAX_OUTPUT_LINE: usize = 1024;
/// How much of the end of what it says is kept, in bytes.
const MAX_LAST_OUTPUT: usize = 2048;
/// How much is fetched of each pipe after a child's end, in bytes: one holds no more by default.
const MAX_DRAIN: usize = 64 * 1024;

/// What is worth to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChildMessage {
    /// Its first line, which tells where it listens.
    Listens(ReplicaAddr),
    /// A first line that tells so, of an address that cannot be the child's.
    NotLoopback(SocketAddr),
    /// A first line that does not.
    Unexpected(String),
}

/// Both ends of a child's output.
#[derive(Debug)]
pub(super) struct ChildOutput {
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    /// The first line, as far as it was read; `None` after it.
    line: Option<Vec<u8>>,
    words: Vec<u8>,
    is_announced: bool,
}

impl ChildOutput {
    /// Takes the pipes of `child`. One whose address is known has nothing to tell: all that it writes are
    /// words.
    pub(super) fn from_child(child: &mut Child, is_announced: bool) -> Self {
        Self {
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            line: (!is_announced).then(Vec::new),
            is_announced,
            words: Vec::new(),
        }
    }

    /// Reads on until the first line is whole, and then for ever. Cancel safe.
    pub(super) async fn next(&mut self) -> ChildMessage {
        let (mut out, mut err) = ([0; 512], [0; 512]);
        loop {
            tokio::select! {
                read = read(&mut self.stdout, &mut out) => {
                    if self.is_announced {
                        self.keep_tail(&out[..read]);
                    } else if let Some(said) = self.take_line(&out[..read]) {
                        return said;
                    }
                }
                read = read(&mut self.stderr, &mut err) => self.keep_tail(&err[..read]),
            }
        }
    }

    /// What a child that has ended wrote last.
    pub(super) fn last_words(&mut self) -> &[u8] {
        let mut rest = Vec::new();
        if self.is_announced {
            drain_pipe(&mut self.stdout, &mut rest);
        }
        drain_pipe(&mut self.stderr, &mut rest);
        self.keep_tail(&rest);
        &self.words
    }

    fn take_line(&mut self, bytes: &[u8]) -> Option<ChildMessage> {
        let line = self.line.as_mut()?;
        line.extend_from_slice(bytes);
        let end = line.iter().position(|byte| *byte == b'\n');
        if end.is_none() && line.len() <= MAX_OUTPUT_LINE {
            return None;
        }
        let line = self.line.take()?;
        let line = &line[..end.unwrap_or(MAX_OUTPUT_LINE)];
        Some(match listen_line(line) {
            Some(addr) if addr.ip().to_canonical().is_loopback() && addr.port() != 0 => {
                ChildMessage::Listens(ReplicaAddr(addr))
            }
            Some(addr) => ChildMessage::NotLoopback(addr),
            None => {
                ChildMessage::Unexpected(String::from_utf8_lossy(line).chars().take(100).collect())
            }
        })
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        self.words.extend_from_slice(bytes);
        let surplus = self.words.len().saturating_sub(MAX_LAST_OUTPUT);
        self.words.drain(..surplus);
    }
}

/// Reads from a pipe, which is closed at its end; from none it waits for ever. Cancel safe.
async fn read<R: AsyncRead + Unpin>(pipe: &mut Option<R>, bytes: &mut [u8]) -> usize {
    if let Some(open) = pipe {
        match open.read(bytes).await {
            Ok(0) | Err(_) => *pipe = None,
            Ok(read) => return read,
        }
    }
    poll_fn(|_| Poll::Pending).await
}

/// Adds to `rest` what a pipe holds at this moment.
fn drain_pipe<R: AsyncRead + Unpin>(pipe: &mut Option<R>, rest: &mut Vec<u8>) {
    let mut fetched = 0;
    while let Some(open) = pipe
        && fetched < MAX_DRAIN
    {
        let mut bytes = [0; 1024];
        let mut buf = ReadBuf::new(&mut bytes);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let poll = Pin::new(open).poll_read(&mut context, &mut buf);
        if !matches!(poll, Poll::Ready(Ok(()))) || buf.filled().is_empty() {
            return;
        }
        fetched += buf.filled().len();
        rest.extend_from_slice(buf.filled());
    }
}

/// Reads `{"listen":"127.0.0.1:43211"}`.
fn listen_line(line: &[u8]) -> Option<SocketAddr> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    value.get("listen")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_read_strictly() {
        let good = listen_line(br#"{"listen":"127.0.0.1:43211"}"#);
        assert_eq!(good, Some(([127, 0, 0, 1], 43211).into()));
        for bad in ["", "{}", r#"{"listen":7}"#, r#"{"listen":"localhost:1"}"#] {
            assert_eq!(listen_line(bad.as_bytes()), None, "{bad}");
        }
    }
}
