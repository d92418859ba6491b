//! Font of the charts. It is part of the program; no system font is loaded.
//!
//! DejaVu Sans, reduced to Latin letters and a few signs. The licence is in the same directory.

use plotters::style::{FontStyle, register_font};

/// Registered name of the font. An SVG requests the same name from its viewer.
pub(super) const FONT: &str = "sans-serif";

static FONT_FILE: &[u8] = include_bytes!("../../font/DejaVuSans-subset.ttf");

/// Registers the font. Repeated calls are harmless.
///
/// # Errors
/// The file is invalid, which a test would find.
pub(crate) fn register() -> anyhow::Result<()> {
    register_font(FONT, FontStyle::Normal, FONT_FILE)
        .map_err(|_| anyhow::anyhow!("the font file is invalid"))
}
