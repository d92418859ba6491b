//! The process behind a [`super::Ringmaster`]: its log, its ready file, its children, and what
//! proc(5) says of any process.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::TEST_TIMEOUT;

/// Interval of polling a condition.
pub(super) const TICK: Duration = Duration::from_millis(2);
/// Time limit of a failed test for the end of the log.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Sends `signal` to any process that is still there.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // A process that ended already needs no signal.
    let _ = rustix::process::kill_process(pid.expect("a process"), signal);
}

/// The children of every thread of `pid`: proc(5), /proc/PID/task/TID/children.
pub(super) fn children(pid: u32) -> Vec<u32> {
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

/// A variable of the environment that `pid` was started with.
pub(crate) fn variable(pid: u32, name: &str) -> Option<String> {
    let all = std::fs::read_to_string(format!("/proc/{pid}/environ")).ok()?;
    let mut pairs = all.split('\0').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| *found == name)?;
    Some(value.to_owned())
}

/// Returns `true` if a process has ended. A zombie counts as ended: proc(5), the state after the
/// name in brackets.
pub(crate) fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_none_or(|rest| rest.is_empty() || rest.starts_with('Z'))
}

/// Returns `true` if all threads of a process are stopped; SIGSTOP takes effect a little later.
pub(crate) fn stands_still(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let stats = tasks.expect("a process").flatten();
    let mut stats = stats.map(|task| std::fs::read_to_string(task.path().join("stat")));
    stats.all(|stat| stat.is_ok_and(|stat| stat.contains(") T ")))
}

/// The time that all threads of `pid` have spent on a processor: the first number of
/// /proc/PID/task/TID/schedstat, in nanoseconds. A thread that has ended takes its time with it.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    let spent = tasks.flatten().filter_map(|task| {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}

/// Number of descriptors that `pid` has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    let all = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("a process");
    all.count()
}

/// Returns a figure of /proc/PID/status in kilobytes, such as `VmHWM`, the peak of its memory.
pub(crate) fn kilobytes(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(name, _)| *name == what).expect("a line");
    let number = value.trim().trim_end_matches(" kB");
    number.parse().expect("a number")
}

/// A path for a file or folder of this run that no other test uses.
pub(crate) fn fresh_path(kind: &str) -> PathBuf {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let number = TAKEN.fetch_add(1, Ordering::Relaxed);
    let name = format!("{kind}-{}-{number}", std::process::id());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The child process, its log and its ready file.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) child: Child,
    pub(super) ready_file: PathBuf,
    log: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
    /// Lines of its standard output.
    lines: Mutex<mpsc::Receiver<String>>,
}

impl Process {
    /// Runs `serve` with `args`; ports and ready file are chosen here unless `args` set them.
    pub(super) fn start(mut program: Command, args: &[&str]) -> Self {
        let given = |flag: &str| {
            let at = args.iter().position(|arg| *arg == flag)?;
            args.get(at + 1)
        };
        program.arg("serve").args(args);
        for port in ["--listen", "--control"] {
            if given(port).is_none() {
                program.args([port, "127.0.0.1:0"]);
            }
        }
        let ready_file = given("--ready-file").map_or_else(|| fresh_path("ready"), PathBuf::from);
        if given("--ready-file").is_none() {
            program.arg("--ready-file").arg(&ready_file);
        }
        let mut child = program
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("a pipe");
        let copy = Arc::clone(&log);
        let reader = std::thread::spawn(move || keep(stderr, &copy));
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = stdout.lines().map_while(Result::ok);
            // Read to the end even without a receiver, or the program would block.
            lines.for_each(|line| drop(sender.send(line)));
        });
        Self {
            child,
            ready_file,
            log,
            reader,
            lines: Mutex::new(lines),
        }
    }

    /// Returns the next line of its output; `None` if it ended without one.
    #[track_caller]
    pub(super) fn next_line(&self) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.recv_timeout(TEST_TIMEOUT) {
            Err(mpsc::RecvTimeoutError::Timeout) => {
                panic!("it says nothing within {TEST_TIMEOUT:?}")
            }
            lines => lines.ok(),
        }
    }

    pub(super) fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.clone()
    }

    #[track_caller]
    pub(super) fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(
                begun.elapsed() < TEST_TIMEOUT,
                "still running after {TEST_TIMEOUT:?}"
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
            // The last output is still in the pipe; a process that escaped may hold it open for
            // ever.
            let begun = Instant::now();
            while !self.reader.is_finished() && begun.elapsed() < LAST_WORDS {
                std::thread::sleep(TICK);
            }
            eprintln!("--- its log\n{}---", self.log());
        }
    }
}
