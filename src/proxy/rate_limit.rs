//! The rate of requests of each client (`--rate-per-client`): a request above it is refused with
//! 429.

use std::time::Duration;

use tokio::time::Instant;

use super::client::{Client, Disposition};
use super::dispatch::Dispatch;
use super::error_reply::ErrorReply;
use super::worker::Worker;

/// Takes a token for a request from the bucket of its client.
///
/// # Errors
/// The request came too fast; the time until the next one may come.
pub(super) fn take_request(worker: &Worker, client: &Client) -> Result<(), Duration> {
    let Some(admission) = &client.admission else {
        return Ok(());
    };
    let clients = &worker.settings.clients;
    clients.take_request(admission, Instant::now().into())
}

/// Refuses a request that came too fast. The connection stays open if nothing of the request is
/// left to read.
pub(super) async fn refuse_request(
    worker: &Worker,
    client: &mut Client,
    dispatch: Dispatch,
    wait: Duration,
) -> Disposition {
    worker.port().clients_over_rate.add(1);
    let (stays, head_only) = match &dispatch {
        Dispatch::Forward(request) => (request.may_stay(), request.meta.to_head),
        Dispatch::Admin(request) => (request.may_stay(), request.head_only),
        Dispatch::Tunnel(first) => (false, first.head_only),
        Dispatch::MaxForwardsZero { keep_alive } => (*keep_alive, false),
    };
    if let Dispatch::Forward(mut request) = dispatch {
        worker.buffers.put_back(&mut request.outgoing.bytes);
    }
    let addr = client
        .addr
        .ip()
        .map_or_else(String::new, |ip| ip.to_string());
    let seconds = whole_seconds(wait);
    let sentence = format!("too many requests from {addr}; wait {seconds} s");
    let fields = format!("Retry-After: {seconds}\r\n");
    let failure = ErrorReply::new(429, sentence);
    client
        .answer(worker, &failure, &fields, stays, head_only)
        .await
}

/// Returns the wait in whole seconds, at least one, as `Retry-After` has it (RFC 9110 §10.2.3).
fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    seconds.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        let rounded = [0, 1, 999, 1_000, 1_001].map(|ms| whole_seconds(Duration::from_millis(ms)));
        assert_eq!(rounded, [1, 1, 1, 1, 2]);
    }
}
