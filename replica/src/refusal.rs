//! Refusal of a request: the status line and the reason in the reply.

/// Refused request: its reply is sent, then the connection closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Status code and reason phrase.
    pub(crate) status: &'static str,
    /// The reason in a few words.
    pub(crate) reason: &'static str,
}

impl Refusal {
    /// Creates a refusal with status 400, for a client that violates the protocol.
    pub(crate) const fn bad(reason: &'static str) -> Self {
        Self {
            status: "400 Bad Request",
            reason,
        }
    }
}
