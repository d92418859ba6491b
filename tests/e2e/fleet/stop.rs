//! The end: by signal, in order, with nothing left behind; or by SIGKILL, with nothing left either.

use std::io;
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::support::{
    Backend, Client, End, Engine, InstallDir, Load, Ringmaster, Signal, TEST_TIMEOUT, eventually,
    exclusive_load, is_gone, on_both_engines, signal,
};

on_both_engines!(
    with_nothing_in_flight_a_stop_is_quick,
    a_stop_under_load_answers_all_that_was_begun,
    the_control_port_can_be_asked_to_the_last,
    stopped_replicas_do_not_hold_up_a_stop,
);

const HOME: &str = "GET /home HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn with_nothing_in_flight_a_stop_is_quick(engine: Engine) {
    let mut times = Vec::new();
    for word in [Signal::TERM, Signal::INT, Signal::TERM] {
        let mut program = engine.start(&[]);
        assert_eq!(program.client().ask(HOME).status(), 200);
        let replicas = program.children();
        let begun = Instant::now();
        program.signal(word);
        let status = program.wait();
        times.push(begun.elapsed());
        assert_eq!(status.code(), Some(0), "{word:?}: {}", program.log());
        assert!(replicas.len() == 3 && replicas.into_iter().all(is_gone));
    }
    println!("stop when idle: {times:?}");
    let limit = match engine {
        Engine::Process => Duration::from_secs(2),
        Engine::Docker => TEST_TIMEOUT,
    };
    assert!(times.iter().all(|time| *time < limit), "{times:?}");
}

#[test]
fn requests_under_way_are_answered_and_no_new_one_is_accepted() {
    let (let_go, go) = mpsc::channel();
    let go = Mutex::new(go);
    let backend = Backend::scripted(move |mut conversation| {
        conversation.request()?;
        let go = go.lock().expect("the gate").recv_timeout(TEST_TIMEOUT);
        go.map_err(io::Error::other)?;
        let reply = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate";
        conversation.wire.write(reply)
    });
    let mut program = Ringmaster::before(backend.addr, &[]);
    let (mut asking, mut begun) = (program.client(), program.client());
    asking.send(HOME);
    begun.send(&HOME[..20]);
    eventually(TEST_TIMEOUT, "the request is there", || {
        backend.requests().len() == 1
    });
    program.signal(Signal::TERM);
    eventually(TEST_TIMEOUT, "no new connection is taken", || {
        TcpStream::connect(program.listen).is_err()
    });
    assert!(!asking.has_bytes_within(Duration::from_millis(20)));
    begun.send(&HOME[20..]);
    for mut client in [asking, begun] {
        let_go.send(()).expect("the backend");
        let reply = client.reply();
        assert_eq!((reply.status(), reply.text()), (200, "late".into()));
        assert_eq!(reply.field("connection"), Some("close"));
        assert_eq!(client.expect_closed(), End::Fin);
    }
    assert_eq!(program.wait().code(), Some(0), "{}", program.log());
}

fn a_stop_under_load_answers_all_that_was_begun(engine: Engine) {
    let _turn = exclusive_load();
    let mut program = engine.start(&[]);
    let replicas = program.children();
    let mut clients: Vec<Client> = (0..32).map(|_| program.client()).collect();
    let load = Load::start(program.listen, 8);
    load.reach(300);
    clients.iter_mut().for_each(|client| client.send(HOME));
    program.signal(Signal::TERM);
    for mut client in clients {
        assert_eq!(client.reply().status(), 200);
    }
    let status = program.wait();
    assert_eq!(status.code(), Some(0), "{}", program.log());
    // Later connections are refused; but each served client learnt from its last reply that it is
    // over.
    let tally = load.finish();
    let odd = |failure: &&String| failure.contains("kept") || failure.contains("HTTP/1.1");
    let odd: Vec<&String> = tally.failures.iter().filter(odd).collect();
    assert!(odd.is_empty(), "{odd:?}");
    assert!(replicas.into_iter().all(is_gone));
}

/// A program that cannot finish its drain: a client owes it the rest of a head.
fn draining(engine: Engine) -> (Ringmaster, Client) {
    // Longer than any test waits: a program that ends before that does not wait for the client.
    let program = engine.start(&["--replicas", "2", "--drain-timeout", "60s"]);
    let mut client = program.client();
    client.send(&HOME[..20]);
    // The head has been begun once a request after it is served by the same worker, and both are.
    for _ in 0..8 {
        assert_eq!(program.client().ask(HOME).status(), 200);
    }
    program.signal(Signal::TERM);
    eventually(TEST_TIMEOUT, "it drains", || {
        program.log().contains("draining")
    });
    (program, client)
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    for second in [Signal::TERM, Signal::INT] {
        let (mut program, client) = draining(Engine::Process);
        let replicas = program.children();
        assert_eq!(replicas.len(), 2);
        let begun = Instant::now();
        program.signal_again(second);
        let status = program.wait();
        println!("second signal: {status} after {:?}", begun.elapsed());
        assert_eq!(status.code(), Some(1));
        eventually(TEST_TIMEOUT, "the replicas are gone", || {
            replicas.iter().all(|pid| is_gone(*pid))
        });
        drop(client);
    }
}

fn the_control_port_can_be_asked_to_the_last(engine: Engine) {
    let (mut program, mut client) = draining(engine);
    assert_eq!(program.rep(), ["S1", "S2"]);
    client.send(&HOME[20..]);
    assert_eq!(client.reply().status(), 200);
    drop(client);
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn a_change_is_refused_as_soon_as_the_end_begins() {
    let install = InstallDir::with_replica(
        "if [ \"$SERVER_ID\" = 3 ]; then exec sleep 1000; fi\nexec \"$REAL\"",
    );
    let change = |line: &str| {
        format!("{line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n{{\"n\":1}}")
    };
    let args = ["--replicas", "2", "--workers", "1"];
    let times = ["--start-timeout", "60s", "--drain-timeout", "60s"];
    let mut program = Ringmaster::launch(install.program(), &[&args[..], &times].concat()).ready();
    let (mut adding, mut removing) = (program.client(), program.client());
    let mut late = program.client_after(&HOME[..20]);
    adding.send(change("POST /add"));
    eventually(TEST_TIMEOUT, "it hangs", || program.children().len() == 3);
    removing.send(change("DELETE /rm"));
    eventually(TEST_TIMEOUT, "it waits", || {
        program.log().contains("order /rm n=1")
    });
    assert_eq!(program.client().ask(HOME).status(), 200);
    let replicas = program.children();
    program.signal(Signal::TERM);
    let begun = Instant::now();
    for client in [&mut adding, &mut removing] {
        let reply = client.reply();
        assert_eq!(reply.status(), 503, "{}", reply.text());
        assert!(reply.text().contains("<Error> ringmaster is stopping"));
    }
    println!("refused {:?} after the signal", begun.elapsed());
    // The balancer still drains, and lists its replicas.
    assert_eq!(program.rep(), ["S1", "S2"]);
    let answer = program.command("add 1");
    assert_eq!(answer, "ERR ringmaster is stopping\n\n");
    late.send(&HOME[20..]);
    assert_eq!(late.reply().status(), 200);
    assert_eq!(program.wait().code(), Some(0), "{}", program.log());
    assert!(replicas.len() == 3 && replicas.into_iter().all(is_gone));
}

#[test]
fn not_even_a_stopped_replica_outlives_a_killed_program_by_a_second() {
    let program = Ringmaster::start(&["--heartbeat-timeout", "10s"]);
    let replicas = program.children();
    assert_eq!(replicas.len(), 3, "{}", program.log());
    signal(replicas[1], Signal::STOP);
    let begun = Instant::now();
    program.kill();
    eventually(TEST_TIMEOUT, "the replicas are gone", || {
        replicas.iter().all(|pid| is_gone(*pid))
    });
    println!(
        "replicas gone {:?} after the kill of their parent",
        begun.elapsed()
    );
}

fn stopped_replicas_do_not_hold_up_a_stop(engine: Engine) {
    let mut program = engine.start(&["--heartbeat-timeout", "10s"]);
    let replicas = program.children();
    program.strike(&["S1"], Signal::STOP);
    program.signal(Signal::TERM);
    assert_eq!(program.wait().code(), Some(0), "{}", program.log());
    assert!(replicas.into_iter().all(is_gone));
}

#[test]
fn ctrl_c_does_not_reach_the_replicas_first() {
    let program = Ringmaster::start(&[]);
    // A terminal signals a whole process group; each replica leads one of its own: proc(5), the
    // third field after the name.
    for pid in program.children() {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
        let group = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.split(' ').nth(2));
        assert_eq!(group, Some(pid.to_string().as_str()));
    }
}
