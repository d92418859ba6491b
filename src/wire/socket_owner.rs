//! The user at the other end of a TCP connection within this machine: whose the peer's socket is.
//!
//! The kernel is asked for exactly one socket by its four numbers (sock_diag(7)), which takes some microseconds
//! however many sockets there are. Where it does not answer such questions, the tables of proc(5) do, which
//! takes milliseconds: so ask for commands, never for ordinary requests. A socket whose owner has closed it has
//! no inode any more and is reported by some kernels as root's, so it counts as owned by nobody. Only sockets of
//! our own network namespace are found.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};
use rustix::process::geteuid;

mod proc_net_tcp;
mod sock_diag;

/// The number of root.
pub const ROOT: u32 = 0;

/// Whose a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketOwner {
    /// The user of this number.
    User(u32),
    /// Nobody any more: its owner has closed it.
    Gone,
}

/// The number of the user that we are.
#[must_use]
pub fn own_user() -> u32 {
    geteuid().as_raw()
}

/// Whose the peer's end of a connection is, whose ends are at these addresses.
///
/// # Errors
/// When neither the kernel nor its tables tell.
pub fn owner_of(peer: SocketAddr, own: SocketAddr) -> io::Result<SocketOwner> {
    let (peer, own) = (canonical(peer), canonical(own));
    match ask_kernel(peer, own) {
        // A kernel that does not know such questions says the same of any socket, so also of our end.
        Err(err) if err.kind() == io::ErrorKind::NotFound && ask_kernel(own, peer).is_ok() => {
            Ok(SocketOwner::Gone)
        }
        Err(err) => search_tables(peer, own).map_err(|_| err),
        told => told,
    }
}

/// A user in a sentence: `root`, `user www-data (33)`, or `user 4711` if it has no name here.
#[must_use]
pub fn described(user: u32) -> String {
    if user == ROOT {
        return "root".to_owned();
    }
    // In an image without users there is no such file.
    let all = fs::read_to_string("/etc/passwd").unwrap_or_default();
    name(&all, user).map_or_else(
        || format!("user {user}"),
        |name| format!("user {name} ({user})"),
    )
}

/// The name of a user in the lines of passwd(5).
fn name(all: &str, user: u32) -> Option<&str> {
    let mut lines = all.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((name, fields.nth(1)?.parse::<u32>().ok()?))
    });
    let (name, _) = lines.find(|(_, number)| *number == user)?;
    Some(name)
}

/// A v4-mapped address as what it is: the kernel finds a socket of either family by it.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

fn ask_kernel(peer: SocketAddr, own: SocketAddr) -> io::Result<SocketOwner> {
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    let kernel = socket_with(family, kind, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    send(&kernel, &sock_diag::question(peer, own), SendFlags::empty())?;
    let mut answer = [0; sock_diag::MAX_ANSWER];
    // It is there already: the kernel answers while it is being asked (netlink(7)).
    let (_, length) = recv(&kernel, &mut answer, RecvFlags::DONTWAIT)?;
    sock_diag::answer(&answer[..length.min(answer.len())])
}

fn search_tables(peer: SocketAddr, own: SocketAddr) -> io::Result<SocketOwner> {
    // A socket of IPv6 may speak IPv4, and is in the table of IPv6 then.
    let tables: &[&str] = match peer.ip() {
        IpAddr::V4(_) => &["/proc/self/net/tcp", "/proc/self/net/tcp6"],
        IpAddr::V6(_) => &["/proc/self/net/tcp6"],
    };
    for path in tables {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            // A kernel without IPv6.
            Err(err) if err.kind() == io::ErrorKind::NotFound && *path != tables[0] => continue,
            Err(err) => return Err(err),
        };
        if let Some(owner) = proc_net_tcp::find(&text, peer, own) {
            return Ok(owner);
        }
    }
    Ok(SocketOwner::Gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    /// Both ends of a connection through `listens`, to which the client connects as `to`.
    fn connected(listens: &str, to: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((listens, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((to, port)).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn an_open_socket_is_ours_and_a_closed_one_nobodys() {
        for (listens, to) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("::", "127.0.0.1"),
            ("::", "::ffff:127.0.0.1"),
        ] {
            let (client, server) = connected(listens, to);
            let (peer, own) = (server.peer_addr().unwrap(), server.local_addr().unwrap());
            let ends = (canonical(peer), canonical(own));
            let both = || [ask_kernel(ends.0, ends.1), search_tables(ends.0, ends.1)];
            for owner in both() {
                assert_eq!(
                    owner.unwrap(),
                    SocketOwner::User(own_user()),
                    "{listens} {to}"
                );
            }
            assert_eq!(owner_of(peer, own).unwrap(), SocketOwner::User(own_user()));
            // Half closed, it still has its owner.
            client.shutdown(std::net::Shutdown::Write).unwrap();
            for owner in both() {
                assert_eq!(
                    owner.unwrap(),
                    SocketOwner::User(own_user()),
                    "{listens} {to}"
                );
            }
            drop(client);
            for owner in both() {
                assert_eq!(owner.unwrap(), SocketOwner::Gone, "{listens} {to}");
            }
        }
    }

    #[test]
    fn users_have_names_or_numbers() {
        let all = "root:x:0:0:root:/root:/bin/sh\nbroken\nwww-data:x:33:33::/var/www:\n";
        assert_eq!(name(all, 33), Some("www-data"));
        assert_eq!((name(all, 3), name("", 33)), (None, None));
        assert_eq!(described(0), "root");
        assert_eq!(described(4_000_000_000), "user 4000000000");
    }

    #[test]
    fn the_other_end_is_another_socket() {
        let (_client, server) = connected("127.0.0.1", "127.0.0.1");
        let (peer, own) = (server.peer_addr().unwrap(), server.local_addr().unwrap());
        drop(server);
        // Our end is closed, the client's is not.
        assert_eq!(owner_of(peer, own).unwrap(), SocketOwner::User(own_user()));
        assert_eq!(owner_of(own, peer).unwrap(), SocketOwner::Gone);
        let nowhere = SocketAddr::new(own.ip(), 1);
        assert_eq!(owner_of(nowhere, own).unwrap(), SocketOwner::Gone);
    }
}
