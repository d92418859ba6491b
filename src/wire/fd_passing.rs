//! Transfer of sockets between processes over a Unix socket (unix(7), SCM_RIGHTS), and the identity
//! of its peer.
//!
//! An accept queue belongs to the socket and not to a process. Clients that wait in it are
//! therefore served as long as any process has the socket open.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Duration;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    connect as connect_to, recvmsg, sendmsg, socket_with, sockopt,
};

/// Maximum number of sockets in one message (the kernel's SCM_MAX_FD is 253).
pub const MAX_SOCKETS: usize = 250;

/// Connects to the socket of this abstract name, within `limit`. The connect waits while the
/// listener's queue is full (unix(7), and SO_SNDTIMEO in socket(7)).
///
/// # Errors
/// `WouldBlock` after that time; otherwise the error of connect(2).
pub fn connect(address: &SocketAddr, limit: Duration) -> io::Result<UnixStream> {
    let name = address.as_abstract_name().unwrap_or_default();
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(limit))?;
    connect_to(&socket, &SocketAddrUnix::new_abstract_name(name)?)?;
    Ok(socket.into())
}

/// Sends `bytes`, which must not be empty, and with their first one these sockets.
///
/// # Errors
/// `InvalidInput` for more than [`MAX_SOCKETS`]; otherwise the error of sendmsg(2).
pub fn send(stream: &UnixStream, bytes: &[u8], sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if sockets.len() > MAX_SOCKETS || !control.push(SendAncillaryMessage::ScmRights(sockets)) {
        let sentence = format!("{} sockets are too many to pass", sockets.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
    }
    let sent = sendmsg(
        stream,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    io::Write::write_all(&mut &*stream, &bytes[sent..])
}

/// Receives the next bytes into `bytes`, and the sockets that came with them. 0 bytes mean the end.
///
/// # Errors
/// `InvalidData` if some of the sockets are missing; otherwise the error of recvmsg(2).
pub fn receive(stream: &UnixStream, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    receive_with(stream, bytes, &mut space)
}

fn receive_with(
    stream: &UnixStream,
    bytes: &mut [u8],
    space: &mut [MaybeUninit<u8>],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = RecvAncillaryBuffer::new(space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(stream, &mut [IoSliceMut::new(bytes)], &mut control, flags)?;
    let mut sockets = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            sockets.extend(passed);
        }
    }
    // The kernel does not report which of them are missing.
    if received.flags.contains(ReturnFlags::CTRUNC) {
        let sentence = "some of the passed sockets are lost: out of descriptors (ulimit -n)";
        return Err(io::Error::new(io::ErrorKind::InvalidData, sentence));
    }
    Ok((received.bytes, sockets))
}

/// Returns the process at the other end at the time it connected, and its user (unix(7),
/// SO_PEERCRED). A process of another PID namespace, which is not visible here, is 0.
///
/// # Errors
/// The error of getsockopt(2).
pub fn peer_credentials(stream: &impl AsFd) -> io::Result<(u32, u32)> {
    let peer = getsockopt(stream, PeerCredentials)?;
    Ok((u32::try_from(peer.pid()).unwrap_or_default(), peer.uid()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::socket_owner;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_listener_is_passed_with_the_bytes_and_its_waiting_client_is_served() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let client = TcpStream::connect(addr).unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        send(&near, b"hello", &[listener.as_fd(), listener.as_fd()]).unwrap();
        drop(listener);
        let mut bytes = [0; 16];
        let (length, mut sockets) = receive(&far, &mut bytes).unwrap();
        assert_eq!((&bytes[..length], sockets.len()), (&b"hello"[..], 2));
        let passed = TcpListener::from(sockets.remove(0));
        let (_, from) = passed.accept().unwrap();
        assert_eq!(from, client.local_addr().unwrap());
        drop(near);
        assert_eq!(receive(&far, &mut bytes).unwrap().0, 0);
    }

    #[test]
    fn a_connect_to_a_full_queue_times_out() {
        let text = format!("ringmaster-full-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&text).unwrap();
        let limit = Duration::from_millis(20);
        let refused = connect(&address, limit).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let first = connect(&address, limit).unwrap();
        let late = connect(&address, limit).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::WouldBlock);
        drop((first, listener));
    }

    #[test]
    fn more_sockets_than_the_kernel_accepts_are_refused() {
        let (near, far) = UnixStream::pair().unwrap();
        let many = vec![near.as_fd(); MAX_SOCKETS + 1];
        let refused = send(&near, b"x", &many).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        send(&near, b"x", &many[1..]).unwrap();
        assert_eq!(receive(&far, &mut [0]).unwrap().1.len(), MAX_SOCKETS);
    }

    #[test]
    fn lost_sockets_are_an_error() {
        let (near, far) = UnixStream::pair().unwrap();
        send(&near, b"x", &[near.as_fd(); 16]).unwrap();
        // The same happens without room for more descriptors (recvmsg(2), MSG_CTRUNC).
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let lost = receive_with(&far, &mut [0], &mut space).unwrap_err();
        assert_eq!(lost.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn the_peer_credentials_are_those_of_this_process() {
        let (near, _far) = UnixStream::pair().unwrap();
        assert_eq!(
            peer_credentials(&near).unwrap(),
            (std::process::id(), socket_owner::own_user())
        );
    }
}
