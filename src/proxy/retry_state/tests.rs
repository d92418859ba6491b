//! Retry state of one request, with replicas that exist by name only.

use super::*;

use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::time::Instant;

use crate::metrics::ReplicaCounters;
use crate::proxy::RouteReason;
use crate::proxy::request::OutgoingRequest;
use crate::proxy::rewrite::RequestMeta;
use crate::proxy::upstream::Upstream;
use crate::ring::{Key, Seat};
use crate::roster::{Health, Member, ReplicaAddr};
use crate::wire::framing::Body;
use crate::wire::head::Version;

/// Returns an exchange with replica `id`, which had this health when it was chosen.
fn chosen(id: u64, health: Health) -> InFlight {
    let member = Member {
        id: ReplicaId(id),
        seat: Seat(1),
        name: "S1".parse().unwrap(),
        addr: ReplicaAddr(([127, 0, 0, 1], 9).into()),
        health,
        drained: false,
        slow_start: None,
        counters: Arc::new(ReplicaCounters::new(1)),
    };
    let upstream = Rc::new(Upstream::new(&member, 0, &Rc::default()));
    InFlight::begin(upstream, RouteReason::Home, None, Instant::now()).0
}

/// Returns a GET that was sent.
fn sent_get(worker: &Worker) -> ProxiedRequest {
    let bytes = BytesMut::from("GET / HTTP/1.1\r\n\r\n");
    ProxiedRequest {
        key: Key(7),
        outgoing: OutgoingRequest {
            sent: bytes.len(),
            bytes,
            idempotent: true,
            replayable: true,
            dropped: false,
            kept: worker.replay_memory.share(),
            body: Body::NONE,
            uncounted: 0,
        },
        meta: RequestMeta {
            to_head: false,
            version: Version::Http11,
            upgrade: false,
        },
        keep_alive: true,
        expects: false,
        private: false,
    }
}

/// Loses a repeatable request with a fresh connection to replica `id`.
fn lose(state: &mut RetryState, worker: &Worker, id: u64) {
    let (mut request, in_flight) = (sent_get(worker), chosen(id, Health::Up));
    let lost = ResponseError::Lost;
    let retried = state.record_failure(worker, &mut request, &in_flight, &lost, false, true);
    retried.unwrap();
}

fn lost_replicas(state: &RetryState) -> Vec<u64> {
    state.lost_replicas.iter().map(|id| id.0).collect()
}

#[test]
fn a_request_may_be_retried_on_one_other_replica_and_on_a_kept_connection() {
    use OnSilence::{IsSlow, Leaves, Stays};
    let worker = Worker::without_replicas();
    let mut state = RetryState::default();
    let is = |state: &RetryState, id, health, reused, expected: (bool, OnSilence)| {
        let chances = state.chances(&worker, &sent_get(&worker), &chosen(id, health), reused);
        let case = format!("{id} {health:?} {reused}");
        assert_eq!((chances.repeatable, chances.silence), expected, "{case}");
    };
    is(&state, 1, Health::Up, false, (true, Leaves));
    lose(&mut state, &worker, 1);
    is(&state, 1, Health::Up, false, (true, Leaves));
    is(&state, 2, Health::Up, false, (false, IsSlow));
    is(&state, 2, Health::Up, true, (true, IsSlow));
    is(&state, 2, Health::Suspect, false, (false, Leaves));
    lose(&mut state, &worker, 1);
    // The two retries of the settings are used up.
    is(&state, 1, Health::Up, false, (false, Stays));
    is(&state, 1, Health::Up, true, (true, Stays));
}

#[test]
fn a_request_that_must_not_be_sent_twice_stays_at_its_replica() {
    let worker = Worker::without_replicas();
    let (mut post, mut large) = (sent_get(&worker), sent_get(&worker));
    post.outgoing.idempotent = false;
    large.outgoing.replayable = false;
    for request in [post, large] {
        for reused in [false, true] {
            let at = chosen(1, Health::Up);
            let chances = RetryState::default().chances(&worker, &request, &at, reused);
            assert!(!chances.repeatable);
            assert_eq!(chances.silence, OnSilence::Stays);
        }
    }
}

#[test]
fn a_third_replica_is_refused() {
    let worker = Worker::without_replicas();
    let mut state = RetryState::default();
    let tries = |state: &RetryState| [1, 2, 3].map(|id| state.may_try(ReplicaId(id)));
    assert_eq!(tries(&state), [true; 3]);
    lose(&mut state, &worker, 1);
    assert_eq!(tries(&state), [true; 3]);
    lose(&mut state, &worker, 2);
    assert_eq!(tries(&state), [true, true, false]);
}

#[test]
fn a_lost_request_waits_once_before_another_replica() {
    let worker = Worker::without_replicas();
    let mut state = RetryState::default();
    assert!(!state.needs_delay(ReplicaId(2)), "nothing was lost");
    lose(&mut state, &worker, 1);
    assert!(!state.needs_delay(ReplicaId(1)), "the same replica");
    assert!(state.needs_delay(ReplicaId(2)));
    assert!(!state.needs_delay(ReplicaId(2)), "the second time");
}

#[test]
fn a_failure_counts_by_its_kind_and_by_the_use_of_its_connection() {
    use Health::{Suspect, Up};
    use ResponseError::{Degraded, Lost, Stale};
    // Error, kept connection, health when chosen; reason that counts, replica lost with the
    // request, retries of the request, replica tried.
    let cases = [
        (Lost, false, Up, Retry::Lost, true, 1, true),
        (Lost, false, Suspect, Retry::Lost, true, 1, true),
        (Lost, true, Up, Retry::Stale, true, 0, false),
        (Stale, true, Up, Retry::Stale, false, 0, false),
        (Degraded, true, Up, Retry::Degraded, true, 1, true),
        (Degraded, false, Suspect, Retry::Degraded, false, 1, true),
    ];
    for (error, reused, health, reason, is_lost, retries, is_tried) in cases {
        let worker = Worker::without_replicas();
        let mut state = RetryState::default();
        let (mut request, at) = (sent_get(&worker), chosen(1, health));
        let retried = state.record_failure(&worker, &mut request, &at, &error, reused, true);
        retried.unwrap();
        let case = format!("{error:?} {reused} {health:?}");
        let counted = at.upstream().counters().retries();
        assert_eq!(counted[reason as usize], 1, "{case}");
        assert_eq!(counted.iter().sum::<u64>(), 1, "{case}");
        assert_eq!(lost_replicas(&state) == [1], is_lost, "{case}");
        assert_eq!((state.retries, state.reroutes), (retries, 1), "{case}");
        assert_eq!(state.attempted.contains(ReplicaId(1)), is_tried, "{case}");
        assert!(request.outgoing.is_unsent(), "{case}");
    }
}

#[test]
fn a_replica_that_was_lost_twice_counts_once() {
    let worker = Worker::without_replicas();
    let mut state = RetryState::default();
    for id in [1, 1, 2] {
        lose(&mut state, &worker, id);
    }
    assert_eq!(lost_replicas(&state), [1, 2]);
    assert_eq!((state.retries, state.reroutes), (3, 3));
}

#[test]
fn a_request_of_which_nothing_was_sent_is_not_lost() {
    let worker = Worker::without_replicas();
    for (reused, refused) in [(false, vec![ReplicaId(1)]), (true, vec![])] {
        let mut state = RetryState::default();
        let (mut request, at) = (sent_get(&worker), chosen(1, Health::Up));
        request.outgoing.sent = 0;
        let lost = ResponseError::Lost;
        let retried = state.record_failure(&worker, &mut request, &at, &lost, reused, false);
        retried.unwrap();
        assert_eq!(state.attempted.refused, refused);
        assert_eq!((lost_replicas(&state), state.retries), (vec![], 0));
    }
}

#[test]
fn a_request_that_is_not_repeatable_is_not_retried() {
    let worker = Worker::without_replicas();
    let retry = |error: ResponseError, replayable| {
        let mut state = RetryState::default();
        let (mut request, at) = (sent_get(&worker), chosen(1, Health::Up));
        request.outgoing.replayable = replayable;
        let result = state.record_failure(&worker, &mut request, &at, &error, false, false);
        assert_eq!(state.reroutes, u32::from(result.is_ok()));
        result.map_err(|denied| denied.to_string())
    };
    let closed = Err("the replica closed its connection too early".to_owned());
    assert_eq!(retry(ResponseError::Lost, true), closed);
    assert_eq!(retry(ResponseError::Degraded, true), Ok(()));
    assert_eq!(retry(ResponseError::Degraded, false), closed);
}

#[test]
fn a_request_over_the_budget_is_not_retried() {
    let worker = Worker::without_replicas();
    let mut state = RetryState::default();
    for _ in 0..10 {
        lose(&mut state, &worker, 1);
    }
    let (mut request, at) = (sent_get(&worker), chosen(1, Health::Up));
    let lost = ResponseError::Lost;
    let denied = state.record_failure(&worker, &mut request, &at, &lost, false, true);
    let sentence = denied.unwrap_err().to_string();
    let begin = "the replica was lost with this request, and the retry budget is spent: 10 retries";
    assert!(sentence.starts_with(begin), "{sentence}");
    assert_eq!(state.reroutes, 10);
}
