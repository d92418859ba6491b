//! SIGHUP, which ends the program only when its terminal was closed, and two signals that are one.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::{
    Backend, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange, fresh_path, is_gone, program,
    signal, stands_still,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_hangup_without_a_terminal_never_ends_the_program() {
    let backend = Backend::answering(OK);
    let file = fresh_path("access");
    let path = file.to_str().expect("UTF-8");
    let cases: [(&[&str], &str); 3] = [
        (&[], "there is no access-log file to reopen"),
        (
            &["--access-log", "-"],
            "there is no access-log file to reopen",
        ),
        (&["--access-log", path], "was reopened"),
    ];
    for (args, line) in cases {
        let program = Ringmaster::before(backend.addr, args);
        for nth in 1..=3 {
            program.signal(Signal::HUP);
            eventually(TEST_TIMEOUT, line, || {
                program.log().matches(line).count() == nth
            });
        }
        assert_eq!(exchange(program.listen, GET).text(), "ok");
        assert!(program.stop().success(), "{args:?}");
    }
    std::fs::remove_file(file).expect("a file less");
}

#[test]
fn two_signals_at_once_are_one() {
    let backend = Backend::answering(OK);
    for both in [[Signal::TERM, Signal::INT], [Signal::TERM, Signal::TERM]] {
        let mut program = Ringmaster::before(backend.addr, &["--drain-timeout", "60s"]);
        let mut client = program.client();
        let (begin, rest) = GET.split_at(10);
        client.send(begin);
        // The head has been begun once a request after it is served by the same worker, and both
        // are.
        for _ in 0..8 {
            assert_eq!(exchange(program.listen, GET).status(), 200);
        }
        // They come at the same moment, when it goes on.
        program.signal(Signal::STOP);
        eventually(TEST_TIMEOUT, "it stands still", || {
            stands_still(program.pid())
        });
        both.into_iter().for_each(|word| program.signal(word));
        program.signal(Signal::CONT);
        program.expect_log("draining");
        client.send(rest);
        assert_eq!(client.reply().text(), "ok", "{both:?}");
        assert_eq!(
            program.wait().code(),
            Some(0),
            "{both:?}: {}",
            program.log()
        );
    }
}

/// The program on a terminal of its own, which `script` provides.
struct OnTerminal {
    terminal: Child,
    log: PathBuf,
    ready_file: PathBuf,
    /// File with the process ID of the program.
    pid_file: PathBuf,
}

impl OnTerminal {
    /// Starts `WRAPPER ringmaster serve` and waits until it is ready.
    fn start(wrapper: &str, backend: SocketAddr) -> Self {
        let (log, ready_file) = (fresh_path("log"), fresh_path("ready"));
        let pid_file = fresh_path("pid");
        let binary = program();
        let binary = binary.get_program().to_string_lossy().into_owned();
        let (log_text, ready_text) = (log.display(), ready_file.display());
        let line = format!(
            "echo $$ >{}; exec {wrapper} {binary} serve --listen 127.0.0.1:0 --control 127.0.0.1:0 \
             --backend a={backend} --ready-file {ready_text} >/dev/null 2>{log_text}",
            pid_file.display()
        );
        let mut script = Command::new("script");
        script.args(["--quiet", "--command", &line, "/dev/null"]);
        script.stdin(Stdio::null()).stdout(Stdio::null());
        let terminal = script.spawn().expect("script(1)");
        let started = Self {
            terminal,
            log,
            ready_file,
            pid_file,
        };
        eventually(TEST_TIMEOUT, "readiness", || started.ready_file.exists());
        started
    }

    fn listen(&self) -> SocketAddr {
        let text = std::fs::read_to_string(&self.ready_file).expect("the ready file");
        let ports: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        ports["listen"]
            .as_str()
            .expect("text")
            .parse()
            .expect("an address")
    }

    fn pid(&self) -> u32 {
        let pid = std::fs::read_to_string(&self.pid_file).expect("its process ID");
        pid.trim().parse().expect("a number")
    }

    /// Ends `script`, which holds the other end of the terminal.
    fn close(&mut self) {
        self.terminal.kill().expect("a kill");
        self.terminal.wait().expect("its end");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // Both may have ended already.
        let _ = self.terminal.kill();
        let _ = self.terminal.wait();
        let pid = std::fs::read_to_string(&self.pid_file).unwrap_or_default();
        if let Some(pid) = pid.trim().parse().ok().filter(|pid| !is_gone(*pid)) {
            signal(pid, Signal::KILL);
        }
        for path in [&self.log, &self.ready_file, &self.pid_file] {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[test]
fn the_end_of_its_terminal_ends_the_program() {
    let backend = Backend::answering(OK);
    // The tests themselves may run under `nohup`, which would be inherited (env(1)).
    let mut program = OnTerminal::start("env --default-signal=HUP", backend.addr);
    let listen = program.listen();
    assert_eq!(exchange(listen, GET).text(), "ok");
    program.close();
    eventually(TEST_TIMEOUT, "its end", || {
        TcpStream::connect(listen).is_err()
    });
    // The log is written by a thread of its own.
    for line in ["the terminal was closed", "draining"] {
        eventually(TEST_TIMEOUT, line, || program.log().contains(line));
    }
}

#[test]
fn nohup_keeps_the_program_when_its_terminal_ends() {
    let backend = Backend::answering(OK);
    let mut program = OnTerminal::start("nohup", backend.addr);
    let listen = program.listen();
    program.close();
    let line = "SIGHUP ignored";
    eventually(TEST_TIMEOUT, line, || program.log().contains(line));
    assert_eq!(exchange(listen, GET).text(), "ok");
    let pid = program.pid();
    signal(pid, Signal::TERM);
    eventually(TEST_TIMEOUT, "its end", || is_gone(pid));
}
