//! A single-threaded `Notify`: wakes every registered task of this worker.
//!
//! Registration takes no lock and no atomic operation besides the waker's reference count. Every
//! request registers once or twice and is hardly ever woken.

use std::cell::RefCell;
use std::task::{Context, Waker};

use slab::Slab;

/// Set of wakers to notify.
#[derive(Debug, Default)]
pub(super) struct LocalNotify(RefCell<Slab<Waker>>);

/// A task that may be registered. Dropping it removes the registration.
#[derive(Debug)]
pub(super) struct Waiter<'b> {
    notify: &'b LocalNotify,
    key: Option<usize>,
}

impl LocalNotify {
    /// Wakes all registered tasks. Each checks for itself whether its condition holds.
    pub(super) fn notify_all(&self) {
        for (_, waker) in self.0.borrow().iter() {
            waker.wake_by_ref();
        }
    }

    /// Creates a waiter that is not registered yet.
    pub(super) fn waiter(&self) -> Waiter<'_> {
        Waiter {
            notify: self,
            key: None,
        }
    }
}

impl Waiter<'_> {
    /// Registers the task for the next notification and all later ones.
    pub(super) fn register(&mut self, cx: &Context<'_>) {
        let mut wakers = self.notify.0.borrow_mut();
        match self.key.and_then(|key| wakers.get_mut(key)) {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.key = Some(wakers.insert(cx.waker().clone())),
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.notify.0.borrow_mut().try_remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    #[test]
    fn a_dropped_waiter_is_unregistered() {
        let notify = LocalNotify::default();
        {
            let (mut first, mut second) = (notify.waiter(), notify.waiter());
            let cx = Context::from_waker(Waker::noop());
            for _ in 0..2 {
                first.register(&cx);
                second.register(&cx);
            }
            assert_eq!(notify.0.borrow().len(), 2);
            drop(first);
            assert_eq!(notify.0.borrow().len(), 1);
            notify.notify_all();
            second.register(&cx);
            assert_eq!(notify.0.borrow().len(), 1);
        }
        assert!(notify.0.borrow().is_empty());
    }

    #[tokio::test]
    async fn a_registered_task_is_woken() {
        let (notify, ready) = (LocalNotify::default(), std::cell::Cell::new(false));
        let mut waiter = notify.waiter();
        let wait = pin!(poll_fn(|cx| {
            waiter.register(cx);
            if ready.get() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        let wake = async {
            tokio::task::yield_now().await;
            ready.set(true);
            notify.notify_all();
        };
        let both = async { tokio::join!(wait, wake) };
        let limit = std::time::Duration::from_secs(10);
        tokio::time::timeout(limit, both).await.unwrap();
    }
}
