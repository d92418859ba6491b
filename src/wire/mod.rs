//! Bytes and sockets: HTTP/1.1 heads and framing, local replies, deadlines and socket options. Also
//! the beginnings of other protocols: PROXY headers and the ClientHello of TLS.
//!
//! Everything here serves one connection. The caller knows the role of the peer, and what its
//! failure means. Functions return the outcome; the caller counts it.

mod chunk_extension;
pub mod chunked;
pub mod client_hello;
pub mod client_prefix;
pub mod connection_auth;
pub mod date;
pub mod deadline;
pub mod fd_passing;
pub mod framing;
pub mod head;
pub mod lazy_stream;
pub mod lenient;
pub mod listener;
pub mod local_reply;
pub mod peer_addr;
pub mod port_owner;
pub mod proxy_header;
pub mod request_target;
pub mod socket;
pub mod socket_owner;
pub mod sockopt;
pub mod splice;
pub mod stream_addr;
mod trailer;
pub mod unix_listener;
pub mod unix_socket;
pub mod version;
