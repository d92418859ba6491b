//! One connection's client: a request out, a reply in, again and again; a fresh connection where the
//! server closed the last one.
//!
//! A connection that is known to be closed is not used. One that turns out to be closed after the
//! request was sent is a failure like any other: nothing is sent twice.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http_reply::{self, MAX_REPLY};
use crate::outcome::{Expected, Failure, Server};

/// From the request (connecting included) to the last byte of its reply.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What is first set aside for a reply.
const REPLY_BUFFER: usize = 4 * 1024;

/// What all requests of a load have in common.
#[derive(Debug)]
pub(crate) struct RequestTemplate {
    pub(crate) addr: SocketAddr,
    /// The bytes before the request ID.
    head: String,
    expected: Expected,
}

impl RequestTemplate {
    /// GET requests for `path`, sent to `addr`, with `authority` in the Host field.
    pub(crate) fn get(addr: SocketAddr, authority: &str, path: &str, expected: Expected) -> Self {
        Self {
            addr,
            head: format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nX-Request-ID: "),
            expected,
        }
    }
}

/// One connection at a time.
#[derive(Debug)]
pub(crate) struct Client<'t> {
    template: &'t RequestTemplate,
    idle: Option<TcpStream>,
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl<'t> Client<'t> {
    /// A client without a connection yet.
    pub(crate) fn new(template: &'t RequestTemplate) -> Self {
        Self {
            template,
            idle: None,
            sent: Vec::new(),
            received: Vec::with_capacity(REPLY_BUFFER),
        }
    }

    /// Sends the request with this ID, and says who answered, if that can be told.
    ///
    /// # Errors
    /// The one kind of failure that it was. The connection is not used again.
    pub(crate) async fn request(&mut self, id: u64) -> Result<Option<Server>, Failure> {
        match timeout(REQUEST_TIMEOUT, self.exchange(id)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::TimedOut),
        }
    }

    async fn exchange(&mut self, id: u64) -> Result<Option<Server>, Failure> {
        let mut stream = match self.idle.take().filter(is_open) {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        self.sent.clear();
        // Writing to a Vec cannot fail.
        let _ = write!(self.sent, "{}{id}\r\n\r\n", self.template.head);
        stream
            .write_all(&self.sent)
            .await
            .map_err(|err| Failure::from_io_error(&err))?;
        self.receive(stream).await
    }

    async fn connect(&self) -> Result<TcpStream, Failure> {
        let connecting = TcpStream::connect(self.template.addr).await;
        let stream = connecting.map_err(|err| Failure::from_connect_error(&err))?;
        // Each request is one write; waiting for more would only delay it.
        let set = stream.set_nodelay(true);
        set.map_err(|err| Failure::from_connect_error(&err))?;
        Ok(stream)
    }

    /// Reads the reply, and keeps the connection if it can be used again.
    async fn receive(&mut self, mut stream: TcpStream) -> Result<Option<Server>, Failure> {
        self.received.clear();
        loop {
            let read = stream.read_buf(&mut self.received).await;
            let ended = match read {
                Ok(len) => len == 0,
                Err(err) => return Err(Failure::from_io_error(&err)),
            };
            match http_reply::parse(&self.received, ended) {
                Ok(Some(reply)) => {
                    if reply.reusable && !ended {
                        self.idle = Some(stream);
                    }
                    return self.template.expected.check(reply.status, &reply.body);
                }
                Ok(None) if ended && self.received.is_empty() => return Err(Failure::ClosedEarly),
                Ok(None) if ended => return Err(Failure::CutOff),
                Ok(None) if self.received.len() <= MAX_REPLY => {}
                Ok(None) | Err(http_reply::Malformed) => return Err(Failure::BadBody),
            }
        }
    }
}

/// Whether an idle connection is still open, as far as is known: it costs a system call only when
/// something has come, and whatever came was not asked for.
fn is_open(stream: &TcpStream) -> bool {
    let mut unasked = [0];
    matches!(stream.try_read(&mut unasked), Err(err) if err.kind() == ErrorKind::WouldBlock)
}
