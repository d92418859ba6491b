//! Position of the scanner in the chunked coding.

use crate::wire::chunk_extension::Extension;

/// Kind of a run of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Chunk data.
    Data,
    /// Sizes, line ends, trailer fields.
    Frame,
    /// Extensions, and trailer fields that are not forwarded.
    Dropped,
}

/// Position of the next byte in the coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScanState {
    Size {
        value: u64,
        digits: u8,
    },
    Extension {
        size: u64,
        part: Extension,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    TrailerStart,
    /// The colon, and blanks before it.
    TrailerColon {
        run: Segment,
    },
    TrailerValue {
        run: Segment,
    },
    TrailerLf {
        run: Segment,
    },
    LastLf,
    Done,
}

impl ScanState {
    /// Start of the first chunk size.
    pub(super) const FIRST: Self = Self::Size {
        value: 0,
        digits: 0,
    };
}

impl Default for ScanState {
    fn default() -> Self {
        Self::FIRST
    }
}
