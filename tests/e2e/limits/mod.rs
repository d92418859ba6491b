//! Costs of one client, of many idle clients and of slow ones. No client within the limits is
//! dropped.

mod connections;
mod hostile_replicas;
mod lingering_close;
mod memory;
mod replies;
mod slots;
mod slow_bodies;
mod waiting_memory;

use std::sync::{Arc, Condvar, Mutex};

use crate::support::{Backend, TEST_TIMEOUT};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A backend that answers only once the gate is open, and how many requests it holds.
fn gated() -> (Backend, Arc<(Mutex<bool>, Condvar)>) {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let shared = Arc::clone(&gate);
    let backend = Backend::scripted(move |mut conversation| {
        loop {
            conversation.request()?;
            let (open, condvar) = &*shared;
            let shut = open.lock().expect("a lock");
            let held = condvar.wait_timeout_while(shut, TEST_TIMEOUT, |open| !*open);
            drop(held);
            conversation.wire.write(OK)?;
        }
    });
    (backend, gate)
}
