//! Idle client connections: before the first request and between two. The connection waits without
//! a buffer for the first bytes of a request. It closes at its idle timeout, at a stop, or when it
//! is evicted.
//!
//! The bytes are not parsed here, except that an empty line begins no request.

use std::future::{Future, poll_fn};
use std::task::Poll;

use tokio::time::Instant;

use super::buffer_pool::BufferSize;
use super::client::Client;
use super::worker::Worker;
use crate::wire::lazy_stream::LazyStream;

/// Bytes for which a connection waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AwaitedBytes {
    /// The PROXY header of a new connection. An empty line belongs to it.
    ProxyHeader,
    /// The ClientHello of a new connection. An empty line is the beginning of none.
    ClientHello,
    /// The first request of a connection.
    FirstRequest,
    /// A request after the first.
    NextRequest,
}

/// Waits for the first of these bytes. Returns `false` if the connection is to close: at its end,
/// at the timeout, or by eviction.
///
/// Neither an async fn nor a `select!`: this future is the largest part of an idle connection's
/// memory.
pub(super) fn wait_for_bytes(
    worker: &Worker,
    client: &mut Client,
    awaited: AwaitedBytes,
) -> impl Future<Output = bool> {
    let mut place = worker.evictable.idle.place(Instant::now());
    poll_fn(move |cx| {
        let Client {
            stream,
            inbox,
            timer,
            ..
        } = &mut *client;
        let (size, ready) = (BufferSize::Read, LazyStream::poll_read_ready);
        while let Poll::Ready(read) = worker.buffers.poll_read(cx, size, stream, inbox, ready) {
            let is_raw = matches!(
                awaited,
                AwaitedBytes::ProxyHeader | AwaitedBytes::ClientHello
            );
            let counts = is_raw || !is_blank(inbox);
            if inbox.is_empty() || counts {
                return Poll::Ready(matches!(read, Ok(1..)));
            }
            worker.buffers.put_back(inbox);
        }
        // A client whose bytes the kernel has and the event loop has not announced yet is not idle.
        if place.wait(cx) && stream.recv_queue_empty() {
            worker.port().evicted.add(1);
            return Poll::Ready(false);
        }
        let limits = &worker.settings.limits;
        let limit = match awaited {
            AwaitedBytes::NextRequest => limits.idle_timeout,
            // A client that has sent nothing yet owes its first bytes.
            AwaitedBytes::ProxyHeader | AwaitedBytes::ClientHello | AwaitedBytes::FirstRequest => {
                limits.head_timeout
            }
        };
        // A stop moves the deadline forward.
        let idle_end = place.since() + limit;
        let due = worker.idle_end().map_or(idle_end, |end| end.min(idle_end));
        timer.poll_passed(cx, due).map(|()| false)
    })
}

/// Returns `true` if no request has begun. Some clients end a request with an extra empty line,
/// which begins none (RFC 9112 §2.2).
pub(super) fn is_blank(inbox: &[u8]) -> bool {
    matches!(inbox, b"" | b"\r\n")
}
