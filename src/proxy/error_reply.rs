//! Error replies that Ringmaster writes itself.

/// An error reply: the status, and a sentence for the body.
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
