//! Client connection: request after request until the client or the replica closes it.
//!
//! A connection buffers bytes only while they belong to an incomplete head or an unread request. An
//! idle connection holds no buffer. The body of a request is discarded before the reply is sent.

use std::io::{self, ErrorKind, Write as _};
use std::time::{Duration, SystemTime};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::handlers::{Identity, Reply};
use crate::refusal::Refusal;
use crate::request::{self, Method, Persistence, Request};

/// Time limit of a head, from the accept or the previous reply to the last byte of the head. It
/// also limits how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Time limit of a pause within a body, and of a blocked write.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum number of bytes read in a lingering close. Closing with unread input would reset the
/// connection and lose the reply (RFC 9112 §9.6).
const LINGER_BYTES: usize = 64 * 1024;
/// Time limit of a lingering close.
const LINGER_TIME: Duration = Duration::from_secs(1);

/// Maximum number of bytes per read(2).
const READ_SIZE: usize = 8 * 1024;

/// Reason for the end of a connection.
#[derive(Debug)]
enum ConnectionEnd {
    /// The client closed the connection or exceeded a time limit. No reply is sent.
    Closed,
    /// The request was refused. The client gets the reason.
    Refused(Refusal),
}

impl From<io::Error> for ConnectionEnd {
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

impl From<Refusal> for ConnectionEnd {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Prints the second line of a standby. The next balancer reads the seat from a container's log.
fn print_seat(seat: u32) {
    let line = serde_json::json!({ "seat": seat });
    // The replica serves even if its stdout is closed.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Serves the requests on `client` until one side closes the connection.
pub(crate) async fn serve(client: TcpStream, identity: &Identity) {
    let mut connection = Connection {
        client,
        unread: Vec::new(),
    };
    loop {
        match connection.exchange(identity).await {
            Ok(Persistence::Unstated | Persistence::KeepAlive) => {}
            Ok(Persistence::Close) => return connection.linger().await,
            Err(ConnectionEnd::Closed) => return,
            Err(ConnectionEnd::Refused(refusal)) => return connection.refuse(refusal).await,
        }
    }
}

struct Connection {
    client: TcpStream,
    /// Bytes that were read and not yet consumed. An empty buffer has no capacity.
    unread: Vec<u8>,
}

impl Connection {
    /// Reads one request and sends its reply.
    async fn exchange(&mut self, identity: &Identity) -> Result<Persistence, ConnectionEnd> {
        let mut request = match timeout(HEAD_TIMEOUT, self.head()).await {
            Ok(head) => head?,
            Err(_) => return Err(self.head_timed_out()),
        };
        self.discard_body(&mut request).await?;
        if let Some(seat) = identity.adopt_seat(&request) {
            print_seat(seat);
        }
        let reply = identity.handle(&request);
        let bytes = reply.encode(request.method, request.persistence, SystemTime::now());
        self.write(&bytes).await?;
        Ok(request.persistence)
    }

    /// Reads until a head is complete.
    async fn head(&mut self) -> Result<Request, ConnectionEnd> {
        loop {
            if let Some((request, len)) = request::parse(&self.unread)? {
                self.consume(len);
                return Ok(request);
            }
            self.fill().await?;
        }
    }

    /// Returns 408 if a head has begun. An idle connection closes without a reply.
    fn head_timed_out(&self) -> ConnectionEnd {
        if self.unread.is_empty() {
            return ConnectionEnd::Closed;
        }
        ConnectionEnd::Refused(Refusal {
            status: "408 Request Timeout",
            reason: "the head did not come in time",
        })
    }

    /// Reads the body to its end. Sends `100 Continue` first if the client waits for it.
    async fn discard_body(&mut self, request: &mut Request) -> Result<(), ConnectionEnd> {
        let body = &mut request.body;
        if request.awaits_continue && !body.is_done() && self.unread.is_empty() {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        loop {
            let used = body.skip(&self.unread)?;
            self.consume(used);
            if body.is_done() {
                return Ok(());
            }
            match timeout(STALL_TIMEOUT, self.fill()).await {
                Ok(filled) => filled?,
                Err(_) => return Err(ConnectionEnd::Closed),
            }
        }
    }

    /// Waits for more bytes and appends them to the unread ones.
    async fn fill(&mut self) -> Result<(), ConnectionEnd> {
        loop {
            self.client.readable().await?;
            match self.try_fill() {
                Ok(0) => return Err(ConnectionEnd::Closed),
                Ok(_) => return Ok(()),
                Err(err) if err.kind() == ErrorKind::WouldBlock => {}
                Err(err) => return Err(err.into()),
            }
        }
    }

    /// Reads once. The array is on the stack of this call, not in the connection's future.
    fn try_fill(&mut self) -> io::Result<usize> {
        let mut bytes = [0; READ_SIZE];
        let len = self.client.try_read(&mut bytes)?;
        self.unread.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    /// Drops the first `len` unread bytes, and the buffer when it is empty.
    fn consume(&mut self, len: usize) {
        self.unread.drain(..len);
        if self.unread.is_empty() {
            self.unread = Vec::new();
        }
    }

    /// Sends `bytes` within the time limit of a blocked write.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), ConnectionEnd> {
        match timeout(STALL_TIMEOUT, self.client.write_all(bytes)).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(ConnectionEnd::Closed),
        }
    }

    /// Sends the reason and closes the connection.
    async fn refuse(&mut self, refusal: Refusal) {
        let reply = Reply::from_refusal(refusal);
        let bytes = reply.encode(Method::Other, Persistence::Close, SystemTime::now());
        if self.write(&bytes).await.is_ok() {
            self.linger().await;
        }
    }

    /// Closes the sending side, then reads until the client closes its side or a limit is reached.
    async fn linger(&mut self) {
        let until_closed = async {
            self.client.shutdown().await?;
            self.unread.clear();
            while self.unread.len() < LINGER_BYTES {
                self.fill().await?;
            }
            Ok::<(), ConnectionEnd>(())
        };
        // The connection closes now, on success, error and timeout alike.
        let _ = timeout(LINGER_TIME, until_closed).await;
    }
}
