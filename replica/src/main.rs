//! Server bundled with ringmaster. It answers `/home` with the number of its seat and `/heartbeat`
//! with an empty body. It keeps no state on disk, and exits on a signal or when its parent exits.
//!
//! After it listens, the replica prints one line on stdout, `{"listen":"127.0.0.1:43211"}`. A
//! standby (`--id 0`) prints a second line, `{"seat":3}`, when a heartbeat assigns its seat. It
//! prints no other line.
//!
//! The replica has one thread and no pool, because a fleet starts hundreds of replicas on one
//! machine.

mod args;
mod body;
mod connection;
mod handlers;
mod parent_watch;
mod refusal;
mod request;
mod server;

use std::io::Write;
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::Context;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Args;
use crate::handlers::Identity;

fn main() -> ExitCode {
    match run(Args::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            // If stderr is closed, no channel is left to report that.
            let _ = writeln!(std::io::stderr(), "replica: {err:#}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM, SIGINT or the exit of the parent. All three are success, but when the
/// parent exits, the kernel may kill the process first.
fn run(args: Args) -> anyhow::Result<()> {
    if let Some(pid) = args.parent {
        parent_watch::die_with_parent(pid)?;
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .context("cannot start the event loop")?;
    runtime.block_on(serve(args))
}

async fn serve(args: Args) -> anyhow::Result<()> {
    // Handlers are installed before the first line is printed, because its reader may send a
    // signal. PID 1 of a container has no default action for signals.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let pipe = args.parent.map(|_| parent_watch::ParentPipe::from_stdin());
    let pipe = pipe.transpose()?;

    let listen = args.listen();
    let (listener, addr) = server::listen(&listen)
        .with_context(|| format!("cannot listen on {listen} (--listen, --socket)"))?;
    announce(&addr).context("cannot print the address on stdout")?;
    let identity = Rc::new(Identity::new(args.id, &args.name()));

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = parent_watch::parent_exited(pipe) => {}
        () = server::accept(listener, identity) => {}
    }
    Ok(())
}

/// Prints the address on stdout as one line of JSON.
fn announce(listen: &str) -> std::io::Result<()> {
    let line = serde_json::json!({ "listen": listen });
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
