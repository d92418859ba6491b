//! Flags and their environment variables. A usage error exits with code 2 before the replica opens
//! a file or a socket.
//!
//! Containers of the coursework already use the name `SERVER_ID`. The other names begin with
//! `REPLICA_`.

use std::ffi::OsStr;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{Command, CommandFactory as _, FromArgMatches as _, Parser};
use rustix::process::Pid;

/// Prefix of the path of a Unix socket.
const UNIX_PREFIX: &str = "unix:";
/// Longest legal name in bytes, which is the longest hostname label (RFC 1035 §2.3.4).
const MAX_NAME_BYTES: usize = 63;

/// The server bundled with ringmaster.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Number of the seat, shown in the reply to /home; 0 is a standby, seated by a heartbeat
    #[arg(long, env = "SERVER_ID", default_value_t = 1)]
    pub(crate) id: u32,

    /// Name in the reply to /heartbeat [default: S and the number of the seat]
    #[arg(long, env = "REPLICA_NAME", value_parser = parse_name)]
    name: Option<String>,

    /// Address to listen on, or unix:PATH; for port 0 the system chooses a free port
    #[arg(
        long,
        value_name = "ADDR",
        env = "REPLICA_LISTEN",
        default_value = "0.0.0.0:5000",
        value_parser = parse_listen
    )]
    listen: Listen,

    /// Path of a Unix socket to listen on in place of --listen
    #[arg(long, value_name = "PATH", env = "REPLICA_SOCKET", value_parser = parse_socket)]
    socket: Option<PathBuf>,

    /// Process id of the parent: exit when it exits, or when it closes the pipe on stdin
    #[arg(long, value_name = "PID", env = "REPLICA_PARENT", value_parser = parse_pid)]
    pub(crate) parent: Option<Pid>,
}

impl Args {
    /// Reads the command line and the environment. An empty variable counts as unset, as it does
    /// for the balancer: compose makes one of `${NAME:-}`. Bad usage exits with code 2.
    pub(crate) fn read() -> Self {
        let matches = command().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|err| err.exit())
    }

    /// Returns the value of `--name`, or `S` and the number of the seat.
    pub(crate) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("S{}", self.id))
    }

    /// Returns the path of `--socket`, or the address of `--listen`.
    pub(crate) fn listen(&self) -> Listen {
        let socket = self.socket.clone().map(Listen::Unix);
        socket.unwrap_or_else(|| self.listen.clone())
    }
}

/// Returns the parser, which does not read empty variables.
fn command() -> Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    Args::command().mut_args(|arg| match arg.get_env() {
        Some(name) if is_empty(name) => arg.env(Resettable::Reset),
        _ => arg,
    })
}

/// Address of the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    Tcp(SocketAddr),
    /// Path of a Unix socket, whose file does not exist yet.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX_PREFIX}{}", path.display()),
        }
    }
}

fn parse_listen(text: &str) -> Result<Listen, &'static str> {
    match text.strip_prefix(UNIX_PREFIX) {
        Some(path) => parse_socket(path).map(Listen::Unix),
        None => {
            let addr = text.parse().map(Listen::Tcp);
            addr.map_err(|_| "an address is an IP address, a colon and a port, or unix:PATH")
        }
    }
}

fn parse_socket(path: &str) -> Result<PathBuf, &'static str> {
    match path.starts_with('/') {
        true => Ok(path.into()),
        false => Err("the path of a Unix socket begins with /"),
    }
}

fn parse_name(text: &str) -> Result<String, &'static str> {
    let bytes = text.as_bytes();
    let first = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
    let rest = bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte));
    if first && rest && bytes.len() <= MAX_NAME_BYTES {
        Ok(text.to_owned())
    } else {
        Err("a name is [A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
    }
}

fn parse_pid(text: &str) -> Result<Pid, &'static str> {
    text.parse()
        .ok()
        .filter(|raw: &i32| *raw > 0)
        .and_then(Pid::from_raw)
        .ok_or("a process id is a positive integer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_depend_on_each_other() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_name_follows_from_the_number() {
        let args = Args::parse_from(["replica", "--id", "7"]);
        assert_eq!(args.name(), "S7");
        let args = Args::parse_from(["replica", "--id", "7", "--name", "lion"]);
        assert_eq!(args.name(), "lion");
    }

    #[test]
    fn a_name_must_be_a_header_value() {
        let longest = "a".repeat(MAX_NAME_BYTES);
        assert!(parse_name(&longest).is_ok());
        for bad in ["", "-a", "a b", "a\r\nb", "ä", &format!("{longest}a")] {
            assert!(parse_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_listener_is_an_address_or_an_absolute_path() {
        for text in ["127.0.0.1:0", "unix:/run/a.sock"] {
            assert_eq!(parse_listen(text).unwrap().to_string(), text);
        }
        for bad in ["", "unix:", "unix:a.sock", "/run/a.sock", "localhost:1"] {
            assert!(parse_listen(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_socket_takes_the_place_of_the_address() {
        let args = Args::parse_from(["replica", "--listen", "127.0.0.1:0"]);
        assert_eq!(args.listen().to_string(), "127.0.0.1:0");
        let args = Args::parse_from(["replica", "--listen", "127.0.0.1:0", "--socket", "/a.sock"]);
        assert_eq!(args.listen().to_string(), "unix:/a.sock");
        assert!(Args::try_parse_from(["replica", "--socket", "a.sock"]).is_err());
    }

    #[test]
    fn a_pid_is_positive() {
        assert!(parse_pid("1").is_ok());
        for bad in ["0", "-1", "", "x", "99999999999"] {
            assert!(parse_pid(bad).is_err(), "{bad:?}");
        }
    }
}
