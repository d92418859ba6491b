//! Fresh connections to replicas, and the decision to leave a replica whose health degrades.
//!
//! A long connect timeout costs little. A pending connection is given up as soon as its replica
//! degrades in the roster while another one is up.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use tokio::net::TcpStream;

use super::attempted::{Attempted, NoConnection};
use super::in_flight::InFlight;
use super::progress::OnSilence;
use super::upstream::Upstream;
use super::worker::Worker;
use crate::metrics::Retry;
use crate::roster::{EvidenceKind, Health, ReplicaId};
use crate::wire::socket::{self, ConnectError};

impl Worker {
    /// Opens a connection to a replica. The attempt is given up if the replica's health degrades
    /// while another one is up. A failure is reported to the fleet as evidence.
    ///
    /// # Errors
    /// The reason why there is no connection. Nothing was sent.
    pub(super) async fn dial(
        &self,
        in_flight: &InFlight,
        attempted: &Attempted,
    ) -> Result<TcpStream, NoConnection> {
        let (upstream, limit) = (in_flight.upstream(), self.settings.limits.connect_timeout);
        self.port().pool_misses.add(1);
        let mut connecting = pin!(socket::connect(&upstream.addr.0, limit));
        let mut waiter = in_flight.degraded_waiter();
        let connected = poll_fn(|cx| match connecting.as_mut().poll(cx) {
            Poll::Ready(connected) => Poll::Ready(Some(connected)),
            Poll::Pending if self.should_give_up(in_flight, |id| attempted.contains(id)) => {
                Poll::Ready(None)
            }
            Poll::Pending => {
                waiter.register(cx);
                Poll::Pending
            }
        });
        let (kind, retry, why) = match connected.await {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(ConnectError::Refused)) => {
                (EvidenceKind::Refused, Retry::Refused, NoConnection::Refused)
            }
            Some(Err(ConnectError::TimedOut)) => {
                let why = NoConnection::TimedOut(limit);
                (EvidenceKind::ConnectTimeout, Retry::ConnectTimeout, why)
            }
            Some(Err(ConnectError::Ours(err))) => {
                tracing::warn!("cannot connect to {}: {err}", upstream.addr);
                return Err(NoConnection::Ours);
            }
            None => {
                upstream.counters().retried(Retry::Degraded);
                return Err(NoConnection::Degraded);
            }
        };
        self.report_evidence(upstream.id, kind);
        upstream.counters().retried(retry);
        Err(why)
    }

    /// Returns `true` if a request should leave its replica. That is so if the replica is down, or
    /// if it is suspect and an untried one is up. Without another one up, the replica may only be
    /// busy with this request.
    fn should_give_up(&self, in_flight: &InFlight, tried: impl Fn(ReplicaId) -> bool) -> bool {
        let is_better =
            |upstream: &Rc<Upstream>| upstream.accepts_requests() && !tried(upstream.id);
        match in_flight.upstream().health.get() {
            Health::Up => false,
            Health::Suspect => self.view().upstreams.iter().any(is_better),
            Health::Down => true,
        }
    }

    /// Returns `true` if a request without a reply leaves its replica, within the retry budget. A
    /// request that stays although another replica fell silent with it counts as slow from then on.
    pub(super) fn should_leave(&self, in_flight: &InFlight, on_silence: OnSilence) -> bool {
        match on_silence {
            OnSilence::Leaves => self.should_give_up(in_flight, |_| false) && self.allows_retry(),
            // A request that cannot be retried keeps waiting for this replica.
            OnSilence::Stays => false,
            OnSilence::IsSlow => {
                if in_flight.is_degraded() {
                    in_flight.begin_slow();
                }
                false
            }
        }
    }
}
