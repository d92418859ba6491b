//! The question for one TCP socket and its answer, as bytes: netlink(7) and sock_diag(7), in the byte order of
//! this machine but for ports and addresses.
//!
//! Pure.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::SocketOwner;

/// The longest answer that is read, in bytes: its head, the socket and a few attributes.
pub(super) const MAX_ANSWER: usize = 1024;

/// Bytes of `struct nlmsghdr`.
const HEAD: usize = 16;
/// Bytes of `struct inet_diag_req_v2`.
const QUESTION: usize = 56;
/// Where the user stands in `struct inet_diag_msg`, after the head; the inode follows.
const USER: usize = HEAD + 64;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const ENOENT: i32 = 2;

/// Asks for the socket at `local` that is connected to `remote`, in any state.
pub(super) fn question(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + QUESTION);
    out.extend(
        u32::try_from(HEAD + QUESTION)
            .unwrap_or_default()
            .to_ne_bytes(),
    );
    out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence and sender: there is one question, and the kernel knows who asks.
    out.extend([0; 8]);
    let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    out.extend([family, IPPROTO_TCP, 0, 0]);
    out.extend(u32::MAX.to_ne_bytes());
    out.extend(local.port().to_be_bytes());
    out.extend(remote.port().to_be_bytes());
    out.extend(padded(local.ip()));
    out.extend(padded(remote.ip()));
    // Any interface, and INET_DIAG_NOCOOKIE.
    out.extend([0; 4]);
    out.extend([u8::MAX; 8]);
    out
}

fn padded(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => {
            let mut all = [0; 16];
            all[..4].copy_from_slice(&ip.octets());
            all
        }
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// Reads the kernel's answer.
///
/// # Errors
/// When it has none, or one that is not understood.
pub(super) fn answer(bytes: &[u8]) -> io::Result<SocketOwner> {
    let nonsense = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the kernel's answer is too short",
        )
    };
    let number = |at: usize| {
        let four = bytes.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_ne_bytes(*four))
    };
    let kind = bytes.get(4..).and_then(|rest| rest.first_chunk::<2>());
    match kind.map(|kind| u16::from_ne_bytes(*kind)) {
        Some(NLMSG_ERROR) => {
            let errno = number(HEAD)
                .ok_or_else(nonsense)?
                .cast_signed()
                .wrapping_neg();
            // Also what a kernel says that knows no such questions, which the tables tell.
            Err(match errno {
                ENOENT => io::ErrorKind::NotFound.into(),
                errno => io::Error::from_raw_os_error(errno),
            })
        }
        Some(SOCK_DIAG_BY_FAMILY) => {
            let (user, inode) = (number(USER), number(USER + 4));
            match user.zip(inode).ok_or_else(nonsense)? {
                (_, 0) => Ok(SocketOwner::Gone),
                (user, _) => Ok(SocketOwner::User(user)),
            }
        }
        _ => Err(nonsense()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn netlink_message(kind: u16, rest: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(HEAD, 0);
        rest.iter()
            .for_each(|word| bytes.extend(word.to_ne_bytes()));
        bytes
    }

    #[test]
    fn an_answer_is_read_or_refused() {
        let mut words = [0; 18];
        (words[16], words[17]) = (33, 4711);
        let whole = netlink_message(SOCK_DIAG_BY_FAMILY, &words);
        assert_eq!(answer(&whole).unwrap(), SocketOwner::User(33));
        words[17] = 0;
        let orphan = netlink_message(SOCK_DIAG_BY_FAMILY, &words);
        assert_eq!(answer(&orphan).unwrap(), SocketOwner::Gone);
        let absent = netlink_message(NLMSG_ERROR, &[u32::MAX - 1]);
        assert_eq!(answer(&absent).unwrap_err().kind(), io::ErrorKind::NotFound);
        let denied = answer(&netlink_message(NLMSG_ERROR, &[0u32.wrapping_sub(1)]));
        assert_eq!(denied.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        for length in 0..whole.len() {
            assert!(answer(&whole[..length]).is_err(), "{length}");
        }
        assert!(answer(&netlink_message(3, &[0; 18])).is_err());
    }

    #[test]
    fn a_question_has_the_kernels_size() {
        let four = "127.0.0.1:80".parse().unwrap();
        let six = "[::1]:80".parse().unwrap();
        for addr in [four, six] {
            assert_eq!(question(addr, addr).len(), HEAD + QUESTION);
        }
    }
}
