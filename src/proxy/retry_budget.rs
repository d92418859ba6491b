//! The retry budget of a worker: a share of its requests over the last seconds. It keeps a fleet in
//! trouble from being overloaded by its own retries. Pure: the time is an argument.
//!
//! A retry is taken when a request is lost, not when it begins. Of many requests lost together,
//! only the allowed number is retried.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// Length of the window.
const BUDGET_WINDOW: Duration = Duration::from_secs(10);
/// Retries per 100 requests in the window.
const RETRY_PERCENT: u32 = 20;
/// Retries always allowed in the window.
const MIN_RETRIES: u32 = 10;
const WINDOW_SLICES: usize = 10;

/// Requests and retries of the last [`BUDGET_WINDOW`], in slices of a second.
#[derive(Debug)]
pub(super) struct RetryBudget {
    slices: [BudgetSlice; WINDOW_SLICES],
    start: Instant,
    /// Time of the last refusal that was logged.
    last_warned: Option<Instant>,
}

/// A retry that was refused.
#[derive(Debug)]
pub(super) struct BudgetExhausted {
    /// Retries in the window.
    retries: u32,
    /// Retries allowed in the window.
    max: u32,
    /// `true` if it is the first refusal for a whole window.
    pub(super) first_in_window: bool,
}

impl fmt::Display for BudgetExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (retries, max, seconds) = (self.retries, self.max, BUDGET_WINDOW.as_secs());
        write!(
            f,
            "the retry budget is spent: {retries} retries in {seconds} s, at most {max} are allowed"
        )
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct BudgetSlice {
    /// Second since the start that this slice counts.
    second: u64,
    requests: u32,
    retries: u32,
}

impl RetryBudget {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            slices: [BudgetSlice::default(); WINDOW_SLICES],
            start: now,
            last_warned: None,
        }
    }

    /// Counts a request.
    pub(super) fn request(&mut self, now: Instant) {
        self.slice(now).requests += 1;
    }

    /// Takes one retry.
    ///
    /// # Errors
    /// All retries that the window allows were taken.
    pub(super) fn take_retry(&mut self, now: Instant) -> Result<(), BudgetExhausted> {
        let (retries, max) = self.usage(now);
        if retries < max {
            self.slice(now).retries += 1;
            return Ok(());
        }
        let first_in_window = self
            .last_warned
            .is_none_or(|last_warned| now >= last_warned + BUDGET_WINDOW);
        if first_in_window {
            self.last_warned = Some(now);
        }
        Err(BudgetExhausted {
            retries,
            max,
            first_in_window,
        })
    }

    /// Returns `true` if one more retry is within the budget.
    pub(super) fn allows_retry(&self, now: Instant) -> bool {
        let (retries, max) = self.usage(now);
        retries < max
    }

    /// Returns the retries in the window and their maximum.
    fn usage(&self, now: Instant) -> (u32, u32) {
        let oldest = (self.second(now) + 1).saturating_sub(BUDGET_WINDOW.as_secs());
        let counted = self.slices.iter().filter(|slice| slice.second >= oldest);
        let (requests, retries) = counted.fold((0_u32, 0_u32), |(requests, retries), slice| {
            (
                requests.saturating_add(slice.requests),
                retries.saturating_add(slice.retries),
            )
        });
        let share = requests / 100 * RETRY_PERCENT + requests % 100 * RETRY_PERCENT / 100;
        (retries, MIN_RETRIES.max(share))
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs()
    }

    fn slice(&mut self, now: Instant) -> &mut BudgetSlice {
        let second = self.second(now);
        let slice = &mut self.slices[usize::try_from(second).unwrap_or(0) % WINDOW_SLICES];
        if slice.second != second {
            *slice = BudgetSlice {
                second,
                requests: 0,
                retries: 0,
            };
        }
        slice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes the retries that are left and returns their number, at most 1,000.
    fn retries_allowed(budget: &mut RetryBudget, now: Instant) -> usize {
        let take = |_: &u32| budget.allows_retry(now) && budget.take_retry(now).is_ok();
        (0..1000).take_while(take).count()
    }

    #[test]
    fn a_fifth_of_the_requests_and_at_least_ten_may_be_retried() {
        let now = Instant::now();
        assert_eq!(retries_allowed(&mut RetryBudget::new(now), now), 10);
        for (requests, retries) in [(54, 10), (55, 11), (1000, 200), (1099, 219)] {
            let mut busy = RetryBudget::new(now);
            (0..requests).for_each(|_| busy.request(now));
            assert_eq!(retries_allowed(&mut busy, now), retries, "{requests}");
        }
    }

    #[test]
    fn retries_are_allowed_again_after_the_window() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start);
        assert_eq!(retries_allowed(&mut budget, start), 10);
        assert!(!budget.allows_retry(start + Duration::from_millis(9_999)));
        assert!(budget.allows_retry(start + BUDGET_WINDOW));
    }

    #[test]
    fn each_retry_leaves_the_window_a_window_after_it_was_taken() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut budget = RetryBudget::new(start);
        for second in 0..10 {
            budget.take_retry(after(second)).unwrap();
        }
        assert_eq!(retries_allowed(&mut budget, after(9)), 0);
        for second in 10..20 {
            assert_eq!(retries_allowed(&mut budget, after(second)), 1);
        }
    }

    #[test]
    fn a_refusal_names_the_counts_and_is_first_once_in_a_window() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(start);
        assert_eq!(retries_allowed(&mut budget, start), 10);
        let refusal = budget.take_retry(start).unwrap_err();
        let text = "the retry budget is spent: 10 retries in 10 s, at most 10 are allowed";
        assert_eq!(
            (refusal.to_string().as_str(), refusal.first_in_window),
            (text, true)
        );
        assert!(!budget.take_retry(start).unwrap_err().first_in_window);
        let later = start + BUDGET_WINDOW;
        assert_eq!(retries_allowed(&mut budget, later), 10);
        assert!(budget.take_retry(later).unwrap_err().first_in_window);
    }
}
