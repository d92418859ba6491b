//! Listener: opens the socket, accepts connections and limits their number. Reading and replying is
//! the task of [`connection`].
//!
//! No failure of accept(2) stops the listener. When descriptors or memory are used up, it pauses.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;

use crate::connection;
use crate::handlers::Identity;

/// Maximum number of open connections. Further clients wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 4096;

/// Maximum number of connections that the kernel queues before they are accepted. The kernel lowers
/// it to net.core.somaxconn (listen(2)).
const BACKLOG: u32 = 1024;

/// Delay before the next accept(2) when descriptors or memory are used up.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Opens the listener with TCP_NODELAY. On Linux its connections inherit the option.
///
/// # Errors
/// The address is in use, belongs to another machine, or needs a privilege.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
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
pub(crate) async fn accept(listener: TcpListener, identity: Rc<Identity>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // The semaphore is never closed, so acquiring a permit cannot fail.
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        match listener.accept().await {
            Ok((client, _)) => {
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
