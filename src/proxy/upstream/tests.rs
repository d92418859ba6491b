//! Reuse and expiry of kept connections, over real sockets.

use super::*;
use crate::proxy::RouteReason;
use crate::proxy::in_flight::InFlight;
use std::future::poll_fn;
use std::task::Poll;
use tokio::net::TcpListener;
use tokio::time::timeout;

async fn upstream() -> (Upstream, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let member = Member {
        id: ReplicaId(1),
        seat: Seat(1),
        name: "S1".parse().unwrap(),
        addr: ReplicaAddr(listener.local_addr().unwrap().into()),
        health: Health::Up,
        drained: false,
        slow_start: None,
        counters: Arc::new(ReplicaCounters::new(1)),
    };
    (Upstream::new(&member, 0, &Rc::default()), listener)
}

/// Counts a request that is served at home.
fn begin(upstream: &Rc<Upstream>) -> InFlight {
    InFlight::begin(Rc::clone(upstream), RouteReason::Home, None, Instant::now()).0
}

/// Waits until a request's replica has degraded.
async fn until_degraded(in_flight: &InFlight) {
    let mut waiter = in_flight.degraded_waiter();
    let degradation = poll_fn(|cx| {
        if in_flight.is_degraded() {
            return Poll::Ready(());
        }
        waiter.register(cx);
        Poll::Pending
    });
    degradation.await;
}

const KEEP: Duration = Duration::from_secs(4);

#[tokio::test]
async fn the_newest_connection_is_reused_first_and_their_number_is_bounded() {
    let (upstream, _listener) = upstream().await;
    let now = Instant::now();
    let mut ports = Vec::new();
    for _ in 0..3 {
        let stream = TcpStream::connect(upstream.addr.0.tcp().unwrap())
            .await
            .unwrap();
        ports.push(stream.local_addr().unwrap());
        upstream.put_idle(stream, KEEP, 2, now);
    }
    assert_eq!(
        upstream
            .take_idle(ReusePolicy::MayBeClosed, now)
            .unwrap()
            .local_addr()
            .unwrap(),
        ports[1]
    );
    assert_eq!(
        upstream
            .take_idle(ReusePolicy::MayBeClosed, now)
            .unwrap()
            .local_addr()
            .unwrap(),
        ports[0]
    );
    assert!(upstream.take_idle(ReusePolicy::MayBeClosed, now).is_none());
}

#[tokio::test]
async fn idle_connections_expire_exactly_at_their_limits() {
    let (upstream, _listener) = upstream().await;
    let now = Instant::now();
    let connect = || TcpStream::connect(upstream.addr.0.tcp().unwrap());
    upstream.put_idle(connect().await.unwrap(), KEEP, 2, now);
    assert!(
        upstream
            .take_idle(ReusePolicy::JustUsed, now + TRUSTED_IDLE_TIME)
            .is_none(),
        "too old to be sent only once"
    );
    assert!(
        upstream
            .take_idle(ReusePolicy::MayBeClosed, now + KEEP)
            .is_none(),
        "too old"
    );
    upstream.put_idle(connect().await.unwrap(), KEEP, 2, now);
    assert!(
        upstream
            .take_idle(
                ReusePolicy::JustUsed,
                now + TRUSTED_IDLE_TIME - Duration::from_millis(1)
            )
            .is_some()
    );
}

#[tokio::test]
async fn a_connection_closed_by_the_replica_is_not_reused() {
    let (upstream, listener) = upstream().await;
    for policy in [
        ReusePolicy::MayBeClosed,
        ReusePolicy::Open,
        ReusePolicy::JustUsed,
    ] {
        let stream = TcpStream::connect(upstream.addr.0.tcp().unwrap())
            .await
            .unwrap();
        drop(listener.accept().await.unwrap());
        timeout(Duration::from_secs(5), stream.readable())
            .await
            .unwrap()
            .unwrap();
        upstream.put_idle(stream, KEEP, 2, Instant::now());
        assert!(upstream.take_idle(policy, Instant::now()).is_none());
    }
}

#[tokio::test]
async fn worse_health_wakes_waiters_and_closes_idle_connections() {
    let (upstream, _listener) = upstream().await;
    let upstream = Rc::new(upstream);
    for (before, now) in [
        (Health::Up, Health::Suspect),
        (Health::Up, Health::Down),
        (Health::Suspect, Health::Down),
    ] {
        upstream.set_health(before, false);
        let stream = TcpStream::connect(upstream.addr.0.tcp().unwrap())
            .await
            .unwrap();
        upstream.put_idle(stream, KEEP, 2, Instant::now());
        let in_flight = begin(&upstream);
        let woken = async { timeout(Duration::from_secs(5), until_degraded(&in_flight)).await };
        let (woken, ()) = tokio::join!(woken, async { upstream.set_health(now, false) });
        woken.unwrap();
    }
    assert!(
        upstream
            .take_idle(ReusePolicy::MayBeClosed, Instant::now())
            .is_none()
    );
}

#[tokio::test]
async fn a_suspect_chosen_as_such_is_not_degraded() {
    let (upstream, _listener) = upstream().await;
    let upstream = Rc::new(upstream);
    upstream.set_health(Health::Suspect, false);
    let in_flight = begin(&upstream);
    let mut degradation = std::pin::pin!(until_degraded(&in_flight));
    for health in [Health::Suspect, Health::Up, Health::Suspect] {
        upstream.set_health(health, false);
        let degraded = timeout(Duration::ZERO, degradation.as_mut()).await;
        assert!(degraded.is_err(), "{health:?}");
    }
}

#[tokio::test]
async fn a_drained_replica_keeps_its_requests_and_gets_no_new_ones() {
    let (upstream, _listener) = upstream().await;
    let upstream = Rc::new(upstream);
    let give = async || {
        let stream = TcpStream::connect(upstream.addr.0.tcp().unwrap())
            .await
            .unwrap();
        upstream.put_idle(stream, KEEP, 2, Instant::now());
    };
    give().await;
    let in_flight = begin(&upstream);
    upstream.set_health(Health::Up, true);
    give().await;
    assert!(
        upstream
            .take_idle(ReusePolicy::MayBeClosed, Instant::now())
            .is_none()
    );
    assert!(!upstream.accepts_requests() && !upstream.may_serve() && !in_flight.can_retry_here());
    let degraded = timeout(Duration::ZERO, until_degraded(&in_flight)).await;
    assert!(degraded.is_err(), "what it has is no worse off");
    upstream.set_health(Health::Down, true);
    let degraded = timeout(Duration::ZERO, until_degraded(&in_flight)).await;
    assert!(degraded.is_ok(), "it died");
    upstream.set_health(Health::Up, false);
    assert!(upstream.accepts_requests() && upstream.may_serve());
}

#[tokio::test]
async fn a_slow_request_counts_until_its_end_no_matter_when_it_became_slow() {
    let (upstream, _listener) = upstream().await;
    let upstream = Rc::new(upstream);
    let slow = || upstream.counters.slow_requests();
    for head_came_first in [false, true] {
        let in_flight = begin(&upstream);
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
