//! Addresses of a running balancer's control port, as `ctl` takes them: a host and a port, the path
//! of its Unix socket, or both, as in the value of `serve --control`.

use crate::wire::stream_addr::{UNIX_PREFIX, UnixPath};

/// Addresses of a control port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlAddrs {
    /// Path of its Unix socket, which is tried first: it needs no token.
    pub unix: Option<UnixPath>,
    /// Host and port. The host is looked up when it is needed.
    pub host: Option<String>,
}

/// Parses the addresses. Options of a Unix socket are ignored: they are those of its listener.
pub(super) fn control_addrs(text: &str) -> Result<ControlAddrs, String> {
    let (mut unix, mut host) = (None, None);
    for word in text.split_ascii_whitespace() {
        match word.strip_prefix(UNIX_PREFIX) {
            Some(socket) => {
                let path = socket.split(',').next().unwrap_or_default();
                let path = path.parse().map_err(|err| format!("{err}"))?;
                unix = Some(path);
            }
            None => host = Some(host_and_port(word)?),
        }
    }
    match (&unix, &host) {
        (None, None) => host_and_port(text).map(|_| ControlAddrs { unix, host }),
        _ => Ok(ControlAddrs { unix, host }),
    }
}

fn host_and_port(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(text.to_owned())
        }
        _ => Err("must be a host, a colon and a port, or unix:PATH".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_serve_is_understood() {
        let addrs = control_addrs("0.0.0.0:5001 unix:/run/c.sock,mode=0600").unwrap();
        assert_eq!(addrs.host.as_deref(), Some("0.0.0.0:5001"));
        assert_eq!(addrs.unix, "/run/c.sock".parse().ok());
        for text in ["", "unix:c.sock", "host", ":1", "host:x"] {
            assert!(control_addrs(text).is_err(), "{text:?}");
        }
    }
}
