//! Replicas that answer with server errors: `--retry-on` asks another replica, and `--eject-5xx`
//! avoids them until they answer well.

mod ejection;
mod retry_on;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ring::{by_formula, with_id};
use crate::support::{Backend, Client, Ringmaster, TEST_TIMEOUT, eventually};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
/// On the classic ring this ID is at home in seat 1.
const AT_SEAT_1: u64 = 100_000;

/// A backend that answers 503 while the switch is on.
fn switched(is_busy: &Arc<AtomicBool>) -> Backend {
    let is_busy = Arc::clone(is_busy);
    Backend::scripted(move |mut conversation| {
        loop {
            conversation.request()?;
            let reply = match is_busy.load(Ordering::SeqCst) {
                true => BUSY,
                false => OK,
            };
            conversation.wire.write(reply)?;
        }
    })
}

/// Three backends, of which those with these numbers are busy, and the balancer before them.
struct Fixture {
    program: Ringmaster,
    backends: Vec<Backend>,
    is_busy: Arc<AtomicBool>,
}

impl Fixture {
    fn start(count: usize, busy: &[usize], flags: &[&str]) -> Self {
        let is_busy = Arc::new(AtomicBool::new(true));
        let never = Arc::default();
        let backends: Vec<Backend> = (1..=count)
            .map(|n| switched(if busy.contains(&n) { &is_busy } else { &never }))
            .collect();
        let names: Vec<String> = (1..)
            .zip(&backends)
            .map(|(n, backend)| format!("--backend=S{n}={}", backend.addr))
            .collect();
        let mut args: Vec<&str> = names.iter().map(String::as_str).collect();
        args.extend(["--ring", "classic", "--workers", "1"]);
        args.extend(["--heartbeat-interval", "0s"]);
        args.extend(flags);
        Self {
            program: Ringmaster::start(&args),
            backends,
            is_busy,
        }
    }

    /// Returns the number of requests that each backend has had.
    fn asked(&self) -> Vec<usize> {
        let backends = self.backends.iter();
        backends.map(|backend| backend.requests().len()).collect()
    }
}

/// Returns the status of a request that must not be sent twice, whose home is seat 1.
fn posted(client: &mut Client) -> u16 {
    let request = with_id(AT_SEAT_1).replacen("GET", "POST", 1);
    let request = request.replacen("\r\n", "\r\nContent-Length: 0\r\n", 1);
    client.ask(request).status()
}

/// Returns the state in a line of `show`.
fn state_in(line: &str) -> Option<&str> {
    line.split_ascii_whitespace().nth(2)
}
