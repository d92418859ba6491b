//! What a child process is made of: the bundled replica, which says where it listens, or somebody's own
//! command, which is told.
//!
//! Surprising: it forks on the calling thread, and must, see the engine.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::fleet::engine::server_id;
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaName};

/// Our own settings, which may hold a secret, are not for the replica.
const OWN_VARIABLE_PREFIX: &str = "RINGMASTER_";

/// Runs somebody's own command, and ends it when the pipe that we hold on its standard input closes, as the
/// bundled replica does by itself: a second process of its group waits for that and kills the group.
const DIE_WITH_PARENT_WRAPPER: &str =
    "exec 3<&0 </dev/null; (trap '' TERM INT HUP; read -r _ <&3; kill -KILL 0) & exec 3<&-; exec ";

/// What is wanted of the engine of child processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSettings {
    /// How many replicas at first.
    pub count: usize,
    /// What they run instead of the bundled replica: a command for the shell.
    pub command: Option<String>,
    /// More of their environment, as `K=V`.
    pub env: Vec<String>,
}

/// How children are made.
#[derive(Debug)]
pub(super) struct Spawner {
    binary: PathBuf,
    command: Option<String>,
    env: Vec<String>,
}

/// What is run.
impl fmt::Display for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.command {
            None => write!(f, "{}", self.binary.display()),
            Some(command) => f.write_str(command),
        }
    }
}

impl Spawner {
    /// Makes them of `binary`, or as is wanted instead.
    ///
    /// # Errors
    /// When there is no such file and it is needed.
    pub(super) fn new(binary: &Path, wanted: &ProcessSettings) -> io::Result<Self> {
        if wanted.command.is_none() && !binary.is_file() {
            let sentence = format!(
                "replica binary not found at {}; build it with: cargo build --release --workspace",
                binary.display()
            );
            return Err(io::Error::new(io::ErrorKind::NotFound, sentence));
        }
        Ok(Self {
            binary: binary.to_owned(),
            command: wanted.command.clone(),
            env: wanted.env.clone(),
        })
    }

    /// The child, and where it will listen if that was told to it.
    pub(super) fn spawn(
        &self,
        seat: Option<Seat>,
        name: &ReplicaName,
    ) -> io::Result<(Child, Option<ReplicaAddr>)> {
        let (mut command, addr) = match &self.command {
            None => (Command::new(&self.binary), None),
            Some(own) => {
                let mut shell = Command::new("/bin/sh");
                shell
                    .arg("-c")
                    .arg(format!("{DIE_WITH_PARENT_WRAPPER}{own}"));
                (shell, Some(free_port()?))
            }
        };
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with(OWN_VARIABLE_PREFIX) {
                command.env_remove(key);
            }
        }
        let more = self
            .env
            .iter()
            .filter_map(|variable| variable.split_once('='));
        command
            .envs(more)
            .env("SERVER_ID", server_id(seat).to_string())
            .env("REPLICA_NAME", name.as_ref());
        match addr {
            None => command
                .env("REPLICA_LISTEN", "127.0.0.1:0")
                .env("REPLICA_PARENT", std::process::id().to_string()),
            Some(addr) => command
                .env("REPLICA_LISTEN", addr.to_string())
                .env("PORT", addr.port().to_string()),
        };
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok((child, addr.map(ReplicaAddr)))
    }
}

/// A port of the loopback address that nobody has at this moment. Somebody may have it the next; then the
/// child ends, and its successor gets another.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
