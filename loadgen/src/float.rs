//! Conversions between counts and floating-point numbers.

/// Converts a count; exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "no count comes near 2^53")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Rounds to the nearest count; negative numbers become 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and negative numbers become 0"
)]
pub(crate) fn round_u64(value: f64) -> u64 {
    value.round() as u64
}
