//! A listener that hands out connections as the kernel does: the event loop is not told of them, because
//! many are answered and closed without anyone having to wait.
//!
//! The event loop's own listener registers all that it accepts, so the socket is known to it under the
//! type of a stream, of which only the readiness is used.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::Interest;

/// A listener in the event loop.
#[derive(Debug)]
pub struct Listener(tokio::net::TcpStream);

impl Listener {
    /// Tells the event loop of `listener`, which is non-blocking.
    ///
    /// # Errors
    /// When the event loop is out of memory.
    pub fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        let socket = TcpStream::from(OwnedFd::from(listener));
        tokio::net::TcpStream::from_std(socket).map(Self)
    }

    /// Waits for the next connection, which is non-blocking. Cancel safe.
    ///
    /// # Errors
    /// What accept(2) says.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let accept = || self.try_accept();
        self.0.async_io(Interest::READABLE, accept).await
    }

    /// The next connection that waits already.
    ///
    /// # Errors
    /// What accept(2) says; `WouldBlock` when none waits.
    pub fn try_accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (socket, addr) = acceptfrom_with(&self.0, flags)?;
        let addr = addr.and_then(|addr| SocketAddr::try_from(addr).ok());
        // Nobody else can connect to a socket of the Internet.
        let addr = addr.ok_or(io::ErrorKind::ConnectionAborted)?;
        Ok((socket.into(), addr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::socket::{self, PortSharing};
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn whoever_connects_is_handed_out_with_the_address() {
        let listener = socket::listen(([127, 0, 0, 1], 0).into(), PortSharing::Own).unwrap();
        let addr = listener.local_addr().unwrap();
        let listener = Listener::new(listener).unwrap();
        let empty = listener.try_accept().unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        for _ in 0..2 {
            let (accepted, client) =
                tokio::join!(listener.accept(), tokio::net::TcpStream::connect(addr));
            let (mut stream, from) = accepted.unwrap();
            assert_eq!(from, client.unwrap().local_addr().unwrap());
            // It was closed already, or nothing has come: in no case does reading wait.
            let read = timeout(Duration::from_secs(5), async {
                io::Read::read(&mut stream, &mut [0])
            });
            assert!(!matches!(read.await.unwrap(), Ok(1)));
        }
    }
}
