//! `ringmaster healthcheck`: requests `/healthz` of a running balancer, for images that hold no
//! other HTTP client. The exit code is the answer.
//!
//! The wildcard address of a listener is replaced by loopback.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::config::ListenOn;
use crate::wire::socket::loopback_if_unspecified;
use crate::wire::unix_socket;

/// Time limit of the connect, of each read and of each write.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// Largest number of bytes read of a response: its first line suffices.
const MAX_RESPONSE: u64 = 1024;

/// Connects to the Unix socket of a control port, or to its port without one. Also returns the
/// value of the Host field.
fn connect(control: ListenOn) -> io::Result<(TcpStream, String)> {
    match (control.unix, control.tcp) {
        (Some(unix), _) => {
            let stream = unix_socket::connect_blocking(&unix.path, CHECK_TIMEOUT)?;
            Ok((stream, "localhost".to_owned()))
        }
        (None, Some(addr)) => {
            let addr = loopback_if_unspecified(addr);
            let stream = TcpStream::connect_timeout(&addr, CHECK_TIMEOUT)?;
            Ok((stream, addr.to_string()))
        }
        (None, None) => Err(ErrorKind::AddrNotAvailable.into()),
    }
}

/// Checks the balancer with the control port `control`, and returns the status line.
///
/// # Errors
/// When the balancer is unreachable, does not answer in time, or answers with a status other than
/// 200.
pub(crate) fn run(control: ListenOn) -> io::Result<String> {
    let (mut stream, host) = connect(control)?;
    stream.set_read_timeout(Some(CHECK_TIMEOUT))?;
    stream.set_write_timeout(Some(CHECK_TIMEOUT))?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let read = stream.take(MAX_RESPONSE).read_to_end(&mut answer);
    read.map_err(|err| match err.kind() {
        ErrorKind::WouldBlock => io::Error::new(
            ErrorKind::TimedOut,
            format!("no answer within {CHECK_TIMEOUT:?}"),
        ),
        _ => err,
    })?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.lines().next().unwrap_or_default();
    if status.starts_with("HTTP/1.1 200 ") {
        Ok(status.to_owned())
    } else {
        let reason = format!("it answered {status:?}");
        Err(io::Error::new(ErrorKind::InvalidData, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn on(addr: ([u8; 4], u16)) -> ListenOn {
        ListenOn {
            tcp: Some(addr.into()),
            unix: None,
        }
    }

    fn is_healthy(answer: &'static str) -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let read = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request[..read].to_vec()).unwrap()
        });
        let asked = run(on(([0, 0, 0, 0], port)));
        assert!(
            server
                .join()
                .unwrap()
                .starts_with("GET /healthz HTTP/1.1\r\n")
        );
        asked
    }

    #[test]
    fn only_200_is_health() {
        assert!(is_healthy("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_ok());
        for bad in [
            "HTTP/1.1 503 Service Unavailable\r\n\r\n",
            "",
            "HTTP/1.1 2000 OK\r\n\r\n",
        ] {
            assert!(is_healthy(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unreachable_balancer_is_an_error() {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        assert!(run(on(([127, 0, 0, 1], port))).is_err());
    }
}
