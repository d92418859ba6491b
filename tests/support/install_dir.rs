//! The program beside a `replica` of the test's own making: a shell script that may become the real
//! one, exit, or hang.
//!
//! A separate process writes the script. A file that this process holds open for writing, however
//! briefly, may be inherited by a child that another test starts just then. Until that child closes
//! it, the script cannot be executed (execve(2), ETXTBSY).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::command::program_at;
use super::process::fresh_path;

/// A folder with both; it goes with its value.
#[derive(Debug)]
pub(crate) struct InstallDir(PathBuf);

impl InstallDir {
    /// The program beside a replica that is this script, which finds the real one as `$REAL` and
    /// the folder as `$HERE`.
    pub(crate) fn with_replica(script: &str) -> Self {
        let install = Self::empty();
        let real = Path::new(env!("CARGO_BIN_EXE_ringmaster")).with_file_name("replica");
        assert!(real.is_file(), "build the workspace first");
        let script = format!(
            "#!/bin/sh\nREAL='{}' HERE='{}'\n{script}\n",
            real.display(),
            install.0.display()
        );
        let mut writer = Command::new("/bin/sh")
            .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
            .arg(install.path("replica"))
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut stdin = writer.stdin.take().expect("a pipe");
        stdin.write_all(script.as_bytes()).expect("writing");
        drop(stdin);
        assert!(writer.wait().expect("its end").success());
        install
    }

    /// The program alone, with no replica beside it.
    pub(crate) fn empty() -> Self {
        let install = Self(fresh_path("install"));
        std::fs::create_dir(&install.0).expect("a folder");
        let original = env!("CARGO_BIN_EXE_ringmaster");
        // A link, because the program looks beside the path it was started by.
        std::fs::hard_link(original, install.path("ringmaster")).expect("a link");
        install
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The program in the folder.
    pub(crate) fn program(&self) -> Command {
        program_at(&self.path("ringmaster"))
    }

    /// Makes an empty file, for which a script may wait.
    pub(crate) fn open_gate(&self, name: &str) {
        std::fs::write(self.path(name), "").expect("a file");
    }
}

impl Drop for InstallDir {
    fn drop(&mut self) {
        // A folder that could not be removed is below the build's own folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
