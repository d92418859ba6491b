//! The configuration file: `serve --config`, `check`, `show config` and the reload of a changed
//! file.

mod check;
mod precedence;
mod show;

use std::path::{Path, PathBuf};

use crate::support::fresh_path;

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
    }
}
