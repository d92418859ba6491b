//! Unix sockets of child processes (`$SOCKET`), in a folder for our user alone. It is made when the
//! first child asks for a socket, and removed with the last one.
//!
//! The folder is locked (flock(2)) while its process lives. A process that was killed leaves an
//! unlocked one, which the next process that makes a folder there removes.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, DirEntry, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use crate::wire::stream_addr::UnixPath;

/// Name by which a command asks for a socket.
const VARIABLE: &str = "SOCKET";
/// Prefix of the folder's name; the process ID and a number follow.
const FOLDER_PREFIX: &str = "ringmaster-";
/// Mode of the folder: a socket is reached by our user alone, whatever its own mode is.
const FOLDER_MODE: u32 = 0o700;
/// Largest number of names that a process tries. Other processes with the same process ID, earlier
/// ones or those of other namespaces (pid_namespaces(7)), may have left folders of these names.
const MAX_TAKEN: u32 = 100;

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
struct Folder {
    path: PathBuf,
    /// The open folder, which holds the lock.
    lock: File,
}

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
        // Others may have removed it, as the end of a session does (pam_systemd(8)).
        let current = self.folder.upgrade().filter(|folder| folder.is_there());
        let folder = match current {
            Some(folder) => folder,
            None => Arc::new(Folder::create_in(&known_bases())?),
        };
        self.folder = Arc::downgrade(&folder);
        self.given += 1;
        let path = folder.path.join(format!("{}.sock", self.given));
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
        check_base(base)?;
        remove_abandoned(base);
        let mut number = 0;
        loop {
            let name = format!("{FOLDER_PREFIX}{}-{number}", std::process::id());
            let path = base.join(name);
            match Self::create(path) {
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists && number < MAX_TAKEN => {
                    number += 1;
                }
                made => return made,
            }
        }
    }

    /// Makes and locks a folder. If another process takes it for an abandoned one meanwhile, that
    /// counts as if it had existed.
    fn create(path: PathBuf) -> io::Result<Self> {
        if let Err(err) = DirBuilder::new().mode(FOLDER_MODE).create(&path) {
            let sentence = format!("cannot make the folder {}: {err}", path.display());
            return Err(io::Error::new(err.kind(), sentence));
        }
        match prepare(&path) {
            Ok(Some(lock)) => Ok(Self { path, lock }),
            Ok(None) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(err) => {
                let _ = fs::remove_dir(&path);
                let sentence = format!("cannot use the folder {}: {err}", path.display());
                Err(io::Error::new(err.kind(), sentence))
            }
        }
    }

    fn is_there(&self) -> bool {
        is_at(&self.lock, &self.path).is_ok_and(|is_there| is_there)
    }
}

/// Checks that the paths of sockets under `base` can be those of sockets.
///
/// # Errors
/// They are too long, or hold a byte that lists could not; the sentence names the base.
fn check_base(base: &Path) -> io::Result<()> {
    let longest = format!("{FOLDER_PREFIX}{}-{MAX_TAKEN}/{}.sock", u32::MAX, u32::MAX);
    let longest = base.join(longest).to_string_lossy().parse::<UnixPath>();
    let named = |err| io::Error::other(format!("no sockets under {}: {err}", base.display()));
    longest.map(|_| ()).map_err(named)
}

/// Gives a new folder its mode, which the mask of the process may have reduced (umask(2)), and
/// locks it. Returns `None` if another process takes it for an abandoned one.
///
/// # Errors
/// The file system refuses it.
fn prepare(path: &Path) -> io::Result<Option<File>> {
    let changed = fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE));
    match changed.and_then(|()| lock(path)) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        locked => locked,
    }
}

/// Locks a folder; `None` if another process has the lock, or had it and removed the folder.
///
/// # Errors
/// The folder is missing, or the file system refuses the lock.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let folder = File::open(path)?;
    match folder.try_lock() {
        Ok(()) => Ok(is_at(&folder, path)?.then_some(folder)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(err)) => Err(err),
    }
}

/// Returns `true` if the open folder is the one at this path.
///
/// # Errors
/// There is none at the path.
fn is_at(folder: &File, path: &Path) -> io::Result<bool> {
    let (open, there) = (folder.metadata()?, fs::metadata(path)?);
    Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
}

/// Removes the folders that killed processes of our user have left.
fn remove_abandoned(base: &Path) {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    for entry in entries.filter(is_own) {
        let path = entry.path();
        if let Ok(Some(_lock)) = lock(&path) {
            remove(&path);
        }
    }
}

/// Returns `true` for a folder of our user with such a name.
fn is_own(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let numbers = name.to_str().and_then(|name| {
        let (process, number) = name.strip_prefix(FOLDER_PREFIX)?.split_once('-')?;
        Some((process.parse::<u32>().ok()?, number.parse::<u32>().ok()?))
    });
    // Not of what a symbolic link points to.
    let is_ours =
        |found: fs::Metadata| found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    numbers.is_some() && entry.metadata().is_ok_and(is_ours)
}

/// Removes a folder and the sockets in it. One that holds something else stays.
fn remove(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_type().is_ok_and(|kind| kind.is_socket()) {
            let _ = fs::remove_file(entry.path());
        }
    }
    // A folder that stays does no harm: another one gets another name.
    let _ = fs::remove_dir(folder);
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
        // Another folder may have the name by now.
        if self.is_there() {
            remove(&self.path);
        }
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
    use std::os::unix::net::UnixListener;

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
            folder.path.parent().unwrap().to_owned()
        };
        let good = Folder::create_in(&[]).unwrap();
        let temporary = good.path.parent().unwrap();
        assert_eq!(temporary, env::temp_dir());
        // No user may make a folder in /proc (proc(5)).
        let path = good.path.to_str().unwrap();
        assert_eq!(at(&["/no/such", "/proc", path, "/dev"]), good.path);
        assert_eq!(at(&["/proc"]), temporary);
    }

    #[test]
    fn a_folder_of_a_killed_process_is_removed_and_that_of_a_living_one_is_not() {
        let good = Folder::create_in(&[]).unwrap();
        let base = good.path.as_path();
        let left = |name: &str| {
            let folder = base.join(name);
            fs::create_dir(&folder).unwrap();
            UnixListener::bind(folder.join("1.sock")).unwrap();
            folder
        };
        let abandoned = left("ringmaster-12-3");
        let locked = left("ringmaster-12-4");
        let lock = File::open(&locked).unwrap();
        lock.lock().unwrap();
        let full = left("ringmaster-12-5");
        fs::write(full.join("notes"), "").unwrap();
        let others: Vec<_> = ["ringmaster-12", "ringmaster-a-0", "ringmaster-1-0.bak"]
            .map(left)
            .to_vec();
        let elsewhere = left("elsewhere");
        let link = base.join("ringmaster-12-6");
        std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
        let made = Folder::create_at(base).unwrap();
        assert!(!abandoned.exists());
        assert!(locked.join("1.sock").exists());
        assert!(full.join("notes").exists(), "it was not made by us");
        assert!(others.iter().all(|other| other.join("1.sock").exists()));
        assert!(link.exists() && elsewhere.join("1.sock").exists());
        assert!(made.path.exists());
        drop(made);
        drop(lock);
        fs::remove_file(link).unwrap();
        fs::remove_file(full.join("notes")).unwrap();
        let all = [&[locked, full, elsewhere], &others[..]].concat();
        all.iter().for_each(|folder| remove(folder));
    }

    #[test]
    fn a_folder_that_others_removed_is_made_again() {
        let mut folder = SocketFolder::default();
        let one = folder.next_path().unwrap();
        let at = one.path.as_path().parent().unwrap().to_owned();
        fs::remove_dir(&at).unwrap();
        let two = folder.next_path().unwrap();
        let other = two.path.as_path().parent().unwrap().to_owned();
        assert!(other.is_dir());
        // Of the same name, but not the one that is locked.
        fs::remove_dir(&other).unwrap();
        fs::create_dir(&other).unwrap();
        let three = folder.next_path().unwrap();
        let third = three.path.as_path().parent().unwrap().to_owned();
        UnixListener::bind(three.path.as_path()).unwrap();
        drop((one, two));
        assert!(three.path.as_path().exists(), "it is in another folder");
        drop(three);
        assert!(!third.exists());
    }

    #[test]
    fn a_base_whose_sockets_would_have_no_path_is_passed_over() {
        let good = Folder::create_in(&[]).unwrap();
        let long = good.path.join("x".repeat(100));
        let blank = good.path.join("a b");
        for base in [&long, &blank] {
            fs::create_dir(base).unwrap();
        }
        let made = Folder::create_in(&[long.clone(), blank.clone(), good.path.clone()]).unwrap();
        assert_eq!(made.path.parent(), Some(good.path.as_path()));
        let refusal = Folder::create_at(&long).unwrap_err().to_string();
        let begin = format!("no sockets under {}: ", long.display());
        assert!(refusal.starts_with(&begin), "{refusal}");
        for base in [long, blank] {
            fs::remove_dir(base).unwrap();
        }
    }

    #[test]
    fn a_name_that_is_taken_is_passed_over() {
        let good = Folder::create_in(&[]).unwrap();
        let base = good.path.as_path();
        let made: Vec<_> = (0..3).map(|_| Folder::create_at(base).unwrap()).collect();
        let number = |folder: &Folder| {
            let name = folder.path.file_name().unwrap().to_str().unwrap();
            name.rsplit_once('-').unwrap().1.to_owned()
        };
        let numbers: Vec<_> = made.iter().map(number).collect();
        assert_eq!(numbers, ["0", "1", "2"]);
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
