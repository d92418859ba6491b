//! A reload whose successor does not serve yet: the stop of the process that reloads, and a file
//! that changes meanwhile.

use std::net::SocketAddr;
use std::time::Duration;

use super::{File, Successor, users_of};
use crate::support::{Backend, Ringmaster, Signal, TEST_TIMEOUT, eventually};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A file with one backend, whose successor waits for its answer.
fn text(backend: SocketAddr, more: &str) -> String {
    format!("backend = [\"a={backend}\"]\nstart-timeout = \"1s\"\n{more}")
}

/// Starts a balancer, and a reload to a backend that never answers.
fn stuck_reload(file: &File, backend: &Backend, silent: SocketAddr) -> Ringmaster {
    file.write(text(backend.addr, ""));
    let program = Ringmaster::start(&["--config", file.path()]);
    file.write(text(silent, ""));
    program.signal(Signal::USR2);
    // It has read the file by then.
    program.expect_log(" takes over");
    program
}

/// An address at which connections are accepted and nothing is answered.
fn silent() -> (SocketAddr, std::net::TcpListener) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    (listener.local_addr().expect("an address"), listener)
}

#[test]
fn a_stop_during_a_reload_ends_the_successor_too() {
    let (backend, (addr, _listener)) = (Backend::answering(OK), silent());
    let file = File::new("");
    let mut program = stuck_reload(&file, &backend, addr);
    program.signal(Signal::TERM);
    assert!(program.wait().success(), "{}", program.log());
    eventually(TEST_TIMEOUT, "the end of the successor", || {
        users_of(file.path()).next().is_none()
    });
}

#[test]
fn a_reload_that_a_signal_requests_during_another_follows_it() {
    let (backend, (addr, _listener)) = (Backend::answering(OK), silent());
    let file = File::new("");
    let mut program = stuck_reload(&file, &backend, addr);
    file.write(text(backend.addr, "max-head = \"2KiB\"\n"));
    program.signal(Signal::HUP);
    program.expect_log("a reload is under way already; another one follows");
    program.expect_log("reload with max-head 16KiB -> 2KiB");
    eventually(TEST_TIMEOUT + Duration::from_secs(10), "a takeover", || {
        program
            .log()
            .contains(" has taken over; this process stops")
    });
    let log = program.log();
    let line = log.lines().find(|line| line.contains(" has taken over"));
    let second = Successor::after(&mut program, line.expect("a line"));
    assert_eq!(second.value("max-head"), "2KiB");
}

#[test]
fn a_backend_that_stays_in_the_file_keeps_its_seat() {
    let backends: Vec<Backend> = (0..4).map(|_| Backend::answering(OK)).collect();
    let list = |names: &[&str]| {
        let entries = names.iter().map(|name| {
            let at = usize::from(name.as_bytes()[0] - b'a');
            format!("\"{name}={}\"", backends[at].addr)
        });
        format!("backend = [{}]\n", entries.collect::<Vec<_>>().join(", "))
    };
    let file = File::new(list(&["a", "b", "c"]));
    let mut first = Ringmaster::start(&["--config", file.path()]);
    let seats = |table: String| {
        let rows = table.lines().skip(1).filter(|row| !row.is_empty());
        let words = rows.map(|row| row.split_whitespace().take(2).map(str::to_owned).collect());
        words.collect::<Vec<Vec<String>>>()
    };
    file.write(list(&["d", "c", "b"]));
    let answer = first.command("reload");
    let second = Successor::after(&mut first, &answer);
    assert_eq!(
        seats(second.command("show")),
        [["1", "d"], ["2", "b"], ["3", "c"]]
    );
}
