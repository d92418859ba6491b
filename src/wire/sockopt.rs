//! Socket options that no other crate in use supports: the wake-up conditions of listeners and
//! readers, and the amount of written data that waits in the kernel.
//!
//! The module uses nix, whose macro generates the call to setsockopt(2) for an option by its
//! number.

use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, setsockopt};
use nix::{getsockopt_impl, libc, setsockopt_impl, sockopt_impl};

/// Maximum time for which the kernel withholds a connection whose client sends nothing, in seconds.
/// The kernel counts resent SYN-ACKs, so it may be some seconds more.
const DEFER_ACCEPT_SECONDS: usize = 1;

sockopt_impl!(
    /// TCP_DEFER_ACCEPT of tcp(7).
    DeferAccept,
    SetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_DEFER_ACCEPT,
    usize
);

sockopt_impl!(
    /// SO_RCVLOWAT of socket(7).
    ReceiveLowMark,
    SetOnly,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    usize
);

/// Number of values in SO_MEMINFO (sock_diag(7)).
const MEMINFO_VALUES: usize = 9;
/// Index of the value for data that wait to be sent and acknowledged.
const WMEM_QUEUED_INDEX: usize = 5;
/// Index of the value for data that are under way. Those of a Unix socket are until they are read.
const WMEM_ALLOC_INDEX: usize = 2;

sockopt_impl!(
    /// SO_MEMINFO, which Linux has had since 4.12.
    MemInfo,
    GetOnly,
    libc::SOL_SOCKET,
    libc::SO_MEMINFO,
    [u32; MEMINFO_VALUES]
);

/// Returns the kernel memory of the data that the peer has not acknowledged yet: it falls as the
/// peer reads. `None` if the kernel does not report it.
pub fn write_queue(socket: &impl AsFd) -> Option<u32> {
    let values = getsockopt(socket, MemInfo).ok()?;
    // A Unix socket has no queue of its own: it puts data into that of the peer.
    match values[WMEM_QUEUED_INDEX] {
        0 => Some(values[WMEM_ALLOC_INDEX]),
        queued => Some(queued),
    }
}

/// Lets a listener wake only for clients that have sent data, or have been silent for a while. Not
/// for protocols in which the server sends first.
pub fn defer_accept(listener: &impl AsFd) {
    // If it cannot be set, accepting costs one more wake-up.
    let _ = setsockopt(listener, DeferAccept, &DEFER_ACCEPT_SECONDS);
}

/// Makes the socket readable only once this many bytes are there, or its end. The number must not
/// exceed the bytes that are certain to come.
pub fn set_receive_low_mark(socket: &impl AsFd, bytes: usize) {
    // If it cannot be set, reading costs some more wake-ups.
    let _ = setsockopt(socket, ReceiveLowMark, &bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    #[test]
    fn the_write_queue_falls_as_the_peer_reads() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (reader, _) = listener.accept().unwrap();
        assert_eq!(write_queue(&writer), Some(0));
        expect_fall(writer, reader);
        let (writer, reader) = UnixStream::pair().unwrap();
        assert_eq!(write_queue(&writer), Some(0));
        expect_fall(OwnedFd::from(writer).into(), OwnedFd::from(reader).into());
    }

    fn expect_fall(mut writer: TcpStream, mut reader: TcpStream) {
        writer.set_nonblocking(true).unwrap();
        while writer.write(&[b'x'; 64 * 1024]).is_ok() {}
        let full = write_queue(&writer).unwrap();
        assert!(full > 0);
        reader
            .set_read_timeout(Some(Duration::from_secs(15)))
            .unwrap();
        let start = Instant::now();
        while write_queue(&writer).unwrap() >= full {
            assert!(start.elapsed() < Duration::from_secs(15), "it never falls");
            assert!(reader.read(&mut [0; 32 * 1024]).unwrap() > 0);
        }
    }
}
