//! Clients that leave while something is waited for on their behalf: the wait ends, the replica
//! sees the end, and nothing is held for them. A half-closed client is answered within its grace.
//!
//! Tests of a reset have a grace longer than any test; in tests of the grace, no other limit is
//! near.

mod held_slots;
mod silence;
mod waiting;

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Backend, Client, Ringmaster, TEST_TIMEOUT, eventually};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// Longer than any test.
const NEVER: &str = "1h";

/// A backend that reads a request, writes `beginning`, and then only reports the end of its peer.
fn silent_after(beginning: &'static str) -> (Backend, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        conversation.wire.write(beginning)?;
        // An end or a reset, whichever: it is over.
        let _ = conversation.wire.rest();
        let sender = sender.lock().expect("a lock");
        sender.send(()).map_err(std::io::Error::other)
    });
    (backend, receiver)
}

/// Ways in which a client leaves.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    ByReset,
    ByClose,
    HalfClosed,
}

impl Leaves {
    const ALL: [Self; 3] = [Self::ByReset, Self::ByClose, Self::HalfClosed];

    /// The grace under which only this way of leaving ends the wait.
    fn grace(self) -> [&'static str; 2] {
        let grace = match self {
            Self::ByReset => NEVER,
            Self::ByClose | Self::HalfClosed => "100ms",
        };
        ["--half-close-grace", grace]
    }

    /// Lets the client leave. Its remaining half sees the end of the connection, and no byte before
    /// that.
    #[track_caller]
    fn leave(self, mut client: Client) {
        match self {
            Self::ByReset => client.reset(),
            Self::ByClose => drop(client),
            Self::HalfClosed => {
                client.half_close();
                client.expect_closed();
            }
        }
    }
}

/// The totals of `stats`.
#[track_caller]
fn totals(program: &Ringmaster) -> Value {
    let stats: Value = serde_json::from_str(&program.command("stats json")).expect("JSON");
    stats["message"]["totals"].clone()
}

/// Waits until no client has a slot, and no replica a request.
#[track_caller]
fn expect_nothing_held(program: &Ringmaster) {
    eventually(TEST_TIMEOUT, "nothing is held for a client", || {
        let totals = totals(program);
        totals["connections"]["open"] == 0 && totals["in_flight"] == 0 && totals["awaiting"] == 0
    });
}

/// Waits until the backend reports the end of a connection.
#[track_caller]
fn expect_end(receiver: &mpsc::Receiver<()>, what: &str) {
    let received = receiver.recv_timeout(TEST_TIMEOUT);
    received.unwrap_or_else(|_| panic!("the backend sees no end: {what}"));
}

const SECOND: Duration = Duration::from_secs(1);
