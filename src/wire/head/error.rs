//! Heads that are refused, and the reason.

/// Refusal of a request: its status code and a sentence for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestError {
    /// HTTP status code, 4xx or 5xx.
    pub status: u16,
    /// Reason, without a full stop.
    pub why: &'static str,
}

impl RequestError {
    /// A refusal with status 400.
    #[must_use]
    pub const fn bad(why: &'static str) -> Self {
        Self { status: 400, why }
    }
}

/// Reason why a response must not be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadResponse(pub &'static str);
