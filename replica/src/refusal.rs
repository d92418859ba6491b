//! Refusal of a request: the status line and the reason in the reply.

/// Reason to refuse a request and close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Status code and reason phrase.
    pub(crate) status: &'static str,
    /// The reason in a few words.
    pub(crate) reason: &'static str,
}

impl Refusal {
    /// The client does not keep to the protocol.
    pub(crate) const fn bad(reason: &'static str) -> Self {
        Self {
            status: "400 Bad Request",
            reason,
        }
    }
}
