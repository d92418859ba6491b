//! Value of the Date field (RFC 9110 §6.6.1), formatted once per second and thread.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of an IMF-fixdate, as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const LEN: usize = 29;

thread_local! {
    static CACHED: Cell<(u64, [u8; LEN])> = const { Cell::new((0, [b' '; LEN])) };
}

/// Returns the current date by the system clock, which may have been set forward or back.
#[must_use]
pub fn now() -> [u8; LEN] {
    at(SystemTime::now())
}

/// Returns the date at `time`.
fn at(time: SystemTime) -> [u8; LEN] {
    let second = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (last, text) = CACHED.get();
    if last == second {
        return text;
    }
    let mut text = [b' '; LEN];
    let formatted = httpdate::fmt_http_date(time);
    text[..formatted.len().min(LEN)]
        .copy_from_slice(&formatted.as_bytes()[..formatted.len().min(LEN)]);
    CACHED.set((second, text));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_date_follows_a_clock_that_jumps() {
        let hour = Duration::from_secs(3600);
        let noon = UNIX_EPOCH + 12 * hour;
        let text = |time| String::from_utf8(at(time).to_vec()).unwrap();
        for (time, expected) in [
            (noon, "Thu, 01 Jan 1970 12:00:00 GMT"),
            (noon + hour, "Thu, 01 Jan 1970 13:00:00 GMT"),
            (noon, "Thu, 01 Jan 1970 12:00:00 GMT"),
            (noon - hour, "Thu, 01 Jan 1970 11:00:00 GMT"),
        ] {
            assert_eq!(text(time), expected);
        }
    }

    #[test]
    fn the_date_is_of_this_second_or_the_last() {
        let text = String::from_utf8(now().to_vec()).unwrap();
        let parsed = httpdate::parse_http_date(&text).unwrap();
        assert!(SystemTime::now().duration_since(parsed).unwrap().as_secs() < 2);
    }
}
