//! Lingering close: the last reply arrives whole, whatever else the client has sent.

use super::GET;
use crate::support::{Backend, End, Ringmaster, TEST_TIMEOUT, eventually};

const LAST_GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
/// As much as is read at once from a connection that has just been accepted.
const FIRST_READ: usize = 2048;

/// A program before a backend whose replies have a body of this size.
fn sending(length: usize) -> (Backend, Ringmaster) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let reply: &'static str = Box::leak((head + &"x".repeat(length)).into_boxed_str());
    let backend = Backend::answering(reply);
    let program = Ringmaster::before(backend.addr, &["--workers", "1"]);
    (backend, program)
}

fn padded(len: usize) -> String {
    let (start, end) = LAST_GET.split_at(LAST_GET.len() - 2);
    let fill = len - LAST_GET.len() - "X-Fill: \r\n".len();
    format!("{start}X-Fill: {}\r\n{end}", "f".repeat(fill))
}

#[test]
fn a_client_that_asks_for_the_end_and_talks_on_gets_its_reply_whole() {
    for length in [2, 30_000, 3_000_000] {
        let (_backend, program) = sending(length);
        for kept in [false, true] {
            // The surplus bytes come with the first read, just behind it, or are still in the
            // kernel.
            for head_len in [200, FIRST_READ - 1, FIRST_READ, FIRST_READ + 1] {
                for surplus in [0, 1, 100, 20_000] {
                    let mut client = program.client();
                    if kept {
                        assert_eq!(client.ask(GET).body.len(), length);
                    }
                    client.send(padded(head_len) + &"y".repeat(surplus));
                    let reply = client.reply();
                    assert_eq!(reply.field("connection"), Some("close"));
                    assert_eq!(reply.body.len(), length);
                    assert_eq!(
                        client.expect_closed(),
                        End::Fin,
                        "{length} {kept} {head_len} {surplus}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_client_that_reads_only_after_the_close_gets_its_reply_whole() {
    let (backend, _) = sending(20_000);
    // No connection to the backend is kept, which would be counted, and no second worker starts
    // late.
    let alone = ["--pool-per-seat", "0", "--workers", "1"];
    let program = Ringmaster::before(backend.addr, &alone);
    assert_eq!(program.client().ask(LAST_GET).status(), 200);
    let before = open_descriptors(&program);
    for surplus in [0, 20_000] {
        let mut clients: Vec<_> = (0..8)
            .map(|_| program.client_after(padded(FIRST_READ) + &"y".repeat(surplus)))
            .collect();
        assert!(
            clients
                .iter_mut()
                .all(|client| client.has_bytes_within(TEST_TIMEOUT))
        );
        // The lingering close goes on for a second; then nothing is left of them here.
        eventually(TEST_TIMEOUT, "all are forgotten", || {
            open_descriptors(&program) <= before
        });
        for client in &mut clients {
            assert_eq!(client.reply().body.len(), 20_000);
            assert_eq!(client.expect_closed(), End::Fin);
        }
    }
}

fn open_descriptors(program: &Ringmaster) -> usize {
    let open = std::fs::read_dir(format!("/proc/{}/fd", program.pid()));
    open.expect("its descriptors").count()
}

#[test]
fn a_client_that_is_refused_hears_why_although_it_talks_on() {
    let (_backend, program) = sending(2);
    for (request, status) in [
        ("GET / HTTP/3.0\r\n\r\n".to_owned(), 505),
        (padded(17_000), 431),
        (format!("GET /{} ", "x".repeat(17_000)), 414),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
    ] {
        // The input is below the limit of the lingering close, so all of it is drained.
        let mut client = program.client_after(request + &"y".repeat(30_000));
        assert_eq!(client.reply().status(), status);
        assert_eq!(client.expect_closed(), End::Fin);
        assert_eq!(program.client().ask(GET).status(), 200);
    }
}
