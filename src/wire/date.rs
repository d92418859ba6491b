//! The Date field's value (RFC 9110 §6.6.1), formatted once a second and thread.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of an IMF-fixdate, as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const LEN: usize = 29;

thread_local! {
    static LAST: Cell<(u64, [u8; LEN])> = const { Cell::new((0, [b' '; LEN])) };
}

/// The current date, by the system's clock as it stands: it may have been set forward or back.
#[must_use]
pub fn now() -> [u8; LEN] {
    at(SystemTime::now())
}

/// The date at `time`.
fn at(time: SystemTime) -> [u8; LEN] {
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
    use std::time::Duration;

    #[test]
    fn a_clock_that_jumps_takes_the_date_with_it() {
        let hour = Duration::from_secs(3600);
        let noon = UNIX_EPOCH + 12 * hour;
        let text = |time| String::from_utf8(at(time).to_vec()).unwrap();
        for (time, shown) in [
            (noon, "Thu, 01 Jan 1970 12:00:00 GMT"),
            (noon + hour, "Thu, 01 Jan 1970 13:00:00 GMT"),
            (noon, "Thu, 01 Jan 1970 12:00:00 GMT"),
            (noon - hour, "Thu, 01 Jan 1970 11:00:00 GMT"),
        ] {
            assert_eq!(text(time), shown);
        }
    }

    #[test]
    fn it_is_a_date_of_this_second_or_the_last() {
        let text = String::from_utf8(now().to_vec()).unwrap();
        let parsed = httpdate::parse_http_date(&text).unwrap();
        assert!(SystemTime::now().duration_since(parsed).unwrap().as_secs() < 2);
    }
}
