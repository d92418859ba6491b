//! Socket options that no other crate of ours knows: when a listener wakes, when a reader does, and how
//! much of what was written still waits in the kernel.
//!
//! It names nix, whose macro writes the call to setsockopt(2) for an option by its number.

use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, setsockopt};
use nix::{getsockopt_impl, libc, setsockopt_impl, sockopt_impl};

/// The longest that the kernel keeps a connection to itself whose client says nothing, in seconds; it
/// counts in resent SYN-ACKs, so it may be some seconds more.
const DEFER_SECONDS: usize = 1;

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

/// The figures of SO_MEMINFO (sock_diag(7)), by number.
const MEMORY_FIGURES: usize = 9;
/// The number of the one that tells what waits to be sent and acknowledged.
const WRITE_QUEUED: usize = 5;

sockopt_impl!(
    /// SO_MEMINFO, which Linux has had since 4.12.
    Memory,
    GetOnly,
    libc::SOL_SOCKET,
    libc::SO_MEMINFO,
    [u32; MEMORY_FIGURES]
);

/// How much of the kernel's memory what was written takes until the peer has acknowledged it: it falls
/// as the peer reads. `None` where the kernel does not tell.
pub fn write_queue(socket: &impl AsFd) -> Option<u32> {
    let figures = getsockopt(socket, Memory).ok()?;
    figures.get(WRITE_QUEUED).copied()
}

/// Lets a listener wake only for clients that have said something, or have been silent for a while.
/// Not for protocols in which the server speaks first.
pub fn defer_accept(listener: &impl AsFd) {
    // Where it cannot be set, accepting costs a wake-up more.
    let _ = setsockopt(listener, DeferAccept, &DEFER_SECONDS);
}

/// Lets the socket count as readable only when so many bytes are there, or its end. Never ask for more
/// than is certain to come.
pub fn set_receive_low_mark(socket: &impl AsFd, bytes: usize) {
    // Where it cannot be set, reading costs some wake-ups more.
    let _ = setsockopt(socket, ReceiveLowMark, &bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    #[test]
    fn what_waits_to_be_read_is_told_and_falls_with_each_read() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut reader, _) = listener.accept().unwrap();
        assert_eq!(write_queue(&writer), Some(0));
        writer.set_nonblocking(true).unwrap();
        while writer.write(&[b'x'; 64 * 1024]).is_ok() {}
        let full = write_queue(&writer).unwrap();
        assert!(full > 0);
        reader
            .set_read_timeout(Some(Duration::from_secs(15)))
            .unwrap();
        let begun = Instant::now();
        while write_queue(&writer).unwrap() >= full {
            assert!(begun.elapsed() < Duration::from_secs(15), "it never falls");
            assert!(reader.read(&mut [0; 32 * 1024]).unwrap() > 0);
        }
    }
}
