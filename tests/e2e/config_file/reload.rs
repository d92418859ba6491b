//! A changed file takes effect by a reload, without a failed request.

use super::show::setting;
use super::{File, Successor, pid_in};
use crate::support::{
    Backend, Docker, Load, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange, exclusive_load,
    fresh_path, inspect, run_to_end,
};

const CLOSE: &str = "Host: a\r\nConnection: close\r\n\r\n";

/// A request with a head of about this many bytes.
fn request(bytes: usize) -> String {
    format!(
        "GET /home HTTP/1.1\r\nX-Long: {}\r\n{CLOSE}",
        "x".repeat(bytes)
    )
}

/// A backend that answers with its name, however often.
fn backend(name: &'static str) -> Backend {
    Backend::scripted(move |mut conversation| {
        conversation.request()?;
        let length = name.len();
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
        conversation.wire.write(reply)
    })
}

#[test]
fn limits_timeouts_and_access_rules_change_under_load_without_a_failed_request() {
    let _turn = exclusive_load();
    let file = File::new("replicas = 2\nmax-head = \"16KiB\"\n");
    let mut first = Ringmaster::start(&["--config", file.path()]);
    let listen = first.listen;
    assert_eq!(exchange(listen, request(3000)).status(), 200);
    let rep = "GET /rep HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(exchange(listen, rep).text().contains("S1"));
    let load = Load::start(listen, 8);
    load.reach(200);

    file.write(
        "replicas = 2\nmax-head = \"2KiB\"\nhead-timeout = \"300ms\"\ndata-port-admin = \"off\"\n\
         control-token = \"hunter2\"\n",
    );
    let answer = first.command("reload");
    let mut second = Successor::after(&mut first, &answer);
    let (_, changes) = answer.split_once('\n').expect("lines");
    assert_eq!(
        changes,
        "head-timeout 10s -> 300ms\nmax-head 16KiB -> 2KiB\ndata-port-admin - -> off\n\
         control-token - -> set\n\n"
    );
    load.wait_for_one_reply_per_connection();
    load.go_on(200);
    assert_eq!(exchange(listen, request(3000)).status(), 431);
    assert_eq!(exchange(listen, request(1000)).status(), 200);
    // The path belongs to the replica, which does not have it.
    assert!(
        exchange(listen, rep)
            .text()
            .contains("does not exist in server replicas")
    );
    let slow = exchange(listen, "GET /home HTTP/1.1\r\nHost");
    assert_eq!(slow.status(), 408);
    assert_eq!(second.command("auth hunter2"), "ok\n\n");
    assert_eq!(second.value("max-head"), "2KiB");

    // Once more, by HTTP, from the process that has taken over.
    file.write("replicas = 2\n");
    let post = "POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    let reply = exchange(second.control, post);
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let answer: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    let pid = &answer["message"]["pid"];
    second.follow(&format!("process {pid} has taken over"));
    let token = &answer["message"]["changes"][3];
    assert_eq!(
        (&token["before"], &token["after"]),
        (&"set".into(), &"".into())
    );
    load.go_on(200);
    assert_eq!(exchange(listen, request(3000)).status(), 200);
    assert_eq!(
        second.command("auth hunter2"),
        "ERR no token is set; set --control-token\n\n"
    );
    load.finish().expect_no_failure();
}

#[test]
fn backends_and_the_key_are_those_of_the_changed_file() {
    let (a, b) = (backend("a"), backend("b"));
    let fixed = "heartbeat-interval = \"0s\"\n";
    let file = File::new(format!("{fixed}backend = [\"a={}\"]\n", a.addr));
    let mut first = Ringmaster::start(&["--config", file.path()]);
    let listen = first.listen;
    let get = format!("GET / HTTP/1.1\r\n{CLOSE}");
    assert_eq!(exchange(listen, &get).text(), "a");
    file.write(format!(
        "{fixed}key = \"header:x-user,random\"\nbackend = [\"a={}\", \"b={}\"]\n",
        a.addr, b.addr
    ));
    let control = first.control.to_string();
    let output = run_to_end(&["ctl", "--control", &control, "reload"]);
    assert!(output.status.success(), "{output:?}");
    let answer = String::from_utf8(output.stdout).expect("text");
    let mut second = Successor::after(&mut first, &answer);
    assert!(answer.contains("\nkey header:x-request-id,query:id,random -> header:x-user,random\n"));
    assert!(second.command("rep").starts_with("N 2\na\nb\n"));
    // One user has one backend, and some user has the other.
    let of_user = |user: u32| {
        let get = format!("GET / HTTP/1.1\r\nX-User: {user}\r\n{CLOSE}");
        exchange(listen, get).text()
    };
    let first_of_all: Vec<String> = (0..20).map(of_user).collect();
    assert!(
        ["a", "b"]
            .iter()
            .all(|name| first_of_all.iter().any(|it| it == name))
    );
    assert_eq!((0..20).map(of_user).collect::<Vec<_>>(), first_of_all);
    file.write(format!("{fixed}backend = [\"b={}\"]\n", b.addr));
    let answer = second.command("reload");
    assert!(answer.contains("backend a="), "{answer}");
    second.follow(&answer);
    assert_eq!(exchange(listen, &get).text(), "b");
}

/// Returns the weight of each seat that `ring` lists, and 1 for a seat without one.
fn weights(ring: &str) -> Vec<(String, u32)> {
    let seats = ring.lines().filter(|line| line.starts_with("seat "));
    let of_line = |line: &str| {
        let name = line.split_ascii_whitespace().nth(2).expect("a name");
        let weight = line
            .split_once(" weight ")
            .map_or("1", |(_, weight)| weight);
        (name.to_owned(), weight.parse().expect("a weight"))
    };
    seats.map(of_line).collect()
}

#[test]
fn weights_of_backends_are_those_of_the_changed_file() {
    let (a, b) = (backend("a"), backend("b"));
    let list = |of_a: &str, of_b: &str| {
        let (a, b) = (a.addr, b.addr);
        format!("heartbeat-interval = \"0s\"\nbackend = [\"a={a}{of_a}\", \"b={b}{of_b}\"]\n")
    };
    let expected = |of_a, of_b| [("a".to_owned(), of_a), ("b".to_owned(), of_b)];
    let file = File::new(list("", ",weight=2"));
    let mut first = Ringmaster::start(&["--config", file.path()]);
    assert_eq!(weights(&first.command("ring")), expected(1, 2));
    file.write(list(",weight=3", ",weight=5"));
    let answer = first.command("reload");
    let mut second = Successor::after(&mut first, &answer);
    assert!(answer.contains(" weight=5\n"), "{answer}");
    assert_eq!(weights(&second.command("ring")), expected(3, 5));
    // An unchanged list leaves a weight that a command has set, as it leaves added backends.
    second.command("weight a 7");
    file.write(list(",weight=3", ",weight=5") + "retries = 1\n");
    let answer = second.command("reload");
    second.follow(&answer);
    assert_eq!(weights(&second.command("ring")), expected(7, 5));
    // A changed one wins, for every backend of it.
    file.write(list("", ",weight=5"));
    let answer = second.command("reload");
    second.follow(&answer);
    assert_eq!(weights(&second.command("ring")), expected(1, 5));
}

#[test]
fn a_hangup_reloads_a_changed_file_and_only_reopens_the_log_otherwise() {
    let (backend, log) = (backend("a"), fresh_path("access"));
    let text = format!(
        "heartbeat-interval = \"0s\"\nbackend = [\"a={}\"]\naccess-log = \"{}\"\n",
        backend.addr,
        log.display()
    );
    let file = File::new(&text);
    let mut first = Ringmaster::start(&["--config", file.path()]);
    let control = first.control;
    std::fs::remove_file(&log).expect("the log");
    first.signal(Signal::HUP);
    first.expect_log("no setting of the configuration file has changed");
    eventually(TEST_TIMEOUT, "the reopened log", || log.exists());
    // Comments and the order are no changes.
    file.write(format!("# Hello\n{text}"));
    first.signal(Signal::HUP);
    let unchanged = "no setting of the configuration file has changed";
    eventually(TEST_TIMEOUT, unchanged, || {
        first.log().matches(unchanged).count() == 2
    });
    file.write("retries = \"many\"\n");
    first.signal(Signal::HUP);
    first.expect_log("cannot reload: invalid value 'many' for 'retries in ");
    assert_eq!(setting(&first, "retries")["value"], "2");
    file.write(format!("{text}retries = 1\n"));
    first.signal(Signal::HUP);
    assert!(first.wait().success());
    let second = Successor {
        pid: pid_in(&first.log()).expect("a process"),
        control,
    };
    assert_eq!(second.value("retries"), "1");
    drop(second);
    std::fs::remove_file(&log).expect("the log");
}

#[test]
fn a_reload_without_a_file_is_a_takeover_with_the_same_settings() {
    let mut first = Ringmaster::start(&["--replicas", "1"]);
    let listen = first.listen;
    let answer = first.command("reload");
    let second = Successor::after(&mut first, &answer);
    assert!(
        answer.ends_with(" has taken over\nno setting has changed\n\n"),
        "{answer}"
    );
    assert_eq!(exchange(listen, request(1)).status(), 200);
    assert!(second.command("rep").starts_with("N 1\nS1\n"));
}

#[test]
fn a_takeover_by_hand_may_have_a_file() {
    let mut first = Ringmaster::start(&["--replicas", "1"]);
    let file = File::new("max-head = \"2KiB\"\n");
    let second = first.taken_over(&["--config", file.path()]);
    assert!(first.wait().success());
    assert_eq!(exchange(second.listen, request(3000)).status(), 431);
    assert_eq!(second.rep(), ["S1"]);
    assert!(second.stop().success());
}

#[test]
fn containers_stay_at_a_reload_and_get_the_new_settings_when_they_are_replaced() {
    let Some(fleet) = Docker::fleet("reload") else {
        return;
    };
    let file = File::new("replicas = 1\nreplica-pids = 99\n");
    let mut first = fleet.balancer(&["--config", file.path()]);
    let containers = fleet.processes();
    let limit = |replica: &str| inspect(&fleet.name(replica))["HostConfig"]["PidsLimit"].clone();
    assert_eq!(limit("S1"), 99);
    // The flag wins over the file, so this is no change of the fleet.
    file.write("replicas = 1\nreplica-pids = 98\nfleet = \"other\"\n");
    let answer = first.command("reload");
    let second = Successor::after(&mut first, &answer);
    let changes = answer.split_once('\n').expect("lines").1;
    let note = "running containers stay as they are; 'replace all' replaces them";
    assert_eq!(changes, format!("replica-pids 99 -> 98\n{note}\n\n"));
    assert_eq!(fleet.processes(), containers);
    let answer = second.command("replace all");
    let name = answer.lines().nth(1).expect("a replica");
    assert_eq!(limit(name), 98);
    drop(second);
}
