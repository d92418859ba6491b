//! The server bundled with ringmaster. It answers `/home` with its number and `/heartbeat` with
//! nothing, holds no state, and ends the moment it is told to or its parent is gone.
//!
//! Once it listens it prints one line on stdout, `{"listen":"127.0.0.1:43211"}`. A standby (`--id 0`) prints
//! one more when a heartbeat gives it its seat, `{"seat":3}`; there is never another.
//! One thread, no pool: a fleet starts hundreds of these on one machine.

mod args;
mod body;
mod connection;
mod handlers;
mod parent_watch;
mod refusal;
mod request;
mod server;

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::Context;
use clap::Parser;
use tokio::runtime::{Builder, LocalOptions};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Args;
use crate::handlers::Identity;

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            // There is nowhere left to report that stderr is gone.
            let _ = writeln!(std::io::stderr(), "replica: {err:#}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal or the parent's end, which are both success.
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
    // Before the first line is printed: PID 1 of a container has no default action for signals, and
    // the reader of that line may send one.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let leash = args.parent.map(|_| parent_watch::ParentPipe::from_stdin());
    let leash = leash.transpose()?;

    let listener = server::listen(args.listen)
        .with_context(|| format!("cannot listen on {} (--listen)", args.listen))?;
    announce(listener.local_addr()?).context("cannot print the address on stdout")?;
    let identity = Rc::new(Identity::new(args.id, &args.name()));

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = parent_watch::parent_exited(leash) => {}
        () = server::accept(listener, identity) => {}
    }
    Ok(())
}

fn announce(listen: SocketAddr) -> std::io::Result<()> {
    let line = serde_json::json!({ "listen": listen.to_string() });
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
