//! The process that listens on an address of this machine, for the error about a taken port.
//!
//! It is found in the files of proc(5): the table of sockets gives the inode of the listening
//! socket, and the descriptors of the processes lead to it. Those of other users can be read by
//! root alone, and those of other PID namespaces by no process here.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// State of a listening socket in /proc/net/tcp (`TCP_LISTEN`).
const LISTENING: &str = "0A";

/// A process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListeningProcess {
    /// Its process ID.
    pub pid: u32,
    /// Its name, as the kernel shortens it (`comm`).
    pub name: String,
}

/// Returns the process whose listener is in the way of one on `addr`; `None` if it cannot be seen
/// from here.
#[must_use]
pub fn listening_process(addr: SocketAddr) -> Option<ListeningProcess> {
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let tables = tables.map(|path| fs::read_to_string(path).unwrap_or_default());
    let inode = tables.iter().find_map(|table| inode_of(table, addr))?;
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let mut processes = processes.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        has_descriptor(&entry.path(), &socket).then_some(pid)
    });
    let pid = processes.next()?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let name = name.trim_end().to_owned();
    Some(ListeningProcess { pid, name })
}

fn has_descriptor(process: &Path, socket: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets
        .into_iter()
        .any(|target| target.as_os_str() == socket)
}

/// Returns the inode of the socket whose listener is in the way of one on `addr`, from a table of
/// proc(5): it has the same port, and the same address or one of them has every address.
fn inode_of(table: &str, addr: SocketAddr) -> Option<&str> {
    let port = format!("{:04X}", addr.port());
    let own = addresses(addr.ip());
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, local_port) = fields.get(1)?.rsplit_once(':')?;
        let is_any = addr.ip().is_unspecified() || local.bytes().all(|digit| digit == b'0');
        let is_same = own.iter().any(|own| own == local);
        let listens = local_port == port && *fields.get(3)? == LISTENING && (is_any || is_same);
        fields
            .get(9)
            .copied()
            .filter(|inode| listens && *inode != "0")
    })
}

/// Returns an address as the tables of proc(5) write it, of IPv4 in both forms.
fn addresses(ip: IpAddr) -> Vec<String> {
    let words = |octets: &[u8]| -> String {
        let (words, _) = octets.as_chunks::<4>();
        let words = words.iter().map(|word| u32::from_ne_bytes(*word));
        words.map(|word| format!("{word:08X}")).collect()
    };
    match ip {
        IpAddr::V4(ip) => vec![words(&ip.octets()), words(&ip.to_ipv6_mapped().octets())],
        IpAddr::V6(ip) => vec![words(&ip.octets())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_process_of_a_listening_socket_is_found() {
        for ip in ["127.0.0.1", "::1"] {
            let listener = TcpListener::bind((ip, 0)).unwrap();
            let addr = listener.local_addr().unwrap();
            let found = listening_process(addr).unwrap();
            assert_eq!(found.pid, std::process::id());
            assert!(!found.name.is_empty());
            let any = SocketAddr::from(([0, 0, 0, 0], addr.port()));
            assert_eq!(listening_process(any), Some(found));
            let other = SocketAddr::from(([127, 0, 0, 9], addr.port()));
            assert_eq!(listening_process(other), None, "another address");
            drop(listener);
            assert_eq!(listening_process(addr), None);
        }
    }

    #[test]
    fn a_connection_of_the_port_is_no_listener() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:1388 0100007F:0050 01 00000000:00000000 00:00000000 00000000 0 0 41 1\n   \
             1: 00000000:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 42 1\n   \
             2: 00000000:1389 00000000:0000 0A\n";
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        assert_eq!(inode_of(table, at(5000)), Some("42"));
        assert_eq!(inode_of(table, at(5001)), None, "a line cut short");
        assert_eq!(inode_of(table, at(80)), None);
    }
}
