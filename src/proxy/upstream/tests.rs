//! Kept connections: when one is used again and when it is let go, over real sockets.

use super::*;
use crate::proxy::RouteReason;
use crate::proxy::in_flight::InFlight;
use std::future::poll_fn;
use std::task::Poll;
use tokio::net::TcpListener;
use tokio::time::timeout;

async fn pool() -> (Upstream, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let member = Member {
        id: ReplicaId(1),
        seat: Seat(1),
        name: "S1".parse().unwrap(),
        addr: ReplicaAddr(listener.local_addr().unwrap()),
        health: Health::Up,
        drained: false,
        cells: Arc::new(ReplicaCounters::new(1)),
    };
    (Upstream::new(&member, 0, &Rc::default()), listener)
}

/// Waits until a request's replica is doubted.
async fn doubted(in_flight: &InFlight) {
    let mut ear = in_flight.doubt_ear();
    let doubted = poll_fn(|cx| {
        if in_flight.is_doubted() {
            return Poll::Ready(());
        }
        ear.register(cx);
        Poll::Pending
    });
    doubted.await;
}

const KEEP: Duration = Duration::from_secs(4);

#[tokio::test]
async fn the_newest_connection_comes_first_and_the_pool_is_bounded() {
    let (pool, _listener) = pool().await;
    let now = Instant::now();
    let mut ports = Vec::new();
    for _ in 0..3 {
        let stream = TcpStream::connect(pool.addr.0).await.unwrap();
        ports.push(stream.local_addr().unwrap());
        pool.put_idle(stream, KEEP, 2, now);
    }
    assert_eq!(
        pool.take_idle(ReusePolicy::Any, now)
            .unwrap()
            .local_addr()
            .unwrap(),
        ports[1]
    );
    assert_eq!(
        pool.take_idle(ReusePolicy::Any, now)
            .unwrap()
            .local_addr()
            .unwrap(),
        ports[0]
    );
    assert!(pool.take_idle(ReusePolicy::Any, now).is_none());
}

#[tokio::test]
async fn age_is_judged_at_its_edges() {
    let (pool, _listener) = pool().await;
    let now = Instant::now();
    pool.put_idle(TcpStream::connect(pool.addr.0).await.unwrap(), KEEP, 2, now);
    assert!(
        pool.take_idle(ReusePolicy::Once, now + TRUSTED_IDLE_TIME)
            .is_none(),
        "too old to be sent only once"
    );
    assert!(
        pool.take_idle(ReusePolicy::Any, now + KEEP).is_none(),
        "too old"
    );
    pool.put_idle(TcpStream::connect(pool.addr.0).await.unwrap(), KEEP, 2, now);
    assert!(
        pool.take_idle(
            ReusePolicy::Once,
            now + TRUSTED_IDLE_TIME - Duration::from_millis(1)
        )
        .is_some()
    );
}

#[tokio::test]
async fn a_connection_closed_by_the_replica_is_not_lent() {
    let (pool, listener) = pool().await;
    for need in [ReusePolicy::Any, ReusePolicy::Alive, ReusePolicy::Once] {
        let stream = TcpStream::connect(pool.addr.0).await.unwrap();
        drop(listener.accept().await.unwrap());
        timeout(Duration::from_secs(5), stream.readable())
            .await
            .unwrap()
            .unwrap();
        pool.put_idle(stream, KEEP, 2, Instant::now());
        assert!(pool.take_idle(need, Instant::now()).is_none());
    }
}

#[tokio::test]
async fn a_turn_for_the_worse_is_heard_and_empties_the_pool() {
    let (pool, _listener) = pool().await;
    let pool = Rc::new(pool);
    for (before, now) in [
        (Health::Up, Health::Suspect),
        (Health::Up, Health::Down),
        (Health::Suspect, Health::Down),
    ] {
        pool.set_health(before, false);
        let stream = TcpStream::connect(pool.addr.0).await.unwrap();
        pool.put_idle(stream, KEEP, 2, Instant::now());
        let in_flight = InFlight::begin(Rc::clone(&pool), RouteReason::Home, Instant::now()).0;
        let heard = async { timeout(Duration::from_secs(5), doubted(&in_flight)).await };
        let (heard, ()) = tokio::join!(heard, async { pool.set_health(now, false) });
        heard.unwrap();
    }
    assert!(pool.take_idle(ReusePolicy::Any, Instant::now()).is_none());
}

#[tokio::test]
async fn a_suspect_that_was_chosen_knowingly_is_not_doubted_for_that() {
    let (pool, _listener) = pool().await;
    let pool = Rc::new(pool);
    pool.set_health(Health::Suspect, false);
    let in_flight = InFlight::begin(Rc::clone(&pool), RouteReason::Home, Instant::now()).0;
    let mut doubted = std::pin::pin!(doubted(&in_flight));
    for health in [Health::Suspect, Health::Up, Health::Suspect] {
        pool.set_health(health, false);
        let doubt = timeout(Duration::ZERO, doubted.as_mut()).await;
        assert!(doubt.is_err(), "{health:?}");
    }
}

#[tokio::test]
async fn one_that_is_drained_keeps_what_it_has_and_gets_no_more() {
    let (pool, _listener) = pool().await;
    let pool = Rc::new(pool);
    let give = async || {
        let stream = TcpStream::connect(pool.addr.0).await.unwrap();
        pool.put_idle(stream, KEEP, 2, Instant::now());
    };
    give().await;
    let in_flight = InFlight::begin(Rc::clone(&pool), RouteReason::Home, Instant::now()).0;
    pool.set_health(Health::Up, true);
    give().await;
    assert!(pool.take_idle(ReusePolicy::Any, Instant::now()).is_none());
    assert!(!pool.accepts_requests() && !pool.may_serve() && !in_flight.may_go_on());
    let doubt = timeout(Duration::ZERO, doubted(&in_flight)).await;
    assert!(doubt.is_err(), "what it has is no worse off");
    pool.set_health(Health::Down, true);
    let doubt = timeout(Duration::ZERO, doubted(&in_flight)).await;
    assert!(doubt.is_ok(), "it died");
    pool.set_health(Health::Up, false);
    assert!(pool.accepts_requests() && pool.may_serve());
}

#[tokio::test]
async fn a_slow_request_counts_until_its_end_whenever_it_became_slow() {
    let (pool, _listener) = pool().await;
    let pool = Rc::new(pool);
    let slow = || pool.cells.slow_requests();
    for head_came_first in [false, true] {
        let in_flight = InFlight::begin(Rc::clone(&pool), RouteReason::Home, Instant::now()).0;
        if head_came_first {
            in_flight.end_waiting();
        }
        in_flight.begin_slow();
        in_flight.begin_slow();
        assert_eq!(slow(), 1, "{head_came_first}");
        drop(in_flight);
        assert_eq!(slow(), 0, "{head_came_first}");
    }
}
