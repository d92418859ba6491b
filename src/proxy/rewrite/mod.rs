//! What a gateway changes in the heads it passes on (RFC 9110 §7.6, RFC 9112 §9): hop-by-hop fields end
//! here, the trail of proxies is added, and all else goes on byte for byte and in order.
//!
//! A `Connection:` nomination never removes Content-Length, Transfer-Encoding or Host: whoever could
//! strip the framing of a message we pass on could smuggle requests. The framing itself is written anew,
//! one field in canonical form.

mod fields;
mod request;
mod response;

pub(super) use fields::{ConnectionTokens, keeps_alive};
pub(super) use request::{RewriteContext, asks_upgrade, max_forwards, request};
pub(super) use response::{HeadEnding, RequestMeta, ResponseMeta, push_head_end, rewrite_reply};

#[cfg(test)]
mod tests;
