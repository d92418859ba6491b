//! Services that are not HTTP, or not for long, with their own clients: through `--balance source`,
//! TLS through `--balance sni`, and a WebSocket through an upgrade. Also Prometheus, which reads
//! our metrics, and HAProxy and nginx as proxies in front.
//!
//! Tests of a program that is not installed are skipped, with a line on standard error even when
//! they pass. In CI, Redis, Prometheus, HAProxy, nginx, OpenSSL, curl and Chromium are installed:
//! there their absence is a failure.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::support::{Signal, TEST_TIMEOUT, fresh_path, signal};

mod haproxy;
pub(crate) mod nginx;
mod observability;
mod postgres;
mod prometheus;
mod redis;
mod tls;
mod websocket;

/// Time in which a server ends by itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);

/// A third-party server, and the folder it lives in. Both go with the value.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    pub(crate) addr: SocketAddr,
    folder: PathBuf,
}

impl Service {
    /// Starts what `command` makes for a folder and a free port, and waits until it listens there.
    /// Another process may take the port before the start, so up to three ports are tried.
    #[track_caller]
    fn start(command: impl Fn(&Path, SocketAddr) -> Command) -> Self {
        for _ in 0..3 {
            let folder = fresh_path("service");
            std::fs::create_dir(&folder).expect("a folder");
            let addr = free_port();
            let log = std::fs::File::create(folder.join("log")).expect("a file");
            let child = command(&folder, addr)
                .stdin(Stdio::null())
                .stdout(log.try_clone().expect("a handle"))
                .stderr(log)
                .spawn()
                .expect("the service");
            let mut service = Self {
                child,
                addr,
                folder,
            };
            if service.listens() {
                return service;
            }
        }
        panic!("it does not start, on any of three ports");
    }

    /// Waits until it listens; `false` if it has ended.
    fn listens(&mut self) -> bool {
        let begun = Instant::now();
        while std::net::TcpStream::connect(self.addr).is_err() {
            if self.child.try_wait().expect("a child").is_some() {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                eprintln!("it has ended:\n{log}");
                return false;
            }
            assert!(
                begun.elapsed() < TEST_TIMEOUT,
                "no listener within {TEST_TIMEOUT:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // SIGKILL would leave the workers of nginx behind.
        let pid = self.child.id();
        let mut is_there = || matches!(self.child.try_wait(), Ok(None));
        if is_there() {
            signal(pid, Signal::TERM);
        }
        let begun = Instant::now();
        while is_there() && begun.elapsed() < GRACE {
            std::thread::sleep(Duration::from_millis(5));
        }
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("its address")
}

/// Returns `true` if a program is installed. If not, reports that `test` is skipped.
pub(crate) fn is_here(program: &str, test: &str, in_ci: bool) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let here = std::env::split_paths(&paths).any(|folder| folder.join(program).is_file());
    if !here {
        skip(&format!("{program} is not installed"), test, in_ci);
    }
    here
}

fn skip(why: &str, test: &str, in_ci: bool) {
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!(in_ci && ci), "{why}");
    // Not by a macro: what those print is kept back when a test passes.
    let line = format!("SKIPPED, because {why}: {test}\n");
    let mut stderr = std::io::stderr();
    stderr.write_all(line.as_bytes()).expect("stderr");
}

/// Runs a client of the service, which must succeed in time, and returns its output.
#[track_caller]
fn says(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = outcome(command);
    let errors = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{errors}");
    String::from_utf8(stdout).expect("UTF-8")
}

/// Runs a client to its end; standard input is as the caller set it, or inherited.
#[track_caller]
fn outcome(command: &mut Command) -> Output {
    outcome_within(command, TEST_TIMEOUT)
}

/// Runs a client to its end, which must come within `limit`.
#[track_caller]
fn outcome_within(command: &mut Command, limit: Duration) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the client");
    let pid = child.id();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(outcome) = receiver.recv_timeout(limit) else {
        signal(pid, Signal::KILL);
        panic!("still running after {limit:?}: {command:?}");
    };
    outcome.expect("its output")
}
