//! Unix sockets of child processes (`$SOCKET`), in a folder for our user alone. It is made when the
//! first child asks for a socket, and removed with the last one.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use crate::wire::stream_addr::UnixPath;

/// Name by which a command asks for a socket.
const VARIABLE: &str = "SOCKET";
/// Mode of the folder: a socket is reached by our user alone, whatever its own mode is.
const FOLDER_MODE: u32 = 0o700;
/// Largest number of folders that earlier processes with our process ID have left.
const MAX_STALE: u32 = 100;

/// Returns `true` if a shell command names `$SOCKET` or `${SOCKET}`.
pub(super) fn asks_for_socket(command: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    command.split('$').skip(1).any(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let rest = rest.strip_prefix(VARIABLE);
        rest.is_some_and(|rest| !rest.starts_with(is_name))
    })
}

/// The folder, while a child has a socket in it.
#[derive(Debug, Default)]
pub(super) struct SocketFolder {
    folder: Weak<Folder>,
    /// Number of paths given so far.
    given: u64,
}

#[derive(Debug)]
struct Folder(PathBuf);

/// Path for the socket of one child. Dropping it removes the file.
#[derive(Debug)]
pub(super) struct ChildSocket {
    pub(super) path: UnixPath,
    _folder: Arc<Folder>,
}

impl SocketFolder {
    /// Returns a path at which there is no file.
    ///
    /// # Errors
    /// The folder cannot be made, or its path is too long for a socket.
    pub(super) fn next_path(&mut self) -> io::Result<ChildSocket> {
        let folder = match self.folder.upgrade() {
            Some(folder) => folder,
            None => Arc::new(Folder::create_in(&known_bases())?),
        };
        self.folder = Arc::downgrade(&folder);
        self.given += 1;
        let path = folder.0.join(format!("{}.sock", self.given));
        let path = path.to_string_lossy().parse().map_err(io::Error::other)?;
        let _folder = folder;
        Ok(ChildSocket { path, _folder })
    }
}

impl Folder {
    /// Makes a folder in the first of these that allows it, or in that for temporary files.
    fn create_in(bases: &[PathBuf]) -> io::Result<Self> {
        let made = bases.iter().find_map(|base| Self::create_at(base).ok());
        made.map_or_else(|| Self::create_at(&env::temp_dir()), Ok)
    }

    fn create_at(base: &Path) -> io::Result<Self> {
        let mut number = 0;
        loop {
            let name = format!("ringmaster-{}-{number}", std::process::id());
            let path = base.join(name);
            match DirBuilder::new().mode(FOLDER_MODE).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists && number < MAX_STALE => {
                    number += 1;
                }
                Err(err) => {
                    let sentence = format!("cannot make the folder {}: {err}", path.display());
                    return Err(io::Error::new(err.kind(), sentence));
                }
            }
        }
    }
}

/// Returns the folders of the service manager and of the session.
fn known_bases() -> Vec<PathBuf> {
    let [service, session] = ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"].map(env::var_os);
    absolute_bases(service, session)
}

/// Returns the absolute ones of these folders. That of the service manager may be several, with
/// colons between them (systemd.exec(5), `RuntimeDirectory=`).
fn absolute_bases(service: Option<OsString>, session: Option<OsString>) -> Vec<PathBuf> {
    let service = service.unwrap_or_default();
    let all = env::split_paths(&service).chain(session.map(PathBuf::from));
    all.filter(|base| base.is_absolute()).collect()
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays does no harm: another one gets another name.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Drop for ChildSocket {
    fn drop(&mut self) {
        // The child may have removed it, or never made it.
        let _ = fs::remove_file(self.path.as_path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_command_asks_by_the_name_of_the_variable() {
        for (command, asks) in [
            ("replica --listen unix:$SOCKET", true),
            ("replica --listen unix:${SOCKET}", true),
            ("a \"$SOCKET\"", true),
            ("a $PORT", false),
            ("a $SOCKETS ${SOCKET_A} SOCKET $", false),
        ] {
            assert_eq!(asks_for_socket(command), asks, "{command}");
        }
    }

    #[test]
    fn the_folder_is_made_in_the_first_absolute_one_that_allows_it() {
        let bases = |service: &str, session: Option<&str>| {
            absolute_bases(Some(service.into()), session.map(OsString::from))
        };
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(
            bases("/run/a:run:/run/b", Some("/run/user/1")),
            paths(&["/run/a", "/run/b", "/run/user/1"])
        );
        assert_eq!(bases("", Some("/run/user/1")), paths(&["/run/user/1"]));
        assert_eq!(bases("run", Some("user")), paths(&[]));
        assert_eq!(absolute_bases(None, None), paths(&[]));
        let at = |bases: &[&str]| {
            let folder = Folder::create_in(&paths(bases)).unwrap();
            folder.0.parent().unwrap().to_owned()
        };
        let good = Folder::create_in(&[]).unwrap();
        let temporary = good.0.parent().unwrap();
        assert_eq!(temporary, env::temp_dir());
        // No user may make a folder in /proc (proc(5)).
        let path = good.0.to_str().unwrap();
        assert_eq!(at(&["/no/such", "/proc", path, "/dev"]), good.0);
        assert_eq!(at(&["/proc"]), temporary);
    }

    #[test]
    fn the_folder_is_private_and_goes_with_its_last_socket() {
        let mut folder = SocketFolder::default();
        let (one, two) = (folder.next_path().unwrap(), folder.next_path().unwrap());
        assert_ne!(one.path, two.path);
        let at = one.path.as_path().parent().unwrap().to_owned();
        let mode = fs::metadata(&at).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, FOLDER_MODE);
        fs::write(one.path.as_path(), "").unwrap();
        let file = one.path;
        drop(one);
        assert!(!file.as_path().exists() && at.exists());
        drop(two);
        assert!(!at.exists());
        assert!(folder.next_path().is_ok(), "a folder can follow");
    }
}
