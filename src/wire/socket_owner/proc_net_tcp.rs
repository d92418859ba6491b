//! Lookup of a socket's owner in the TCP tables of proc(5), /proc/net/tcp and tcp6.
//!
//! Pure. An address is written as words of 32 bits in the byte order of this machine, its port as a
//! number.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::SocketOwner;

/// Returns the owner of the socket at `local` that is connected to `remote`; `None` if the table
/// has no such socket.
pub(super) fn find(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<SocketOwner> {
    let [wide, narrow] = [true, false].map(|wide| {
        let ends = [local, remote].map(|end| format_addr(end, wide));
        move |line: &&str| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            fields.next() == Some(&ends[0]) && fields.next() == Some(&ends[1])
        }
    });
    let line = table.lines().find(|line| narrow(line) || wide(line))?;
    let mut fields = line.split_ascii_whitespace().skip(7);
    let user = fields.next()?.parse().ok()?;
    match fields.nth(1)? {
        "0" => Some(SocketOwner::Gone),
        _ => Some(SocketOwner::User(user)),
    }
}

/// Formats an address as in the tables; `wide` selects the form of IPv6.
fn format_addr(addr: SocketAddr, wide: bool) -> String {
    let octets = match addr.ip() {
        IpAddr::V4(ip) if !wide => Vec::from(ip.octets()),
        IpAddr::V4(ip) => Vec::from(Ipv4Addr::to_ipv6_mapped(&ip).octets()),
        IpAddr::V6(ip) => Vec::from(ip.octets()),
    };
    let mut text = String::new();
    let (words, _) = octets.as_chunks::<4>();
    for word in words {
        // Writing to a string cannot fail.
        let _ = write!(text, "{:08X}", u32::from_ne_bytes(*word));
    }
    let _ = write!(text, ":{:04X}", addr.port());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn table(local: &str, remote: &str, user: u32, inode: u32) -> String {
        let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
        let (local, remote) = (format_addr(local, false), format_addr(remote, false));
        format!(
            "{HEADER}   0: {local} {remote} 01 00000000:00000000 00:00000000 00000000 {user:>5}        0 {inode} 1 0000000000000000 20 4 30 10 -1\n"
        )
    }

    #[test]
    fn a_socket_is_found_by_both_of_its_ends() {
        for (local, remote) in [
            ("127.0.0.1:80", "127.0.0.1:5001"),
            ("[::1]:80", "[::1]:5001"),
        ] {
            let text = table(local, remote, 33, 7);
            let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
            assert_eq!(find(&text, local, remote), Some(SocketOwner::User(33)));
            assert_eq!(find(&text, remote, local), None);
            assert_eq!(find(HEADER, local, remote), None);
        }
        let orphan = table("127.0.0.1:80", "127.0.0.1:5001", 0, 0);
        let ends = ("127.0.0.1:80", "127.0.0.1:5001");
        let (local, remote) = (ends.0.parse().unwrap(), ends.1.parse().unwrap());
        assert_eq!(find(&orphan, local, remote), Some(SocketOwner::Gone));
    }

    #[test]
    fn an_ipv4_socket_is_found_in_the_table_of_ipv6() {
        let text = table("[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]:5001", 33, 7);
        let [local, remote] = [80, 5001].map(|port| ([127, 0, 0, 1], port).into());
        assert_eq!(find(&text, local, remote), Some(SocketOwner::User(33)));
    }

    #[test]
    fn a_truncated_line_is_not_found() {
        let text = table("127.0.0.1:80", "127.0.0.1:5001", 33, 7);
        let [local, remote] = [80, 5001].map(|port| ([127, 0, 0, 1], port).into());
        let short = &text[..text.find(" 33").unwrap()];
        assert_eq!(find(short, local, remote), None);
    }
}
