//! Error guard: notices a replica that answers with server errors (status 5xx), which its
//! heartbeats may not show.
//!
//! A replica is to be ejected after a number of errors in a row, or when a share of its replies in
//! the last [`WINDOW_SECONDS`] seconds were errors. An ejected replica gets no requests for
//! [`EJECTION`], and then one request as a probe. A reply without an error ends the ejection; an
//! error doubles its time, up to [`MAX_EJECTION`].
//!
//! Pure: the time is a parameter. Each worker judges by what it observes.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Length of the window of the share of errors, in seconds.
const WINDOW_SECONDS: usize = 10;
/// Minimum number of replies in the window for its share to count.
const MIN_REPLIES: u32 = 20;
/// Time of a first ejection.
const EJECTION: Duration = Duration::from_secs(1);
/// Maximum time of an ejection.
const MAX_EJECTION: Duration = Duration::from_secs(30);
/// Time after which a probe without a reply is repeated by another one.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Errors after which a replica is ejected. At least one of the two is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EjectionRule {
    /// Errors in a row.
    in_a_row: Option<u32>,
    /// Errors in 100 replies of the window.
    percent: Option<u32>,
}

/// A text that is not a rule of ejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a number of errors in a row, a share such as 50%, or both: 5,50%")]
pub struct ParseEjectionRuleError;

impl EjectionRule {
    /// Returns `true` if replies without an error count too.
    #[must_use]
    pub fn counts_all(self) -> bool {
        self.percent.is_some()
    }
}

impl FromStr for EjectionRule {
    type Err = ParseEjectionRuleError;

    fn from_str(text: &str) -> Result<Self, ParseEjectionRuleError> {
        let mut rule = Self {
            in_a_row: None,
            percent: None,
        };
        for part in text.split(',') {
            let (number, place, most) = match part.strip_suffix('%') {
                Some(percent) => (percent, &mut rule.percent, 100),
                None => (part, &mut rule.in_a_row, u32::MAX),
            };
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            let parsed = number.parse().ok().filter(|_| is_number);
            let parsed = parsed.filter(|number| (1..=most).contains(number));
            let parsed = parsed.ok_or(ParseEjectionRuleError)?;
            if place.replace(parsed).is_some() {
                return Err(ParseEjectionRuleError);
            }
        }
        Ok(rule)
    }
}

impl fmt::Display for EjectionRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.in_a_row, self.percent) {
            (Some(number), Some(percent)) => write!(f, "{number},{percent}%"),
            (Some(number), None) => write!(f, "{number}"),
            (None, percent) => write!(f, "{}%", percent.unwrap_or_default()),
        }
    }
}

/// Reason for an ejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorEvidence {
    /// This many errors came in a row.
    InARow(u32),
    /// Errors and replies in the window.
    Share(u32, u32),
}

impl fmt::Display for ErrorEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InARow(number) => write!(f, "{number} replies in a row were 5xx"),
            Self::Share(errors, replies) => {
                write!(
                    f,
                    "{errors} of {replies} replies in {WINDOW_SECONDS} s were 5xx"
                )
            }
        }
    }
}

/// Consequence of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorVerdict {
    /// None.
    None,
    /// The replica is to be ejected.
    Eject(ErrorEvidence),
    /// The ejection goes on.
    Prolonged(Duration),
    /// The ejection is over.
    Recovered,
}

/// Observation of the replies of one replica by one worker.
#[derive(Clone, Debug, Default)]
pub struct ErrorWatch {
    in_a_row: u32,
    window: [WindowSlice; WINDOW_SECONDS],
    /// Time of the first reply, from which the seconds of the window are counted.
    begun: Option<Instant>,
    ejection: Option<Ejection>,
    /// `true` if an ejection was refused since the last reply without an error.
    spared: bool,
}

/// Replies of one second.
#[derive(Clone, Copy, Debug, Default)]
struct WindowSlice {
    second: u64,
    replies: u32,
    errors: u32,
}

#[derive(Clone, Copy, Debug)]
struct Ejection {
    time: Duration,
    /// Time of the next probe.
    next_probe: Instant,
}

impl ErrorWatch {
    /// Records a reply. During an ejection only that to a probe counts.
    pub fn record(
        &mut self,
        rule: EjectionRule,
        is_error: bool,
        is_probe: bool,
        now: Instant,
    ) -> ErrorVerdict {
        if let Some(ejection) = &mut self.ejection {
            if !is_probe {
                return ErrorVerdict::None;
            }
            if !is_error {
                *self = Self::default();
                return ErrorVerdict::Recovered;
            }
            ejection.time = (ejection.time * 2).min(MAX_EJECTION);
            ejection.next_probe = now + ejection.time;
            return ErrorVerdict::Prolonged(ejection.time);
        }
        let window = rule.percent.map(|_| self.count(is_error, now));
        if !is_error {
            (self.in_a_row, self.spared) = (0, false);
            return ErrorVerdict::None;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        if rule.in_a_row.is_some_and(|most| self.in_a_row >= most) {
            return ErrorVerdict::Eject(ErrorEvidence::InARow(self.in_a_row));
        }
        if let (Some(percent), Some((errors, replies))) = (rule.percent, window)
            && replies >= MIN_REPLIES
            && u64::from(errors) * 100 >= u64::from(percent) * u64::from(replies)
        {
            return ErrorVerdict::Eject(ErrorEvidence::Share(errors, replies));
        }
        ErrorVerdict::None
    }

    /// Counts a reply, and returns the errors and the replies of the window.
    fn count(&mut self, is_error: bool, now: Instant) -> (u32, u32) {
        let begun = *self.begun.get_or_insert(now);
        let second = now.saturating_duration_since(begun).as_secs();
        let place = usize::try_from(second).unwrap_or_default() % WINDOW_SECONDS;
        let slice = &mut self.window[place];
        if slice.second != second {
            *slice = WindowSlice {
                second,
                ..WindowSlice::default()
            };
        }
        slice.replies = slice.replies.saturating_add(1);
        slice.errors = slice.errors.saturating_add(u32::from(is_error));
        let recent = |slice: &&WindowSlice| slice.second + WINDOW_SECONDS as u64 > second;
        let recent = self.window.iter().filter(recent);
        recent.fold((0, 0), |(errors, replies), slice| {
            (errors + slice.errors, replies + slice.replies)
        })
    }

    /// Ejects the replica.
    pub fn eject(&mut self, now: Instant) {
        self.ejection = Some(Ejection {
            time: EJECTION,
            next_probe: now + EJECTION,
        });
    }

    /// Ends an ejection, if there is one, and forgets all replies.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Records that the replica is not ejected, because too many are. Returns `true` the first time
    /// since its last reply without an error.
    pub fn spare(&mut self) -> bool {
        !std::mem::replace(&mut self.spared, true)
    }

    /// Returns `true` while the replica is ejected.
    #[must_use]
    pub fn is_ejected(&self) -> bool {
        self.ejection.is_some()
    }

    /// Returns `true` if requests go elsewhere now: the replica is ejected, and no probe is due.
    #[must_use]
    pub fn is_avoided(&self, now: Instant) -> bool {
        self.ejection
            .is_some_and(|ejection| now < ejection.next_probe)
    }

    /// Records that the replica gets a request. Returns `true` if the request is a probe.
    pub fn record_sent(&mut self, now: Instant) -> bool {
        let due = self.ejection.as_mut();
        let due = due.filter(|ejection| now >= ejection.next_probe);
        let is_probe = due.is_some();
        if let Some(ejection) = due {
            ejection.next_probe = now + PROBE_INTERVAL;
        }
        is_probe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> EjectionRule {
        text.parse().unwrap()
    }

    #[test]
    fn a_rule_is_a_number_a_share_or_both() {
        for text in ["1", "5", "50%", "5,50%", "1,100%"] {
            assert_eq!(rule(text).to_string(), text);
        }
        assert_eq!(rule("50%,5"), rule("5,50%"));
        for bad in [
            "", "0", "0%", "101%", "5,5", "5%,5%", "+5", "-1", "5,", "50 %", "x",
        ] {
            assert_eq!(
                bad.parse::<EjectionRule>(),
                Err(ParseEjectionRuleError),
                "{bad}"
            );
        }
    }

    #[test]
    fn errors_in_a_row_eject_and_one_good_reply_starts_again() {
        let (mut watch, now) = (ErrorWatch::default(), Instant::now());
        let mut reply = |is_error| watch.record(rule("3"), is_error, false, now);
        let errors = [
            reply(true),
            reply(true),
            reply(false),
            reply(true),
            reply(true),
        ];
        assert_eq!(errors, [ErrorVerdict::None; 5]);
        assert_eq!(reply(true), ErrorVerdict::Eject(ErrorEvidence::InARow(3)));
    }

    #[test]
    fn a_share_of_errors_ejects_once_there_are_enough_replies_in_the_window() {
        let (mut watch, begun) = (ErrorWatch::default(), Instant::now());
        let half = rule("50%");
        let mut reply = |second: u64, is_error| {
            watch.record(half, is_error, false, begun + Duration::from_secs(second))
        };
        for n in 0..MIN_REPLIES - 1 {
            assert_eq!(reply(0, n % 2 == 1), ErrorVerdict::None);
        }
        // Ten seconds later all of them are forgotten.
        for n in 0..MIN_REPLIES - 1 {
            assert_eq!(reply(10, n % 2 == 1), ErrorVerdict::None);
        }
        let expected = ErrorVerdict::Eject(ErrorEvidence::Share(10, 20));
        assert_eq!(reply(19, true), expected);
        // Fewer errors than good replies are below the share.
        let mut watch = ErrorWatch::default();
        for n in 0..41 {
            let verdict = watch.record(half, n > 1 && n % 2 == 1, false, begun);
            assert_eq!(verdict, ErrorVerdict::None, "reply {n}");
        }
    }

    #[test]
    fn one_probe_at_a_time_decides_about_the_end() {
        let (mut watch, begun) = (ErrorWatch::default(), Instant::now());
        let rule = rule("1");
        watch.eject(begun);
        // Replies to requests from before the ejection decide nothing.
        for is_error in [false, true] {
            let verdict = watch.record(rule, is_error, false, begun);
            assert_eq!(verdict, ErrorVerdict::None);
        }
        let almost = begun + EJECTION - Duration::from_nanos(1);
        assert!(watch.is_avoided(almost));
        let mut due = begun + EJECTION;
        let mut times = Vec::new();
        for _ in 0..7 {
            assert!(!watch.is_avoided(due));
            assert!(watch.record_sent(due));
            assert!(watch.is_avoided(due), "one probe is enough");
            assert!(!watch.record_sent(due));
            let ErrorVerdict::Prolonged(time) = watch.record(rule, true, true, due) else {
                panic!("not prolonged");
            };
            times.push(time.as_secs());
            due += time;
        }
        assert_eq!(times, [2, 4, 8, 16, 30, 30, 30]);
        // A probe without a reply is followed by another one.
        assert!(watch.record_sent(due));
        assert!(!watch.is_avoided(due + PROBE_INTERVAL));
        assert_eq!(watch.record(rule, false, false, due), ErrorVerdict::None);
        assert_eq!(
            watch.record(rule, false, true, due),
            ErrorVerdict::Recovered
        );
        assert!(!watch.is_ejected());
    }

    #[test]
    fn a_spared_replica_is_named_once_until_it_answers_well() {
        let (mut watch, now) = (ErrorWatch::default(), Instant::now());
        let rule = rule("1");
        for _ in 0..2 {
            watch.record(rule, true, false, now);
            assert!(watch.spare());
            watch.record(rule, true, false, now);
            assert!(!watch.spare());
            watch.record(rule, false, false, now);
        }
    }
}
