//! Sockets and their options: listening, connecting, closing without losing what was said, and the
//! limit on descriptors.
//!
//! Two programs of one user that both set SO_REUSEPORT bind the same port silently, and each gets half
//! of the clients; hence [`probe`] before the listeners.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How many connections may wait to be accepted; the system's own limit may be lower (listen(2)).
const BACKLOG: i32 = 4096;
/// The most bytes that [`close_gently`] reads and drops.
pub const LINGER_BYTES: usize = 64 * 1024;
/// The longest that [`close_gently`] takes.
pub const LINGER_TIME: Duration = Duration::from_secs(1);

/// Whether a listener shares its port with others of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortSharing {
    /// No other socket may listen on it.
    Own,
    /// The kernel spreads connections over all sockets that share it (SO_REUSEPORT, socket(7)).
    Shared,
}

/// A non-blocking listener on `addr`; a port of 0 is chosen by the system.
///
/// # Errors
/// What socket(2), bind(2) or listen(2) say; `AddrInUse` when the port is taken.
pub fn listen(addr: SocketAddr, port: PortSharing) -> io::Result<std::net::TcpListener> {
    let listener = bind_shared(addr, port)?;
    start_listening(&listener)?;
    Ok(listener)
}

/// The same, but it does not listen yet: the kernel gives it no client before [`open`].
///
/// # Errors
/// What socket(2) or bind(2) say.
pub fn bind_shared(addr: SocketAddr, port: PortSharing) -> io::Result<std::net::TcpListener> {
    let socket = bound(addr, port)?;
    // Accepted sockets inherit it.
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

/// Lets it listen; it may do so already.
///
/// # Errors
/// What listen(2) says; `AddrInUse` when another socket listens on its port alone.
pub fn start_listening(listener: &std::net::TcpListener) -> io::Result<()> {
    SockRef::from(listener).listen(BACKLOG)
}

/// Whether a port that will be shared is free of anyone else's sockets.
///
/// # Errors
/// `AddrInUse` when it is taken, also by a socket with SO_REUSEPORT.
pub fn check_port_free(addr: SocketAddr) -> io::Result<()> {
    bound(addr, PortSharing::Own).map(drop)
}

/// Where to reach a listener on this machine that was told `listens`: one on every interface is on loopback.
#[must_use]
pub fn loopback_if_unspecified(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (ip, listens.port()).into()
}

fn bound(addr: SocketAddr, port: PortSharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Otherwise connections of a former run in TIME_WAIT keep the port (socket(7)).
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(port == PortSharing::Shared)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// Why a connection was not made.
#[derive(Debug)]
pub enum ConnectError {
    /// Nobody listens there, or there is no way to it; nothing was sent.
    Refused,
    /// No answer in time; nothing was sent.
    TimedOut,
    /// Our own fault: out of descriptors, ports or memory.
    Ours(io::Error),
}

/// Connects to `addr` within `limit`, with TCP_NODELAY set.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(addr: SocketAddr, limit: Duration) -> Result<TcpStream, ConnectError> {
    let connected = timeout(limit, TcpStream::connect(addr)).await;
    let stream = connected
        .map_err(|_| ConnectError::TimedOut)?
        .map_err(|err| match err.kind() {
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => ConnectError::Refused,
            io::ErrorKind::TimedOut => ConnectError::TimedOut,
            _ => ConnectError::Ours(err),
        })?;
    stream.set_nodelay(true).map_err(ConnectError::Ours)?;
    Ok(stream)
}

/// Whether a connection that should be silent is: nothing to read, and no end. Asks the kernel.
#[must_use]
pub fn is_idle(stream: &TcpStream) -> bool {
    let peeked = SockRef::from(stream).peek(&mut [MaybeUninit::uninit(); 1]);
    matches!(peeked, Err(err) if err.kind() == io::ErrorKind::WouldBlock)
}

/// Like [`is_silent`], but asks the kernel only when the reactor has seen something: a connection that
/// ended an instant ago may still pass.
#[must_use]
pub fn is_idle_cached(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(err) if err.kind() == io::ErrorKind::WouldBlock)
}

/// Whether nothing waits to be read, be it that more may come or that none will. Asks the kernel.
#[must_use]
pub fn recv_queue_empty(socket: &impl AsFd) -> bool {
    match SockRef::from(socket).peek(&mut [MaybeUninit::uninit(); 1]) {
        Ok(waiting) => waiting == 0,
        Err(err) => err.kind() == io::ErrorKind::WouldBlock,
    }
}

/// Says that nothing more will be written. A peer that is gone already is no error.
pub fn half_close(stream: &TcpStream) {
    // ENOTCONN: the peer has reset the connection, and there is no one left to tell.
    let _ = SockRef::from(stream).shutdown(std::net::Shutdown::Write);
}

/// Closes with a reset, so that the peer cannot take what came for the whole.
pub fn reset(stream: TcpStream) {
    reset_when_closed(&stream);
}

/// Makes the coming close a reset.
pub fn reset_when_closed(stream: &TcpStream) {
    // Where the option cannot be set, an ordinary close is the best that is left.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Closes so that the peer can read our last words although it may still be sending: a close with
/// unread input resets the connection, which would destroy them (RFC 9112 §9.6).
pub async fn lingering_close(mut stream: TcpStream) {
    half_close(&stream);
    let discard = async {
        let mut buffer = [0; 2048];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(len) => left = left.saturating_sub(len),
            }
        }
    };
    // Out of time is as good a reason to stop as out of bytes.
    let _ = timeout(LINGER_TIME, discard).await;
}

/// Whether we are out of descriptors or memory (accept(2)), rather than one connection broken.
#[must_use]
pub fn is_resource_exhausted(err: &io::Error) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(err).is_some_and(|errno| shortages.contains(&errno))
}

/// Raises the soft limit on open descriptors to the hard one, and returns it.
#[must_use]
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // None stands for "no limit".
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

    #[test]
    fn a_shared_port_is_shared_and_a_probe_sees_it() {
        let first = listen(ANY.into(), PortSharing::Shared).unwrap();
        let addr = first.local_addr().unwrap();
        let second = listen(addr, PortSharing::Shared).unwrap();
        assert_eq!(
            check_port_free(addr).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        assert_eq!(
            listen(addr, PortSharing::Own).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        drop((first, second));
        check_port_free(addr).unwrap();
    }

    #[tokio::test]
    async fn nobody_listening_is_refused() {
        let addr = listen(ANY.into(), PortSharing::Own)
            .unwrap()
            .local_addr()
            .unwrap();
        let outcome = connect(addr, Duration::from_secs(1)).await;
        assert!(matches!(outcome, Err(ConnectError::Refused)), "{outcome:?}");
    }

    #[tokio::test]
    async fn silence_ends_with_the_first_byte_and_with_the_end() {
        let listener =
            tokio::net::TcpListener::from_std(listen(ANY.into(), PortSharing::Own).unwrap());
        let listener = listener.unwrap();
        let addr = listener.local_addr().unwrap();
        for goodbye in [b"x".as_slice(), b""] {
            let ours = connect(addr, Duration::from_secs(1)).await.unwrap();
            let (theirs, _) = listener.accept().await.unwrap();
            assert!(is_idle(&ours) && is_idle_cached(&ours));
            theirs.try_write(goodbye).unwrap();
            drop(theirs);
            timeout(Duration::from_secs(5), ours.readable())
                .await
                .unwrap()
                .unwrap();
            assert!(!is_idle(&ours) && !is_idle_cached(&ours));
        }
    }

    #[tokio::test]
    async fn a_gentle_close_delivers_the_last_words_to_one_who_still_sends() {
        let listener =
            tokio::net::TcpListener::from_std(listen(ANY.into(), PortSharing::Own).unwrap());
        let listener = listener.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (server, _) = listener.accept().await.unwrap();
        client.try_write(&[b'x'; 1000]).unwrap();
        server.try_write(b"last words").unwrap();
        let closing = tokio::spawn(lingering_close(server));
        let mut heard = Vec::new();
        timeout(Duration::from_secs(5), client.read_to_end(&mut heard))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(heard, b"last words");
        drop(client);
        timeout(Duration::from_secs(5), closing)
            .await
            .unwrap()
            .unwrap();
    }

    /// A connection whose far end has sent so many bytes, all of which are here.
    async fn after(bytes: usize) -> (TcpStream, TcpStream) {
        let socket = bound(ANY.into(), PortSharing::Own).unwrap();
        socket.set_recv_buffer_size(4 * LINGER_BYTES).unwrap();
        socket.listen(1).unwrap();
        let listener = tokio::net::TcpListener::from_std(socket.into()).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(addr).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut client, &vec![b'x'; bytes])
            .await
            .unwrap();
        // Asked of the kernel in a loop: the clock of the test must not move by itself.
        let mut all = vec![MaybeUninit::uninit(); bytes];
        while SockRef::from(&server).peek(&mut all).unwrap() < bytes {
            std::thread::yield_now();
        }
        (client, server)
    }

    #[tokio::test]
    async fn a_gentle_close_ends_with_its_bytes_or_its_second() {
        for (bytes, waits) in [(LINGER_BYTES - 1, true), (LINGER_BYTES, false)] {
            let (_client, server) = after(bytes).await;
            tokio::time::pause();
            let begun = tokio::time::Instant::now();
            // With nothing left to read, the paused clock runs to the next deadline.
            lingering_close(server).await;
            let waited = begun.elapsed() >= LINGER_TIME;
            assert_eq!(waited, waits, "{bytes}: {:?}", begun.elapsed());
            tokio::time::resume();
        }
    }
}
