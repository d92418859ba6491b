//! Unix sockets in place of ports (unix(7)).

mod backends;

use std::path::Path;

use crate::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Returns `unix:PATH`.
fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}
