//! How heartbeats wait: for an answer, as long as we were awake ourselves, and for the end of a connection that
//! is held.
//!
//! It knows nothing of what is asked. Surprising: a deadline that passed while we were asleep has not passed.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Waking up this long after a deadline, we were asleep ourselves.
const STALL_TOLERANCE: Duration = Duration::from_millis(50);

/// Runs `work` for at most `limit`. Waking up much later than the deadline means that we, or the whole
/// machine, stood still: then nobody had the time to answer, and the time begins again.
pub(super) async fn timeout_excluding_stalls<T>(
    limit: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::pin!(work);
    loop {
        let deadline = Instant::now() + limit;
        match timeout_at(deadline, &mut work).await {
            Ok(done) => return Some(done),
            Err(_) if Instant::now() > deadline + STALL_TOLERANCE => {}
            Err(_) => return None,
        }
    }
}

/// The most that a server may say unasked on one connection and still be heard to end it, in bytes.
const MAX_UNSOLICITED: usize = 64 * 1024;

/// Waits until something happens on an idle connection, which then is of no more use. Returns whether the
/// server said something, rather than just ending it. Cancel safe.
pub(super) async fn until_readable(stream: &TcpStream) -> bool {
    read(stream, &mut [0]).await > 0
}

/// Waits until a connection ends on which the server may speak as it likes: many begin with a greeting.
/// One that says too much is not heard any longer, and this waits forever. Cancel safe: what was read is
/// of no use to anyone.
pub(super) async fn until_closed(stream: &TcpStream) {
    let mut waste = [0; 1024];
    let mut heard = 0;
    while heard < MAX_UNSOLICITED {
        match read(stream, &mut waste).await {
            0 => return,
            some => heard += some,
        }
    }
    std::future::pending().await
}

/// Reads what comes; 0 is the end, in whatever way. Cancel safe.
async fn read(stream: &TcpStream, bytes: &mut [u8]) -> usize {
    loop {
        if stream.readable().await.is_err() {
            return 0;
        }
        match stream.try_read(bytes) {
            Ok(read) => return read,
            Err(err) if err.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return 0,
        }
    }
}
