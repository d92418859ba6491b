//! Two socket options that no other crate of ours can set: when a listener wakes, and when a reader does.
//!
//! The only file that names nix, whose macro writes the call to setsockopt(2) for an option by its number.

use std::os::fd::AsFd;

use nix::sys::socket::setsockopt;
use nix::{libc, setsockopt_impl, sockopt_impl};

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
