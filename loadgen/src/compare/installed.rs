//! Programs of the peers on this machine, and their versions. A peer without its program is
//! skipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::args::DuelArgs;
use super::peer::Peer;
use crate::spawn;

/// Directories of programs that may be missing in the PATH of a normal user.
const ADMIN_BIN_DIRS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// A peer whose program is installed.
#[derive(Debug)]
pub(crate) struct InstalledPeer {
    pub(crate) peer: Peer,
    /// `None` for the peer without a proxy.
    pub(crate) program: Option<PathBuf>,
    /// Version, as the program prints it.
    pub(crate) version: String,
    /// Module that nginx must load for `stream`.
    pub(crate) module: Option<PathBuf>,
}

impl InstalledPeer {
    /// Finds the program of the peer.
    ///
    /// # Errors
    /// The reason why the peer is skipped.
    pub(crate) fn find(peer: Peer, args: &DuelArgs) -> Result<Self, String> {
        let (program, version_flag) = match peer {
            Peer::Direct => (None, ""),
            Peer::Relay => {
                let us = std::env::current_exe().map_err(|err| err.to_string())?;
                (Some(us), "--version")
            }
            Peer::Ringmaster => {
                let named = args
                    .ringmaster
                    .clone()
                    .map_or_else(spawn::ringmaster_path, Ok);
                (Some(named.map_err(|err| err.to_string())?), "--version")
            }
            Peer::HaproxyHttp | Peer::HaproxyTcp => (Some(find(&args.haproxy, "haproxy")?), "-v"),
            Peer::NginxHttp | Peer::NginxStream => (Some(find(&args.nginx, "nginx")?), "-v"),
        };
        let run_for_output = program
            .as_deref()
            .map(|path| run_for_output(path, version_flag));
        let version = run_for_output.transpose()?.unwrap_or_default();
        let module = match (&program, peer) {
            (Some(nginx), Peer::NginxStream) => stream_module(&self::run_for_output(nginx, "-V")?)?,
            _ => None,
        };
        Ok(Self {
            peer,
            program,
            version: version.lines().next().unwrap_or_default().to_owned(),
            module,
        })
    }
}

fn find(named: &Option<PathBuf>, program: &str) -> Result<PathBuf, String> {
    if let Some(path) = named {
        return Ok(path.clone());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(ADMIN_BIN_DIRS.map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| format!("no {program} in PATH; install it or name it: --{program} PATH"))
}

/// Output of a program for one flag.
fn run_for_output(program: &Path, flag: &str) -> Result<String, String> {
    let output = Command::new(program)
        .arg(flag)
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|err| format!("cannot start {}: {err}", program.display()))?;
    if !output.status.success() {
        let (path, status) = (program.display(), output.status);
        return Err(format!("{path} {flag} failed ({status})"));
    }
    // nginx prints its version on stderr.
    let both = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&both).into_owned())
}

/// Path of the stream module, from the output of `nginx -V`; `None` if it is built in.
fn stream_module(built: &str) -> Result<Option<PathBuf>, String> {
    let mut words = built.split_whitespace();
    if words.clone().any(|word| word == "--with-stream") {
        return Ok(None);
    }
    let folder = words.find_map(|word| word.strip_prefix("--modules-path="));
    folder
        .map(|folder| Path::new(folder).join("ngx_stream_module.so"))
        .filter(|path| path.is_file())
        .map(Some)
        .ok_or_else(|| "nginx has no stream module (Debian: libnginx-mod-stream)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_module_is_built_in_or_a_file_or_missing() {
        assert_eq!(stream_module("args: --with-stream --x"), Ok(None));
        let beside = "args: --modules-path=/nowhere --with-stream=dynamic";
        assert!(
            stream_module(beside)
                .unwrap_err()
                .contains("libnginx-mod-stream")
        );
        assert!(stream_module("").is_err());
    }
}
