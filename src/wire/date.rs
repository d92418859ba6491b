//! The Date field's value (RFC 9110 §6.6.1), formatted once a second and thread.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of an IMF-fixdate, as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const LEN: usize = 29;

thread_local! {
    static LAST: Cell<(u64, [u8; LEN])> = const { Cell::new((0, [b' '; LEN])) };
}

/// The current date.
#[must_use]
pub fn now() -> [u8; LEN] {
    let time = SystemTime::now();
    let second = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (last, text) = LAST.get();
    if last == second {
        return text;
    }
    let mut text = [b' '; LEN];
    let formatted = httpdate::fmt_http_date(time);
    text[..formatted.len().min(LEN)]
        .copy_from_slice(&formatted.as_bytes()[..formatted.len().min(LEN)]);
    LAST.set((second, text));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_date_of_this_second_or_the_last() {
        let text = String::from_utf8(now().to_vec()).unwrap();
        let parsed = httpdate::parse_http_date(&text).unwrap();
        assert!(SystemTime::now().duration_since(parsed).unwrap().as_secs() < 2);
    }
}
