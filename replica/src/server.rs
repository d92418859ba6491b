//! The listener: where connections come from, how many there may be, and what happens when accept(2)
//! fails. It knows nothing of what is said on them.
//!
//! No failure of accept(2) ends it: at worst it pauses.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;

use crate::connection;
use crate::handlers::Identity;

/// Connections open at once; more wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 4096;

/// Connections the kernel keeps for us until they are accepted (fewer if net.core.somaxconn is less).
const BACKLOG: u32 = 1024;

/// Pause of accepting when descriptors or memory are used up.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener whose connections all send without delay: on Linux they inherit the option.
///
/// # Errors
/// The address is taken, not ours, or not allowed.
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

/// Serves every connection that comes, for ever. Must run on a local runtime.
pub(crate) async fn accept(listener: TcpListener, identity: Rc<Identity>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // The semaphore is never closed, so a permit always comes.
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

/// Returns `true` if accept(2) failed because of one client that has left, not for lack of resources.
fn is_of_one_connection(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}
