//! Queue between the ports and the fleet. Orders wait in it up to a limit; reads do not wait.
//!
//! The list of `/rep` is a snapshot. The fleet publishes it after each step and before it answers
//! the orders of that step. A client that has the answer to its `/add` therefore finds the new
//! replicas in the next list. A fleet snapshot holds momentary figures, so the fleet makes it on
//! request, ahead of every waiting order.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::{FleetSnapshot, MAX_QUEUED_ORDERS, Order, OrderCall, OrderError, OrderResult};
use crate::roster::ReplicaName;

/// Maximum number of snapshot requests on their way to the fleet. More of them wait; none is
/// refused.
const MAX_QUEUED_SNAPSHOTS: usize = 16;

/// Replicas that `/rep` lists, in its order.
pub type ReplicaNames = Arc<[ReplicaName]>;

/// Handle to submit orders and to look up replicas, from any thread.
#[derive(Debug, Clone)]
pub struct OrderQueue {
    orders: mpsc::Sender<OrderCall>,
    snapshots: mpsc::Sender<oneshot::Sender<FleetSnapshot>>,
    names: watch::Receiver<ReplicaNames>,
}

/// Fleet's end of the queue.
#[derive(Debug)]
pub struct OrderReceiver {
    /// Orders, in the order of their arrival.
    pub orders: mpsc::Receiver<OrderCall>,
    /// Requests for a fleet snapshot. The receiver of the answer may be gone, as that of an order
    /// may.
    pub snapshots: mpsc::Receiver<oneshot::Sender<FleetSnapshot>>,
    /// Names that `/rep` lists.
    pub names: watch::Sender<ReplicaNames>,
}

/// Returns an order queue and the fleet's end of it. No name is listed at first.
#[must_use]
pub fn order_queue() -> (OrderQueue, OrderReceiver) {
    let (orders_in, orders) = mpsc::channel(MAX_QUEUED_ORDERS);
    let (snapshots_in, snapshots) = mpsc::channel(MAX_QUEUED_SNAPSHOTS);
    let (names, names_reader) = watch::channel(ReplicaNames::default());
    let queue = OrderQueue {
        orders: orders_in,
        snapshots: snapshots_in,
        names: names_reader,
    };
    let receiver = OrderReceiver {
        orders,
        snapshots,
        names,
    };
    (queue, receiver)
}

impl OrderQueue {
    /// Submits `order` and waits for its answer. Dropping the future does not undo the order.
    pub async fn submit(&self, order: Order, from: String) -> OrderResult {
        let (reply, answer) = oneshot::channel();
        let call = OrderCall { order, from, reply };
        self.orders.try_send(call).map_err(|err| match err {
            mpsc::error::TrySendError::Full(_) => OrderError::queue_full(),
            mpsc::error::TrySendError::Closed(_) => OrderError::stopping(),
        })?;
        answer.await.unwrap_or_else(|_| Err(OrderError::stopping()))
    }

    /// Returns the replicas that have answered and are not dead, without waiting.
    ///
    /// # Errors
    /// If the fleet is gone.
    pub fn list(&self) -> OrderResult {
        // `has_changed` fails only if the sender is gone.
        self.names
            .has_changed()
            .map_err(|_| OrderError::stopping())?;
        Ok(self.names.borrow().to_vec())
    }

    /// Returns the information about every replica and every waiting seat, by seat.
    ///
    /// # Errors
    /// If the fleet is gone.
    pub async fn show(&self) -> Result<FleetSnapshot, OrderError> {
        let (reply, snapshot) = oneshot::channel();
        self.snapshots
            .send(reply)
            .await
            .map_err(|_| OrderError::stopping())?;
        snapshot.await.map_err(|_| OrderError::stopping())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::ChangeRequest;

    #[tokio::test]
    async fn reads_do_not_wait_behind_orders() {
        let (queue, mut receiver) = order_queue();
        receiver.names.send_replace(["S1".parse().unwrap()].into());
        let names = Vec::new();
        let order = || {
            Order::Add(ChangeRequest {
                n: 1,
                names: names.clone(),
            })
        };
        let mut waiting = Vec::new();
        for _ in 0..MAX_QUEUED_ORDERS {
            let mut answer = Box::pin(queue.submit(order(), String::new()));
            assert!(poll_once(&mut answer).await.is_none());
            waiting.push(answer);
        }
        let refused = queue.submit(order(), String::new()).await.unwrap_err();
        assert_eq!(refused.sentence, "64 commands wait already");
        assert_eq!(queue.list().unwrap().len(), 1);
        // The channel holds one less: the last request waits for the fleet, and none is refused.
        let snapshots = (0..=MAX_QUEUED_SNAPSHOTS).map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.show().await })
        });
        let snapshots: Vec<_> = snapshots.collect();
        for _ in 0..=MAX_QUEUED_SNAPSHOTS {
            let snapshot = FleetSnapshot {
                at: std::time::SystemTime::UNIX_EPOCH,
                all: Vec::new(),
                has_other_versions: false,
                replacement: None,
            };
            receiver
                .snapshots
                .recv()
                .await
                .unwrap()
                .send(snapshot)
                .unwrap();
        }
        for show in snapshots {
            assert!(show.await.unwrap().is_ok());
        }
    }

    /// Polls once.
    async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| {
            use std::task::Poll;
            Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn a_fleet_that_is_gone_gives_no_answer() {
        let (queue, receiver) = order_queue();
        assert_eq!(queue.list(), Ok(Vec::new()));
        drop(receiver);
        assert_eq!(queue.list(), Err(OrderError::stopping()));
        assert_eq!(queue.show().await.err(), Some(OrderError::stopping()));
    }
}
