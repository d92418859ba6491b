//! The real binary: started on ports of the system's choice, waited for by its ready file, stopped
//! by signal. What it logs is kept and shown when a test fails. Nothing it started outlives its
//! value.
//!
//! One value: the program and what may be asked of it, which all tests share.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Instant;

use serde_json::Value;

use super::command::program;
use super::process::{self, Process, TICK};
use super::{Client, Docker, Signal, TEST_TIMEOUT, eventually, exchange};

/// A running `ringmaster serve`.
#[derive(Debug)]
pub(crate) struct Ringmaster {
    /// The data port.
    pub(crate) listen: SocketAddr,
    /// The control port.
    pub(crate) control: SocketAddr,
    process: Process,
    /// Its fleet, if its replicas are containers; swept after the program is gone.
    containers: Option<Docker>,
}

impl Ringmaster {
    /// Starts `serve` with `args` and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::launch(program(), args).ready()
    }

    /// Waits until it is ready.
    #[track_caller]
    pub(crate) fn ready(mut self) -> Self {
        let begun = Instant::now();
        let text = loop {
            if let Ok(text) = std::fs::read_to_string(self.ready_file()) {
                break text;
            }
            if let Some(status) = self.process.child.try_wait().expect("a child") {
                panic!("ended before it was ready: {status}");
            }
            assert!(
                begun.elapsed() < TEST_TIMEOUT,
                "not ready in {TEST_TIMEOUT:?}"
            );
            std::thread::sleep(TICK);
        };
        let ports: Value = serde_json::from_str(&text).expect("JSON in the ready file");
        for (name, addr) in [("listen", self.listen), ("control", self.control)] {
            let announced: Option<SocketAddr> = ports[name].as_str().and_then(|at| at.parse().ok());
            let announced = announced.expect("an address in the ready file");
            assert_eq!(announced.port(), addr.port(), "{name}");
        }
        self
    }

    /// Starts `serve` of `program` with `args` and waits only for the line that names its ports.
    #[track_caller]
    pub(crate) fn launch(program: Command, args: &[&str]) -> Self {
        let process = Process::start(program, args);
        let line = process.next_line().unwrap_or_default();
        let mut ports = line.split("http://localhost:").skip(1).map(|rest| {
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            let port = rest[..end].parse().expect("a port");
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        });
        let [Some(listen), Some(control)] = [ports.next(), ports.next()] else {
            panic!("no line with two ports: {line:?}\n{}", process.log());
        };
        Self {
            listen,
            control,
            process,
            containers: None,
        }
    }

    /// Its replicas are the containers of this fleet.
    pub(crate) fn in_containers(mut self, fleet: Docker) -> Self {
        self.containers = Some(fleet);
        self
    }

    /// Starts a successor with `args` that takes over from it, and waits until the successor is
    /// ready.
    #[track_caller]
    pub(crate) fn taken_over(&mut self, args: &[&str]) -> Self {
        let (listen, control) = (self.listen.to_string(), self.control.to_string());
        let ports = ["--takeover", "--listen", &listen, "--control", &control];
        let args = [&ports[..], args].concat();
        match self.containers.take() {
            None => Self::start(&args),
            Some(fleet) => fleet.balancer(&args).in_containers(fleet),
        }
    }

    /// Starts it before one fixed backend, S1, without heartbeats.
    #[track_caller]
    pub(crate) fn before(backend: SocketAddr, args: &[&str]) -> Self {
        let backend = format!("S1={backend}");
        let fixed = ["--backend", &backend, "--heartbeat-interval", "0s"];
        Self::start(&[&fixed, args].concat())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Path of its ready file.
    pub(crate) fn ready_file(&self) -> &Path {
        &self.process.ready_file
    }

    /// Returns the processes it has started and not yet reaped, or those of its containers, in
    /// ascending order.
    #[track_caller]
    pub(crate) fn children(&self) -> Vec<u32> {
        let mut children = match &self.containers {
            Some(fleet) => fleet.processes(),
            None => process::children(self.pid()),
        };
        children.sort_unstable();
        children
    }

    /// The process of the replica of this name.
    #[track_caller]
    pub(crate) fn replica(&self, name: &str) -> u32 {
        if let Some(fleet) = &self.containers {
            return fleet.process(name);
        }
        let runs = |pid: &u32| process::variable(*pid, "REPLICA_NAME").as_deref() == Some(name);
        let found = self.children().into_iter().find(runs);
        found.unwrap_or_else(|| panic!("no process of {name}\n{}", self.log()))
    }

    /// The names that `/rep` lists, in its order.
    #[track_caller]
    pub(crate) fn rep(&self) -> Vec<String> {
        let reply = exchange(self.control, "GET /rep HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let answer: Value = serde_json::from_slice(&reply.body).expect("JSON");
        let names = answer["message"]["replicas"].as_array().expect("a list");
        assert_eq!(answer["message"]["N"], names.len());
        let text = |name: &Value| name.as_str().expect("a name").to_owned();
        names.iter().map(text).collect()
    }

    /// Events so far, the oldest first.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        serde_json::from_str(&self.command("events json")).expect("one JSON value")
    }

    /// Waits for the first event of this kind about a seat.
    #[track_caller]
    pub(crate) fn event(&self, kind: &str, seat: u32) -> Value {
        let mut found = None;
        eventually(TEST_TIMEOUT, &format!("an event: {kind} {seat}"), || {
            let mut events = self.events().into_iter();
            found = events.find(|event| event["kind"] == kind && event["seat"] == seat);
            found.is_some()
        });
        found.unwrap_or_default()
    }

    /// Returns the names of the standbys.
    #[track_caller]
    pub(crate) fn standbys(&self) -> Vec<String> {
        let shown: Value = serde_json::from_str(&self.command("show json")).expect("JSON");
        let all = shown["message"]["replicas"].as_array().expect("a list");
        let warm = all.iter().filter(|card| card["state"] == "standby");
        let names = warm.filter_map(|card| card["name"].as_str());
        names.map(str::to_owned).collect()
    }

    /// Waits for this number of standbys, and returns their names.
    #[track_caller]
    pub(crate) fn standing_by(&self, n: usize) -> Vec<String> {
        eventually(TEST_TIMEOUT, "standbys", || self.standbys().len() == n);
        self.standbys()
    }

    /// Log so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until it has logged this, which may still be on its way through the pipe.
    #[track_caller]
    pub(crate) fn expect_log(&self, text: &str) {
        eventually(TEST_TIMEOUT, text, || self.log().contains(text));
    }

    /// A new connection to the data port.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.listen)
    }

    /// A new connection to the data port on which `bytes` were sent.
    #[track_caller]
    pub(crate) fn client_after(&self, bytes: impl AsRef<[u8]>) -> Client {
        let mut client = self.client();
        client.send(bytes);
        client
    }

    /// Returns the text of `/metrics`.
    #[track_caller]
    pub(crate) fn metrics(&self) -> String {
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        exchange(self.control, request).text()
    }

    /// Returns status and body of `/readyz`.
    #[track_caller]
    pub(crate) fn readyz(&self) -> (u16, String) {
        let request = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let reply = exchange(self.control, request);
        (reply.status(), reply.text())
    }

    /// Sends one line to the control port, as netcat does, and returns the whole answer.
    #[track_caller]
    pub(crate) fn command(&self, line: &str) -> String {
        let mut client = Client::connect(self.control);
        client.send(format!("{line}\n"));
        String::from_utf8(client.rest()).expect("UTF-8")
    }

    /// Sends `signal` to the replicas of these names.
    #[track_caller]
    pub(crate) fn strike(&self, names: &[&str], signal: Signal) {
        match &self.containers {
            Some(fleet) => fleet.kill(names, signal),
            None => {
                let pids: Vec<u32> = names.iter().map(|name| self.replica(name)).collect();
                pids.into_iter()
                    .for_each(|pid| process::signal(pid, signal));
            }
        }
    }

    /// Takes the container of a replica off its network.
    #[track_caller]
    pub(crate) fn cut_off(&self, name: &str) {
        let fleet = self.containers.as_ref().expect("containers");
        fleet.cut_off(name);
    }

    /// Lets nothing in and out of the container of a replica any more.
    #[track_caller]
    pub(crate) fn drop_packets(&self, name: &str) {
        let fleet = self.containers.as_ref().expect("containers");
        fleet.drop_packets(name);
    }

    /// Sends `signal` to the balancer itself.
    pub(crate) fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    /// Sends a second signal, again and again until it counts as one: right after the first it does
    /// not.
    #[track_caller]
    pub(crate) fn signal_again(&self, signal: Signal) {
        eventually(TEST_TIMEOUT, "a second signal", || {
            self.signal(signal);
            self.log().contains("a second signal")
        });
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// SIGTERM, and how it ended.
    #[track_caller]
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Sends SIGTERM, and returns its standard output after the first line.
    #[track_caller]
    pub(crate) fn last_lines(mut self) -> Vec<String> {
        self.signal(Signal::TERM);
        let lines = std::iter::from_fn(|| self.process.next_line()).collect();
        assert!(self.wait().success());
        lines
    }

    /// SIGKILL. Its replicas must find out by themselves.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        let status = self.wait();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
    }
}
