//! Changes that a gateway makes in the heads it relays (RFC 9110 §7.6, RFC 9112 §9). Hop-by-hop
//! fields are removed and the forwarding fields are added. Everything else is relayed byte for byte
//! and in order.
//!
//! A `Connection:` nomination never removes Content-Length, Transfer-Encoding or Host: a sender
//! that could strip the framing could smuggle requests. The framing is written as a single field in
//! canonical form.

mod fields;
mod request;
mod response;

pub(super) use fields::{ConnectionTokens, keeps_alive};
pub(super) use request::{RewriteContext, asks_upgrade, max_forwards, rewrite_request};
pub(super) use response::{HeadEnding, RequestMeta, ResponseMeta, push_head_end, rewrite_reply};

#[cfg(test)]
mod tests;
