//! Listening Unix sockets: their files, with mode and owner, and the file that a process which
//! ended has left.
//!
//! The kernel checks the write permission of the file at each connect (unix(7)). Mode and owner are
//! therefore set between bind(2) and listen(2), when no client can connect yet. They are set by a
//! descriptor of the file: another user may rename files in the folder meanwhile.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, Uid, chownat, flock};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::stream_addr::UnixPath;

/// Time limit for another process to open its socket in the same folder.
const TURN_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause before the next look whether it has.
const TURN_PAUSE: Duration = Duration::from_millis(5);
/// Number that is no user or group: chown(2) takes it for "as it was".
const NO_ID: u32 = u32::MAX;

/// A Unix socket to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixListen {
    /// Its path.
    pub path: UnixPath,
    /// Mode of its file; `None` for the default of its port.
    pub mode: Option<u32>,
    /// Owner of its file; `None` for the user and group of this process.
    pub owner: Option<FileOwner>,
}

/// Writes the socket as it can be typed.
impl fmt::Display for UnixListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)?;
        if let Some(mode) = self.mode {
            write!(f, ",mode={mode:04o}")?;
        }
        match self.owner {
            Some(FileOwner { user, group: None }) => write!(f, ",owner={user}"),
            Some(FileOwner {
                user,
                group: Some(group),
            }) => write!(f, ",owner={user}:{group}"),
            None => Ok(()),
        }
    }
}

/// Owner of a file, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileOwner {
    /// User.
    pub user: u32,
    /// Group; `None` keeps that of the process.
    pub group: Option<u32>,
}

/// Parses `USER[:GROUP]`, by name or number. Names are those of passwd(5) and group(5).
impl FromStr for FileOwner {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let number = |name, file, what: &str| {
            number_of(name, file).ok_or_else(|| format!("owner={text}: there is no {what} {name}"))
        };
        Ok(Self {
            user: number(user, "/etc/passwd", "user")?,
            group: group
                .map(|group| number(group, "/etc/group", "group"))
                .transpose()?,
        })
    }
}

/// Returns the number of a user or group; both files have it in the third field.
fn number_of(name: &str, file: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number).filter(|number| *number != NO_ID);
    }
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(name);
        fields.nth(1).filter(|_| is_it)?.parse().ok()
    })
}

/// Device and inode of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
}

/// File of a listening socket. Dropping it removes the file, unless another one has its place or
/// another process owns it.
#[derive(Debug)]
pub struct SocketFile {
    socket: UnixListen,
    mode: u32,
    /// The file as it was made; `None` if that is unknown.
    identity: Option<FileIdentity>,
    is_ours: bool,
}

impl SocketFile {
    /// Returns the file of a socket that another process has made, and that is still its own.
    /// `identity` is what that process knows of it.
    #[must_use]
    pub fn inherited(
        socket: UnixListen,
        default_mode: u32,
        identity: Option<FileIdentity>,
    ) -> Self {
        Self {
            socket,
            mode: socket.mode.unwrap_or(default_mode),
            identity,
            is_ours: false,
        }
    }

    /// Takes the file over: it gets the mode and the owner of this process's settings, and is
    /// removed at the end.
    ///
    /// # Errors
    /// The file has been replaced, or the error of chmod(2) or chown(2).
    pub fn claim(&mut self) -> io::Result<()> {
        self.is_ours = true;
        let own = FileOwner {
            user: rustix::process::geteuid().as_raw(),
            group: Some(rustix::process::getegid().as_raw()),
        };
        let file = open(self.socket.path.as_path())?;
        if Some(file.identity) != self.identity {
            return Err(io::Error::other("another file has its place"));
        }
        file.set_access(self.mode, Some(self.socket.owner.unwrap_or(own)))
    }

    /// Leaves the file to another process.
    pub fn keep(&mut self) {
        self.is_ours = false;
    }

    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> UnixPath {
        self.socket.path
    }

    /// Returns the file's identity, for the process that takes it over.
    #[must_use]
    pub fn identity(&self) -> Option<FileIdentity> {
        self.identity
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let path = self.socket.path.as_path();
        let found = open(path).ok().map(|file| file.identity);
        if self.is_ours && found.is_some() && found == self.identity {
            // A file that cannot be removed is replaced by the next process.
            let _ = fs::remove_file(path);
        }
    }
}

/// A socket's file, by a descriptor that stays with it whatever is put into its place.
struct OpenedFile {
    descriptor: OwnedFd,
    identity: FileIdentity,
}

/// Opens the file of a socket. A symbolic link is not followed.
///
/// # Errors
/// The file is no socket, or the error of open(2).
fn open(path: &Path) -> io::Result<OpenedFile> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let descriptor = rustix::fs::open(path, flags, Mode::empty())?;
    let found = rustix::fs::fstat(&descriptor)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Socket {
        return Err(io::Error::other("there is a file that is no socket"));
    }
    let identity = FileIdentity {
        dev: found.st_dev,
        ino: found.st_ino,
    };
    Ok(OpenedFile {
        descriptor,
        identity,
    })
}

impl OpenedFile {
    /// Sets mode and owner of this file, and of no other that was put into its place.
    fn set_access(&self, mode: u32, owner: Option<FileOwner>) -> io::Result<()> {
        if let Some(FileOwner { user, group }) = owner {
            let (user, group) = (Uid::from_raw(user), group.map(Gid::from_raw));
            chownat(&self.descriptor, "", Some(user), group, AtFlags::EMPTY_PATH)?;
        }
        // A descriptor of O_PATH has no fchmod(2). The link in /proc leads to this very file.
        let link = format!("/proc/self/fd/{}", self.descriptor.as_raw_fd());
        fs::set_permissions(link, Permissions::from_mode(mode))
    }
}

/// Listens on a Unix socket, whose file gets `default_mode` if no mode is given. A file that a
/// process left there is replaced.
///
/// # Errors
/// `AddrInUse` if a process listens there, or is about to; a sentence if the file is no socket;
/// otherwise the error of bind(2), chown(2), chmod(2) or listen(2).
pub fn listen(
    socket: &UnixListen,
    default_mode: u32,
    backlog: i32,
) -> io::Result<(TcpListener, SocketFile)> {
    let path = socket.path.as_path();
    let _turn = take_turn(path.parent().unwrap_or(path))?;
    remove_stale(path)?;
    let listener = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    listener.bind(&SockAddr::unix(path)?)?;
    let mut file = SocketFile::inherited(*socket, default_mode, None);
    let opened = open(path)?;
    file.identity = Some(opened.identity);
    file.is_ours = true;
    opened.set_access(file.mode, socket.owner)?;
    listener.listen(backlog)?;
    Ok((listener.into(), file))
}

/// Waits until no other process is between the look at a file in `folder` and its listen(2). To it,
/// a socket that is bound and does not listen yet looks like one that a dead process has left. The
/// turn ends when the descriptor is closed.
fn take_turn(folder: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = match rustix::fs::open(folder, flags, Mode::empty()) {
        // Files can be made in a folder that cannot be read.
        Err(Errno::ACCESS) => return Ok(None),
        folder => folder?,
    };
    let until = Instant::now() + TURN_TIMEOUT;
    loop {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(folder)),
            Err(Errno::WOULDBLOCK) if Instant::now() < until => std::thread::sleep(TURN_PAUSE),
            Err(Errno::WOULDBLOCK) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(err) => return Err(err.into()),
        }
    }
}

/// Removes a socket on which no process listens.
fn remove_stale(path: &Path) -> io::Result<()> {
    match open(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(err) if err.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // A full queue has a listener, too. A socket of another kind has a user.
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// Returns the path to which a socket of another process was bound.
///
/// # Errors
/// The error of getsockname(2), or `InvalidInput` if that is no path.
pub fn path_of(listener: &TcpListener) -> io::Result<UnixPath> {
    let addr = SockRef::from(listener).local_addr()?;
    let path = addr.as_pathname().and_then(Path::to_str);
    let path = path.and_then(|path| path.parse().ok());
    path.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
