//! Limit and queue of a replica, in paused time.

use super::*;
use crate::metrics::ReplicaCounters;
use crate::proxy::in_flight_limit::{InFlightLimits, InFlightRule};
use crate::ring::Seat;
use crate::roster::{Health, Member, ReplicaAddr, ReplicaId};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);

fn limits(max: usize, queue: usize) -> InFlightLimits {
    InFlightLimits::new(InFlightRule {
        max,
        queue,
        queue_timeout: TIMEOUT,
    })
}

fn upstream() -> Upstream {
    let member = Member {
        id: ReplicaId(1),
        seat: Seat(1),
        name: "S1".parse().unwrap(),
        addr: ReplicaAddr(([127, 0, 0, 1], 1).into()),
        health: Health::Up,
        drained: false,
        slow_start: None,
        counters: Arc::new(ReplicaCounters::new(1)),
    };
    Upstream::new(&member, 0, &Rc::default())
}

fn until() -> Instant {
    Instant::now() + TIMEOUT
}

/// Runs `wait` once, so that it has its place, and then `act`. Returns how the wait ended.
async fn waits_until(upstream: &Upstream, limit: &InFlightLimit, act: impl FnOnce()) -> Queued {
    let act = async {
        tokio::task::yield_now().await;
        act();
    };
    tokio::join!(wait(upstream, limit, until()), act).0
}

fn ends(upstream: &Upstream) -> [u64; 5] {
    upstream.counters().queue().ends()
}

#[tokio::test(start_paused = true)]
async fn the_longest_waiter_is_admitted_first_and_a_newcomer_overtakes_none() {
    let (limits, upstream) = (limits(2, 8), upstream());
    let limit = limits.of(upstream.id);
    let first = limit.try_admit().unwrap();
    let _second = limit.try_admit().unwrap();
    assert!(limit.try_admit().is_none());
    let order = RefCell::new(Vec::new());
    let waiter = |n: u32| {
        let (order, upstream, limit) = (&order, &upstream, &limit);
        async move {
            let Queued::Admitted(_permit) = wait(upstream, limit, until()).await else {
                panic!("not admitted");
            };
            order.borrow_mut().push(n);
        }
    };
    let free = async {
        tokio::task::yield_now().await;
        drop(first);
        // The place is the longest waiter's, although it has not run yet.
        assert!(limit.try_admit().is_none());
    };
    tokio::join!(waiter(1), waiter(2), waiter(3), free);
    assert_eq!(*order.borrow(), [1, 2, 3]);
    assert_eq!(ends(&upstream), [3, 0, 0, 0, 0]);
    assert!(limit.try_admit().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_queue_holds_as_many_as_it_may_and_no_more() {
    let (limits, upstream) = (limits(1, 2), upstream());
    let limit = limits.of(upstream.id);
    let _permit = limit.try_admit().unwrap();
    let mut first = Box::pin(wait(&upstream, &limit, until()));
    let mut second = Box::pin(wait(&upstream, &limit, until()));
    for waiter in [&mut first, &mut second] {
        assert!(poll_once(waiter.as_mut()).is_pending());
    }
    assert!(matches!(
        wait(&upstream, &limit, until()).await,
        Queued::Full
    ));
    // A client that leaves makes room.
    drop(first);
    let mut third = Box::pin(wait(&upstream, &limit, until()));
    assert!(poll_once(third.as_mut()).is_pending());
    assert_eq!(ends(&upstream), [0, 0, 0, 1, 1]);
    assert_eq!(limit.waiting.load(Ordering::Relaxed), 2);
}

/// Polls a future once.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn no_queue_at_all_is_possible() {
    let (limits, upstream) = (limits(1, 0), upstream());
    let limit = limits.of(upstream.id);
    let _permit = limit.try_admit().unwrap();
    assert!(matches!(
        wait(&upstream, &limit, until()).await,
        Queued::Full
    ));
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_time_and_not_before() {
    let (limits, upstream) = (limits(1, 1), upstream());
    let limit = limits.of(upstream.id);
    let _permit = limit.try_admit().unwrap();
    let begun = Instant::now();
    assert!(matches!(
        wait(&upstream, &limit, until()).await,
        Queued::TimedOut
    ));
    let waited = begun.elapsed();
    assert!(waited >= TIMEOUT && waited < TIMEOUT + Duration::from_millis(5));
    assert_eq!(ends(&upstream), [0, 1, 0, 0, 0]);
    let waits = upstream.counters().queue().waits.read();
    assert_eq!(waits.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_gets_worse_or_is_drained_or_leaves_sends_its_queue_on() {
    let (limits, upstream) = (limits(1, 1), upstream());
    let limit = limits.of(upstream.id);
    let permit = RefCell::new(limit.try_admit());
    let changes: [fn(&Upstream); 3] = [
        |upstream| upstream.set_health(Health::Suspect, false),
        |upstream| upstream.set_health(Health::Suspect, true),
        Upstream::retire,
    ];
    for change in changes {
        let queued = waits_until(&upstream, &limit, || change(&upstream)).await;
        assert!(matches!(queued, Queued::Moved));
        upstream.set_health(Health::Suspect, false);
    }
    assert_eq!(ends(&upstream), [0, 0, 3, 0, 0]);
    drop(permit);
}

#[tokio::test(start_paused = true)]
async fn a_roster_without_a_change_leaves_each_its_place() {
    let (limits, upstream) = (limits(1, 1), upstream());
    let limit = limits.of(upstream.id);
    let permit = RefCell::new(limit.try_admit());
    let queued = waits_until(&upstream, &limit, || {
        upstream.set_health(Health::Up, false);
        permit.take();
    });
    assert!(matches!(queued.await, Queued::Admitted(_)));
}

#[test]
fn workers_share_the_limit_of_a_replica_while_one_of_them_knows_it() {
    let limits = limits(1, 1);
    let (first, second) = (limits.of(ReplicaId(1)), limits.of(ReplicaId(1)));
    assert!(Arc::ptr_eq(&first, &second));
    assert!(!Arc::ptr_eq(&first, &limits.of(ReplicaId(2))));
    let permit = first.try_admit().unwrap();
    assert!(second.try_admit().is_none());
    assert!(second.has_issued(&permit) && !limits.of(ReplicaId(2)).has_issued(&permit));
    // What no worker knows is forgotten with the next replica.
    drop((first, second, permit));
    let _third = limits.of(ReplicaId(3));
    assert_eq!(limits.known(), 1);
}
