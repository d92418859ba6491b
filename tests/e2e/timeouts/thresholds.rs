//! Limits of number and length: of a head, of clients, of descriptors.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit};

use super::{GET, OK, expect_error};
use crate::support::{Backend, Client, End, Ringmaster};

#[test]
fn a_head_may_be_as_long_as_the_limit_and_not_a_byte_longer() {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(
        backend.addr,
        &["--max-head", "1KiB", "--head-timeout", "1h"],
    );
    let head = |len: usize| {
        let bare = "GET / HTTP/1.1\r\nHost: a\r\nX-Fill: \r\n\r\n".len();
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Fill: {}\r\n\r\n",
            "f".repeat(len - bare)
        )
    };
    assert_eq!(program.client().ask(head(1024)).status(), 200);
    let mut slow = program.client();
    slow.send_bytewise(head(1024));
    assert_eq!(slow.reply().status(), 200);
    expect_error(&mut program.client_after(head(1025)), 431);
    // Refused before it ends, if it ever does.
    expect_error(&mut program.client_after(&head(2048)[..1100]), 431);
    expect_error(
        &mut program.client_after(format!("GET /{}", "x".repeat(1100))),
        414,
    );
}

#[test]
fn clients_beyond_the_limit_wait_and_are_served() {
    let backend = Backend::answering(OK);
    let args = ["--max-connections", "1", "--workers", "8"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut first = program.client();
    assert_eq!(first.ask(GET).status(), 200);
    // A request that has begun keeps its slot.
    let (begun, rest) = GET.split_at(8);
    first.send(begun);
    let ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let waiting: Vec<Client> = (0..12).map(|_| program.client_after(ask)).collect();
    assert!(!first.has_bytes_within(Duration::from_millis(300)));
    assert_eq!(backend.requests().len(), 1, "one at a time");
    assert_eq!(first.ask(rest).status(), 200);
    drop(first);
    for mut client in waiting {
        assert_eq!(client.reply().status(), 200);
        assert_eq!(client.expect_closed(), End::Fin);
    }
}

/// Lets the program open this many descriptors.
fn limit_descriptors(program: &Ringmaster, most: Option<u64>) {
    let pid = i32::try_from(program.pid()).ok().and_then(Pid::from_raw);
    let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: most.or(hard),
        maximum: hard,
    };
    rustix::process::prlimit(pid, Resource::Nofile, limit).expect("prlimit");
}

/// The numbers of the descriptors that it has open.
fn open_descriptors(program: &Ringmaster) -> Vec<u64> {
    let open = std::fs::read_dir(format!("/proc/{}/fd", program.pid())).expect("its descriptors");
    let number =
        |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    open.filter_map(number).collect()
}

#[test]
fn a_program_out_of_descriptors_turns_clients_away_and_recovers() {
    let backend = Backend::answering(OK);
    let program = Ringmaster::before(backend.addr, &["--workers", "1"]);
    let mut first = program.client();
    assert_eq!(first.ask(GET).status(), 200);
    // The limit is on numbers, not on how many there are, and the reserve must stay below it.
    let open = open_descriptors(&program);
    let limit = open.iter().max().map_or(0, |highest| highest + 1);
    limit_descriptors(&program, Some(limit));
    let unused = usize::try_from(limit).unwrap() - open.len();
    let mut clients: Vec<Client> = (0..unused + 8).map(|_| program.client_after(GET)).collect();
    let mut turned_away = 0;
    for client in &mut clients {
        // With a descriptor for the client and none for the backend, the client gets an error.
        match client.try_reply(false) {
            Ok(reply) => assert!(matches!(reply.status(), 200 | 503), "{}", reply.head),
            Err(_) => turned_away += 1,
        }
    }
    assert!(turned_away > 0);
    program.expect_log("cannot accept: ");
    assert_eq!(first.ask(GET).status(), 200);
    limit_descriptors(&program, None);
    drop(clients);
    assert_eq!(program.client().ask(GET).status(), 200);
}
