//! An error reply of our own: whose fault, and what to say.

use super::request_sender::SendError;

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

    /// What to say to a client that broke its request off; `None` if there is no one to say it to.
    pub(super) fn of_client(failed: &SendError) -> Option<Self> {
        match failed {
            // Half of it may be open still (RFC 9112 §8).
            SendError::ClientGone => Some(Self::new(400, "the request body is incomplete")),
            SendError::ClientSilent => {
                Some(Self::new(408, "the request body did not come in time"))
            }
            SendError::BadChunk(broken) => Some(Self::new(400, broken.to_string())),
            SendError::ReplicaGone => None,
        }
    }
}
