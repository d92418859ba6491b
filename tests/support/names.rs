//! Names that only one program knows: a folder of the test is its /etc, in a mount namespace of its
//! own. Their servers listen on loopback addresses that no other test uses.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use super::{end_of, fresh_path, under};

/// Runs a command with another folder as /etc: the folder is `$0`.
const WITH_ETC: &str = r#"mount --bind "$0" /etc && exec "$@""#;

/// The names of a program, and the addresses of their servers.
#[derive(Debug)]
pub(crate) struct Names {
    etc: PathBuf,
    /// A port that is free on all of [`Names::at`].
    pub(crate) port: u16,
    network: [u8; 2],
    /// A name server that never answers.
    silent: Option<UdpSocket>,
}

impl Names {
    /// Creates a table without names, or returns the reason of the system's refusal.
    pub(crate) fn make() -> Result<Self, String> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let [.., second] = (std::process::id() % 120 + 100).to_be_bytes();
        let [.., third] = (number % 250).to_be_bytes();
        let etc = fresh_path("etc");
        std::fs::create_dir(&etc).map_err(|err| err.to_string())?;
        let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let made = Self {
            etc,
            port: any.local_addr().expect("its port").port(),
            network: [second, third],
            silent: None,
        };
        made.write("nsswitch.conf", "hosts: files\n");
        made.write("host.conf", "multi on\n");
        made.set(&[]);
        let mut tried = Command::new("unshare");
        let tried = tried.args(["-m", "sh", "-c", WITH_ETC]).arg(&made.etc);
        let tried = end_of(tried.arg("true"));
        match tried.status.success() {
            true => Ok(made),
            false => Err(String::from_utf8_lossy(&tried.stderr).trim().to_owned()),
        }
    }

    /// The program that knows the names.
    pub(crate) fn program(&self) -> Command {
        let etc = self.etc.to_str().expect("UTF-8");
        under(&["unshare", "-m", "sh", "-c", WITH_ETC, etc])
    }

    /// An address for a server.
    pub(crate) fn at(&self, host: u8) -> SocketAddr {
        let [second, third] = self.network;
        (Ipv4Addr::new(127, second, third, host), self.port).into()
    }

    /// Sets the addresses of all names.
    pub(crate) fn set(&self, names: &[(&str, SocketAddr)]) {
        let lines = names
            .iter()
            .map(|(name, at)| format!("{} {name}\n", at.ip()));
        // A reader sees the old table or the new one.
        self.write("hosts.new", &lines.collect::<String>());
        std::fs::rename(self.etc.join("hosts.new"), self.etc.join("hosts")).expect("a rename");
    }

    /// Has names that are not in the table looked up by a name server that never answers, for
    /// longer than any test waits.
    pub(crate) fn ask_a_silent_server(&mut self) {
        let ip = self.at(53).ip();
        self.silent = Some(UdpSocket::bind((ip, 53)).expect("the port of a name server"));
        self.write(
            "resolv.conf",
            &format!("nameserver {ip}\noptions timeout:30 attempts:3\n"),
        );
        self.write("nsswitch.conf", "hosts: files dns\n");
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.etc.join(file), text).expect("a file");
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        // What is left over is below the folder of the build.
        let _ = std::fs::remove_dir_all(&self.etc);
    }
}

/// A server with this number in its answers; dropping it kills it.
#[derive(Debug)]
pub(crate) struct NumberedServer {
    pub(crate) addr: SocketAddr,
    process: Child,
}

impl NumberedServer {
    /// Starts it at a port of the system's choice.
    pub(crate) fn at_any_port(number: u32) -> Self {
        Self::start((Ipv4Addr::LOCALHOST, 0).into(), number)
    }

    /// Starts it, and waits until it listens.
    pub(crate) fn start(at: SocketAddr, number: u32) -> Self {
        let ours = Path::new(env!("CARGO_BIN_EXE_ringmaster"));
        let mut command = Command::new(ours.with_file_name("replica"));
        let command = command.args(["--id", &number.to_string(), "--listen", &at.to_string()]);
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the replica");
        let mut line = String::new();
        let output = process.stdout.take().expect("a pipe");
        let read = BufReader::new(output).read_line(&mut line);
        read.expect("its first line");
        let announced: Value = serde_json::from_str(&line).expect("JSON");
        let addr = announced["listen"]
            .as_str()
            .and_then(|addr| addr.parse().ok());
        let addr = addr.expect("the address of the replica");
        Self { addr, process }
    }
}

impl Drop for NumberedServer {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
