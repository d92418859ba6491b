//! Bytes and sockets: HTTP/1.1 heads and framing, our own replies, deadlines and socket options.
//!
//! Everything here is a tool for a party on the other side of a socket; which party, and what its
//! failure means, is the caller's knowledge. It returns what happened; its caller counts.

pub mod chunked;
pub mod connection_auth;
pub mod date;
pub mod deadline;
mod extension;
pub mod framing;
pub mod head;
pub mod lenient;
pub mod listener;
pub mod options;
pub mod owner;
pub mod pass;
pub mod reply;
pub mod socket;
pub mod splice;
pub mod stream;
pub mod target;
mod trailer;
pub mod version;
