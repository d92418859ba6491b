//! Error replies that Ringmaster writes itself.

/// An error reply: the status, and a sentence for the body.
#[derive(Debug)]
pub(super) struct ErrorReply {
    pub(super) status: u16,
    pub(super) sentence: String,
}

/// Header field of a reply without a replica: its seats are filled again soon.
pub(super) const RETRY_AFTER: &str = "Retry-After: 1\r\n";

impl ErrorReply {
    pub(super) fn new(status: u16, sentence: impl Into<String>) -> Self {
        Self {
            status,
            sentence: sentence.into(),
        }
    }

    /// Returns the reply to a client that ends its connection within a body. The client may have
    /// closed only its sending half (RFC 9112 §8).
    pub(super) fn incomplete_body() -> Self {
        Self::new(400, "the request body is incomplete")
    }

    /// Returns the reply to a client whose body timed out.
    pub(super) fn body_timeout() -> Self {
        Self::new(408, "the request body did not come in time")
    }
}
