//! Many clients: clients beyond the limit wait in the kernel, clients within it are all served, and
//! idle ones cost next to nothing.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{GET, OK, gated};
use crate::support::{Backend, Client, End, Ringmaster, TEST_TIMEOUT, eventually};

/// Number of clients that an idle program must hold.
const CROWD: u64 = 10_000;
/// Descriptors that the program keeps back for itself (DESIGN: the start).
const KEPT_BACK: u64 = 400;

#[test]
fn as_many_as_fit_are_served_at_once_and_the_others_wait() {
    for workers in ["1", "2"] {
        let (backend, gate) = gated();
        let args = ["--max-connections", "5", "--workers", workers];
        let program = Ringmaster::before(backend.addr, &args);
        let ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let clients: Vec<Client> = (0..40).map(|_| program.client_after(ask)).collect();
        eventually(TEST_TIMEOUT, "five are being served", || {
            backend.requests().len() == 5
        });
        let (open, condvar) = &*gate;
        *open.lock().unwrap() = true;
        condvar.notify_all();
        for mut client in clients {
            assert_eq!(client.reply().status(), 200);
            assert_eq!(client.expect_closed(), End::Fin);
        }
        assert_eq!(backend.requests().len(), 40);
        // All permits are back: as many stay as may.
        let mut staying: Vec<Client> = (0..5).map(|_| program.client()).collect();
        for _ in 0..2 {
            for client in &mut staying {
                assert_eq!(client.ask(GET).status(), 200);
            }
        }
        let mut next = program.client_after(GET);
        drop(staying.pop());
        assert_eq!(next.reply().status(), 200);
    }
}

#[test]
fn a_waiting_client_that_leaves_frees_its_slot() {
    for workers in ["1", "2"] {
        let backend = Backend::answering(OK);
        let args = ["--max-connections", "1", "--workers", workers];
        let program = Ringmaster::before(backend.addr, &args);
        let mut first = program.client();
        assert_eq!(first.ask(GET).status(), 200);
        // A request that has begun keeps its slot.
        let (begun, rest) = GET.split_at(8);
        first.send(begun);
        for resets in [false, true] {
            for _ in 0..10 {
                let waiting = program.client_after(GET);
                if resets {
                    waiting.reset();
                }
            }
        }
        let mut last = program.client_after(GET);
        assert_eq!(first.ask(rest).status(), 200);
        drop(first);
        assert_eq!(last.reply().status(), 200);
    }
}

fn resident_kib(program: &Ringmaster) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid()));
    let status = status.expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.trim().strip_suffix(" kB"));
    figure.and_then(|kib| kib.parse().ok()).expect("a figure")
}

#[test]
fn ten_thousand_idle_clients_are_held() {
    let limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("more descriptors");
    // The program wants two for each; the tests beside this one need some, too.
    let fit = (hard.saturating_sub(KEPT_BACK) / 2).min(hard.saturating_sub(2_000));
    let crowd = CROWD.min(fit);
    if crowd < CROWD {
        eprintln!("ONLY {crowd} CLIENTS INSTEAD OF {CROWD}: the limit on descriptors is {hard}");
    }
    let backend = Backend::answering(OK);
    let most = crowd.to_string();
    let args = ["--max-connections", &most, "--idle-timeout", "1h"];
    let program = Ringmaster::before(backend.addr, &args);
    assert!(!program.log().contains("is lowered"), "{}", program.log());
    let mut first = program.client();
    for _ in 0..100 {
        assert_eq!(first.ask(GET).status(), 200);
    }
    let before = resident_kib(&program);
    let mut clients = vec![first];
    while (clients.len() as u64) < crowd {
        // A client that has not sent a request yet is still in the kernel's queue.
        let mut client = program.client();
        assert_eq!(client.ask(GET).status(), 200);
        clients.push(client);
    }
    let grown = resident_kib(&program).saturating_sub(before) * 1024;
    let each = grown / crowd;
    eprintln!("{crowd} idle clients: {each} bytes each");
    assert!(each < 4096, "{each} bytes for an idle client");
    // None was dropped, and all that fit are there: for one more, one must leave.
    for client in clients.iter_mut().step_by(97) {
        assert_eq!(client.ask(GET).text(), "ok");
    }
    let connections = || {
        let stats = program.command("stats json");
        let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
        let figure = |name: &str| {
            stats["message"]["totals"]["connections"][name]
                .as_u64()
                .expect("a figure")
        };
        (figure("open"), figure("evicted"))
    };
    assert_eq!(connections(), (crowd, 0));
    assert_eq!(program.client_after(GET).reply().text(), "ok");
    assert_eq!(connections().1, 1);
}
