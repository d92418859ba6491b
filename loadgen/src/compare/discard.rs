//! Receiving without copying: MSG_TRUNC on a TCP socket discards bytes in the kernel (tcp(7)), so
//! that a large body costs the load as little CPU as possible.

use std::cell::RefCell;
use std::io;

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// A buffer whose length limits one discard. The kernel never writes to it, so that connections
/// share it.
pub(crate) type DiscardBuf = RefCell<Vec<u8>>;

/// Waits for bytes, discards at most `limit` of them and returns their number; 0 at the end of the
/// stream. Cancel safe.
///
/// # Errors
/// The connection broke.
pub(crate) async fn discard(
    stream: &TcpStream,
    buf: &DiscardBuf,
    limit: usize,
) -> io::Result<usize> {
    let receive = || {
        let mut buf = buf.borrow_mut();
        let len = limit.min(buf.len());
        let (_, len) = recv(stream, &mut buf[..len], RecvFlags::TRUNC)?;
        Ok(len)
    };
    stream.async_io(Interest::READABLE, receive).await
}
