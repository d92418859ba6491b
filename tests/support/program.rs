//! The real binary: started on ports of the system's choice, waited for by its ready file, stopped by
//! signal. What it logs is kept and shown when a test fails. Nothing it started outlives its value.

use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::{Client, PATIENCE};

/// How often a condition is looked at.
const TICK: Duration = Duration::from_millis(2);
/// How long a failed test waits for the end of the log.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A running `ringmaster serve`.
#[derive(Debug)]
pub(crate) struct Ringmaster {
    /// The data port.
    pub(crate) listen: SocketAddr,
    /// The control port.
    pub(crate) control: SocketAddr,
    process: Process,
}

impl Ringmaster {
    /// Starts `serve` with `args` and waits until it says that it is ready.
    #[track_caller]
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut process = Process::start(args);
        let begun = Instant::now();
        let text = loop {
            if let Ok(text) = std::fs::read_to_string(&process.ready_file) {
                break text;
            }
            if let Some(status) = process.child.try_wait().expect("a child") {
                panic!("ended before it was ready: {status}");
            }
            assert!(begun.elapsed() < PATIENCE, "not ready in {PATIENCE:?}");
            std::thread::sleep(TICK);
        };
        let ports: serde_json::Value = serde_json::from_str(&text).expect("JSON in the ready file");
        let port = |name: &str| {
            let text = ports[name].as_str().expect("an address in the ready file");
            text.parse().expect("an address")
        };
        Self {
            listen: port("listen"),
            control: port("control"),
            process,
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

    /// The processes it has started and not yet reaped.
    pub(crate) fn children(&self) -> Vec<u32> {
        children(self.pid())
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// A new connection to the data port.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.listen)
    }

    /// Sends one line to the control port, as netcat does, and returns the whole answer.
    #[track_caller]
    pub(crate) fn command(&self, line: &str) -> String {
        let mut client = Client::connect(self.control);
        client.send(format!("{line}\n"));
        String::from_utf8(client.rest()).expect("UTF-8")
    }

    /// Sends `signal` to the balancer itself.
    pub(crate) fn signal(&self, signal: Signal) {
        self::signal(self.pid(), signal);
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

    /// SIGKILL. Its replicas must find out by themselves.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        let status = self.wait();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
    }
}

/// Runs `ringmaster ARGS` to its end: for usage errors, `ctl`, a port that is taken.
#[track_caller]
pub(crate) fn run_to_end(args: &[&str]) -> Output {
    let mut child = program()
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    let begun = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().expect("a kill");
            panic!(
                "still running after {PATIENCE:?}: {:?}",
                child.wait_with_output()
            );
        }
        std::thread::sleep(TICK);
    }
    child.wait_with_output().expect("its output")
}

/// Sends `signal` to any process that is still there.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // Whoever is gone already needs no signal.
    let _ = rustix::process::kill_process(pid.expect("a process"), signal);
}

/// The binary with none of its environment twins set.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmaster"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RINGMASTER_") {
            command.env_remove(name);
        }
    }
    command
}

/// The children of every thread of `pid`: proc(5), /proc/PID/task/TID/children.
fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let lists = tasks.into_iter().flatten().flatten();
    let lists = lists.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split(' ')
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

/// The child process, its log and its ready file.
#[derive(Debug)]
struct Process {
    child: Child,
    ready_file: PathBuf,
    log: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Process {
    fn start(args: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("ready-{}-{number}", std::process::id());
        let ready_file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut child = program()
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--control",
                "127.0.0.1:0",
            ])
            .arg("--ready-file")
            .arg(&ready_file)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("a pipe");
        let copy = Arc::clone(&log);
        let reader = std::thread::spawn(move || keep(stderr, &copy));
        Self {
            child,
            ready_file,
            log,
            reader,
        }
    }

    fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.clone()
    }

    #[track_caller]
    fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "still running after {PATIENCE:?}"
            );
            std::thread::sleep(TICK);
        }
    }
}

fn keep(mut stderr: ChildStderr, log: &Mutex<String>) {
    let mut piece = [0; 4096];
    while let Ok(n @ 1..) = stderr.read(&mut piece) {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(&String::from_utf8_lossy(&piece[..n]));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let replicas = children(self.child.id());
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A stopped replica does not notice that its parent is gone.
        for pid in replicas {
            signal(pid, Signal::KILL);
        }
        let _ = std::fs::remove_file(&self.ready_file);
        if std::thread::panicking() {
            // The last words are still in the pipe; a process that escaped may hold it open for ever.
            let begun = Instant::now();
            while !self.reader.is_finished() && begun.elapsed() < LAST_WORDS {
                std::thread::sleep(TICK);
            }
            eprintln!("--- its log\n{}---", self.log());
        }
    }
}
