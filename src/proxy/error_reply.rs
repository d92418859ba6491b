//! An error reply of our own: whose fault, and what to say.

/// An error reply: whose fault, and what to say.
#[derive(Debug)]
pub(super) struct ErrorReply {
    pub(super) status: u16,
    pub(super) sentence: String,
}

impl ErrorReply {
    pub(super) fn new(status: u16, sentence: impl Into<String>) -> Self {
        Self {
            status,
            sentence: sentence.into(),
        }
    }
}
