//! Sockets and their options: listening, connecting, closing without loss of sent data, and the
//! limit on descriptors.
//!
//! Two programs of one user that both set SO_REUSEPORT bind the same port silently, and each gets
//! half of the clients. [`check_port_free`] detects that before the listeners are bound.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::stream_addr::{StreamAddr, UnixPath};
use super::unix_socket;

/// Maximum number of connections that wait to be accepted; the system limit may be lower
/// (listen(2)).
pub const BACKLOG: i32 = 4096;
/// Maximum number of bytes that [`lingering_close`] reads and drops.
pub const LINGER_BYTES: usize = 64 * 1024;
/// Maximum duration of [`lingering_close`].
pub const LINGER_TIME: Duration = Duration::from_secs(1);

/// Use of a listener's port by other listeners of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortSharing {
    /// No other socket may listen on it.
    Own,
    /// The kernel distributes connections over all sockets that share it (SO_REUSEPORT, socket(7)).
    Shared,
}

/// Returns a non-blocking listener on `addr`; the system chooses a port for 0.
///
/// # Errors
/// The error of socket(2), bind(2) or listen(2); `AddrInUse` if the port is taken.
pub fn listen(addr: SocketAddr, port: PortSharing) -> io::Result<std::net::TcpListener> {
    let listener = bind_shared(addr, port)?;
    start_listening(&listener)?;
    Ok(listener)
}

/// Like [`listen`], but does not listen yet: the kernel accepts no client before
/// [`start_listening`].
///
/// # Errors
/// The error of socket(2) or bind(2).
pub fn bind_shared(addr: SocketAddr, port: PortSharing) -> io::Result<std::net::TcpListener> {
    let socket = bind(addr, port)?;
    // Accepted sockets inherit this option.
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

/// Starts listening. The socket may listen already.
///
/// # Errors
/// The error of listen(2); `AddrInUse` if another socket listens on its port alone.
pub fn start_listening(listener: &std::net::TcpListener) -> io::Result<()> {
    SockRef::from(listener).listen(BACKLOG)
}

/// Checks that a port that will be shared is free of sockets of other programs.
///
/// # Errors
/// `AddrInUse` if it is taken, also by a socket with SO_REUSEPORT.
pub fn check_port_free(addr: SocketAddr) -> io::Result<()> {
    bind(addr, PortSharing::Own).map(drop)
}

/// Returns an address at which a listener on this machine is reachable: the loopback address for
/// one on every interface.
#[must_use]
pub fn loopback_if_unspecified(listen_addr: SocketAddr) -> SocketAddr {
    let ip = match listen_addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (ip, listen_addr.port()).into()
}

/// Returns `true` if a connection to `addr` reaches a listener on this machine at `listen_addr`.
#[must_use]
pub fn reaches(addr: SocketAddr, listen_addr: SocketAddr) -> bool {
    let (ip, listening) = (addr.ip(), listen_addr.ip());
    // `[::]` accepts IPv4 too (ipv6(7), IPV6_V6ONLY).
    let covers = listening.is_unspecified() && (listening.is_ipv6() || ip.is_ipv4());
    addr.port() != 0
        && addr.port() == listen_addr.port()
        && (ip == listening || covers && (ip.is_unspecified() || is_own_address(ip)))
}

/// Returns `true` for an address of this machine: only to such a one can a socket be bound.
fn is_own_address(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

fn bind(addr: SocketAddr, port: PortSharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Without it, connections of an earlier run in TIME_WAIT keep the port (socket(7)).
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(port == PortSharing::Shared)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// Reason for a failed connect.
#[derive(Debug)]
pub enum ConnectError {
    /// No process listens there, or there is no route; nothing was sent.
    Refused,
    /// Timeout; nothing was sent.
    TimedOut,
    /// A local failure: out of descriptors, ports or memory.
    Ours(io::Error),
}

/// Connects to `addr` within `limit`, with TCP_NODELAY set.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(addr: &StreamAddr, limit: Duration) -> Result<TcpStream, ConnectError> {
    let addr = match addr {
        StreamAddr::Tcp(addr) => addr,
        StreamAddr::Unix(path) => return connect_unix(path, limit).await,
    };
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

async fn connect_unix(path: &UnixPath, limit: Duration) -> Result<TcpStream, ConnectError> {
    let connected = timeout(limit, unix_socket::connect(path)).await;
    connected
        .map_err(|_| ConnectError::TimedOut)?
        .map_err(|err| match err.kind() {
            // A socket that this process may not open is as good as none.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::PermissionDenied => {
                ConnectError::Refused
            }
            _ => ConnectError::Ours(err),
        })
}

/// Returns `true` if a connection that should be idle is: no data to read, and no end. Calls the
/// kernel.
#[must_use]
pub fn is_idle(stream: &TcpStream) -> bool {
    let peeked = SockRef::from(stream).peek(&mut [MaybeUninit::uninit(); 1]);
    matches!(peeked, Err(err) if err.kind() == io::ErrorKind::WouldBlock)
}

/// Like [`is_idle`], but calls the kernel only if the reactor has seen an event: a connection that
/// ended an instant ago may still pass.
#[must_use]
pub fn is_idle_cached(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(err) if err.kind() == io::ErrorKind::WouldBlock)
}

/// Returns `true` if no byte waits to be read, whether or not more may come. Calls the kernel.
#[must_use]
pub fn recv_queue_empty(socket: &impl AsFd) -> bool {
    match SockRef::from(socket).peek(&mut [MaybeUninit::uninit(); 1]) {
        Ok(waiting) => waiting == 0,
        Err(err) => err.kind() == io::ErrorKind::WouldBlock,
    }
}

/// Closes the write side. A peer that is gone already is no error.
pub fn half_close(stream: &TcpStream) {
    // ENOTCONN: the peer has reset the connection already.
    let _ = SockRef::from(stream).shutdown(std::net::Shutdown::Write);
}

/// Closes with a reset, so that the peer does not mistake a part of the data for the whole. A Unix
/// socket cannot be reset: its peer sees an ordinary end (unix(7)).
pub fn reset(stream: TcpStream) {
    reset_when_closed(&stream);
}

/// Turns the next close into a reset.
pub fn reset_when_closed(stream: &TcpStream) {
    // If the option cannot be set, an ordinary close is the best remaining choice.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Closes so that a peer that still sends can read the last bytes. A close with unread input resets
/// the connection, which would destroy them (RFC 9112 §9.6).
pub async fn lingering_close(mut stream: TcpStream) {
    half_close(&stream);
    let discard = async {
        let mut buffer = [0; 2048];
        let mut remaining = LINGER_BYTES;
        while remaining > 0 {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(len) => remaining = remaining.saturating_sub(len),
            }
        }
    };
    // The limit of time ends it like the limit of bytes.
    let _ = timeout(LINGER_TIME, discard).await;
}

/// Returns `true` if descriptors or memory are exhausted (accept(2)), as opposed to one broken
/// connection.
#[must_use]
pub fn is_resource_exhausted(err: &io::Error) -> bool {
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(err).is_some_and(|errno| exhausted.contains(&errno))
}

/// Raises the soft limit on open descriptors to the hard one, and returns it.
#[must_use]
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let new_limit = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // `None` means no limit.
    match setrlimit(Resource::Nofile, new_limit) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

    #[test]
    fn a_shared_port_is_shared_and_not_free() {
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
    async fn a_connect_to_a_closed_port_is_refused() {
        let addr = listen(ANY.into(), PortSharing::Own)
            .unwrap()
            .local_addr()
            .unwrap();
        let outcome = connect(&addr.into(), Duration::from_secs(1)).await;
        assert!(matches!(outcome, Err(ConnectError::Refused)), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_connection_is_idle_until_the_first_byte_or_its_end() {
        let listener =
            tokio::net::TcpListener::from_std(listen(ANY.into(), PortSharing::Own).unwrap());
        let listener = listener.unwrap();
        let addr = listener.local_addr().unwrap();
        for last_bytes in [b"x".as_slice(), b""] {
            let near = connect(&addr.into(), Duration::from_secs(1)).await.unwrap();
            let (far, _) = listener.accept().await.unwrap();
            assert!(is_idle(&near) && is_idle_cached(&near));
            far.try_write(last_bytes).unwrap();
            drop(far);
            timeout(Duration::from_secs(5), near.readable())
                .await
                .unwrap()
                .unwrap();
            assert!(!is_idle(&near) && !is_idle_cached(&near));
        }
    }

    #[tokio::test]
    async fn a_lingering_close_delivers_the_last_bytes_to_a_client_that_still_sends() {
        let listener =
            tokio::net::TcpListener::from_std(listen(ANY.into(), PortSharing::Own).unwrap());
        let listener = listener.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (server, _) = listener.accept().await.unwrap();
        client.try_write(&[b'x'; 1000]).unwrap();
        server.try_write(b"last bytes").unwrap();
        let closing = tokio::spawn(lingering_close(server));
        let mut received = Vec::new();
        timeout(Duration::from_secs(5), client.read_to_end(&mut received))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(received, b"last bytes");
        drop(client);
        timeout(Duration::from_secs(5), closing)
            .await
            .unwrap()
            .unwrap();
    }

    /// Returns a connection whose far end has sent this many bytes, all of which have arrived.
    async fn with_received(bytes: usize) -> (TcpStream, TcpStream) {
        let socket = bind(ANY.into(), PortSharing::Own).unwrap();
        socket.set_recv_buffer_size(4 * LINGER_BYTES).unwrap();
        socket.listen(1).unwrap();
        let listener = tokio::net::TcpListener::from_std(socket.into()).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(addr).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut client, &vec![b'x'; bytes])
            .await
            .unwrap();
        // The kernel is polled in a loop: the test's clock must not advance by itself.
        let mut all = vec![MaybeUninit::uninit(); bytes];
        while SockRef::from(&server).peek(&mut all).unwrap() < bytes {
            std::thread::yield_now();
        }
        (client, server)
    }

    #[tokio::test]
    async fn a_lingering_close_ends_at_its_limit_of_bytes_or_time() {
        for (bytes, expected) in [(LINGER_BYTES - 1, true), (LINGER_BYTES, false)] {
            let (_client, server) = with_received(bytes).await;
            tokio::time::pause();
            let start = tokio::time::Instant::now();
            // With nothing left to read, the paused clock advances to the next deadline.
            lingering_close(server).await;
            let timed_out = start.elapsed() >= LINGER_TIME;
            assert_eq!(timed_out, expected, "{bytes}: {:?}", start.elapsed());
            tokio::time::resume();
        }
    }
}
