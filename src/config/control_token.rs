//! The token of the control port: as a flag, or in a file.
//!
//! A secret of an orchestrator is a file, while the environment of a service is shown to everyone
//! who may inspect it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::file::OTHERS_MAY_READ;
use crate::access::Token;
use crate::settings::Settings;
use crate::whole_file;

/// Maximum length of the file, in bytes.
const MAX_TOKEN_FILE: u64 = 4096;
/// Name of the flag of the file.
const FILE_FLAG: &str = "control-token-file";

/// Flags about the token.
#[derive(Debug, clap::Args)]
#[expect(missing_docs, reason = "the help texts are the docs")]
pub struct TokenArgs {
    #[arg(
        long,
        env = "RINGMASTER_CONTROL_TOKEN",
        hide_env_values = true,
        help = "Bearer token that authorises control commands from any address"
    )]
    pub control_token: Option<Token>,
    #[arg(
        long,
        env = "RINGMASTER_CONTROL_TOKEN_FILE",
        value_name = "PATH",
        help = "File that holds the token of --control-token, such as a secret of Docker"
    )]
    pub control_token_file: Option<PathBuf>,
}

impl TokenArgs {
    /// Returns the token. It blocks while it reads the file.
    ///
    /// # Errors
    /// A sentence that names the flag.
    pub(super) fn check(&self) -> Result<Option<Token>, String> {
        match (&self.control_token, &self.control_token_file) {
            (Some(_), Some(_)) => {
                Err("--control-token-file does not go with --control-token".to_owned())
            }
            (None, Some(path)) => read(path)
                .map(Some)
                .map_err(|why| format!("--control-token-file {}: {why}", path.display())),
            (token, None) => Ok(token.clone()),
        }
    }
}

/// Reads a file that holds a token and, at its end, perhaps a line feed.
fn read(path: &Path) -> Result<Token, String> {
    let (bytes, _) = whole_file::read(path, MAX_TOKEN_FILE).map_err(|err| err.to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    line.parse::<Token>().map_err(|err| err.to_string())
}

/// Returns a sentence about a token file that every user of the machine may read.
pub(super) fn warning(settings: &Settings) -> Option<String> {
    let path = settings.get(FILE_FLAG)?.shown().pop()?;
    let meta = std::fs::metadata(&path).ok()?;
    let is_public = meta.permissions().mode() & OTHERS_MAY_READ != 0;
    let sentence =
        format!("--{FILE_FLAG} {path}: every user may read this secret; 'chmod o-r' prevents that");
    is_public.then(|| settings.name_in(&sentence))
}
