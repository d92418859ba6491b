//! Flags and the environment variable behind each. Usage errors exit with code 2 before anything is
//! opened.
//!
//! Containers of the coursework already use the name `SERVER_ID`; the other names begin with
//! `REPLICA_`.

use std::net::SocketAddr;

use clap::Parser;
use rustix::process::Pid;

/// The longest legal name, in bytes: the longest hostname label (RFC 1035 §2.3.4).
const MAX_NAME: usize = 63;

/// The server bundled with ringmaster.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// The number in the answer of /home: the seat this replica fills; 0: a heartbeat will tell
    #[arg(long, env = "SERVER_ID", default_value_t = 1)]
    pub(crate) id: u32,

    /// The name in the answer of /heartbeat, by default S and the number
    #[arg(long, env = "REPLICA_NAME", value_parser = parse_name)]
    name: Option<String>,

    /// Address to listen on; the system chooses a port of 0
    #[arg(
        long,
        value_name = "ADDR",
        env = "REPLICA_LISTEN",
        default_value = "0.0.0.0:5000"
    )]
    pub(crate) listen: SocketAddr,

    /// End with the process of this id, which is our parent and holds a pipe to our stdin
    #[arg(long, value_name = "PID", env = "REPLICA_PARENT", value_parser = parse_pid)]
    pub(crate) parent: Option<Pid>,
}

impl Args {
    /// The name that was given, or the one that follows from the number.
    pub(crate) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("S{}", self.id))
    }
}

fn parse_name(text: &str) -> Result<String, &'static str> {
    let bytes = text.as_bytes();
    let first = bytes.first().is_some_and(u8::is_ascii_alphanumeric);
    let rest = bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte));
    if first && rest && bytes.len() <= MAX_NAME {
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
    fn flags_hang_together() {
        use clap::CommandFactory;
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
    fn what_is_no_header_value_is_no_name() {
        let longest = "a".repeat(MAX_NAME);
        assert!(parse_name(&longest).is_ok());
        for bad in ["", "-a", "a b", "a\r\nb", "ä", &format!("{longest}a")] {
            assert!(parse_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pid_is_positive() {
        assert!(parse_pid("1").is_ok());
        for bad in ["0", "-1", "", "x", "99999999999"] {
            assert!(parse_pid(bad).is_err(), "{bad:?}");
        }
    }
}
