//! Every limit of the data port at its edge: the reply, its receiver, and that all else goes on.

pub(super) mod backends;
mod clients;
mod connect;
mod thresholds;

use crate::support::{Backend, Client};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A backend that reads one request, sends `reply` and then nothing, until its peer ends.
fn falling_silent(reply: &'static str) -> Backend {
    Backend::scripted(move |mut conversation| {
        conversation.request()?;
        conversation.wire.write(reply)?;
        conversation.wire.rest().map(drop)
    })
}

#[track_caller]
fn expect_error(client: &mut Client, status: u16) {
    let reply = client.reply();
    assert_eq!(reply.status(), status);
    assert!(
        reply.text().starts_with("{\"message\":\"<Error> "),
        "{}",
        reply.text()
    );
}
