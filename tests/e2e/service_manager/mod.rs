//! The service manager: what it is told, the sockets that it opens, a reload, the journal's
//! priorities, and the unit file. The tests play systemd's part (sd_notify(3), sd_listen_fds(3)).

mod reload;

use std::collections::{HashSet, VecDeque};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{
    Backend, Client, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange, fresh_path, program,
    signal, under, variable,
};

/// A socket as that of a service manager, with the messages that came.
struct Manager {
    path: PathBuf,
    socket: UnixDatagram,
    waiting: VecDeque<String>,
}

impl Manager {
    fn new() -> Self {
        let path = fresh_path("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let tick = Duration::from_millis(100);
        socket.set_read_timeout(Some(tick)).expect("a timeout");
        let waiting = VecDeque::new();
        Self {
            path,
            socket,
            waiting,
        }
    }

    /// Starts the program as its service.
    fn start(&self, args: &[&str]) -> Ringmaster {
        let mut command = program();
        command.env("NOTIFY_SOCKET", &self.path);
        Ringmaster::launch(command, args)
    }

    /// Returns the next assignment, `NAME=VALUE`.
    fn next(&mut self) -> String {
        let begun = Instant::now();
        loop {
            if let Some(next) = self.waiting.pop_front() {
                return next;
            }
            assert!(begun.elapsed() < TEST_TIMEOUT, "no message came");
            self.receive();
        }
    }

    /// Takes one message, if it comes in time. Returns `false` if none came.
    fn receive(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let Ok(len) = self.socket.recv(&mut bytes) else {
            return false;
        };
        let text = String::from_utf8_lossy(&bytes[..len]);
        self.waiting.extend(text.lines().map(str::to_owned));
        true
    }

    /// Returns the assignments that came and were not read.
    fn rest(&mut self) -> Vec<String> {
        self.socket.set_nonblocking(true).expect("a mode");
        while self.receive() {}
        let is_news = |line: &String| !line.starts_with("STATUS=");
        self.waiting.drain(..).filter(is_news).collect()
    }

    /// Waits for an assignment and returns those that came before it.
    #[track_caller]
    fn expect(&mut self, wanted: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            let next = self.next();
            if next == wanted {
                return before;
            }
            before.push(next);
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[test]
fn it_is_told_when_all_have_answered_and_when_the_stop_begins() {
    let mut manager = Manager::new();
    let program = manager.start(&["--replicas", "2", "--lame-duck", "300ms"]);
    let before = manager.expect("READY=1");
    assert!(
        before.contains(&format!("MAINPID={}", program.pid())),
        "{before:?}"
    );
    let all_up = "STATUS=2 of 2 replicas up";
    if !before.iter().any(|line| line == all_up) {
        manager.expect(all_up);
    }
    // A replica does not inherit the socket, and so cannot speak for the balancer.
    assert_eq!(variable(program.replica("S1"), "NOTIFY_SOCKET"), None);
    signal(program.pid(), Signal::TERM);
    manager.expect("STOPPING=1");
    assert!(program.stop().success());
}

#[test]
fn it_is_not_told_that_a_service_is_ready_which_never_answered() {
    let mut manager = Manager::new();
    let (addr, _held) = Backend::refusing();
    let backend = format!("a={addr}");
    let program = manager.start(&["--backend", &backend]);
    manager.expect("STATUS=0 of 1 replicas up");
    program.expect_log("fails its heartbeats");
    signal(program.pid(), Signal::TERM);
    let before = manager.expect("STOPPING=1");
    assert!(!before.contains(&"READY=1".to_owned()), "{before:?}");
}

#[test]
fn sockets_of_the_service_manager_are_used_by_all_workers() {
    if Command::new("systemd-socket-activate")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("SKIPPED, because there is no systemd-socket-activate");
        return;
    }
    // It takes no port 0, and tells no port.
    let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let (data, control) = (free().expect("a port"), free().expect("a port"));
    let (at, and) = (data.to_string(), control.to_string());
    let activate = under(&["systemd-socket-activate", "--listen", &at, "--listen", &and]);
    // The activator starts the program at the first connection.
    let poke = std::thread::spawn(move || {
        let mut first = None;
        eventually(TEST_TIMEOUT, "the activator's socket", || {
            first = std::net::TcpStream::connect(data).ok();
            first.is_some()
        });
        let mut client = first.expect("a connection");
        let limit = Some(TEST_TIMEOUT);
        client.set_read_timeout(limit).expect("a deadline");
        std::io::Write::write_all(
            &mut client,
            b"GET /rep HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )
        .expect("a request");
        let mut reply = String::new();
        client.read_to_string(&mut reply).expect("a reply");
        reply
    });
    let program = Ringmaster::launch(activate, &["--replicas=1", "--workers=2"]);
    assert_eq!(
        (program.listen.port(), program.control.port()),
        (data.port(), control.port())
    );
    assert!(poke.join().expect("a client").starts_with("HTTP/1.1 200 "));
    for _ in 0..8 {
        let close = "GET /home HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        assert_eq!(exchange(data, close).status(), 200);
    }
    let mut client = Client::connect(control);
    client.send("rep\n");
    assert!(client.rest().starts_with(b"N 1\n"));
    // Replicas inherit none of the balancer's sockets.
    let sockets = |pid: u32| -> HashSet<PathBuf> {
        let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors");
        let links = folder
            .flatten()
            .filter_map(|fd| std::fs::read_link(fd.path()).ok());
        links
            .filter(|link| link.to_string_lossy().starts_with("socket:"))
            .collect()
    };
    let shared = &sockets(program.pid()) & &sockets(program.replica("S1"));
    assert!(shared.is_empty(), "{shared:?}");
    assert!(program.stop().success());
}

#[test]
fn lines_for_the_journal_begin_with_their_priority() {
    let folder = fresh_path("journal");
    let file = std::fs::File::create(&folder).expect("a file");
    let meta = file.metadata().expect("its inode");
    let run = |stream: String| {
        let output = program()
            .args([
                "serve",
                "--listen=127.0.0.1:0",
                "--control=127.0.0.1:0",
                "--replicas=1",
                "--max-connections=99999999",
            ])
            .env("JOURNAL_STREAM", stream)
            .stdout(Stdio::piped())
            .stderr(file.try_clone().expect("a descriptor"))
            .spawn();
        let mut child = output.expect("a process");
        eventually(TEST_TIMEOUT, "the first replica", || {
            std::fs::read_to_string(&folder)
                .expect("text")
                .contains("1 of 1 up")
        });
        signal(child.id(), Signal::TERM);
        assert!(child.wait().expect("its end").success());
        let text = std::fs::read_to_string(&folder).expect("text");
        file.set_len(0).expect("an empty file");
        std::io::Seek::rewind(&mut &file).expect("its begin");
        text
    };
    let text = run(format!("{}:{}", meta.dev(), meta.ino()));
    assert!(
        text.lines()
            .all(|line| line.starts_with("<4>") || line.starts_with("<6>")),
        "{text}"
    );
    assert!(text.contains("<4>") && text.contains("<6>"), "{text}");
    // Another stream is not the journal.
    let text = run("1:2".to_owned());
    assert!(!text.contains('<'), "{text}");
    std::fs::remove_file(folder).expect("it is there");
}

#[test]
fn the_unit_is_confined_and_valid() {
    let unit = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docker/systemd/ringmaster.service"
    );
    let analyze = Command::new("systemd-analyze")
        .args([
            "security",
            "--offline=true",
            "--threshold=30",
            "--no-pager",
            unit,
        ])
        .output();
    let Ok(output) = analyze else {
        eprintln!("SKIPPED, because there is no systemd-analyze");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Overall exposure level"), "{text}");
}
