//! The process that listens on a port of this machine, for the error about a taken port.
//!
//! It is found in the files of proc(5): the table of sockets gives the inode of the listening
//! socket, and the descriptors of the processes lead to it. Those of other users can be read by
//! root alone, and those of other PID namespaces by no process here.

use std::fs;
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

/// Returns the process that listens on `port`; `None` if it cannot be seen from here.
#[must_use]
pub fn listening_process(port: u16) -> Option<ListeningProcess> {
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let tables = tables.map(|path| fs::read_to_string(path).unwrap_or_default());
    let inode = tables.iter().find_map(|table| inode_of(table, port))?;
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

/// Returns the inode of the socket that listens on `port`, from a table of proc(5).
fn inode_of(table: &str, port: u16) -> Option<&str> {
    let port = format!("{port:04X}");
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
        let listens = local_port == port && *fields.get(3)? == LISTENING;
        fields
            .get(9)
            .copied()
            .filter(|inode| listens && *inode != "0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_process_of_a_listening_socket_is_found() {
        for ip in ["127.0.0.1", "::1"] {
            let listener = TcpListener::bind((ip, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let found = listening_process(port).unwrap();
            assert_eq!(found.pid, std::process::id());
            assert!(!found.name.is_empty());
            drop(listener);
            assert_eq!(listening_process(port), None);
        }
    }

    #[test]
    fn a_connection_of_the_port_is_no_listener() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:1388 0100007F:0050 01 00000000:00000000 00:00000000 00000000 0 0 41 1\n   \
             1: 00000000:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 42 1\n   \
             2: 00000000:1389 00000000:0000 0A\n";
        assert_eq!(inode_of(table, 5000), Some("42"));
        assert_eq!(inode_of(table, 5001), None, "a line cut short");
        assert_eq!(inode_of(table, 80), None);
    }
}
