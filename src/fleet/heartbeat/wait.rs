//! How heartbeats wait: for an answer, as long as we were awake ourselves, and for the end of a connection that
//! is held.
//!
//! It knows nothing of what is asked. Surprising: a deadline that passed while we were asleep has not passed.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Waking up this long after a deadline, we were asleep ourselves.
const LATE: Duration = Duration::from_millis(50);

/// Runs `work` for at most `limit`. Waking up much later than the deadline means that we, or the whole
/// machine, stood still: then nobody had the time to answer, and the time begins again.
pub(super) async fn punctual<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::pin!(work);
    loop {
        let deadline = Instant::now() + limit;
        match timeout_at(deadline, &mut work).await {
            Ok(done) => return Some(done),
            Err(_) if Instant::now() > deadline + LATE => {}
            Err(_) => return None,
        }
    }
}

/// Waits until something happens on an idle connection, which then is of no more use; forever without
/// one. Returns whether the server said something, rather than just ending it. Cancel safe.
pub(super) async fn stir(held: Option<&TcpStream>) -> bool {
    let Some(stream) = held else {
        return std::future::pending().await;
    };
    loop {
        let mut byte = [0];
        if stream.readable().await.is_err() {
            return false;
        }
        match stream.try_read(&mut byte) {
            Ok(read) => return read > 0,
            Err(err) if err.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
}
