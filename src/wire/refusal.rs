//! Why a message is not taken: what its sender, or the log, is told.

/// Why a request is refused: its status code and a sentence for the one who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// HTTP status code, 4xx or 5xx.
    pub status: u16,
    /// What is wrong, without a final stop.
    pub why: &'static str,
}

impl Refused {
    /// A refusal with status 400.
    #[must_use]
    pub const fn bad(why: &'static str) -> Self {
        Self { status: 400, why }
    }
}

/// A response that must not be passed on, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadResponse(pub &'static str);
