//! Owner of the peer's socket of a TCP connection within this machine.
//!
//! The kernel looks up exactly one socket by its four numbers (sock_diag(7)), which takes some
//! microseconds for any number of sockets. If it does not support that, the tables of proc(5) are
//! searched, which takes milliseconds. Use it for commands, and never for ordinary requests.
//!
//! A socket that its owner has closed has no inode any more, and some kernels report it as root's.
//! It therefore counts as closed and belongs to no user. Only sockets of our own network namespace
//! are found.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};
use rustix::process::geteuid;

mod owner;
mod proc_net_tcp;
mod sock_diag;

pub use owner::SocketOwner;

/// User ID of root.
pub const ROOT: u32 = 0;

/// Returns the effective user ID of this process.
#[must_use]
pub fn own_user() -> u32 {
    geteuid().as_raw()
}

/// Returns the owner of the peer's socket of the connection between these addresses.
///
/// # Errors
/// If neither the kernel nor its tables give an answer.
pub fn owner_of(peer: SocketAddr, own: SocketAddr) -> io::Result<SocketOwner> {
    let (peer, own) = (canonical(peer), canonical(own));
    match query_kernel(peer, own) {
        // A kernel without this lookup returns the same error for any socket, also for our own.
        Err(err) if err.kind() == io::ErrorKind::NotFound && query_kernel(own, peer).is_ok() => {
            Ok(SocketOwner::Gone)
        }
        Err(err) => search_tables(peer, own).map_err(|_| err),
        result => result,
    }
}

/// Formats a user for a sentence: `root`, `user www-data (33)`, or `user 4711` if it has no name
/// here.
#[must_use]
pub fn described(user: u32) -> String {
    if user == ROOT {
        return "root".to_owned();
    }
    name(users(), user).map_or_else(
        || format!("user {user}"),
        |name| format!("user {name} ({user})"),
    )
}

/// Reads the names of the users: a thread in the sandbox cannot. Later calls return what the first
/// one read.
pub fn users() -> &'static str {
    static PASSWD: OnceLock<String> = OnceLock::new();
    // An image without users has no such file.
    PASSWD.get_or_init(|| fs::read_to_string("/etc/passwd").unwrap_or_default())
}

/// Returns the name of a user from the lines of passwd(5).
fn name(passwd: &str, user: u32) -> Option<&str> {
    let mut lines = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((name, fields.nth(1)?.parse::<u32>().ok()?))
    });
    let (name, _) = lines.find(|(_, number)| *number == user)?;
    Some(name)
}

/// Converts a v4-mapped address to IPv4, by which the kernel finds a socket of either family.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

fn query_kernel(peer: SocketAddr, own: SocketAddr) -> io::Result<SocketOwner> {
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    let kernel = socket_with(family, kind, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG))?;
    send(&kernel, &sock_diag::request(peer, own), SendFlags::empty())?;
    let mut response = [0; sock_diag::MAX_RESPONSE];
    // The answer is there already: the kernel answers within send(2) (netlink(7)).
    let (_, length) = recv(&kernel, &mut response, RecvFlags::DONTWAIT)?;
    sock_diag::parse_response(&response[..length.min(response.len())])
}

fn search_tables(peer: SocketAddr, own: SocketAddr) -> io::Result<SocketOwner> {
    // An IPv6 socket may carry IPv4, and is in the table of IPv6 then.
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

    /// Returns both ends of a connection through `listens`, to which the client connects as `to`.
    fn connected(listen_ip: &str, to: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((listen_ip, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect((to, port)).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn an_open_socket_has_our_user_and_a_closed_one_none() {
        for (listen_ip, to) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("::", "127.0.0.1"),
            ("::", "::ffff:127.0.0.1"),
        ] {
            let (client, server) = connected(listen_ip, to);
            let (peer, own) = (server.peer_addr().unwrap(), server.local_addr().unwrap());
            let ends = (canonical(peer), canonical(own));
            let both = || [query_kernel(ends.0, ends.1), search_tables(ends.0, ends.1)];
            for owner in both() {
                assert_eq!(
                    owner.unwrap(),
                    SocketOwner::User(own_user()),
                    "{listen_ip} {to}"
                );
            }
            assert_eq!(owner_of(peer, own).unwrap(), SocketOwner::User(own_user()));
            // A half-closed socket still has its owner.
            client.shutdown(std::net::Shutdown::Write).unwrap();
            for owner in both() {
                assert_eq!(
                    owner.unwrap(),
                    SocketOwner::User(own_user()),
                    "{listen_ip} {to}"
                );
            }
            drop(client);
            for owner in both() {
                assert_eq!(owner.unwrap(), SocketOwner::Gone, "{listen_ip} {to}");
            }
        }
    }

    #[test]
    fn users_have_names_or_numbers() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nwww-data:x:33:33::/var/www:\n";
        assert_eq!(name(passwd, 33), Some("www-data"));
        assert_eq!((name(passwd, 3), name("", 33)), (None, None));
        assert_eq!(described(0), "root");
        assert_eq!(described(4_000_000_000), "user 4000000000");
    }

    #[test]
    fn each_end_of_a_connection_is_a_socket_of_its_own() {
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
