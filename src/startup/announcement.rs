//! The announcement of a start: the line with the addresses, and the ready file.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;

use crate::config::{ListenOn, ReplicaSource};
use crate::whole_file;
use crate::wire::stream_addr::StreamAddr;

/// Bound addresses of the data port and the control port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) listen: ListenOn,
    pub(crate) control: ListenOn,
}

/// Prints one line with both addresses and the wanted number of replicas on stdout.
pub(crate) fn print_addresses(addresses: Addresses, replicas: &ReplicaSource, count: usize) {
    let url = |addr: StreamAddr| match addr {
        StreamAddr::Tcp(addr) if addr.ip().is_loopback() || addr.ip().is_unspecified() => {
            format!("http://localhost:{}", addr.port())
        }
        StreamAddr::Tcp(addr) => format!("http://{addr}"),
        StreamAddr::Unix(path) => path.to_string(),
    };
    let urls = |on: ListenOn| on.addrs().map(url).collect::<Vec<_>>().join(" and ");
    let (data, control) = (urls(addresses.listen), urls(addresses.control));
    let engine = replicas.engine();
    let replicas = match replicas {
        // The swarm knows how many there are.
        ReplicaSource::Swarm(_) => "the replicas of a service".to_owned(),
        _ => format!("{count} {}", replica_noun(count)),
    };
    // A closed stdout is no reason to refuse service.
    let _ = writeln!(
        io::stdout(),
        "data {data}, control and dashboard {control}, {replicas} ({engine})"
    );
}

fn replica_noun(count: usize) -> &'static str {
    if count == 1 { "replica" } else { "replicas" }
}

/// Checks that the ready file can be written, as far as that shows beforehand. An existing file
/// stays: it may belong to another process.
///
/// # Errors
/// The system refuses to write the file. This check finds it before the replicas start: later, the
/// error would end a service that already works.
pub(crate) fn check_ready_file_writable(path: &Path) -> anyhow::Result<()> {
    let tried = whole_file::try_replacing(path);
    tried.with_context(|| format!("--ready-file {}", path.display()))
}

/// Removes a stale ready file: it would announce a process that is gone.
pub(crate) fn remove_ready_file(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => {
            Err(err).with_context(|| format!("--ready-file {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Writes the ready file under another name and renames it, so that a reader sees it whole or not
/// at all.
pub(crate) fn write_ready_file(path: &Path, addresses: &Addresses) -> anyhow::Result<()> {
    let addr = |on: ListenOn| on.addrs().next().map(|addr| addr.to_string());
    let second = |on: ListenOn| on.tcp.and(on.unix).map(|unix| unix.path);
    let Addresses { listen, control } = *addresses;
    let mut text = format!(
        r#"{{"listen":"{}","control":"{}""#,
        addr(listen).unwrap_or_default(),
        addr(control).unwrap_or_default()
    );
    let others = [
        ("listen_unix", second(listen)),
        ("control_unix", second(control)),
    ];
    for (name, unix) in others {
        if let Some(unix) = unix {
            // A path has no character that JSON escapes.
            text += &format!(r#","{name}":"{unix}""#);
        }
    }
    text.push('}');
    whole_file::replace(path, format!("{text}\n").as_bytes(), false)
        .with_context(|| format!("--ready-file {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::replica_noun;

    #[test]
    fn one_replica_is_singular() {
        let nouns = [0, 1, 2].map(replica_noun);
        assert_eq!(nouns, ["replicas", "replica", "replicas"]);
    }
}
