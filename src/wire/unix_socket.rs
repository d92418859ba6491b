//! Connections to Unix sockets (unix(7)).
//!
//! The kernel connects at once or not at all: with a full queue of the listener it returns EAGAIN,
//! and no event reports that there is room again.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::TcpStream;

use super::stream_addr::UnixPath;

/// First pause before another attempt at a full queue; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// Longest pause before another attempt.
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// Connects to `path`, and waits for as long as the queue of its listener is full. Cancel safe.
///
/// # Errors
/// The error of socket(2) or connect(2). It is `ConnectionRefused` also if there is no file or no
/// stream socket at `path`.
pub async fn connect(path: &UnixPath) -> io::Result<TcpStream> {
    let mut pause = FIRST_PAUSE;
    loop {
        match connect_once(path) {
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(pause).await;
                pause = MAX_PAUSE.min(2 * pause);
            }
            connected => {
                let socket = connected.map_err(no_listener_as_refused)?;
                return TcpStream::from_std(socket.into());
            }
        }
    }
}

/// Connects to `path` on this thread, within `limit`, which is also that of each write.
///
/// # Errors
/// As [`connect`]; `WouldBlock` at the limit.
pub fn connect_blocking(path: &UnixPath, limit: Duration) -> io::Result<std::net::TcpStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The limit of connect(2), too (socket(7), SO_SNDTIMEO).
    socket.set_write_timeout(Some(limit))?;
    let connected = socket.connect(&SockAddr::unix(path.as_path())?);
    connected.map_err(no_listener_as_refused)?;
    Ok(socket.into())
}

fn connect_once(path: &UnixPath) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    socket.connect(&SockAddr::unix(path.as_path())?)?;
    Ok(socket)
}

/// Turns the errors for a missing file and for another kind of file into that for a socket without
/// a listener.
fn no_listener_as_refused(err: io::Error) -> io::Error {
    match Errno::from_io_error(&err) {
        // EPROTOTYPE: a socket of datagrams.
        Some(Errno::NOENT | Errno::NOTDIR | Errno::PROTOTYPE) => {
            io::Error::new(io::ErrorKind::ConnectionRefused, err)
        }
        _ => err,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::pin::pin;

    /// Returns a path that no other test uses.
    fn fresh_path(name: &str) -> UnixPath {
        let file = format!("rm-{}-{name}.sock", std::process::id());
        let path = std::env::temp_dir().join(file);
        path.to_str().unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn no_file_and_no_listener_are_refusals() {
        let path = fresh_path("refusal");
        let refused = async || connect(&path).await.unwrap_err().kind();
        assert_eq!(refused().await, io::ErrorKind::ConnectionRefused);
        let listener = UnixListener::bind(path.as_path()).unwrap();
        connect(&path).await.unwrap();
        drop(listener);
        assert_eq!(refused().await, io::ErrorKind::ConnectionRefused);
        std::fs::remove_file(path.as_path()).unwrap();
        let datagrams = std::os::unix::net::UnixDatagram::bind(path.as_path()).unwrap();
        assert_eq!(refused().await, io::ErrorKind::ConnectionRefused);
        drop(datagrams);
        std::fs::remove_file(path.as_path()).unwrap();
    }

    #[tokio::test]
    async fn a_full_queue_is_waited_for() {
        let path = fresh_path("queue");
        let listener = UnixListener::bind(path.as_path()).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let mut queued = Vec::new();
        while let Ok(socket) = connect_once(&path) {
            queued.push(socket);
        }
        let mut connecting = pin!(connect(&path));
        tokio::select! {
            biased;
            connected = &mut connecting => panic!("{connected:?}"),
            () = std::future::ready(()) => {}
        }
        listener.accept().unwrap();
        let connected = tokio::time::timeout(Duration::from_secs(15), connecting).await;
        connected.unwrap().unwrap();
        std::fs::remove_file(path.as_path()).unwrap();
    }
}
