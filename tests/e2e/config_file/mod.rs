//! The configuration file: `serve --config`, `check`, `show config` and the reload of a changed
//! file.

mod check;
mod precedence;
mod reload;
mod reload_failed;
mod reload_interrupted;
mod reload_refused;
mod show;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{
    Client, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange, fresh_path, is_gone, signal,
};

/// A file of its own that is removed at the end.
pub(super) struct File(PathBuf);

impl File {
    #[track_caller]
    pub(super) fn new(text: impl AsRef<[u8]>) -> Self {
        let file = Self(fresh_path("config.toml"));
        file.write(text);
        file
    }

    /// Writes the whole file as an editor does: under another name, then renamed.
    #[track_caller]
    pub(super) fn write(&self, text: impl AsRef<[u8]>) {
        let beside = fresh_path("config.new");
        std::fs::write(&beside, text).expect("a file");
        std::fs::rename(&beside, &self.0).expect("a file");
    }

    pub(super) fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl AsRef<Path> for File {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // A test may have removed it.
        let _ = std::fs::remove_file(&self.0);
        if std::thread::panicking() {
            // A successor that a failed test does not know would hold the output open.
            users_of(self.path()).for_each(|pid| signal(pid, Signal::KILL));
        }
    }
}

/// The processes that have this argument.
fn users_of(argument: &str) -> impl Iterator<Item = u32> {
    let folders = std::fs::read_dir("/proc").expect("processes");
    let pids = folders.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(move |pid: &u32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words);
        words.split('\0').any(|word| word == argument)
    })
}

/// A process that has taken over by a reload, and is no child of the test. Dropping it ends it.
pub(super) struct Successor {
    pub(super) pid: u32,
    pub(super) control: SocketAddr,
}

impl Successor {
    /// The successor that the answer to `reload` names. Waits for the end of the `old` process.
    #[track_caller]
    pub(super) fn after(old: &mut Ringmaster, answer: &str) -> Self {
        let pid = pid_in(answer).unwrap_or_else(|| panic!("{answer}\n{}", old.log()));
        let control = old.control;
        assert!(old.wait().success(), "{}", old.log());
        Self { pid, control }
    }

    /// Becomes the successor that the answer to `reload` names, once the old process has ended.
    #[track_caller]
    pub(super) fn follow(&mut self, answer: &str) {
        let next = pid_in(answer).unwrap_or_else(|| panic!("{answer}"));
        let old = std::mem::replace(&mut self.pid, next);
        eventually(TEST_TIMEOUT, "the end of the old process", || is_gone(old));
    }

    /// Sends one line to its control port and returns the whole answer.
    #[track_caller]
    pub(super) fn command(&self, line: &str) -> String {
        let mut client = Client::connect(self.control);
        client.send(format!("{line}\n"));
        String::from_utf8(client.rest()).expect("UTF-8")
    }

    /// The value of a setting.
    #[track_caller]
    pub(super) fn value(&self, name: &str) -> Value {
        let all = exchange(
            self.control,
            "GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n",
        );
        let all: Value = serde_json::from_slice(&all.body).expect("JSON");
        let settings = all["message"]["settings"].as_array().expect("a list");
        let found = settings.iter().find(|setting| setting["name"] == name);
        found.expect(name)["value"].clone()
    }
}

/// The process in `process 4711 has taken over`.
fn pid_in(answer: &str) -> Option<u32> {
    let (before, _) = answer.split_once(" has taken over")?;
    before.rsplit_once("process ")?.1.parse().ok()
}

impl Drop for Successor {
    fn drop(&mut self) {
        signal(self.pid, Signal::TERM);
        if !std::thread::panicking() {
            eventually(TEST_TIMEOUT, "its end", || is_gone(self.pid));
        }
    }
}
