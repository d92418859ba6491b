//! The lookup of a version, which may take minutes and goes on beside the event loop.

use tokio::sync::mpsc::UnboundedSender;

use super::inbox::PreparedVersion;
use crate::fleet::engine::PrepareFuture;
use crate::fleet::plan::OrderId;

/// Runs a lookup for an order, and sends its result to the inbox.
pub(super) fn spawn(
    id: OrderId,
    lookup: PrepareFuture,
    prepared: &UnboundedSender<PreparedVersion>,
) {
    let prepared = prepared.clone();
    tokio::spawn(async move {
        // The fleet may have ended meanwhile.
        let _ = prepared.send((id, lookup.await));
    });
}
