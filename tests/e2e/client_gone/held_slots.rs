//! Resources of clients that are gone: slots and a stop are held up, a tunnel is not.

use std::sync::{Mutex, mpsc};

use super::{GET, Leaves, NEVER, OK, SECOND, expect_nothing_held};
use crate::support::{Backend, End, Ringmaster, Signal, TEST_TIMEOUT, eventually};

/// A backend that answers `/fast` and nothing else.
fn fast_or_never() -> Backend {
    Backend::scripted(|mut conversation| {
        loop {
            let request = conversation.request()?;
            if request.start_line().starts_with("GET /fast ") {
                conversation.wire.write(OK)?;
            } else {
                return conversation.wire.rest().map(drop);
            }
        }
    })
}

const FAST: &str = "GET /fast HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[test]
fn slots_are_free_again_however_many_clients_gave_up() {
    for leaves in [Leaves::ByReset, Leaves::ByClose] {
        for workers in ["1", "2"] {
            let backend = fast_or_never();
            let args = ["--max-connections", "4", "--workers", workers];
            let args = [&args[..], &["--reply-timeout", NEVER], &leaves.grace()].concat();
            let program = Ringmaster::before(backend.addr, &args);
            // Some leave while they are served, some while they wait to be accepted.
            let clients: Vec<_> = (0..24).map(|_| program.client_after(GET)).collect();
            eventually(TEST_TIMEOUT, "four are being served", || {
                backend.requests().len() == 4
            });
            clients.into_iter().for_each(|client| leaves.leave(client));
            assert_eq!(program.client_after(FAST).reply().text(), "ok");
            expect_nothing_held(&program);
        }
    }
}

#[test]
fn a_stop_waits_for_no_client_that_is_gone() {
    for leaves in Leaves::ALL {
        let backend = fast_or_never();
        let limits = ["--reply-timeout", NEVER, "--drain-timeout", NEVER];
        let args = [&limits[..], &leaves.grace()].concat();
        let mut program = Ringmaster::before(backend.addr, &args);
        let clients: Vec<_> = (0..3).map(|_| program.client_after(GET)).collect();
        eventually(TEST_TIMEOUT, "three are being served", || {
            backend.requests().len() == 3
        });
        program.signal(Signal::TERM);
        program.expect_log("draining");
        clients.into_iter().for_each(|client| leaves.leave(client));
        assert_eq!(program.wait().code(), Some(0), "{leaves:?}");
    }
}

#[test]
fn a_tunnel_keeps_its_other_half_however_long() {
    let (go, gone) = mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        let switch = "HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
        conversation.wire.write(switch)?;
        conversation.wire.rest()?;
        let waited = gone.lock().expect("a lock").recv_timeout(TEST_TIMEOUT);
        waited.map_err(std::io::Error::other)?;
        conversation.wire.write("bye")
    });
    let program = Ringmaster::before(backend.addr, &["--half-close-grace", "0s"]);
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let mut client = program.client_after(upgrade);
    assert_eq!(client.reply().status(), 101);
    client.half_close();
    assert!(!client.has_bytes_within(SECOND / 2), "an end, or bytes");
    go.send(()).unwrap();
    assert_eq!(client.take(3), b"bye");
    assert_eq!(client.expect_closed(), End::Fin);
}

#[test]
fn a_connection_that_is_balanced_as_a_whole_keeps_its_other_half() {
    for balance in ["connection", "source"] {
        let (go, gone) = mpsc::channel::<()>();
        let gone = Mutex::new(gone);
        let backend = Backend::scripted(move |mut conversation| {
            conversation.request()?;
            conversation.wire.rest()?;
            let waited = gone.lock().expect("a lock").recv_timeout(TEST_TIMEOUT);
            waited.map_err(std::io::Error::other)?;
            conversation.wire.write(OK)
        });
        let args = ["--half-close-grace", "0s", "--balance", balance];
        let program = Ringmaster::before(backend.addr, &args);
        let mut client = program.client_after(GET);
        client.half_close();
        assert!(!client.has_bytes_within(SECOND / 2), "an end, or bytes");
        go.send(()).unwrap();
        assert_eq!(client.reply().text(), "ok");
    }
}
