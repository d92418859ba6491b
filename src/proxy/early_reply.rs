//! Replies that arrive before the request was sent completely.
//!
//! A server need not read the body before its final reply (RFC 9110 §10.1.1). The reply is relayed
//! at once, with the announcement that the client's connection closes (`write_head`). A replica may
//! go on reading after its reply, such as a 202 to an upload that it stores meanwhile. So the
//! upload goes on until it is complete, a connection ends, or `request_sender` finds a side stalled
//! for its timeout. Then `attempt` drops the sender, and with it the upload.

use std::future::{Future, poll_fn};
use std::task::Poll;

use super::buffer_pool::BufferSize;
use super::client_watch::ClientWatch;
use super::response_state::{Response, ResponseError};
use crate::wire::socket;

impl Response<'_> {
    /// Waits for the end of the upload or of the replica's connection: a server that still reads
    /// keeps its side open. `half_close`: the client speaks HTTP/1.0 and the chunks were removed.
    /// Its socket is half-closed first, because only the end of the stream ends its reply.
    ///
    /// A single task polls both directions, so the end of the upload is seen at the next poll. An
    /// upload to a replica that has stopped reading does not read from its client, so a reset is
    /// watched for here.
    pub(super) fn outlast_upload(
        &mut self,
        half_close: bool,
    ) -> impl Future<Output = Result<(), ResponseError>> {
        if half_close && let Ok(client) = self.to.known() {
            socket::half_close(client);
        }
        let (from, to, reply) = (&mut self.from, &mut self.to, &mut self.reply);
        let (progress, buffers) = (self.progress, &self.worker.buffers);
        let mut watch = ClientWatch::new(self.worker, &self.stats.ends, || to.known());
        poll_fn(move |cx| {
            if !progress.is_uploading() {
                return Poll::Ready(Ok(()));
            }
            // Bytes after the reply belong to no request (RFC 9112 §9.2) and end the wait as well.
            if buffers
                .poll_read_half(cx, BufferSize::Head, from, reply)
                .is_ready()
            {
                return Poll::Ready(Ok(()));
            }
            watch
                .poll_gone(cx, || None)
                .map(|()| Err(ResponseError::ClientGone))
        })
    }
}
