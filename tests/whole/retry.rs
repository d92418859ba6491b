//! What happens to a request whose replica refuses it, dies holding it, or is doubted; and which
//! connections to replicas are used again.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::support::{Backend, Conversation, Message, PATIENCE, Ringmaster, eventually};

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

#[test]
fn a_refusal_leads_through_every_seat_once() {
    let backend = Backend::answering(OK);
    let (first, _first) = Backend::refusing();
    let (second, _second) = Backend::refusing();
    let program = before_all(&[first, backend.addr, second], &["--retries", "0"]);
    let mut client = program.client();
    for id in 0..30 {
        // Not even one that must not be sent twice is lost: nobody has seen a byte of it.
        let request = format!("POST /?id={id} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        assert_eq!(client.ask(request).status(), 200);
    }
    let mut bodies = backend.requests().into_iter().map(|request| request.text());
    assert!(bodies.all(|body| body == "abc"));
    let nobody = before_all(&[first, second], &[]);
    let mut client = nobody.client();
    let reply = client.ask(GET);
    assert_eq!(
        (reply.status(), reply.field("retry-after")),
        (503, Some("1"))
    );
    assert!(reply.text().starts_with("{\"message\":\"<Error> "));
    assert_eq!(client.ask(GET).status(), 503);
}

#[test]
fn a_get_is_sent_again_when_its_replica_dies_holding_it() {
    let (_backends, addrs, seen) = backends(3, |number, _, conversation| match number {
        0 => Ok(false),
        _ => answer(conversation),
    });
    let program = before_all(&addrs, &[]);
    assert_eq!(program.client().ask(GET).text(), "ok");
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

/// Backends that keep a connection for one reply and close it over the second request.
fn forgetful(count: usize) -> (Vec<Backend>, Vec<SocketAddr>, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let one = || {
        let seen = Arc::clone(&seen);
        Backend::scripted(move |mut conversation| {
            conversation.request()?;
            seen.fetch_add(1, Ordering::SeqCst);
            answer(&mut conversation)?;
            conversation.request()?;
            seen.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    };
    let all: Vec<Backend> = (0..count).map(|_| one()).collect();
    let addrs = all.iter().map(|backend| backend.addr).collect();
    (all, addrs, seen)
}

#[test]
fn a_kept_connection_that_turns_out_closed_costs_no_retry() {
    let (_backends, addrs, seen) = forgetful(1);
    let program = before_all(&addrs, &["--retries", "0"]);
    let mut client = program.client();
    for _ in 0..4 {
        assert_eq!(client.ask(GET).status(), 200);
    }
    // The first on a fresh connection; each further one on a kept one in vain, then on a fresh one.
    assert_eq!(seen.load(Ordering::SeqCst), 1 + 3 * 2);
}

#[test]
fn a_put_is_sent_again_with_its_whole_body() {
    let body = "0123456789".repeat(5000);
    let expected = body.clone();
    let (_backends, addrs, seen) = backends(2, move |number, request, conversation| {
        assert_eq!(request.text(), expected);
        match number {
            0 => Ok(false),
            _ => answer(conversation),
        }
    });
    let program = before_all(&addrs, &[]);
    let head = format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    assert_eq!(program.client().ask(head + &body).text(), "ok");
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

#[test]
fn a_body_that_was_too_large_to_keep_is_not_sent_again() {
    let (_backends, addrs, seen) = backends(2, |_, _, _| Ok(false));
    let program = before_all(&addrs, &[]);
    let body = "0123456789".repeat(10_000);
    let head = format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut client = program.client();
    assert_eq!(client.ask(head + &body).status(), 502);
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[test]
fn what_two_replicas_died_of_is_not_given_to_a_third() {
    let (_backends, addrs, seen) = backends(4, |_, _, _| Ok(false));
    let program = before_all(&addrs, &["--retries", "9"]);
    let mut client = program.client();
    let reply = client.ask(GET);
    assert_eq!(reply.status(), 502);
    assert!(reply.text().starts_with("{\"message\":\"<Error> "));
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    // The client did nothing wrong: its connection stays.
    assert_eq!(client.ask(GET).status(), 502);
    assert_eq!(seen.load(Ordering::SeqCst), 4);
}

#[test]
fn retries_are_counted_at_their_edge() {
    for (retries, attempts) in [("0", 1), ("1", 2), ("2", 3)] {
        let (_backends, addrs, seen) = backends(1, |_, _, _| Ok(false));
        let program = before_all(&addrs, &["--retries", retries]);
        assert_eq!(program.client().ask(GET).status(), 502);
        assert_eq!(seen.load(Ordering::SeqCst), attempts);
    }
}

#[test]
fn a_worker_sends_ten_requests_again_and_then_no_more_than_a_fifth() {
    let (_backends, addrs, seen) = backends(1, |_, _, _| Ok(false));
    let program = before_all(&addrs, &["--retries", "1"]);
    let mut client = program.client();
    for _ in 0..14 {
        assert_eq!(client.ask(GET).status(), 502);
    }
    assert_eq!(seen.load(Ordering::SeqCst), 14 + 10);
}

#[test]
fn a_post_that_may_have_been_seen_is_not_sent_twice() {
    // The second time on a kept connection, which the replica ends just then.
    let (backends, addrs, seen) = backends(1, |number, _, conversation| match number {
        0 => answer(conversation),
        _ => Ok(false),
    });
    let program = before_all(&addrs, &["--retries", "9"]);
    let mut client = program.client();
    assert_eq!(client.ask(POST).status(), 200);
    assert_eq!(client.ask(POST).status(), 502);
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    assert_eq!(backends[0].connections(), 1);
}

#[test]
fn a_kept_connection_that_ends_is_tried_afresh_on_the_same_seat() {
    let dying = |number: usize, _: &Message, conversation: &mut Conversation| {
        if number == 1 {
            Ok(false)
        } else {
            answer(conversation)
        }
    };
    let (backends, addrs, seen) = backends(2, dying);
    let program = before_all(&addrs, &[]);
    let mut client = program.client();
    for _ in 0..2 {
        assert_eq!(
            client.ask("GET /?id=5 HTTP/1.1\r\nHost: a\r\n\r\n").text(),
            "ok"
        );
    }
    assert_eq!(seen.load(Ordering::SeqCst), 3);
    let mut connections: Vec<_> = backends.iter().map(Backend::connections).collect();
    connections.sort_unstable();
    assert_eq!(connections, [0, 2]);
}

#[test]
fn a_short_reply_is_held_back_until_it_is_whole() {
    let (_backends, addrs, seen) = backends(2, |number, _, conversation| match number {
        0 => {
            conversation
                .wire
                .write("HTTP/1.1 200 OK\r\nX-Try: 1\r\nContent-Length: 30000\r\n\r\nhalf")?;
            Ok(false)
        }
        _ => answer(conversation),
    });
    let program = before_all(&addrs, &[]);
    let mut client = program.client();
    let reply = client.ask(GET);
    assert_eq!((reply.text().as_str(), reply.field("x-try")), ("ok", None));
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    assert_eq!(client.ask(GET).text(), "ok");
}

#[test]
fn an_old_connection_is_not_trusted_with_a_post() {
    let backend = Backend::answering(OK);
    let program = before_all(&[backend.addr], &[]);
    let mut client = program.client();
    assert_eq!(client.ask(POST).status(), 200);
    assert_eq!(client.ask(POST).status(), 200);
    assert_eq!(backend.connections(), 1);
    // Only time can make it old.
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(client.ask(POST).status(), 200);
    assert_eq!(backend.connections(), 2);
}

#[test]
fn a_connection_on_which_something_was_said_unasked_is_not_used_again() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let backend = Backend::scripted(move |mut conversation| {
        loop {
            conversation.request()?;
            conversation.wire.write(OK)?;
            if conversation.number == 0 {
                // Not in one segment with the reply, if the kernel so pleases.
                conversation
                    .wire
                    .write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")?;
                tell.lock().unwrap().send(()).unwrap();
            }
        }
    });
    let program = before_all(&[backend.addr], &[]);
    let mut client = program.client();
    assert_eq!(client.ask(GET).text(), "ok");
    told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(client.ask(GET).text(), "ok");
    assert_eq!(backend.connections(), 2);
}

#[test]
fn connections_are_kept_only_as_long_and_as_many_as_allowed() {
    let keep_alive = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nok";
    let close = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let old = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let old_kept = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok";
    for (reply, args, connections) in [
        (OK, &["--pool-per-seat", "1"][..], 1),
        (OK, &["--pool-per-seat", "0"], 3),
        (OK, &["--pool-idle", "0s"], 3),
        (keep_alive, &[], 3),
        (close, &[], 3),
        (old, &[], 3),
        (old_kept, &[], 1),
    ] {
        let backend = Backend::answering(reply);
        let program = before_all(&[backend.addr], args);
        let mut client = program.client();
        for _ in 0..3 {
            assert_eq!(client.ask(GET).text(), "ok");
        }
        assert_eq!(backend.connections(), connections, "{reply} {args:?}");
    }
}

/// A backend that answers requests two by two, and what tells of each connection that ends.
fn pairing() -> (Backend, mpsc::Receiver<()>) {
    let (tell, told) = mpsc::channel();
    let (tell, meet) = (Mutex::new(tell), std::sync::Barrier::new(2));
    let backend = Backend::scripted(move |mut conversation| {
        while conversation.request().is_ok() {
            meet.wait();
            conversation.wire.write(OK)?;
        }
        // The test may be over.
        let _ = tell.lock().expect("a lock").send(());
        Ok(())
    });
    (backend, told)
}

#[test]
fn the_pool_of_a_seat_is_bounded_by_number_and_by_time() {
    for (per_seat, idle, ends) in [("1", "1h", 1), ("2", "100ms", 2)] {
        let (backend, told) = pairing();
        let program = before_all(
            &[backend.addr],
            &["--pool-per-seat", per_seat, "--pool-idle", idle],
        );
        let mut clients = [program.client(), program.client()];
        clients.iter_mut().for_each(|client| client.send(GET));
        for client in &mut clients {
            assert_eq!(client.reply().text(), "ok");
        }
        assert_eq!(backend.connections(), 2);
        for _ in 0..ends {
            told.recv_timeout(PATIENCE).unwrap();
        }
    }
}

/// A backend whose heartbeats fail from the word on, which makes it a suspect for good.
struct Patient {
    backend: Backend,
    falls_ill: mpsc::Sender<()>,
    /// Told at each request that is no heartbeat.
    asked: mpsc::Receiver<Message>,
    answers: mpsc::Sender<()>,
}

impl Patient {
    fn new() -> Self {
        let (falls_ill, ill) = mpsc::channel();
        let (ask, asked) = mpsc::channel();
        let (answers, answer) = mpsc::channel();
        let (ill, ask, answer) = (Mutex::new(ill), Mutex::new(ask), Mutex::new(answer));
        let backend = Backend::scripted(move |mut conversation| {
            loop {
                let request = conversation.request()?;
                if !request.start_line().contains("/heartbeat") {
                    ask.lock()
                        .expect("a lock")
                        .send(request)
                        .expect("a listener");
                    let _ = answer.lock().expect("a lock").recv_timeout(PATIENCE);
                    conversation.wire.write(OK)?;
                } else if conversation.number > 0 {
                    conversation
                        .wire
                        .write("HTTP/1.1 503 Ill\r\nContent-Length: 0\r\n\r\n")?;
                } else {
                    conversation
                        .wire
                        .write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
                    let _ = ill.lock().expect("a lock").recv_timeout(PATIENCE);
                    // Well past the time in which a server may end a connection out of habit.
                    std::thread::sleep(Duration::from_millis(200));
                    return Ok(());
                }
            }
        });
        Self {
            backend,
            falls_ill,
            asked,
            answers,
        }
    }

    fn fall_ill(&self, program: &Ringmaster) {
        self.falls_ill.send(()).expect("a listener");
        eventually(PATIENCE, "a suspect", || program.log().contains("suspect"));
    }

    fn program(&self, also: &[&str]) -> Ringmaster {
        let name = format!("S1={}", self.backend.addr);
        let args = [
            "--backend",
            &name,
            "--heartbeat-interval",
            "500ms",
            "--heartbeat-timeout",
            "14s",
        ];
        Ringmaster::start(&[&args, also, &["--heartbeat-misses", "10000"]].concat())
    }
}

#[test]
fn a_lone_suspect_is_given_its_time() {
    let patient = Patient::new();
    let program = patient.program(&[]);
    patient.fall_ill(&program);
    let mut client = program.client();
    client.send(GET);
    patient.asked.recv_timeout(PATIENCE).unwrap();
    // A second try would be in vain, and come within 200 ms.
    let again = patient.asked.recv_timeout(Duration::from_millis(600));
    assert!(again.is_err(), "asked twice");
    patient.answers.send(()).unwrap();
    assert_eq!(client.reply().text(), "ok");
}

#[test]
fn a_request_held_by_a_seat_that_becomes_suspect_goes_elsewhere_if_it_can() {
    let patient = Patient::new();
    let other = Backend::answering(OK);
    let second = format!("S2={}", other.addr);
    let program = patient.program(&["--backend", &second]);
    // One of these lands at home on the first seat, and waits there.
    let mut client = program.client();
    let asked_other = |id: usize| {
        let line = format!("GET /?id={id} HTTP/1.1");
        other
            .requests()
            .iter()
            .any(|request| request.start_line() == line)
    };
    for id in 0.. {
        client.send(format!("GET /?id={id} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let mut held = false;
        eventually(PATIENCE, "one of the two is asked", || {
            held = patient.asked.try_recv().is_ok();
            held || asked_other(id)
        });
        if held {
            break;
        }
        assert_eq!(client.reply().text(), "ok");
    }
    patient.fall_ill(&program);
    assert_eq!(client.reply().text(), "ok");
    assert!(patient.asked.try_recv().is_err());
}

#[test]
fn a_request_that_cannot_be_repeated_waits_for_a_suspect() {
    let patient = Patient::new();
    let program = patient.program(&[]);
    let body = "0123456789".repeat(10_000);
    let mut client = program.client();
    client.send(format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    patient.asked.recv_timeout(PATIENCE).unwrap();
    patient.fall_ill(&program);
    patient.answers.send(()).unwrap();
    assert_eq!(client.reply().text(), "ok");
}

#[test]
fn a_request_waits_for_a_seat_that_refused_it_and_comes_back() {
    let heartbeats = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let backend = Backend::answering(heartbeats);
    let addr = backend.addr;
    let name = format!("S1={addr}");
    let args = [
        "--backend",
        &name,
        "--seat-wait",
        "14s",
        "--heartbeat-interval",
        "100ms",
    ];
    let program = Ringmaster::start(&args);
    drop(backend);
    eventually(PATIENCE, "a refusal", || {
        std::net::TcpStream::connect(addr).is_err()
    });
    let mut client = program.client();
    client.send(GET);
    eventually(PATIENCE, "the seat is down", || {
        program.log().contains("is down")
    });
    let listener = std::net::TcpListener::bind(addr).expect("the same port");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut wire = crate::support::Wire::new(stream);
            if wire.head().is_ok() {
                let _ = wire.write(heartbeats);
            }
        }
    });
    assert_eq!(client.reply().text(), "ok");
}

#[test]
fn a_request_waits_no_longer_than_the_seat_wait() {
    let backend = Backend::answering(OK);
    let name = format!("S1={}", backend.addr);
    let program = Ringmaster::start(&["--backend", &name, "--seat-wait", "100ms"]);
    drop(backend);
    eventually(PATIENCE, "the seat is down", || {
        program.log().contains("is down")
    });
    let reply = program.client().ask(GET);
    assert_eq!(
        (reply.status(), reply.field("retry-after")),
        (503, Some("1"))
    );
}
