//! The thread of the control port: it accepts connections and keeps the statistics' clock.
//!
//! A connection's way is in `admission.rs`.

use std::io;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::admission::ControlServer;
use super::context::ControlContext;
use super::stats;
use crate::sandbox::Sandbox;
use crate::shutdown::Shutdown;
use crate::wire::listener::{Listener, ListeningSockets};
use crate::wire::peer_addr::PeerAddr;

/// Pause of accepting after an error; the usual cause is a lack of descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(200);

/// Number of answers computed at once beside the port's own thread. Further ones wait, so that many
/// `plan` commands take no more CPU time than this from the data port.
const HELPER_THREADS: usize = 4;

/// Starts the thread that serves the control port until `shutdown`, in its sandbox.
///
/// # Errors
/// When the system refuses the thread or its event loop.
pub fn start(
    sockets: ListeningSockets,
    context: ControlContext,
    shutdown: Shutdown,
    sandbox: Sandbox,
) -> io::Result<thread::JoinHandle<()>> {
    let set_nonblocking = |socket: &TcpListener| socket.set_nonblocking(true);
    sockets.iter().try_for_each(set_nonblocking)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(HELPER_THREADS)
        .build()?;
    let listener = {
        let _guard = runtime.enter();
        Listener::new(sockets)?
    };
    let serve = move || match sandbox.enter() {
        Ok(()) => runtime.block_on(serve(listener, context, shutdown)),
        Err(err) => tracing::error!("the control port cannot enter its sandbox: {err}"),
    };
    thread::Builder::new().name("control".into()).spawn(serve)
}

async fn serve(listener: Listener, context: ControlContext, mut shutdown: Shutdown) {
    let stop_timeout = context.limits.stop_timeout;
    let port = ControlServer::new(context, shutdown.clone());
    let mut clients = JoinSet::new();
    let mut ticks = stats::ticks();
    loop {
        tokio::select! {
            accepted = accept(&listener) => match accepted {
                Ok((stream, peer)) => port.admit(stream, peer, &mut clients).await,
                Err(err) => {
                    tracing::warn!("control port cannot accept: {err}");
                    sleep(ACCEPT_RETRY_DELAY).await;
                }
            },
            Some(ended) = clients.join_next() => log_panic(ended),
            _ = ticks.tick() => {
                let sources = &port.shared.context.sources;
                sources.recorder.tick(Instant::now().into_std());
            }
            () = shutdown.cancelled() => break,
        }
    }
    drop(listener);
    let running = async {
        while let Some(ended) = clients.join_next().await {
            log_panic(ended);
        }
    };
    // After the timeout, the remaining connections are dropped with the set.
    let _ = timeout(stop_timeout, running).await;
}

async fn accept(listener: &Listener) -> io::Result<(TcpStream, PeerAddr)> {
    let (stream, peer) = listener.accept().await?;
    Ok((TcpStream::from_std(stream)?, peer))
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(err) = ended {
        tracing::error!("control connection panicked: {err}");
    }
}
