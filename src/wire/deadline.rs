//! A deadline that costs almost nothing while it is met: one timer, armed lazily.
//!
//! The timer does not move whenever the deadline moves away. It fires at an earlier deadline, finds
//! time left, and is armed again: a busy connection updates the timer wheel once per timeout, not
//! once per message.

use std::cell::OnceCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Timer of one task. It allocates on first use.
#[derive(Debug, Default)]
pub struct Deadline(Option<Pin<Box<Sleep>>>);

/// Error: the deadline passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl Deadline {
    /// Runs `future` until `at`, or without a limit for `None`. As cancel safe as `future` is.
    ///
    /// # Errors
    /// [`Elapsed`] if `at` passes first.
    pub async fn run<T>(
        &mut self,
        at: Option<Instant>,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        self.run_with_moving_deadline(|| at, future).await
    }

    /// Runs `future` for at most `limit` from its first wait: a future that is ready at once costs
    /// no clock reading. As cancel safe as `future` is.
    ///
    /// # Errors
    /// [`Elapsed`] if the time passes first.
    pub async fn run_for<T>(
        &mut self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let end = OnceCell::new();
        let at = || Some(*end.get_or_init(|| Instant::now() + limit));
        self.run_with_moving_deadline(at, future).await
    }

    /// Runs `future` under a deadline that may be set or moved while it runs: each wake-up of the
    /// task calls `at` again.
    ///
    /// # Errors
    /// [`Elapsed`] if the deadline passes first.
    pub async fn run_with_moving_deadline<T>(
        &mut self,
        at: impl Fn() -> Option<Instant>,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(value) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(value));
            }
            match at() {
                Some(at) => self.poll_passed(cx, at).map(|()| Err(Elapsed)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Returns ready once `at` has passed.
    pub fn poll_passed(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.is_elapsed() || timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn one_timer_serves_earlier_and_later_deadlines() {
        let mut deadline = Deadline::default();
        for after in [50_u64, 10, 200, 200, 1] {
            let start = Instant::now();
            let at = start + Duration::from_millis(after);
            assert_eq!(deadline.run(Some(at), pending::<()>()).await, Err(Elapsed));
            assert_eq!(start.elapsed(), Duration::from_millis(after));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_set_while_waiting_counts_from_the_next_wake_up() {
        let at = std::cell::Cell::new(None);
        let mut deadline = Deadline::default();
        let start = Instant::now();
        let set_later = async {
            advance(Duration::from_millis(5)).await;
            at.set(Some(start + Duration::from_millis(30)));
            pending::<()>().await;
        };
        assert_eq!(
            deadline
                .run_with_moving_deadline(|| at.get(), set_later)
                .await,
            Err(Elapsed)
        );
        assert_eq!(start.elapsed(), Duration::from_millis(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_counts_from_the_first_wait() {
        let (mut deadline, limit) = (Deadline::default(), Duration::from_millis(30));
        let waiting = deadline.run_for(limit, pending::<()>());
        advance(Duration::from_millis(20)).await;
        let start = Instant::now();
        assert_eq!(waiting.await, Err(Elapsed));
        assert_eq!(start.elapsed(), limit);
        assert_eq!(deadline.run_for(Duration::ZERO, async { 7 }).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_wins_over_a_deadline_in_the_past() {
        let mut deadline = Deadline::default();
        let past = Some(Instant::now() - Duration::from_secs(1));
        assert_eq!(deadline.run(past, async { 7 }).await, Ok(7));
    }
}
