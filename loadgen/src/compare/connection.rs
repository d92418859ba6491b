//! Client connection of the load: one write per request, one read for the head and the first bytes,
//! and the rest of the body is discarded in the kernel.
//!
//! Only what costs nothing is checked: status and length.

use std::cell::RefCell;
use std::io::Write;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use httparse::{EMPTY_HEADER, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::discard::{DiscardBuf, discard};
use super::scenario::{Body, Shape};

/// Buffer for the head beside a small body, and the largest read of a large body, in bytes.
const READ_HEADROOM: usize = 2 * 1024;
const MAX_READ: usize = 64 * 1024;

/// Largest discard, in bytes.
const MAX_DISCARD: usize = 1024 * 1024;

const MAX_FIELDS: usize = 32;

/// Parts that all connections of a load have in common.
#[derive(Debug)]
pub(crate) struct ConnectionTemplate {
    body: Body,
    close: bool,
    /// Shared by all connections; the kernel never writes to it.
    discard_buf: DiscardBuf,
}

impl ConnectionTemplate {
    /// Returns the template for requests of `shape`.
    pub(crate) fn new(shape: Shape) -> Rc<Self> {
        Rc::new(Self {
            body: shape.body,
            close: shape.close,
            discard_buf: RefCell::new(vec![0; MAX_DISCARD]),
        })
    }
}

/// A client that keeps at most one connection to one address.
#[derive(Debug)]
pub(crate) struct Connection {
    template: Rc<ConnectionTemplate>,
    addr: SocketAddr,
    stream: Option<TcpStream>,
    sent: Vec<u8>,
    received: Vec<u8>,
}

/// Head of a reply.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    bytes: usize,
    /// `None` if the body is chunked.
    body_bytes: Option<usize>,
    close: bool,
}

/// End of a chunked body after its data. A proxy may join chunks, but not omit the last one.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

impl Connection {
    /// Returns a client without a connection.
    pub(crate) fn new(template: &Rc<ConnectionTemplate>, addr: SocketAddr) -> Self {
        let body_bytes = match template.body {
            Body::Length(bytes) => bytes,
            Body::OneByteChunks(_) => MAX_READ,
        };
        let room = (body_bytes + READ_HEADROOM).min(MAX_READ);
        Self {
            template: Rc::clone(template),
            addr,
            stream: None,
            sent: Vec::new(),
            received: vec![0; room],
        }
    }

    /// Sends a request with this ID and receives its reply. Returns the time of the last byte.
    ///
    /// # Errors
    /// The reply was not complete or not the requested one. The next request then connects again.
    pub(crate) async fn exchange(&mut self, id: u64) -> anyhow::Result<Instant> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.addr).await?,
        };
        self.write_request(id);
        stream.write_all(&self.sent).await.context("sending")?;
        let head = self.take_reply(&mut stream).await?;
        let done = Instant::now();
        if head.close {
            // The server closes first, so that TIME_WAIT occupies its port and not the client's.
            let more = stream.read(&mut self.received).await.context("closing")?;
            ensure!(more == 0, "bytes after the reply");
        } else {
            ensure!(!self.template.close, "the reply lacks Connection: close");
            self.stream = Some(stream);
        }
        Ok(done)
    }

    fn write_request(&mut self, id: u64) {
        let ConnectionTemplate { body, close, .. } = *self.template;
        let close = if close { "Connection: close\r\n" } else { "" };
        self.sent.clear();
        // Writing to a Vec cannot fail.
        let _ = match body {
            Body::Length(bytes) => write!(self.sent, "GET /{bytes}"),
            Body::OneByteChunks(count) => write!(self.sent, "GET /chunks/1/{count}"),
        };
        let _ = write!(
            self.sent,
            " HTTP/1.1\r\nHost: {}\r\nUser-Agent: loadgen\r\nAccept: */*\r\nX-Request-ID: {id}\r\n{close}\r\n",
            self.addr
        );
    }

    async fn take_reply(&mut self, stream: &mut TcpStream) -> anyhow::Result<Head> {
        let mut filled = 0;
        let head = loop {
            let len = stream.read(&mut self.received[filled..]).await;
            let len = len.context("receiving")?;
            ensure!(len > 0, "closed within the head of a reply");
            filled += len;
            if let Some(head) = parse(&self.received[..filled])? {
                break head;
            }
        };
        match (self.template.body, head.body_bytes) {
            (Body::Length(expected), Some(found)) => {
                ensure!(found == expected, "{found} bytes instead of {expected}");
                let left = (head.bytes + found).checked_sub(filled);
                let left = left.context("bytes after the reply")?;
                self.discard_rest(stream, left).await?;
            }
            (Body::OneByteChunks(_), None) => self.read_chunks(stream, head.bytes..filled).await?,
            _ => bail!("a reply of another kind than requested"),
        }
        Ok(head)
    }

    /// Reads to the end of a chunked body, of which `filled` of the buffer has arrived.
    async fn read_chunks(
        &mut self,
        stream: &mut TcpStream,
        filled: Range<usize>,
    ) -> anyhow::Result<()> {
        let mut filled = filled;
        while !self.received[filled.clone()].ends_with(LAST_CHUNK) {
            // The end may be split between two reads.
            let kept = filled.len().min(LAST_CHUNK.len());
            self.received.copy_within(filled.end - kept..filled.end, 0);
            let len = stream.read(&mut self.received[kept..]).await;
            let len = len.context("receiving")?;
            ensure!(len > 0, "closed within the body of a reply");
            filled = 0..kept + len;
        }
        Ok(())
    }

    async fn discard_rest(&self, stream: &TcpStream, mut left: usize) -> anyhow::Result<()> {
        while left > 0 {
            let len = discard(stream, &self.template.discard_buf, left).await;
            let len = len.context("receiving")?;
            ensure!(len > 0, "closed within the body of a reply");
            left -= len;
        }
        Ok(())
    }
}

async fn connect(addr: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await.context("connecting")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Parses the head at the start of `bytes`; `None` while it is incomplete.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<Head>> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let Status::Complete(len) = head.parse(bytes)? else {
        return Ok(None);
    };
    if head.code != Some(200) {
        bail!("status {}", head.code.unwrap_or_default());
    }
    let value = |name: &str| {
        let mut fields = head.headers.iter();
        let field = fields.find(|field| field.name.eq_ignore_ascii_case(name))?;
        str::from_utf8(field.value).ok()
    };
    let length = value("content-length").and_then(|length| length.parse().ok());
    let chunked = value("transfer-encoding") == Some("chunked");
    ensure!(length.is_some() != chunked, "no Content-Length or chunks");
    Ok(Some(Head {
        bytes: len,
        body_bytes: length,
        close: value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_length_and_close() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nConnection: close\r\n\r\nabc";
        let head = Head {
            bytes: text.len() - 3,
            body_bytes: Some(3),
            close: true,
        };
        assert_eq!(parse(text).unwrap(), Some(head));
        assert_eq!(parse(&text[..20]).unwrap(), None);
        for bad in ["HTTP/1.1 502 No\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "x"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
