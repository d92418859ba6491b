//! `--balance connection`, `source` and `sni`: one choice for a whole connection, and nothing read
//! after it.

use std::net::SocketAddr;
use std::sync::mpsc;

use crate::support::{Backend, Ringmaster};

mod connection;
mod metrics;
pub(super) mod send_proxy;
mod sni;
mod source;
mod stop;

/// Starts the program before fixed backends S1, S2 …, without heartbeats.
#[track_caller]
fn before(backends: &[SocketAddr], args: &[&str]) -> Ringmaster {
    let named = backends.iter().enumerate();
    let named: Vec<_> = named
        .map(|(at, addr)| format!("S{}={addr}", at + 1))
        .collect();
    let list = named.join(",");
    let fixed = ["--backend", &list, "--heartbeat-interval", "0s"];
    Ringmaster::start(&[&fixed, args].concat())
}

/// A server of a protocol in which the server speaks first: it sends `name` and then echoes
/// everything twice.
fn greeter(name: &'static str) -> Backend {
    Backend::scripted(move |mut conversation| {
        conversation.wire.write(name)?;
        loop {
            let byte = conversation.wire.take(1)?;
            conversation.wire.write([byte[0], byte[0]])?;
        }
    })
}

/// A server that reads a connection to its end, reports the bytes to the receiver if there is one,
/// and answers `reply`.
fn recording(reply: &'static str) -> (Backend, mpsc::Receiver<Vec<u8>>) {
    let (sender, receiver) = mpsc::channel();
    let backend = Backend::scripted(move |mut conversation| {
        let received = conversation.wire.rest()?;
        let _ = sender.send(received);
        conversation.wire.write(reply)
    });
    (backend, receiver)
}
