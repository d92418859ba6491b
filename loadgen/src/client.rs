//! HTTP client with one connection: sends a request, reads its reply, and reconnects when the
//! server closed the connection.
//!
//! A connection that is known to be closed is not used. If it turns out to be closed after the
//! request was sent, the request counts as failed; nothing is sent twice.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http_reply::{self, MAX_REPLY};
use crate::outcome::{Failure, Server};
use crate::request::RequestTemplate;

/// Initial capacity of the reply buffer, in bytes.
const REPLY_BUFFER: usize = 4 * 1024;

/// A client that keeps at most one connection.
#[derive(Debug)]
pub(crate) struct Client<'t> {
    template: &'t RequestTemplate,
    idle: Option<TcpStream>,
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl<'t> Client<'t> {
    /// Returns a client without a connection.
    pub(crate) fn new(template: &'t RequestTemplate) -> Self {
        Self {
            template,
            idle: None,
            sent: Vec::new(),
            received: Vec::with_capacity(REPLY_BUFFER),
        }
    }

    /// Sends the request with this ID and returns the server that answered, if the reply identifies
    /// it.
    ///
    /// # Errors
    /// The kind of failure. The connection is then not used again.
    pub(crate) async fn request(&mut self, id: u64) -> Result<Option<Server>, Failure> {
        match timeout(self.template.timeout, self.exchange(id)).await {
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
        self.template.write_to(id, &mut self.sent);
        stream
            .write_all(&self.sent)
            .await
            .map_err(|err| Failure::from_io_error(&err))?;
        self.receive(stream).await
    }

    async fn connect(&self) -> Result<TcpStream, Failure> {
        let connecting = TcpStream::connect(self.template.addr).await;
        let stream = connecting.map_err(|err| Failure::from_connect_error(&err))?;
        // Each request is one write, so Nagle's algorithm would only delay it.
        let set = stream.set_nodelay(true);
        set.map_err(|err| Failure::from_connect_error(&err))?;
        Ok(stream)
    }

    /// Reads the reply, and keeps the connection if it is reusable.
    async fn receive(&mut self, mut stream: TcpStream) -> Result<Option<Server>, Failure> {
        self.received.clear();
        loop {
            let read = stream.read_buf(&mut self.received).await;
            let ended = match read {
                Ok(len) => len == 0,
                Err(err) => return Err(Failure::from_io_error(&err)),
            };
            match http_reply::parse(&self.received, ended, self.template.is_head) {
                Ok(Some(reply)) => {
                    if reply.reusable && !ended && !self.template.closes {
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

/// Returns `true` if no close or byte has arrived on an idle connection. The read costs a system
/// call only after an event; unsolicited bytes also make the connection unusable.
fn is_open(stream: &TcpStream) -> bool {
    let mut unsolicited = [0];
    matches!(stream.try_read(&mut unsolicited), Err(err) if err.kind() == ErrorKind::WouldBlock)
}
