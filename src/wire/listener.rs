//! Listener that returns connections without registering them with the reactor, because many are
//! answered and closed without a wait.
//!
//! Tokio's own listener registers every connection that it accepts. This socket is therefore
//! registered as a stream, of which only the readiness is used.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::Interest;

/// Listener that is registered with the reactor.
#[derive(Debug)]
pub struct Listener(tokio::net::TcpStream);

impl Listener {
    /// Registers `listener`, which is non-blocking, with the reactor.
    ///
    /// # Errors
    /// If the reactor is out of memory.
    pub fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        let socket = TcpStream::from(OwnedFd::from(listener));
        tokio::net::TcpStream::from_std(socket).map(Self)
    }

    /// Waits for the next connection, which is non-blocking. Cancel safe.
    ///
    /// # Errors
    /// The error of accept(2).
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let accept = || self.try_accept();
        self.0.async_io(Interest::READABLE, accept).await
    }

    /// Returns the next connection that waits already.
    ///
    /// # Errors
    /// The error of accept(2); `WouldBlock` if none waits.
    pub fn try_accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (socket, addr) = acceptfrom_with(&self.0, flags)?;
        let addr = addr.and_then(|addr| SocketAddr::try_from(addr).ok());
        // A TCP socket has no peers of other address families.
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
    async fn a_connection_is_returned_with_its_address() {
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
            // The client has closed already, or sent nothing: reading waits in neither case.
            let read = timeout(Duration::from_secs(5), async {
                io::Read::read(&mut stream, &mut [0])
            });
            assert!(!matches!(read.await.unwrap(), Ok(1)));
        }
    }
}
