//! A client's connection before its first request and between two: it waits for the first bytes of the next
//! one, for the end of its time, for the word "stop", or until it must make room, and holds no buffer.
//!
//! Nothing is read here of what a request says; only an empty line is known to begin none.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::buffer_pool::BufferPool;
use super::client::Client;
use super::worker::Worker;
use crate::wire::lazy_stream::LazyStream;

/// Waits for the first bytes of a request, which is the first of its connection if this is `fresh`; `false`
/// when there are none to come, or not in time, or the client must make room. No async fn, nor a select: of
/// all that a connection holds, this is what it holds while it is idle.
pub(super) fn wait_for_bytes(
    worker: &Worker,
    client: &mut Client,
    fresh: bool,
) -> impl Future<Output = bool> {
    let mut place = worker.idle.place(Instant::now());
    poll_fn(move |cx| {
        let Client {
            stream,
            inbox,
            timer,
            ..
        } = &mut *client;
        while let Poll::Ready(read) = poll_first_bytes(stream, inbox, &worker.inboxes, cx) {
            if inbox.is_empty() || !is_blank(inbox) {
                return Poll::Ready(matches!(read, Ok(1..)));
            }
            worker.inboxes.put_back(inbox);
        }
        // The kernel may have bytes that the event loop has not announced yet: that client has spoken.
        if place.wait(cx) && stream.recv_queue_empty() {
            worker.port().evicted.add(1);
            return Poll::Ready(false);
        }
        let limits = &worker.settings.limits;
        // A client that has said nothing yet owes the head of a request.
        let limit = if fresh {
            limits.head_timeout
        } else {
            limits.idle_timeout
        };
        // The word "stop" brings the end nearer.
        let idle_end = place.since() + limit;
        let due = worker.idle_end().map_or(idle_end, |end| end.min(idle_end));
        timer.poll_passed(cx, due).map(|()| false)
    })
}

/// Whether no request has begun: an empty line behind one, with which some clients end it, is none
/// (RFC 9112 §2.2).
pub(super) fn is_blank(inbox: &[u8]) -> bool {
    matches!(inbox, b"" | b"\r\n")
}

/// Reads what there is into a buffer taken for it. The event loop may announce bytes in vain, and does so
/// for each new connection; then the buffer is given back.
fn poll_first_bytes(
    stream: &mut LazyStream,
    inbox: &mut BytesMut,
    buffers: &BufferPool,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    ready!(stream.poll_read_ready(cx))?;
    *inbox = buffers.take();
    let read = pin!(stream.read_buf(inbox)).poll(cx);
    if read.is_pending() {
        buffers.put_back(inbox);
    }
    read
}
