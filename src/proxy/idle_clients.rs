//! Clients of one worker that owe bytes, the longest waiting first: idle ones, and those within the
//! head of a request. At the limit of connections the first is evicted for a new client. A stop
//! wakes the idle ones.
//!
//! A client is added when it begins to wait, so the entries are in the order of time. Each
//! operation takes constant time.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;
use tokio::time::Instant;

/// Minimum idle time before a client may be evicted. A client with a shorter pause is between two
/// requests, and the next may be on its way.
const IDLE_SETTLED_AFTER: Duration = Duration::from_millis(100);

/// Minimum age of a head before its client may be evicted. A usual head is complete in one packet,
/// and its repetition takes the kernel less than that (RFC 6298 §2).
const HEAD_SETTLED_AFTER: Duration = Duration::from_secs(1);

/// Index that stands for no entry.
const NO_ENTRY: usize = usize::MAX;

/// Clients of one worker that owe bytes of one kind.
#[derive(Debug)]
pub(super) struct IdleClients {
    list: RefCell<IdleList>,
    /// Minimum wait before a client may be evicted.
    settled_after: Duration,
}

#[derive(Debug)]
struct IdleList {
    entries: Slab<IdleEntry>,
    longest: usize,
    newest: usize,
}

#[derive(Debug)]
struct IdleEntry {
    waker: Waker,
    since: Instant,
    /// Set once the client is to close. The entry is out of the order then.
    evicted: bool,
    older: usize,
    newer: usize,
}

impl Default for IdleList {
    fn default() -> Self {
        Self {
            entries: Slab::new(),
            longest: NO_ENTRY,
            newest: NO_ENTRY,
        }
    }
}

impl IdleList {
    fn link(&mut self, waker: Waker, since: Instant) -> usize {
        let at = self.entries.insert(IdleEntry {
            waker,
            since,
            evicted: false,
            older: self.newest,
            newer: NO_ENTRY,
        });
        match self.entries.get_mut(self.newest) {
            Some(newest) => newest.newer = at,
            None => self.longest = at,
        }
        self.newest = at;
        at
    }

    /// Takes an entry out of the order; its memory stays in use.
    fn unlink(&mut self, older: usize, newer: usize) {
        match self.entries.get_mut(older) {
            Some(entry) => entry.newer = newer,
            None => self.longest = newer,
        }
        match self.entries.get_mut(newer) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
    }
}

/// Clients of one worker that may be closed for new ones.
#[derive(Debug)]
pub(super) struct EvictableClients {
    /// Clients between requests, and clients that have sent nothing yet.
    pub(super) idle: IdleClients,
    /// Clients that have sent a part of a head.
    pub(super) half_heads: IdleClients,
}

impl Default for EvictableClients {
    fn default() -> Self {
        Self {
            idle: IdleClients::new(IDLE_SETTLED_AFTER),
            half_heads: IdleClients::new(HEAD_SETTLED_AFTER),
        }
    }
}

impl EvictableClients {
    /// Returns `true` if [`Self::evict_one`] would find a client.
    pub(super) fn has_settled(&self, now: Instant) -> bool {
        self.idle.has_settled(now) || self.half_heads.has_settled(now)
    }

    /// Tells the client to close whose head has been incomplete longest; if there is none, the
    /// longest idle one. Returns `false` if there is neither.
    pub(super) fn evict_one(&self, now: Instant) -> bool {
        self.half_heads.evict_longest(now) || self.idle.evict_longest(now)
    }
}

impl IdleClients {
    fn new(settled_after: Duration) -> Self {
        Self {
            list: RefCell::default(),
            settled_after,
        }
    }

    /// Creates the handle of a client that has been idle since `since`. The client is added at its
    /// first wait.
    pub(super) fn place(&self, since: Instant) -> IdlePlace<'_> {
        IdlePlace {
            clients: self,
            at: NO_ENTRY,
            since,
        }
    }

    /// Wakes all idle clients.
    pub(super) fn wake(&self) {
        let list = self.list.borrow();
        let entries = list.entries.iter();
        entries.for_each(|(_, entry)| entry.waker.wake_by_ref());
    }

    /// Returns `true` if a client has waited long enough to be evicted.
    fn has_settled(&self, now: Instant) -> bool {
        let list = self.list.borrow();
        let longest = list.entries.get(list.longest);
        longest.is_some_and(|entry| now >= entry.since + self.settled_after)
    }

    /// Tells the longest idle client to close. Returns `false` if no client has been idle for
    /// the minimum.
    fn evict_longest(&self, now: Instant) -> bool {
        if !self.has_settled(now) {
            return false;
        }
        let mut list = self.list.borrow_mut();
        let longest = list.longest;
        let Some(entry) = list.entries.get_mut(longest) else {
            return false;
        };
        entry.evicted = true;
        entry.waker.wake_by_ref();
        let (older, newer) = (entry.older, entry.newer);
        list.unlink(older, newer);
        true
    }
}

/// Handle of one idle client. Dropping it removes the client.
#[derive(Debug)]
pub(super) struct IdlePlace<'c> {
    clients: &'c IdleClients,
    at: usize,
    since: Instant,
}

impl IdlePlace<'_> {
    /// Returns the time at which the client became idle.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Registers the task to be woken at an eviction or a stop. Returns `true` once the client is
    /// to close.
    pub(super) fn wait(&mut self, cx: &Context<'_>) -> bool {
        let mut list = self.clients.list.borrow_mut();
        match list.entries.get_mut(self.at) {
            Some(entry) => {
                entry.waker.clone_from(cx.waker());
                entry.evicted
            }
            None => {
                self.at = list.link(cx.waker().clone(), self.since);
                false
            }
        }
    }
}

impl Drop for IdlePlace<'_> {
    fn drop(&mut self) {
        let mut list = self.clients.list.borrow_mut();
        if let Some(entry) = list.entries.try_remove(self.at)
            && !entry.evicted
        {
            list.unlink(entry.older, entry.newer);
        }
    }
}

/// Waits for the next bytes of a client. `None` means that it was evicted.
pub(super) async fn unless_evicted<R>(
    place: &mut IdlePlace<'_>,
    read: impl Future<Output = R>,
) -> Option<R> {
    let mut read = pin!(read);
    poll_fn(|cx| match read.as_mut().poll(cx) {
        Poll::Ready(read) => Poll::Ready(Some(read)),
        Poll::Pending if place.wait(cx) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds each of `places`, in this order.
    fn enter(places: &mut [IdlePlace<'_>]) {
        let cx = Context::from_waker(Waker::noop());
        places
            .iter_mut()
            .for_each(|place| assert!(!place.wait(&cx)));
    }

    /// Returns for each of `places` whether its client is to close.
    fn waits_evicted(places: &mut [IdlePlace<'_>]) -> Vec<bool> {
        let cx = Context::from_waker(Waker::noop());
        places.iter_mut().map(|place| place.wait(&cx)).collect()
    }

    #[test]
    fn the_longest_idle_client_is_evicted_first_and_each_once() {
        let (clients, begun) = (IdleClients::new(IDLE_SETTLED_AFTER), Instant::now());
        let since = |n: u32| begun + n * IDLE_SETTLED_AFTER;
        let mut places: Vec<_> = (0..4).map(|n| clients.place(since(n))).collect();
        enter(&mut places);
        // The second client is busy again, so the order is 0, 2, 3.
        let [first, second, third, fourth] = <[IdlePlace<'_>; 4]>::try_from(places).unwrap();
        drop(second);
        let mut places = vec![first, third, fourth];
        let late = since(10);
        assert!(clients.evict_longest(late));
        assert_eq!(waits_evicted(&mut places), [true, false, false]);
        assert!(clients.evict_longest(late));
        assert_eq!(waits_evicted(&mut places), [true, true, false]);
        // A new entry comes last.
        let mut newest = clients.place(since(4));
        enter(std::slice::from_mut(&mut newest));
        places.push(newest);
        assert!(clients.evict_longest(late));
        assert_eq!(waits_evicted(&mut places), [true, true, true, false]);
        assert!(clients.evict_longest(late));
        assert!(!clients.evict_longest(late), "all were evicted");
        places.clear();
        let list = clients.list.borrow();
        assert!(list.entries.is_empty());
        assert_eq!((list.longest, list.newest), (NO_ENTRY, NO_ENTRY));
    }

    #[test]
    fn a_short_pause_is_not_idleness() {
        let (clients, since) = (IdleClients::new(IDLE_SETTLED_AFTER), Instant::now());
        let mut places = [clients.place(since)];
        enter(&mut places);
        let almost = IDLE_SETTLED_AFTER
            .checked_sub(Duration::from_nanos(1))
            .unwrap();
        assert!(!clients.evict_longest(since + almost));
        assert!(clients.evict_longest(since + IDLE_SETTLED_AFTER));
        assert_eq!(waits_evicted(&mut places), [true]);
    }

    #[test]
    fn the_order_holds_after_any_client_leaves() {
        let (clients, begun) = (IdleClients::new(IDLE_SETTLED_AFTER), Instant::now());
        for leaves in 0..5_usize {
            let since = |n: u32| begun + n * IDLE_SETTLED_AFTER;
            let mut places: Vec<_> = (0..5).map(|n| clients.place(since(n))).collect();
            enter(&mut places);
            drop(places.remove(leaves));
            for evictions in 1..=4 {
                assert!(clients.evict_longest(since(10)));
                let evicted_now = waits_evicted(&mut places);
                let expected: Vec<bool> = (0..4).map(|at| at < evictions).collect();
                assert_eq!(evicted_now, expected, "without {leaves}");
            }
        }
    }
}
