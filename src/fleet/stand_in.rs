//! A stand-in for the replica binary in tests: shell commands in a directory of their own.
//!
//! Surprising: no test writes the file that is executed; it lies beside this one and is reached by a
//! symbolic link. For a file that any process still has open for writing cannot be executed (ETXTBSY),
//! and a fork in another test's thread may inherit our descriptor for a moment.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fleet/stand_in.sh");

/// A binary that behaves as its shell commands say; its directory goes with it.
#[derive(Debug)]
pub(super) struct StandIn {
    dir: PathBuf,
}

fn new_dir() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("ringmaster-stand-in-{}-{count}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    fs::create_dir_all(&dir).unwrap();
    dir
}

impl StandIn {
    /// In `commands`, `$DIR` is its directory.
    pub(super) fn new(commands: &str) -> Self {
        let dir = new_dir();
        symlink(SCRIPT, dir.join("replica")).unwrap();
        let commands = format!("DIR=\"${{0%/*}}\"\n{commands}\n");
        fs::write(dir.join("commands"), commands).unwrap();
        Self { dir }
    }

    pub(super) fn binary(&self) -> PathBuf {
        self.dir.join("replica")
    }

    /// The text of a file in its directory, once it ends with a line feed.
    pub(super) fn file(&self, name: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match fs::read_to_string(self.dir.join(name)) {
                Ok(text) if text.ends_with('\n') => return text,
                _ => assert!(Instant::now() < deadline, "no file {name}"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Sends a signal to a process.
pub(super) fn kill(signal: &str, pid: &str) {
    let status = std::process::Command::new("kill")
        .args([signal, pid.trim()])
        .status();
    assert!(status.unwrap().success());
}

/// Whether a process of this ID is there, be it a zombie.
pub(super) fn exists(pid: &str) -> bool {
    Path::new("/proc").join(pid.trim()).exists()
}
