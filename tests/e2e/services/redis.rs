//! Redis, with redis-cli: a request protocol, large values, pipelining, and a subscription in which
//! the server sends unasked. Its heartbeats are connections, because it is no HTTP server.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::{Service, is_here, outcome, says};
use crate::support::{Ringmaster, Signal, signal};

/// Two servers that know their own names, and the program before them.
fn before_two(test: &str) -> Option<([Service; 2], Ringmaster)> {
    if !is_here("redis-server", test, true) || !is_here("redis-cli", test, true) {
        return None;
    }
    let services = ["S1", "S2"].map(|name| {
        let service = Service::start(|folder, addr| {
            let mut command = Command::new("redis-server");
            let port = addr.port().to_string();
            command.args(["--port", &port, "--bind", "127.0.0.1", "--save", ""]);
            command.args(["--appendonly", "no", "--daemonize", "no", "--dir"]);
            command.arg(folder);
            command
        });
        says(cli(service.addr.port()).args(["set", "name", name]));
        service
    });
    let backends = format!("S1={},S2={}", services[0].addr, services[1].addr);
    let fixed = ["--backend", &backends, "--heartbeat-path", "tcp"];
    let program = Ringmaster::start(&[&fixed[..], &["--balance", "source"]].concat());
    Some((services, program))
}

fn cli(port: u16) -> Command {
    let mut command = Command::new("redis-cli");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    command
}

#[test]
fn redis_cli_is_served_by_one_server() {
    let Some((_services, program)) = before_two("redis") else {
        return;
    };
    let port = program.listen.port();
    let home = says(cli(port).args(["get", "name"]));
    assert!(["S1\n", "S2\n"].contains(&home.as_str()), "{home}");
    assert_eq!(says(cli(port).args(["set", "greeting", "hello"])), "OK\n");
    for _ in 0..10 {
        assert_eq!(says(cli(port).args(["get", "greeting"])), "hello\n");
    }
    // Ten thousand commands on one connection, none of which waits for the answer to the one
    // before.
    let mut pipe = cli(port)
        .arg("--pipe")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = pipe.stdin.take().unwrap();
    let commands: String = (0..10_000).map(|n| format!("SET key{n} {n}\r\n")).collect();
    stdin.write_all(commands.as_bytes()).unwrap();
    drop(stdin);
    let stdout = String::from_utf8(pipe.wait_with_output().unwrap().stdout).unwrap();
    assert!(stdout.contains("errors: 0, replies: 10000"), "{stdout}");
    assert_eq!(says(cli(port).args(["dbsize"])), "10002\n");
}

#[test]
fn a_large_value_comes_back_as_it_went() {
    let Some((services, program)) = before_two("redis, a large value") else {
        return;
    };
    let value: Vec<u8> = (0..20_000_000_u32)
        .map(|n| b'a' + (n % 23).to_be_bytes()[3])
        .collect();
    let file = services[0].folder.join("value");
    std::fs::write(&file, &value).unwrap();
    let port = program.listen.port();
    let input = std::fs::File::open(&file).unwrap();
    let set = says(cli(port).args(["-x", "set", "large"]).stdin(input));
    assert_eq!(set, "OK\n");
    let got = outcome(cli(port).args(["get", "large"])).stdout;
    assert!(got.len() == value.len() + 1 && got.starts_with(&value));
}

#[test]
fn the_other_server_serves_when_one_has_ended() {
    let Some((services, program)) = before_two("redis, one ends") else {
        return;
    };
    let port = program.listen.port();
    let home = says(cli(port).args(["get", "name"]));
    let (home, other) = match home.as_str() {
        "S1\n" => (1, "S2\n"),
        _ => (2, "S1\n"),
    };
    let [mut first, mut second] = services;
    let ended = if home == 1 { &mut first } else { &mut second };
    ended.child.kill().unwrap();
    let down = program.event("down", home);
    assert_eq!(down["reason"], "connection refused");
    assert_eq!(says(cli(port).args(["get", "name"])), other);
}

#[test]
fn redis_servers_as_child_processes_are_replaced() {
    let test = "redis, as child processes";
    if !is_here("redis-server", test, true) || !is_here("redis-cli", test, true) {
        return;
    }
    let command = "redis-server --port $PORT --bind 127.0.0.1 --save '' --appendonly no >/dev/null";
    let own = ["--replica-command", command, "--replicas", "2"];
    let blind = ["--balance", "source", "--heartbeat-path", "tcp"];
    let program = Ringmaster::start(&[own, blind].concat());
    let port = program.listen.port();
    let first = says(cli(port).args(["info", "server"]));
    let pid = first
        .lines()
        .find_map(|line| line.strip_prefix("process_id:"));
    let pid: u32 = pid.expect("a process").trim().parse().unwrap();
    // Redis overwrites its environment with its title (proc(5), environ), so the balancer is asked.
    let shown = program.command("show");
    let mut lines = shown.lines().map(|line| line.split_whitespace());
    let seat = lines.find_map(|mut words| {
        let seat = words.next()?;
        words
            .any(|word| word == format!("pid:{pid}"))
            .then_some(seat)
    });
    let home = seat.expect("a seat").parse().unwrap();
    assert_eq!(says(cli(port).args(["incr", "visits"])), "1\n");
    assert_eq!(says(cli(port).args(["incr", "visits"])), "2\n");
    signal(pid, Signal::KILL);
    program.event("replaced", home);
    assert_eq!(says(cli(port).args(["incr", "visits"])), "1\n", "a new one");
    assert_eq!(program.rep().len(), 2);
    assert!(program.stop().success());
}

/// A client that subscribes until its value is dropped.
struct Subscriber(Child);

impl Drop for Subscriber {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn server_pushes_arrive_at_once() {
    let Some((_services, program)) = before_two("redis, a subscription") else {
        return;
    };
    let port = program.listen.port();
    let child = cli(port)
        .args(["subscribe", "news"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut subscriber = Subscriber(child);
    let (sender, receiver) = std::sync::mpsc::channel();
    let stdout = BufReader::new(subscriber.0.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let next = || receiver.recv_timeout(crate::support::TEST_TIMEOUT).unwrap();
    let lines = |n| (0..n).map(|_| next()).collect::<Vec<_>>();
    assert_eq!(lines(3), ["subscribe", "news", "1"]);
    for text in ["one", "two"] {
        assert_eq!(says(cli(port).args(["publish", "news", text])), "1\n");
        assert_eq!(lines(3), ["message", "news", text]);
    }
}
