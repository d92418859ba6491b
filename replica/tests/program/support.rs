//! Replica under test: its binary on a free port, with clients that send raw bytes. Every wait has
//! a deadline.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Time limit of every wait.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Running replica, killed on drop.
#[derive(Debug)]
pub(crate) struct Replica {
    /// The process.
    pub(crate) child: Child,
    /// Address on which it listens.
    pub(crate) addr: SocketAddr,
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the command of the replica, without its variables in the environment of the test.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_replica"));
    for name in [
        "SERVER_ID",
        "REPLICA_NAME",
        "REPLICA_LISTEN",
        "REPLICA_SOCKET",
        "REPLICA_PARENT",
    ] {
        command.env_remove(name);
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Starts a replica in seat 3 on a free port.
pub(crate) fn start() -> Replica {
    start_with(command().args(["--listen", "127.0.0.1:0", "--id", "3"]))
}

/// Starts `command` and reads its first line.
pub(crate) fn start_with(command: &mut Command) -> Replica {
    let mut child = command.spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let line = within_deadline(move || {
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        line
    });
    Replica {
        child,
        addr: announced(&line),
    }
}

/// Returns the address in `{"listen":"127.0.0.1:43211"}`.
pub(crate) fn announced(line: &str) -> SocketAddr {
    let value: serde_json::Value = serde_json::from_str(line).expect(line);
    assert_eq!(value.as_object().unwrap().len(), 1, "{line}");
    value["listen"].as_str().unwrap().parse().unwrap()
}

/// Runs `work` on a thread and waits for it until the deadline.
pub(crate) fn within_deadline<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    thread::spawn(move || {
        let _ = done.send(work());
    });
    result.recv_timeout(DEADLINE).expect("done in time")
}

/// Waits for the exit status of `child`.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(start.elapsed() < DEADLINE, "the replica did not end");
        thread::sleep(Duration::from_millis(2));
    }
}

impl Replica {
    /// Opens a connection whose reads have a deadline.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Sends `bytes`, closes the sending side and returns everything received.
    pub(crate) fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        rest_of(&mut stream)
    }
}

/// Returns everything received until the replica closes the connection.
pub(crate) fn rest_of(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
