//! Large bodies, and their comparison.

/// Bytes in which a lost, doubled or moved piece shows.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Compares two bodies. A failure prints `what` and the first difference, not the bytes.
#[track_caller]
pub(crate) fn assert_same(left: &[u8], right: &[u8], what: impl std::fmt::Debug) {
    if left == right {
        return;
    }
    assert_eq!(left.len(), right.len(), "{what:?}");
    let differs = left.iter().zip(right).position(|(a, b)| a != b);
    assert_eq!(differs, None, "{what:?}");
}
