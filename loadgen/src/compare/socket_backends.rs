//! Backends at Unix sockets, with the replies of those at loopback ports, except endless bodies.

use anyhow::Context;
use tokio::net::UnixListener;
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_local};

use super::backend::serve;
use super::backend_addr::BackendAddr;
use super::setting::PLAIN;
use crate::child_process::TempDir;

/// The backends. They stop, and their sockets are removed, when dropped.
#[derive(Debug)]
pub(crate) struct SocketBackends {
    pub(crate) addrs: Vec<BackendAddr>,
    _accepting: JoinSet<()>,
    _folder: TempDir,
}

impl SocketBackends {
    /// Starts the backends in a temporary directory. Must be called on a local runtime.
    ///
    /// # Errors
    /// The directory is not writable, or its path is too long for a socket (unix(7)).
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = TempDir::create()?;
        let mut accepting = JoinSet::new();
        let mut addrs = Vec::new();
        for number in 1..=PLAIN.backends {
            let path = folder.path().join(number.to_string());
            let listener = UnixListener::bind(&path)
                .with_context(|| format!("cannot listen on {}", path.display()))?;
            accepting.spawn_local(accept_sockets(listener));
            addrs.push(BackendAddr::Socket(path));
        }
        Ok(Self {
            addrs,
            _accepting: accepting,
            _folder: folder,
        })
    }
}

async fn accept_sockets(listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((mut stream, _)) => {
                spawn_local(async move { serve(&mut stream, &Notify::new()).await.map(drop) });
            }
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
