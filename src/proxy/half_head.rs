//! A head, PROXY header or ClientHello that is incomplete: the wait for its next bytes. At the
//! limit of connections such a client makes room for a new one.

use tokio::io::AsyncReadExt;

use super::client::Client;
use super::idle_clients::{IdlePlace, unless_evicted};
use super::worker::Worker;

/// Result of a wait for more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MoreBytes {
    /// Bytes came.
    Some,
    /// The client ended the connection.
    Ended,
    /// The client makes room for a new one.
    Evicted,
    /// The time of a head is over.
    Late,
}

/// Reads more bytes into the inbox, at most until the time of a head is over, which began with
/// `place`.
pub(super) async fn read_more(
    worker: &Worker,
    client: &mut Client,
    place: &mut IdlePlace<'_>,
) -> MoreBytes {
    let due = place.since() + worker.settings.limits.head_timeout;
    let more = unless_evicted(place, client.stream.read_buf(&mut client.inbox));
    match client.timer.run(Some(due), more).await {
        Ok(Some(Ok(0) | Err(_))) => MoreBytes::Ended,
        Ok(Some(Ok(_))) => MoreBytes::Some,
        Ok(None) => {
            worker.port().evicted.add(1);
            MoreBytes::Evicted
        }
        Err(_) => MoreBytes::Late,
    }
}
