//! A fake replica binary for tests: shell commands in a directory of their own.
//!
//! No test writes the file that is executed. It lies beside this file and is reached by a symbolic
//! link. A file that any process has open for writing cannot be executed (execve(2), ETXTBSY), and
//! a fork in another test's thread may inherit our descriptor for a moment.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/fleet/tests/fake_binary.sh"
);

/// A binary that runs shell commands; its directory is removed with it.
#[derive(Debug)]
pub(in crate::fleet) struct FakeBinary {
    dir: PathBuf,
}

fn new_dir() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("ringmaster-fake-binary-{}-{count}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    fs::create_dir_all(&dir).unwrap();
    dir
}

impl FakeBinary {
    /// Creates a binary of `commands`, in which `$DIR` is its directory.
    pub(in crate::fleet) fn new(commands: &str) -> Self {
        let dir = new_dir();
        symlink(SCRIPT, dir.join("replica")).unwrap();
        let commands = format!("DIR=\"${{0%/*}}\"\n{commands}\n");
        fs::write(dir.join("commands"), commands).unwrap();
        Self { dir }
    }

    /// Returns the path of the executable.
    pub(in crate::fleet) fn path(&self) -> PathBuf {
        self.dir.join("replica")
    }

    /// Returns the text of a file in its directory, once it ends with a line feed.
    pub(in crate::fleet) fn file(&self, name: &str) -> String {
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

impl Drop for FakeBinary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Sends a signal to a process.
pub(in crate::fleet) fn kill(signal: &str, pid: &str) {
    let status = std::process::Command::new("kill")
        .args([signal, pid.trim()])
        .status();
    assert!(status.unwrap().success());
}

/// Returns `true` if a process of this ID is there; a zombie counts.
pub(in crate::fleet) fn exists(pid: &str) -> bool {
    Path::new("/proc").join(pid.trim()).exists()
}
