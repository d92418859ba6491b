//! Request for one TCP socket and its response, as bytes: netlink(7) and sock_diag(7). All but
//! ports and addresses are in the byte order of this machine.
//!
//! Pure.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::SocketOwner;

/// Maximum length of a response, in bytes: its header, the socket and a few attributes.
pub(super) const MAX_RESPONSE: usize = 1024;

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Bytes of `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
/// Offset of the user in `struct inet_diag_msg`, including the header; the inode follows.
const USER_OFFSET: usize = HEADER + 64;

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const ENOENT: i32 = 2;

/// Returns the request for the socket at `local` that is connected to `remote`, in any state.
pub(super) fn request(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + REQUEST);
    out.extend(
        u32::try_from(HEADER + REQUEST)
            .unwrap_or_default()
            .to_ne_bytes(),
    );
    out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence number and sender: there is one request, and the kernel knows its sender.
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

/// Parses the kernel's response.
///
/// # Errors
/// If the kernel reports an error, or the response is malformed.
pub(super) fn parse_response(bytes: &[u8]) -> io::Result<SocketOwner> {
    let malformed = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "the kernel's answer is malformed",
        )
    };
    let number = |at: usize| {
        let four = bytes.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_ne_bytes(*four))
    };
    let kind = bytes.get(4..).and_then(|rest| rest.first_chunk::<2>());
    match kind.map(|kind| u16::from_ne_bytes(*kind)) {
        Some(NLMSG_ERROR) => {
            let errno = number(HEADER)
                .ok_or_else(malformed)?
                .cast_signed()
                .wrapping_neg();
            // A kernel without this lookup returns the same error; the caller then searches the
            // tables.
            Err(match errno {
                ENOENT => io::ErrorKind::NotFound.into(),
                errno => io::Error::from_raw_os_error(errno),
            })
        }
        Some(SOCK_DIAG_BY_FAMILY) => {
            let (user, inode) = (number(USER_OFFSET), number(USER_OFFSET + 4));
            match user.zip(inode).ok_or_else(malformed)? {
                (_, 0) => Ok(SocketOwner::Gone),
                (user, _) => Ok(SocketOwner::User(user)),
            }
        }
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn netlink_message(kind: u16, rest: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(HEADER, 0);
        rest.iter()
            .for_each(|word| bytes.extend(word.to_ne_bytes()));
        bytes
    }

    #[test]
    fn a_response_is_parsed_or_refused() {
        let mut words = [0; 18];
        (words[16], words[17]) = (33, 4711);
        let whole = netlink_message(SOCK_DIAG_BY_FAMILY, &words);
        assert_eq!(parse_response(&whole).unwrap(), SocketOwner::User(33));
        words[17] = 0;
        let orphan = netlink_message(SOCK_DIAG_BY_FAMILY, &words);
        assert_eq!(parse_response(&orphan).unwrap(), SocketOwner::Gone);
        let absent = netlink_message(NLMSG_ERROR, &[u32::MAX - 1]);
        assert_eq!(
            parse_response(&absent).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        let denied = parse_response(&netlink_message(NLMSG_ERROR, &[0u32.wrapping_sub(1)]));
        assert_eq!(denied.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        for length in 0..whole.len() {
            assert!(parse_response(&whole[..length]).is_err(), "{length}");
        }
        assert!(parse_response(&netlink_message(3, &[0; 18])).is_err());
    }

    #[test]
    fn a_request_has_the_size_of_the_kernel_struct() {
        let four = "127.0.0.1:80".parse().unwrap();
        let six = "[::1]:80".parse().unwrap();
        for addr in [four, six] {
            assert_eq!(request(addr, addr).len(), HEADER + REQUEST);
        }
    }
}
