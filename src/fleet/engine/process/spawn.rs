//! Spawns child processes: the bundled replica, which prints its listen address, or a custom
//! command, which gets its port or its Unix socket from us.
//!
//! Spawning forks on the calling thread, which must be the fleet's own (see the engine).

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::socket_folder::{ChildSocket, SocketFolder, asks_for_socket};
use crate::fleet::engine::interface::server_id;
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaName};
use crate::wire::stream_addr::StreamAddr;

/// Prefix of our own settings. They may hold a secret and are kept from replicas.
const OWN_VARIABLE_PREFIX: &str = "RINGMASTER_";

/// Variables by which a service manager speaks with this program (sd_notify(3)). A replica would
/// speak in its place.
const MANAGER_VARIABLES: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
];

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
    /// Its address, if we chose that.
    pub(super) addr: Option<ReplicaAddr>,
    /// Its Unix socket, if it asked for one.
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
        let mut socket = None;
        let (mut command, addr) = match command {
            None => (Command::new(&self.binary), None),
            Some(custom) => {
                let mut shell = Command::new("/bin/sh");
                shell
                    .arg("-c")
                    .arg(format!("{DIE_WITH_PARENT_WRAPPER}{custom}"));
                if asks_for_socket(custom) {
                    socket = Some(self.sockets.next_path()?);
                }
                let addr = match &socket {
                    Some(socket) => StreamAddr::Unix(socket.path),
                    None => free_port()?.into(),
                };
                (shell, Some(addr))
            }
        };
        for (key, _) in std::env::vars_os() {
            let name = key.to_string_lossy();
            if name.starts_with(OWN_VARIABLE_PREFIX) || MANAGER_VARIABLES.contains(&&*name) {
                command.env_remove(key);
            }
        }
        let additional = self
            .env
            .iter()
            .filter_map(|variable| variable.split_once('='));
        command
            .envs(additional)
            .env("SERVER_ID", server_id(seat).to_string())
            .env("REPLICA_NAME", name.as_ref());
        match addr {
            None => command
                .env("REPLICA_LISTEN", "127.0.0.1:0")
                .env("REPLICA_PARENT", std::process::id().to_string()),
            Some(addr) => command.env("REPLICA_LISTEN", addr.to_string()),
        };
        match addr {
            None => {}
            Some(StreamAddr::Tcp(addr)) => drop(command.env("PORT", addr.port().to_string())),
            Some(StreamAddr::Unix(path)) => drop(command.env("SOCKET", path.as_path())),
        }
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Spawned {
            child,
            addr: addr.map(ReplicaAddr),
            socket,
        })
    }
}

/// Returns a loopback address whose port is free at this moment. If another process takes the port
/// before the child binds it, the child exits, and its successor gets another port.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
