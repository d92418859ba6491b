//! Waiting for an answer and for the end of a held connection.
//!
//! A timeout that expires while this process was itself stalled is restarted.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Delay of a wake-up after its deadline from which on this process counts as stalled.
const STALL_TOLERANCE: Duration = Duration::from_millis(50);
/// Maximum amount of unsolicited data on one connection whose end is still noticed, in bytes.
const MAX_UNSOLICITED: usize = 64 * 1024;

/// Runs `work` for at most `limit`; `None` if that expires.
///
/// A wake-up much later than the deadline means that this process or the whole machine was stalled.
/// The replica had no time to answer then, and the limit starts again.
pub(super) async fn timeout_excluding_stalls<T>(
    limit: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::pin!(work);
    loop {
        let deadline = Instant::now() + limit;
        match timeout_at(deadline, &mut work).await {
            Ok(result) => return Some(result),
            Err(_) if Instant::now() > deadline + STALL_TOLERANCE => {}
            Err(_) => return None,
        }
    }
}

/// Waits until an idle connection becomes readable, after which it is of no more use. Returns
/// `true` if the server sent data, `false` if it closed the connection. Cancel safe.
pub(super) async fn until_readable(stream: &TcpStream) -> bool {
    read(stream, &mut [0]).await > 0
}

/// Waits for the end of a connection on which the server may send data: many send a greeting.
///
/// After [`MAX_UNSOLICITED`] bytes nothing more is read, and this waits for ever. Cancel safe: the
/// data is of no use.
pub(super) async fn until_closed(stream: &TcpStream) {
    let mut discarded = [0; 1024];
    let mut received = 0;
    while received < MAX_UNSOLICITED {
        match read(stream, &mut discarded).await {
            0 => return,
            read => received += read,
        }
    }
    std::future::pending().await
}

/// Reads available data; 0 is the end or an error. Cancel safe.
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
