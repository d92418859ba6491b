//! Listener: opens the socket, accepts connections and limits their number. Reading and replying is
//! the task of [`connection`].
//!
//! No failure of accept(2) stops the listener. When descriptors or memory are used up, it pauses.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener};
use tokio::sync::Semaphore;

use crate::args::Listen;
use crate::connection;
use crate::handlers::Identity;

/// Maximum number of open connections. Further clients wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 4096;

/// Maximum number of connections that the kernel queues before they are accepted. The kernel lowers
/// it to net.core.somaxconn (listen(2)).
const BACKLOG: u32 = 1024;

/// Delay before the next accept(2) when descriptors or memory are used up.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listener of either kind.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Accepts a connection. That of a Unix socket is a `TcpStream` too, which holds any stream
    /// socket (`From<OwnedFd>`); only the options of TCP fail on it.
    async fn accept(&self) -> io::Result<TcpStream> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(client, _)| client),
            Self::Unix(listener) => {
                let (client, _) = listener.accept().await?;
                let client = OwnedFd::from(client.into_std()?);
                TcpStream::from_std(client.into())
            }
        }
    }
}

/// Opens the listener. Returns also its address as it is announced.
///
/// # Errors
/// The address is in use, belongs to another machine, or needs a privilege; a file is at the path.
pub(crate) fn listen(on: &Listen) -> io::Result<(Listener, String)> {
    match on {
        Listen::Tcp(addr) => {
            let listener = listen_tcp(*addr)?;
            let addr = listener.local_addr()?.to_string();
            Ok((Listener::Tcp(listener), addr))
        }
        Listen::Unix(path) => Ok((Listener::Unix(UnixListener::bind(path)?), on.to_string())),
    }
}

/// Opens a TCP listener with TCP_NODELAY. On Linux its connections inherit the option.
fn listen_tcp(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Accepts and serves connections until the process exits. Must run on a local runtime.
pub(crate) async fn accept(listener: Listener, identity: Rc<Identity>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // The semaphore is never closed, so acquiring a permit cannot fail.
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        match listener.accept().await {
            Ok(client) => {
                let identity = Rc::clone(&identity);
                tokio::task::spawn_local(async move {
                    connection::serve(client, &identity).await;
                    drop(permit);
                });
            }
            Err(err) if is_of_one_connection(&err) => {}
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Returns `true` if accept(2) failed because one client disconnected, not for lack of resources.
fn is_of_one_connection(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}
