//! The output of a child process: the line with its listen address, and its last output.
//!
//! All output is read and nearly all of it discarded, so that a child that writes much never blocks
//! on a full pipe. When a child has ended, its last output may still be in the pipe. It is fetched
//! without waiting, because a grandchild may hold the pipe open for ever.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdout};

use crate::roster::ReplicaAddr;
use crate::wire::stream_addr::{StreamAddr, UNIX_PREFIX, UnixPath};

/// Maximum length of the line with the listen address, in bytes.
const MAX_OUTPUT_LINE: usize = 1024;
/// Maximum amount of last output that is kept, in bytes.
const MAX_LAST_OUTPUT: usize = 2048;
/// Maximum amount that is fetched from each pipe after a child's exit, in bytes: the default
/// capacity of a pipe (pipe(7)).
const MAX_DRAIN: usize = 64 * 1024;

/// The first line that a child is to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstLine {
    /// Anything: all its output counts as last output.
    Any,
    /// Its listen address: this socket, or a port of the loopback address.
    Address(Option<UnixPath>),
}

/// The first line of a child's output.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChildMessage {
    /// Its listen address.
    Listens(ReplicaAddr),
    /// A listen address that cannot be the child's.
    Foreign(StreamAddr),
    /// A line without an address.
    Unexpected(String),
}

/// Standard output and standard error of a child.
#[derive(Debug)]
pub(super) struct ChildOutput {
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    /// The first line, as far as it was read; `None` after it.
    line: Option<Vec<u8>>,
    tail: Vec<u8>,
    first_line: FirstLine,
}

impl ChildOutput {
    /// Takes the pipes of `child`.
    pub(super) fn from_child(child: &mut Child, first_line: FirstLine) -> Self {
        Self {
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            line: (first_line != FirstLine::Any).then(Vec::new),
            first_line,
            tail: Vec::new(),
        }
    }

    /// Reads until the first line is complete, and returns it. After that it reads for ever. Cancel
    /// safe.
    pub(super) async fn next(&mut self) -> ChildMessage {
        let (mut out, mut err) = ([0; 512], [0; 512]);
        loop {
            tokio::select! {
                read = read(&mut self.stdout, &mut out) => {
                    if self.first_line == FirstLine::Any {
                        self.keep_tail(&out[..read]);
                    } else if let Some(message) = self.take_line(&out[..read]) {
                        return message;
                    }
                }
                read = read(&mut self.stderr, &mut err) => self.keep_tail(&err[..read]),
            }
        }
    }

    /// Returns the last output of a child that has ended.
    pub(super) fn last_output(&mut self) -> &[u8] {
        let mut rest = Vec::new();
        if self.first_line == FirstLine::Any {
            drain_pipe(&mut self.stdout, &mut rest);
        }
        drain_pipe(&mut self.stderr, &mut rest);
        self.keep_tail(&rest);
        &self.tail
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
            Some(addr) if self.may_be_its_own(&addr) => ChildMessage::Listens(ReplicaAddr(addr)),
            Some(addr) => ChildMessage::Foreign(addr),
            None => {
                ChildMessage::Unexpected(String::from_utf8_lossy(line).chars().take(100).collect())
            }
        })
    }

    fn may_be_its_own(&self, addr: &StreamAddr) -> bool {
        match addr {
            StreamAddr::Tcp(addr) => addr.ip().to_canonical().is_loopback() && addr.port() != 0,
            StreamAddr::Unix(path) => self.first_line == FirstLine::Address(Some(*path)),
        }
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        let surplus = self.tail.len().saturating_sub(MAX_LAST_OUTPUT);
        self.tail.drain(..surplus);
    }
}

/// Reads from a pipe and drops it at its end. Without a pipe it waits for ever. Cancel safe.
async fn read<R: AsyncRead + Unpin>(pipe: &mut Option<R>, bytes: &mut [u8]) -> usize {
    if let Some(open) = pipe {
        match open.read(bytes).await {
            Ok(0) | Err(_) => *pipe = None,
            Ok(read) => return read,
        }
    }
    poll_fn(|_| Poll::Pending).await
}

/// Appends to `rest` what a pipe holds at this moment.
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

/// Parses `{"listen":"127.0.0.1:43211"}` or `{"listen":"unix:PATH"}`.
fn listen_line(line: &[u8]) -> Option<StreamAddr> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    let addr = value.get("listen")?.as_str()?;
    match addr.strip_prefix(UNIX_PREFIX) {
        Some(path) => path.parse().ok().map(StreamAddr::Unix),
        None => addr.parse().ok().map(StreamAddr::Tcp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listen_line_is_parsed_strictly() {
        let good = listen_line(br#"{"listen":"127.0.0.1:43211"}"#);
        assert_eq!(good, Some(([127, 0, 0, 1], 43211).into()));
        let good = listen_line(br#"{"listen":"unix:/run/1.sock"}"#);
        assert_eq!(good, Some(StreamAddr::Unix("/run/1.sock".parse().unwrap())));
        let relative = r#"{"listen":"unix:1.sock"}"#;
        let name = r#"{"listen":"localhost:1"}"#;
        for bad in ["", "{}", r#"{"listen":7}"#, name, relative] {
            assert_eq!(listen_line(bad.as_bytes()), None, "{bad}");
        }
    }
}
