//! A client that sends exactly the given bytes and reads replies by their framing.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Message, TEST_TIMEOUT, Wire};

/// A connection to the program under test.
#[derive(Debug)]
pub(crate) struct Client(Wire);

/// End of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&addr, TEST_TIMEOUT);
        Self(Wire::new(stream.expect("a connection")))
    }

    /// Connects to a Unix socket.
    #[track_caller]
    pub(crate) fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("a connection");
        Self(Wire::new(OwnedFd::from(stream).into()))
    }

    /// Connects from this address of the loopback network, all of which are this machine's.
    #[track_caller]
    pub(crate) fn connect_from(source: Ipv4Addr, addr: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.expect("a socket");
        let any_port = SocketAddr::from((source, 0));
        socket.bind(&any_port.into()).expect("a port");
        let connected = socket.connect_timeout(&addr.into(), TEST_TIMEOUT);
        connected.expect("a connection");
        Self(Wire::new(socket.into()))
    }

    /// Port of the client's side.
    pub(crate) fn local_port(&self) -> u16 {
        self.0.stream.local_addr().expect("its address").port()
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write(bytes).expect("sending");
    }

    /// Sends bytes that the other side may no longer want.
    pub(crate) fn send_if_open(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.write(bytes);
    }

    /// Sends at most this many bytes, until none has been taken for a while.
    #[track_caller]
    pub(crate) fn send_until_stuck(&mut self, most: usize) {
        let stream = &mut self.0.stream;
        let limit = Some(Duration::from_millis(500));
        stream.set_write_timeout(limit).expect("a timeout");
        let piece = [b'x'; 64 * 1024];
        let mut left = most;
        while left > 0 {
            match io::Write::write(stream, &piece[..left.min(piece.len())]) {
                Ok(sent) => left -= sent,
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => break,
                Err(err) => panic!("sending: {err}"),
            }
        }
        assert!(left > 0, "all {most} bytes were taken");
        stream
            .set_write_timeout(Some(TEST_TIMEOUT))
            .expect("a timeout");
    }

    /// Sends one byte per segment, as far as the kernel does not join them.
    #[track_caller]
    pub(crate) fn send_bytewise(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref() {
            self.send([*byte]);
            std::thread::yield_now();
        }
    }

    /// The next reply, interim ones included; `to_head` when it answers a HEAD request.
    pub(crate) fn try_reply(&mut self, to_head: bool) -> io::Result<Message> {
        let mut reply = self.0.head()?;
        let bodiless = to_head || matches!(reply.status(), 100..=199 | 204 | 304);
        if !bodiless {
            reply.body = self.0.body(&reply, true)?;
        }
        Ok(reply)
    }

    /// The next whole reply to anything but HEAD.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> Message {
        self.try_reply(false).expect("a whole reply")
    }

    /// Sends `request` and reads its reply.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Message {
        self.send(request);
        self.reply()
    }

    /// Returns the next `n` bytes, of any protocol: for tunnels.
    #[track_caller]
    pub(crate) fn take(&mut self, n: usize) -> Vec<u8> {
        self.0.take(n).expect("more bytes")
    }

    /// Reads the next head, and nothing behind it.
    #[track_caller]
    pub(crate) fn until_head(&mut self) -> String {
        self.0.head().expect("a head").head
    }

    /// Everything until the connection ends in order.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        self.0.rest().expect("an end in order")
    }

    /// Waits for the end of the connection, before which no byte may come.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) -> End {
        match self.0.rest() {
            Ok(rest) if rest.is_empty() => End::Fin,
            Ok(rest) => panic!("bytes before the end: {:?}", String::from_utf8_lossy(&rest)),
            Err(err) if err.kind() == io::ErrorKind::ConnectionReset => End::Reset,
            Err(err) => panic!("still open: {err}"),
        }
    }

    /// Returns `true` if bytes or the end can be read within `limit`.
    pub(crate) fn has_bytes_within(&mut self, limit: Duration) -> bool {
        let stream = &self.0.stream;
        stream.set_read_timeout(Some(limit)).expect("a timeout");
        let found = stream.peek(&mut [0]).is_ok();
        stream
            .set_read_timeout(Some(TEST_TIMEOUT))
            .expect("a timeout");
        found
    }

    /// Half-closes the connection.
    #[track_caller]
    pub(crate) fn half_close(&mut self) {
        self.0.stream.shutdown(Shutdown::Write).expect("a FIN");
    }

    /// Leaves by a reset.
    pub(crate) fn reset(self) {
        self.0.linger_not();
    }
}

/// Sends a request on a connection of its own and reads the reply.
#[track_caller]
pub(crate) fn exchange(addr: SocketAddr, request: impl AsRef<[u8]>) -> Message {
    Client::connect(addr).ask(request)
}

/// Does the same at an address as reports show it: `127.0.0.1:43211` or `unix:PATH`.
#[track_caller]
pub(crate) fn exchange_at(addr: &str, request: impl AsRef<[u8]>) -> Message {
    let mut client = match addr.strip_prefix("unix:") {
        Some(path) => Client::connect_unix(Path::new(path)),
        None => Client::connect(addr.parse().expect("an address")),
    };
    client.ask(request)
}
