//! Reads by many clients: they are answered whatever else the ports are busy with, and they see
//! every completed change.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::{PORTS, get, names, request};
use crate::support::{
    Client, Engine, Ringmaster, TEST_TIMEOUT, eventually, exchange, on_both_engines, run_to_end,
};

on_both_engines!(a_change_is_in_every_list_after_its_answer);

fn a_change_is_in_every_list_after_its_answer(engine: Engine) {
    let program = engine.start(&["--replicas", "1"]);
    for round in 0..5 {
        for port in PORTS {
            let name = format!("R{round}");
            let body = format!(r#"{{"n":1,"hostnames":["{name}"]}}"#);
            let at = port.of(&program);
            let seen = |is_there: bool| {
                for other in PORTS {
                    let list = names(&exchange(other.of(&program), get("/rep")));
                    assert_eq!(
                        list.contains(&name),
                        is_there,
                        "{port:?} {other:?} {list:?}"
                    );
                }
                let shown = program.command("show");
                assert_eq!(shown.contains(&name), is_there, "{shown}");
            };
            let added = exchange(at, request("POST /add", "", &body));
            assert_eq!(added.status(), 200, "{}", added.text());
            seen(true);
            let removed = exchange(at, request("DELETE /rm", "", &body));
            assert_eq!(removed.status(), 200, "{}", removed.text());
            seen(false);
        }
    }
}

/// Runs `work` on this number of threads at once, each with its number.
fn at_once(threads: usize, work: &(dyn Fn(usize) + Sync)) {
    let start = &Barrier::new(threads);
    thread::scope(|scope| {
        for nth in 0..threads {
            scope.spawn(move || {
                start.wait();
                work(nth);
            });
        }
    });
}

fn list(client: &mut Client) {
    let reply = client.ask(get("/rep"));
    assert_eq!(reply.status(), 200, "{}", reply.text());
}

#[test]
fn a_hundred_at_once_keep_their_connections() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    for port in PORTS {
        at_once(100, &|_| {
            let mut client = Client::connect(port.of(&program));
            (0..20).for_each(|_| list(&mut client));
        });
    }
}

#[test]
fn lists_are_answered_while_all_order_slots_are_taken() {
    // The first `/add` waits for a replica that never answers; the others wait for it.
    let args = ["--replica-command", "sleep 60", "--start-timeout", "60s"];
    let args = [
        &args[..],
        &["--replicas", "0", "--data-port-admin", "local"],
    ]
    .concat();
    let program = Ringmaster::start(&args);
    let order = request("POST /add", "", r#"{"n":1}"#);
    let mut waiting = Vec::new();
    let mut refused = None;
    eventually(TEST_TIMEOUT, "one too many", || {
        let mut client = Client::connect(program.control);
        client.send(&order);
        // A list that is answered shows that the orders before it have reached the fleet.
        exchange(program.control, get("/replicas"));
        if client.has_bytes_within(Duration::from_millis(1)) {
            refused = Some(client.reply());
        }
        waiting.push(client);
        refused.is_some()
    });
    let refused = refused.expect("a reply");
    assert_eq!(refused.status(), 503);
    assert!(
        refused.text().contains("64 commands wait already"),
        "{}",
        refused.text()
    );
    assert_eq!(
        waiting.len(),
        66,
        "one is carried out, 64 wait, and one was refused"
    );
    // As many as there are places beside them, and some more that are closed already.
    for port in PORTS {
        at_once(30, &|_| {
            (0..20).for_each(|_| list(&mut Client::connect(port.of(&program))));
        });
    }
    at_once(30, &|nth| {
        let line = ["rep", "show", "stats", "events"][nth % 4];
        let answer = program.command(line);
        assert!(
            !answer.is_empty() && !answer.starts_with("ERR"),
            "{line}: {answer}"
        );
    });
    assert_eq!(
        run_to_end(&["healthcheck", "--control", &program.control.to_string()])
            .status
            .code(),
        Some(0)
    );
    drop(waiting);
}

#[test]
fn clients_that_stay_keep_no_health_check_out() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let control = program.control.to_string();
    let check = || {
        let output = run_to_end(&["healthcheck", "--control", &control]);
        assert!(output.status.success(), "{output:?}");
        for ask in ["rep", "show", "stats"] {
            let answer = program.command(ask);
            assert!(
                !answer.is_empty() && !answer.starts_with("ERR"),
                "{ask}: {answer}"
            );
        }
        for path in ["/healthz", "/readyz", "/metrics", "/rep"] {
            assert_eq!(exchange(program.control, get(path)).status(), 200, "{path}");
        }
    };
    // Answered, and half closed by us: they could be closed, and are not.
    let mut open = Vec::new();
    for round in 0..4 {
        for _ in 0..150 {
            let mut client = Client::connect(program.control);
            client.send("help\n");
            open.push(client);
        }
        check();
        println!("{round}: {} clients", open.len());
    }
    // Streams, as many as there may be, and one more.
    let streams = (0..33).map(|nth| {
        let mut client = Client::connect(program.control);
        let accept = "Accept: text/event-stream\r\n";
        match nth % 3 {
            0 => client.send("events -w\n"),
            1 => client.send("watch 1\n"),
            _ => client.send(format!(
                "GET /events HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n"
            )),
        }
        client
    });
    open.extend(streams.collect::<Vec<_>>());
    // Half of a head, half of a line, a prompt, and nothing.
    for beginning in ["GET /rep HTTP/1.1\r\nHost", "re", "prompt\n", ""]
        .iter()
        .cycle()
        .take(1000)
    {
        let mut client = Client::connect(program.control);
        client.send(beginning);
        open.push(client);
    }
    check();
}
