//! Retries of a request whose replica refuses it, dies with it, or is suspect; and the reuse of
//! connections to replicas.

mod boundaries;
mod idempotent;
mod keep_alive;
mod non_idempotent;
mod silent;
mod suspects;
mod waiting;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Backend, Conversation, Message, Ringmaster};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

/// A program with one worker before several fixed backends, without heartbeats.
fn before_all(backends: &[SocketAddr], args: &[&str]) -> Ringmaster {
    let mut all: Vec<String> = ["--heartbeat-interval", "0s", "--workers", "1"]
        .map(String::from)
        .into();
    for (at, addr) in backends.iter().enumerate() {
        all.extend(["--backend".into(), format!("S{}={addr}", at + 1)]);
    }
    all.extend(args.iter().map(|arg| (*arg).to_owned()));
    Ringmaster::start(&all.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Backends that count together: `script` gets the how-manieth request over all of them it is at.
fn backends<F>(count: usize, script: F) -> (Vec<Backend>, Vec<SocketAddr>, Arc<AtomicUsize>)
where
    F: Fn(usize, &Message, &mut Conversation) -> io::Result<bool> + Send + Sync + 'static,
{
    let (seen, script) = (Arc::new(AtomicUsize::new(0)), Arc::new(script));
    let one = || {
        let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
        Backend::scripted(move |mut conversation| {
            loop {
                let request = conversation.request()?;
                let number = seen.fetch_add(1, Ordering::SeqCst);
                if !script(number, &request, &mut conversation)? {
                    return Ok(());
                }
            }
        })
    };
    let all: Vec<Backend> = (0..count).map(|_| one()).collect();
    let addrs = all.iter().map(|backend| backend.addr).collect();
    (all, addrs, seen)
}

/// Answers as a replica should.
fn answer(conversation: &mut Conversation) -> io::Result<bool> {
    conversation.wire.write(OK)?;
    Ok(true)
}
