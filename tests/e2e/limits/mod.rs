//! Costs of one client, of many idle clients and of slow ones. No client within the limits is
//! dropped.

mod connections;
mod lingering_close;
mod memory;
mod replies;
mod slots;
mod slow_bodies;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
