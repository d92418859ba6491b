//! What one client, many idle clients, and slow ones may cost, and that nobody who fits is dropped.

mod crowd;
mod drip;
mod memory;
mod parting;
mod replies;
mod slots;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
