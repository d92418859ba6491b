//! Network namespaces: that of a remote host for the network stack, at the other end of a veth
//! pair, and connections within that of another process.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::TEST_TIMEOUT;

/// A network namespace with one end of a virtual cable; the other end is ours. Dropping it removes
/// both.
#[derive(Debug)]
pub(crate) struct RemoteHost {
    pub(crate) name: String,
    /// Our end's address, and theirs.
    pub(crate) here: String,
    pub(crate) there: String,
}

/// Runs `ip`; returns its error output if it fails.
pub(crate) fn ip(line: &str) -> Result<(), String> {
    let output = Command::new("ip").args(line.split(' ')).output();
    let output = output.map_err(|err| format!("ip: {err}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// Connects within the network namespace of a process. The namespace is that of a thread, which
/// ends at once (setns(2)), and the socket stays in it.
pub(crate) fn connect_within(pid: u32, addr: SocketAddr) -> io::Result<TcpStream> {
    let namespace = File::open(format!("/proc/{pid}/ns/net"))?;
    let connect = move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        TcpStream::connect_timeout(&addr, TEST_TIMEOUT)
    };
    thread::spawn(connect).join().expect("a thread")
}

impl RemoteHost {
    /// Creates a namespace, or returns the reason of the system's refusal.
    pub(crate) fn make() -> Result<Self, String> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (process, nth) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let name = format!("rm-{process}-{nth}");
        // Of the block for tests of networks (RFC 2544), four addresses to each.
        let number = process.wrapping_add(nth * 4099);
        let (third, fourth) = (number / 64 % 256, number % 64 * 4);
        let [here, there] = [1, 2].map(|host| format!("198.18.{third}.{}", fourth + host));
        ip(&format!("netns add {name}"))?;
        let made = Self { name, here, there };
        let (name, cable) = (&made.name, format!("rm{process}.{nth}"));
        ip(&format!(
            "link add {cable} type veth peer name rm-there netns {name}"
        ))?;
        ip(&format!("addr add {}/30 dev {cable}", made.here))?;
        ip(&format!("link set {cable} up"))?;
        ip(&format!(
            "-n {name} addr add {}/30 dev rm-there",
            made.there
        ))?;
        ip(&format!("-n {name} link set rm-there up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        Ok(made)
    }
}

impl Drop for RemoteHost {
    fn drop(&mut self) {
        // The cable goes with either of its ends.
        if let Err(err) = ip(&format!("netns del {}", self.name)) {
            eprintln!("{} is left over: {err}", self.name);
        }
    }
}
