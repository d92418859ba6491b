//! Spawns child processes: the bundled replica, which gets a Unix socket and prints its listen
//! address, or a custom command, which gets its port or its Unix socket.
//!
//! Spawning forks on the calling thread, which must be the fleet's own (see the engine).

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::output::FirstLine;
use super::socket_folder::{ChildSocket, SocketFolder, asks_for_socket};
use crate::fleet::engine::interface::server_id;
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaName};
use crate::wire::stream_addr::StreamAddr;

/// Prefix of our own settings. They may hold a secret and are kept from replicas.
const OWN_VARIABLE_PREFIX: &str = "RINGMASTER_";

/// Variables by which a service manager speaks with this program (sd_notify(3)), and by which this
/// program would be a replica itself. A replica would take them for its own.
const FOREIGN_VARIABLES: [&str; 10] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "REPLICA_PARENT",
    "REPLICA_SOCKET",
    "PORT",
    "SOCKET",
];

/// Address for a port that the system chooses.
const ANY_PORT: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// Shell prefix that runs a custom command and ends it when the pipe on its standard input closes.
/// A second process of its group waits for that and kills the group. The bundled replica exits by
/// itself.
const DIE_WITH_PARENT_WRAPPER: &str =
    "exec 3<&0 </dev/null; (trap '' TERM INT HUP; read -r _ <&3; kill -KILL 0) & exec 3<&-; exec ";

/// Settings of the engine of child processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSettings {
    /// Number of replicas at first.
    pub count: usize,
    /// Shell command that replaces the bundled replica.
    pub command: Option<String>,
    /// Additional environment variables, as `K=V`.
    pub env: Vec<String>,
    /// Time between SIGTERM and SIGKILL.
    pub stop_timeout: Duration,
}

/// The bundled program and the environment of children. Displayed, it is the program.
#[derive(Debug)]
pub(super) struct Spawner {
    binary: PathBuf,
    env: Vec<String>,
    sockets: SocketFolder,
}

/// A child that was spawned.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) child: Child,
    /// Its address, unless it prints that.
    pub(super) addr: Option<ReplicaAddr>,
    /// Its first line.
    pub(super) first_line: FirstLine,
    /// Its Unix socket, if it has one.
    pub(super) socket: Option<ChildSocket>,
}

impl fmt::Display for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.binary.display())
    }
}

impl Spawner {
    /// Creates a spawner of `binary`, which is needed unless the settings have a command.
    ///
    /// # Errors
    /// When the file is needed and missing.
    pub(super) fn new(binary: &Path, settings: &ProcessSettings) -> io::Result<Self> {
        if settings.command.is_none() && !binary.is_file() {
            let sentence = format!(
                "replica binary not found at {}; build it with: cargo build --release --workspace",
                binary.display()
            );
            return Err(io::Error::new(io::ErrorKind::NotFound, sentence));
        }
        Ok(Self {
            binary: binary.to_owned(),
            env: settings.env.clone(),
            sockets: SocketFolder::default(),
        })
    }

    /// Spawns a child that runs the shell command, or the bundled program.
    ///
    /// # Errors
    /// The system refuses to run the program, or has no port or socket for it.
    pub(super) fn spawn(
        &mut self,
        seat: Option<Seat>,
        name: &ReplicaName,
        command: Option<&str>,
    ) -> io::Result<Spawned> {
        let socket = match command {
            None => self.own_socket(),
            Some(custom) if asks_for_socket(custom) => Some(self.sockets.next_path()?),
            Some(_) => None,
        };
        let path = socket.as_ref().map(|socket| socket.path);
        let (mut command, listen, first_line) = match command {
            None => {
                let mut replica = program(&self.binary);
                replica.env("REPLICA_PARENT", std::process::id().to_string());
                if let Some(path) = &path {
                    replica.env("REPLICA_SOCKET", path.as_path());
                }
                // For a replica that does not know the socket.
                (replica, ANY_PORT.into(), FirstLine::Address(path))
            }
            Some(custom) => {
                let listen = match path {
                    Some(path) => StreamAddr::Unix(path),
                    None => free_port()?.into(),
                };
                (shell(custom, &listen), listen, FirstLine::Any)
            }
        };
        let additional = self
            .env
            .iter()
            .filter_map(|variable| variable.split_once('='));
        command
            .envs(additional)
            .env("SERVER_ID", server_id(seat).to_string())
            .env("REPLICA_NAME", name.as_ref())
            .env("REPLICA_LISTEN", listen.to_string());
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Spawned {
            child,
            addr: (first_line == FirstLine::Any).then_some(ReplicaAddr(listen)),
            first_line,
            socket,
        })
    }

    /// Returns a socket for the bundled replica, which listens on a port if there is none.
    fn own_socket(&mut self) -> Option<ChildSocket> {
        let socket = self.sockets.next_path();
        socket
            .inspect_err(|err| tracing::info!("a replica listens on a port: {err}"))
            .ok()
    }
}

/// Returns a program with our environment, but for what is ours alone.
fn program(path: &Path) -> Command {
    let mut program = Command::new(path);
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with(OWN_VARIABLE_PREFIX) || FOREIGN_VARIABLES.contains(&&*name) {
            program.env_remove(key);
        }
    }
    program
}

/// Returns a shell that runs a custom command, which finds its address in the environment.
fn shell(custom: &str, listen: &StreamAddr) -> Command {
    let mut shell = program(Path::new("/bin/sh"));
    shell
        .arg("-c")
        .arg(format!("{DIE_WITH_PARENT_WRAPPER}{custom}"));
    match listen {
        StreamAddr::Tcp(addr) => shell.env("PORT", addr.port().to_string()),
        StreamAddr::Unix(path) => shell.env("SOCKET", path.as_path()),
    };
    shell
}

/// Returns a loopback address whose port is free at this moment. If another process takes the port
/// before the child binds it, the child exits, and its successor gets another port.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind(ANY_PORT)?.local_addr()
}
