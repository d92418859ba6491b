//! Listener that returns connections without registering them with the reactor, because many are
//! answered and closed without a wait.
//!
//! Tokio's own listener registers every connection that it accepts. These sockets are therefore
//! registered as streams, of which only the readiness is used.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::net::{SocketFlags, accept_with, acceptfrom_with};
use tokio::io::Interest;

use super::peer_addr::PeerAddr;

/// Sockets on which a port listens, at least one. A Unix socket is a `TcpListener` too, of which
/// only the descriptor is used.
#[derive(Debug, Default)]
pub struct ListeningSockets {
    /// Socket of TCP.
    pub tcp: Option<TcpListener>,
    /// Unix socket.
    pub unix: Option<TcpListener>,
}

impl ListeningSockets {
    /// Returns the sockets, that of TCP first.
    pub fn iter(&self) -> impl Iterator<Item = &TcpListener> {
        self.tcp.iter().chain(&self.unix)
    }
}

/// Listener that is registered with the reactor.
#[derive(Debug)]
pub struct Listener {
    tcp: Option<tokio::net::TcpStream>,
    unix: Option<tokio::net::TcpStream>,
}

impl Listener {
    /// Registers sockets, which are non-blocking, with the reactor.
    ///
    /// # Errors
    /// If the reactor is out of memory.
    pub fn new(sockets: ListeningSockets) -> io::Result<Self> {
        let register = |socket: TcpListener| {
            let socket = TcpStream::from(OwnedFd::from(socket));
            tokio::net::TcpStream::from_std(socket)
        };
        Ok(Self {
            tcp: sockets.tcp.map(register).transpose()?,
            unix: sockets.unix.map(register).transpose()?,
        })
    }

    /// Waits for the next connection, which is non-blocking. Cancel safe.
    ///
    /// # Errors
    /// The error of accept(2).
    pub async fn accept(&self) -> io::Result<(TcpStream, PeerAddr)> {
        match (&self.tcp, &self.unix) {
            (Some(tcp), None) => accept_tcp(tcp).await,
            (Some(tcp), Some(unix)) => tokio::select! {
                accepted = accept_tcp(tcp) => accepted,
                accepted = accept_unix(unix) => accepted,
            },
            (None, Some(unix)) => accept_unix(unix).await,
            (None, None) => std::future::pending().await,
        }
    }

    /// Returns the next connection that waits already.
    ///
    /// # Errors
    /// The error of accept(2); `WouldBlock` if none waits.
    pub fn try_accept(&self) -> io::Result<(TcpStream, PeerAddr)> {
        let mut accepted = Err(io::ErrorKind::WouldBlock.into());
        if let Some(tcp) = &self.tcp {
            accepted = try_accept_tcp(tcp);
        }
        match (&self.unix, &accepted) {
            (Some(unix), Err(err)) if err.kind() == io::ErrorKind::WouldBlock => {
                try_accept_unix(unix)
            }
            _ => accepted,
        }
    }
}

/// Waits for the next connection. There is no future of ours around the wait, which would cost each
/// connection.
fn accept_tcp(
    socket: &tokio::net::TcpStream,
) -> impl Future<Output = io::Result<(TcpStream, PeerAddr)>> {
    socket.async_io(Interest::READABLE, || try_accept_tcp(socket))
}

async fn accept_unix(socket: &tokio::net::TcpStream) -> io::Result<(TcpStream, PeerAddr)> {
    let accept = || try_accept_unix(socket);
    socket.async_io(Interest::READABLE, accept).await
}

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

fn try_accept_tcp(socket: &tokio::net::TcpStream) -> io::Result<(TcpStream, PeerAddr)> {
    let (socket, addr) = acceptfrom_with(socket, FLAGS)?;
    let addr = addr.and_then(|addr| SocketAddr::try_from(addr).ok());
    // A TCP socket has no peers of other address families.
    let addr = addr.ok_or(io::ErrorKind::ConnectionAborted)?;
    Ok((socket.into(), addr.into()))
}

fn try_accept_unix(socket: &tokio::net::TcpStream) -> io::Result<(TcpStream, PeerAddr)> {
    let socket = accept_with(socket, FLAGS)?;
    Ok((socket.into(), PeerAddr::Unix))
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
        let listener = Listener::new(ListeningSockets {
            tcp: Some(listener),
            unix: None,
        });
        let listener = listener.unwrap();
        let empty = listener.try_accept().unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        for _ in 0..2 {
            let (accepted, client) =
                tokio::join!(listener.accept(), tokio::net::TcpStream::connect(addr));
            let (mut stream, from) = accepted.unwrap();
            assert_eq!(from, client.unwrap().local_addr().unwrap().into());
            // The client has closed already, or sent nothing: reading waits in neither case.
            let read = timeout(Duration::from_secs(5), async {
                io::Read::read(&mut stream, &mut [0])
            });
            assert!(!matches!(read.await.unwrap(), Ok(1)));
        }
    }
}
