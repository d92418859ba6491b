//! Client connection: request after request until the client or the replica closes it.
//!
//! Bytes are kept only while they belong to an unfinished head or an unread request: an idle connection
//! holds no buffer. The body of a request is discarded before the reply.

use std::io::{self, ErrorKind, Write as _};
use std::time::{Duration, SystemTime};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::handlers::{Identity, Reply};
use crate::refusal::Refusal;
use crate::request::{self, Method, Persistence, Request};

/// From the first moment a head could come to its last byte; so an idle connection lasts no longer.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Time limit for silence within a body, and for a blocked write.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Number of bytes that are still read from a client whose connection is being closed. Closing with
/// unread input would reset the connection and lose the reply (RFC 9112 §9.6).
const LINGER_BYTES: usize = 64 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// The most that is read at once.
const READ_SIZE: usize = 8 * 1024;

/// Reason for the end of a connection.
#[derive(Debug)]
enum End {
    /// The client closed it, or was silent for too long.
    Left,
    /// The client does not speak HTTP/1.1 as we do.
    Refused(Refusal),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Left
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The second line of a standby: what it wrote is all that outlives it.
fn tell_seat(seat: u32) {
    let line = serde_json::json!({ "seat": seat });
    // A closed stdout is no reason not to serve.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Answers what comes on `client` until it ends.
pub(crate) async fn serve(client: TcpStream, identity: &Identity) {
    let mut connection = Connection {
        client,
        unread: Vec::new(),
    };
    loop {
        match connection.exchange(identity).await {
            Ok(Persistence::Unstated | Persistence::KeepAlive) => {}
            Ok(Persistence::Close) => return connection.linger().await,
            Err(End::Left) => return,
            Err(End::Refused(refusal)) => return connection.refuse(refusal).await,
        }
    }
}

struct Connection {
    client: TcpStream,
    /// Bytes that were read and not used; without capacity when empty.
    unread: Vec<u8>,
}

impl Connection {
    async fn exchange(&mut self, identity: &Identity) -> Result<Persistence, End> {
        let mut request = match timeout(HEAD_TIMEOUT, self.head()).await {
            Ok(head) => head?,
            Err(_) => return Err(self.no_head_in_time()),
        };
        self.discard_body(&mut request).await?;
        if let Some(seat) = identity.adopt_seat(&request) {
            tell_seat(seat);
        }
        let answer = identity.handle(&request);
        let bytes = answer.encode(request.method, request.persistence, SystemTime::now());
        self.write(&bytes).await?;
        Ok(request.persistence)
    }

    async fn head(&mut self) -> Result<Request, End> {
        loop {
            if let Some((request, len)) = request::parse(&self.unread)? {
                self.used(len);
                return Ok(request);
            }
            self.fill().await?;
        }
    }

    fn no_head_in_time(&self) -> End {
        if self.unread.is_empty() {
            return End::Left;
        }
        End::Refused(Refusal {
            status: "408 Request Timeout",
            reason: "the head did not come in time",
        })
    }

    async fn discard_body(&mut self, request: &mut Request) -> Result<(), End> {
        let body = &mut request.body;
        if request.awaits_continue && !body.is_done() && self.unread.is_empty() {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        loop {
            let used = body.skip(&self.unread)?;
            self.used(used);
            if body.is_done() {
                return Ok(());
            }
            match timeout(STALL_TIMEOUT, self.fill()).await {
                Ok(filled) => filled?,
                Err(_) => return Err(End::Left),
            }
        }
    }

    /// Waits for more bytes and adds them to the unread ones.
    async fn fill(&mut self) -> Result<(), End> {
        loop {
            self.client.readable().await?;
            match self.try_fill() {
                Ok(0) => return Err(End::Left),
                Ok(_) => return Ok(()),
                Err(err) if err.kind() == ErrorKind::WouldBlock => {}
                Err(err) => return Err(err.into()),
            }
        }
    }

    /// Reads once. The array is on the stack of this call, not in the connection's task.
    fn try_fill(&mut self) -> io::Result<usize> {
        let mut bytes = [0; READ_SIZE];
        let len = self.client.try_read(&mut bytes)?;
        self.unread.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn used(&mut self, len: usize) {
        self.unread.drain(..len);
        if self.unread.is_empty() {
            self.unread = Vec::new();
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        match timeout(STALL_TIMEOUT, self.client.write_all(bytes)).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(End::Left),
        }
    }

    async fn refuse(&mut self, refusal: Refusal) {
        let answer = Reply::from_refusal(refusal);
        let bytes = answer.encode(Method::Other, Persistence::Close, SystemTime::now());
        if self.write(&bytes).await.is_ok() {
            self.linger().await;
        }
    }

    /// Ends our side and waits, within limits, for the client to end its own.
    async fn linger(&mut self) {
        let until_closed = async {
            self.client.shutdown().await?;
            self.unread.clear();
            while self.unread.len() < LINGER_BYTES {
                self.fill().await?;
            }
            Ok::<(), End>(())
        };
        // Whatever ends it, the connection is closed now.
        let _ = timeout(LINGER_TIME, until_closed).await;
    }
}
