//! Starts the binaries under test, with a deadline on every wait.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Time after which a wait has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Path of another program of the workspace.
pub(crate) fn beside(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_loadgen")).with_file_name(name);
    assert!(
        path.is_file(),
        "build the workspace first: cargo build --workspace"
    );
    path
}

/// A running replica. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Replica {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a replica with this number.
pub(crate) fn replica(id: u32) -> Replica {
    let mut child = Command::new(beside("replica"))
        .args(["--listen", "127.0.0.1:0", "--id", &id.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let line = within_deadline(move || {
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        line
    });
    Replica {
        child,
        addr: listen_of(&line),
    }
}

/// Address in `{"listen":"127.0.0.1:43211"}`.
pub(crate) fn listen_of(line: &str) -> SocketAddr {
    let value: serde_json::Value = serde_json::from_str(line).expect(line);
    value["listen"].as_str().unwrap().parse().unwrap()
}

/// Runs loadgen to its end, with the words of `line` as arguments.
pub(crate) fn loadgen(line: &str) -> ProgramOutput {
    loadgen_with(line, &[])
}

/// Runs loadgen to its end, with the words of `line` and further arguments.
pub(crate) fn loadgen_with(line: &str, more: &[&str]) -> ProgramOutput {
    let child = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(line.split_whitespace())
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    end_of(child)
}

/// Waits for a child whose output is piped.
pub(crate) fn end_of(child: Child) -> ProgramOutput {
    let Output {
        status,
        stdout,
        stderr,
    } = within_deadline(move || child.wait_with_output().unwrap());
    ProgramOutput {
        code: status.code(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// Exit code and output of a program.
#[derive(Debug)]
pub(crate) struct ProgramOutput {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl ProgramOutput {
    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn exits(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{self:?}");
    }

    /// Asserts that stdout contains `text`.
    #[track_caller]
    pub(crate) fn prints(&self, text: &str) {
        assert!(self.stdout.contains(text), "no {text:?} in {self:?}");
    }

    /// Asserts that stderr contains `text`.
    #[track_caller]
    pub(crate) fn complains(&self, text: &str) {
        assert!(self.stderr.contains(text), "no {text:?} in {self:?}");
    }

    /// First number on the line that begins with `label`, after any spaces.
    pub(crate) fn count(&self, label: &str) -> u64 {
        let line = self.stdout.lines().map(str::trim_start);
        let rest = line.filter_map(|line| line.strip_prefix(label)).next();
        let rest = rest.unwrap_or_else(|| panic!("no {label:?} in {}", self.stdout));
        let word = rest.split_whitespace().next().unwrap();
        word.replace(',', "").parse().unwrap()
    }
}

/// Runs `work` on a thread and waits for it until the deadline.
pub(crate) fn within_deadline<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    thread::spawn(move || {
        let _ = done.send(work());
    });
    result.recv_timeout(DEADLINE).expect("done in time")
}

/// Waits until the condition holds.
pub(crate) fn until(mut met: impl FnMut() -> bool) {
    let start = Instant::now();
    while !met() {
        assert!(start.elapsed() < DEADLINE, "not in time");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Creates an empty directory for the files of one test, with `tmp` for temporary files of loadgen.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("tmp")).unwrap();
    folder
}

/// Returns `true` if loadgen has left no temporary file in the folder.
pub(crate) fn is_tidy(folder: &Path) -> bool {
    fs::read_dir(folder.join("tmp")).unwrap().next().is_none()
}
