//! Listening Unix sockets: their files, with mode and owner, and the file that a process which
//! ended has left.
//!
//! The kernel checks the write permission of the file at each connect (unix(7)). Mode and owner are
//! therefore set between bind(2) and listen(2), when no client can connect yet.

use std::fmt;
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::str::FromStr;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::stream_addr::UnixPath;

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
        return Some(number);
    }
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(name);
        fields.nth(1).filter(|_| is_it)?.parse().ok()
    })
}

/// File of a listening socket. Dropping it removes the file, unless another socket has its place.
#[derive(Debug)]
pub struct SocketFile {
    path: UnixPath,
    /// Device and inode; `None` if the file stays.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    /// Returns the file of a socket that another process has made, and that is still its own.
    #[must_use]
    pub fn inherited(path: UnixPath) -> Self {
        let identity = None;
        Self { path, identity }
    }

    /// Takes the file over: from then on it is removed.
    pub fn claim(&mut self) {
        let found = fs::symlink_metadata(self.path.as_path());
        self.identity = found.ok().map(|found| identity(&found));
    }

    /// Leaves the file to another process.
    pub fn keep(&mut self) {
        self.identity = None;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let path = self.path.as_path();
        let found = fs::symlink_metadata(path).ok();
        if self.identity.is_some() && found.map(|found| identity(&found)) == self.identity {
            // A file that cannot be removed is replaced by the next process.
            let _ = fs::remove_file(path);
        }
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Listens on a Unix socket, whose file gets `default_mode` if no mode is given. A file that a
/// process left there is replaced.
///
/// # Errors
/// `AddrInUse` if a process listens there; a sentence if the file is no socket; otherwise the error
/// of bind(2), chown(2) or listen(2).
pub fn listen(
    socket: &UnixListen,
    default_mode: u32,
    backlog: i32,
) -> io::Result<(TcpListener, SocketFile)> {
    let path = socket.path.as_path();
    remove_stale(path)?;
    let listener = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    listener.bind(&SockAddr::unix(path)?)?;
    let mut file = SocketFile::inherited(socket.path);
    file.claim();
    let mode = socket.mode.unwrap_or(default_mode);
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    if let Some(FileOwner { user, group }) = socket.owner {
        chown(path, Some(user), group)?;
    }
    listener.listen(backlog)?;
    Ok((listener.into(), file))
}

/// Removes a socket on which no process listens.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::other("there is a file that is no socket"));
    }
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
