//! Unix sockets in place of ports (unix(7)).

mod backends;
mod children;
mod control;
mod listen;
mod takeover;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Returns `unix:PATH`.
fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

/// Returns the value of `--listen` or `--control` for a port and a Unix socket.
fn beside(path: &Path, options: &str) -> String {
    format!("127.0.0.1:0 {}{options}", unix(path))
}

/// Sends a request on a connection of its own and reads the reply.
fn exchange_unix(path: &Path, request: impl AsRef<[u8]>) -> Message {
    Client::connect_unix(path).ask(request)
}

/// A balancer without a port. It is killed with its value.
struct Portless(Child);

impl Portless {
    /// Starts it with `args` and waits until it is ready. Returns also its ready file's text.
    fn start(args: &[&str]) -> (Self, String) {
        let ready = fresh_path("ready");
        let mut command: Command = program();
        command
            .arg("serve")
            .args(args)
            .arg("--ready-file")
            .arg(&ready);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let program = Self(command.spawn().expect("the binary"));
        eventually(TEST_TIMEOUT, "a ready file", || ready.exists());
        let text = std::fs::read_to_string(&ready).expect("the file");
        std::fs::remove_file(ready).expect("the file");
        (program, text)
    }

    /// Stops it in order.
    fn stop(mut self) {
        signal(self.0.id(), Signal::TERM);
        assert!(self.0.wait().expect("its end").success());
    }
}

impl Drop for Portless {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
