//! Recovery on a running balancer: its control command `kill` kills, and a balancer that refuses it
//! is reported.
//!
//! The control port is a relay in front of that of a real ringmaster. It answers `kill` itself: it
//! sends SIGKILL to the child of ringmaster with that name, or refuses.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::balancer::Balancer;
use crate::support::{DEADLINE, ProgramOutput, folder, loadgen_with};

/// Behaviour of the relay on `kill`.
#[derive(Debug, Clone, Copy)]
enum OnKill {
    /// Kills, and answers with the list of replicas.
    Kill,
    /// Refuses in the text protocol.
    Refuse(&'static str),
}

/// Starts a relay in front of the control port of `balancer`.
fn relay(balancer: &Balancer, on_kill: OnKill) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (control, pid) = (balancer.control().to_owned(), balancer.pid());
    thread::spawn(move || {
        for client in listener.incoming() {
            let control = control.clone();
            thread::spawn(move || serve(client.unwrap(), &control, pid, on_kill));
        }
    });
    addr
}

fn serve(mut client: TcpStream, control: &str, pid: u32, on_kill: OnKill) {
    let mut line = String::new();
    let mut input = BufReader::new(client.try_clone().unwrap());
    input.read_line(&mut line).unwrap();
    if let Some(name) = line.strip_prefix("kill ") {
        match on_kill {
            OnKill::Kill => kill_child(pid, name.split(' ').next().unwrap().trim()),
            OnKill::Refuse(sentence) => {
                client
                    .write_all(format!("ERR {sentence}\n\n").as_bytes())
                    .unwrap();
                return;
            }
        }
        line = "rep json\n".into();
    }
    let mut upstream = TcpStream::connect(control).unwrap();
    upstream.set_read_timeout(Some(DEADLINE)).unwrap();
    // The rest of an HTTP request.
    line += std::str::from_utf8(input.buffer()).unwrap();
    upstream.write_all(line.as_bytes()).unwrap();
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).unwrap();
    client.write_all(&answer).unwrap();
}

/// Kills the child of `parent` with this replica name.
fn kill_child(parent: u32, name: &str) {
    let wanted = format!("REPLICA_NAME={name}");
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).unwrap();
    let children = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")));
    let children: String = children.map(|pids| pids.unwrap() + " ").collect();
    for pid in children.split_whitespace() {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environ.split(|byte| *byte == 0);
        if variables.any(|variable| variable == wanted.as_bytes()) {
            let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
            return kill_process(pid, Signal::KILL).unwrap();
        }
    }
    panic!("no child has {wanted}");
}

fn run(experiment: &str, balancer: &Balancer, on_kill: OnKill, out: &Path) -> ProgramOutput {
    let control = relay(balancer, on_kill);
    let target = balancer.target();
    let line = format!("{experiment} --target {target} --control {control}");
    loadgen_with(&line, &["--out", out.to_str().unwrap()])
}

#[test]
fn the_control_command_kills_and_the_journal_has_the_times() {
    let balancer = Balancer::start("kill-order", &[]);
    let out = folder("kill-order-out");
    let line = "recovery -n 600 -q 600 --kills 2";
    let ended = run(line, &balancer, OnKill::Kill, &out);
    ended.exits(0);
    ended.prints("replica S1 (seat 1) killed at ");
    assert!(!ended.stdout.contains("never"), "{ended:?}");
    let text = fs::read_to_string(out.join("recovery.json")).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    let kills = found["kills"].as_array().unwrap();
    assert_eq!(kills.len(), 2);
    for kill in kills {
        assert!(
            kill["detected_after_ms"].is_f64() && kill["replaced_after_ms"].is_f64(),
            "{found}"
        );
    }
    let now = balancer.replicas();
    assert!(
        now[0] != "S1" && now[1] != "S2" && now[2] == "S3",
        "{now:?}"
    );
}

#[test]
fn a_balancer_that_refuses_to_kill_is_reported() {
    let balancer = Balancer::start("kill-refused", &[]);
    let refused = OnKill::Refuse("fixed replicas cannot be killed");
    let ended = run(
        "recovery -n 300 -q 600",
        &balancer,
        refused,
        &folder("kill-refused-out"),
    );
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    ended.complains(
        "loadgen: no replica of this balancer can be killed; with --kill-with 'docker kill' a \
         program of yours kills them: 'kill S1' was refused: fixed replicas cannot be killed\n",
    );
    assert_eq!(balancer.replicas(), ["S1", "S2", "S3"]);
}

#[test]
fn all_goes_on_without_the_experiment_that_is_refused() {
    let balancer = Balancer::start("kill-left-out", &[]);
    let line = "all -n 60 -c 5 --repeats 1 --ring uniform";
    let refused = OnKill::Refuse("there is no command 'kill'; try 'help'");
    let out = folder("kill-left-out-out");
    let ended = run(line, &balancer, refused, &out);
    ended.exits(1);
    ended.prints("\nLeft out: recovery\n");
    ended.prints("'kill S1' was refused: there is no command 'kill'; try 'help'\n");
    assert!(out.join("hashes.json").is_file() && !out.join("recovery.json").exists());
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("<h2>Left out: recovery</h2>"), "{page}");
}
