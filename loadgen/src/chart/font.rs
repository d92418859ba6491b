//! The font of the charts, which is part of the program: no file of the system is asked.
//!
//! DejaVu Sans, cut down to Latin letters and a few signs; its licence lies beside it.

use plotters::style::{FontStyle, register_font};

/// The name under which it is known, which is also what an SVG asks its reader for.
pub(super) const FONT: &str = "sans-serif";

static FONT_FILE: &[u8] = include_bytes!("../../font/DejaVuSans-subset.ttf");

/// Makes the font known; again does no harm.
///
/// # Errors
/// The file is broken, which a test would notice.
pub(crate) fn register() -> anyhow::Result<()> {
    register_font(FONT, FontStyle::Normal, FONT_FILE)
        .map_err(|_| anyhow::anyhow!("the font is broken"))
}
