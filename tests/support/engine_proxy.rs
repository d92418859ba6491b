//! A running `ringmaster engine-proxy`, and raw bytes for its socket.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::command::program;
use super::process::{fresh_path, signal};
use super::{Signal, TEST_TIMEOUT, eventually};

/// Address of the machine's own engine.
pub(crate) const REAL_ENGINE: &str = "unix:///var/run/docker.sock";

/// The proxy; its socket goes with it.
#[derive(Debug)]
pub(crate) struct EngineProxy {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl EngineProxy {
    /// Starts a proxy of the engine at this address, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(engine: &str, args: &[&str]) -> Self {
        let path = fresh_path("proxy");
        let (socket, log) = (path.with_extension("sock"), path.with_extension("log"));
        let listen = format!("unix:{}", socket.display());
        let child = program()
            .args(["engine-proxy", "--listen", &listen, "--log-level", "debug"])
            .args(args)
            .env("DOCKER_HOST", engine)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a file"))
            .spawn();
        let proxy = Self {
            child: child.expect("the binary"),
            socket,
            log,
        };
        eventually(TEST_TIMEOUT, "the proxy listens", || {
            UnixStream::connect(&proxy.socket).is_ok()
        });
        proxy
    }

    /// The program, whose engine is this proxy.
    pub(crate) fn program(&self) -> Command {
        let mut command = program();
        command.env("DOCKER_HOST", format!("unix://{}", self.socket.display()));
        command.env_remove("HOSTNAME");
        command
    }

    /// A connection that has sent these bytes.
    #[track_caller]
    pub(crate) fn connection(&self, bytes: &str) -> UnixStream {
        let mut stream = UnixStream::connect(&self.socket).expect("a connection");
        stream
            .set_read_timeout(Some(TEST_TIMEOUT))
            .expect("a limit");
        // The proxy may close before it has read all.
        let _ = stream.write_all(bytes.as_bytes());
        stream
    }

    /// Everything that comes back for these bytes until the end of the connection.
    #[track_caller]
    pub(crate) fn exchange(&self, bytes: &str) -> String {
        let mut answer = Vec::new();
        // A reset may follow the answer to bytes that were not read.
        let _ = self.connection(bytes).read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Status of the answer to one request with this body.
    #[track_caller]
    pub(crate) fn status(&self, line: &str, body: &str) -> u16 {
        let length = body.len();
        let answer = self.exchange(&format!(
            "{line} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        ));
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        status.unwrap_or_else(|| panic!("{line}: no answer: {answer:?}"))
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Requests its end, and returns `true` if it ended well and removed its socket.
    #[track_caller]
    pub(crate) fn stop(mut self) -> bool {
        signal(self.child.id(), Signal::TERM);
        let mut status = None;
        eventually(TEST_TIMEOUT, "the end of the proxy", || {
            status = self.child.try_wait().expect("a child");
            status.is_some()
        });
        status.is_some_and(|status| status.success()) && !self.socket.exists()
    }
}

impl Drop for EngineProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the proxy\n{}---", self.log());
        }
        for path in [&self.socket, &self.log] {
            let _ = std::fs::remove_file(path);
        }
    }
}
