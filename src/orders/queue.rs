//! The desk between whoever commands and the fleet: orders wait in a bounded queue, reads do not.
//!
//! The list of `/rep` is a snapshot that the fleet publishes after each step and before it answers the orders
//! of that step: a client that has the answer to its `/add` finds the newcomers in the next list. Cards hold
//! figures of the moment, so the fleet makes them when asked, ahead of every order that waits.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::{FleetSnapshot, MAX_QUEUED_ORDERS, Order, OrderCall, OrderError, OrderResult};
use crate::roster::ReplicaName;

/// How many requests for cards may be on their way to the fleet; more wait, and none is refused.
const MAX_QUEUED_SNAPSHOTS: usize = 16;

/// The replicas that `/rep` lists, in its order.
pub type ReplicaNames = Arc<[ReplicaName]>;

/// Where orders are handed in and replicas are looked up; any thread may.
#[derive(Debug, Clone)]
pub struct OrderQueue {
    orders: mpsc::Sender<OrderCall>,
    shows: mpsc::Sender<oneshot::Sender<FleetSnapshot>>,
    list: watch::Receiver<ReplicaNames>,
}

/// The fleet's end of the desk.
#[derive(Debug)]
pub struct OrderReceiver {
    /// Orders, in the order of their coming.
    pub orders: mpsc::Receiver<OrderCall>,
    /// Requests for the cards of all replicas. The sender may have left, as that of an order may.
    pub shows: mpsc::Receiver<oneshot::Sender<FleetSnapshot>>,
    /// What `/rep` lists.
    pub list: watch::Sender<ReplicaNames>,
}

/// A desk and the fleet's end of it. The list is empty at first.
#[must_use]
pub fn order_queue() -> (OrderQueue, OrderReceiver) {
    let (orders_in, orders) = mpsc::channel(MAX_QUEUED_ORDERS);
    let (shows_in, shows) = mpsc::channel(MAX_QUEUED_SNAPSHOTS);
    let (list, list_seen) = watch::channel(ReplicaNames::default());
    let desk = OrderQueue {
        orders: orders_in,
        shows: shows_in,
        list: list_seen,
    };
    let counter = OrderReceiver {
        orders,
        shows,
        list,
    };
    (desk, counter)
}

impl OrderQueue {
    /// Hands in `order` and waits for its answer. Dropping the future does not undo the order.
    pub async fn submit(&self, order: Order, from: String) -> OrderResult {
        let (reply, answer) = oneshot::channel();
        let call = OrderCall { order, from, reply };
        self.orders.try_send(call).map_err(|err| match err {
            mpsc::error::TrySendError::Full(_) => {
                OrderError::unavailable(format!("{MAX_QUEUED_ORDERS} commands wait already"))
            }
            mpsc::error::TrySendError::Closed(_) => is_stopping_error(),
        })?;
        answer.await.unwrap_or_else(|_| Err(is_stopping_error()))
    }

    /// The replicas that have answered and are not dead, at once.
    ///
    /// # Errors
    /// When the fleet is gone.
    pub fn list(&self) -> OrderResult {
        // It has an error when the sender is gone, and only then.
        self.list.has_changed().map_err(|_| is_stopping_error())?;
        Ok(self.list.borrow().to_vec())
    }

    /// A card for every replica and every seat that waits for one, by seat.
    ///
    /// # Errors
    /// When the fleet is gone.
    pub async fn show(&self) -> Result<FleetSnapshot, OrderError> {
        let (reply, cards) = oneshot::channel();
        self.shows
            .send(reply)
            .await
            .map_err(|_| is_stopping_error())?;
        cards.await.map_err(|_| is_stopping_error())
    }
}

fn is_stopping_error() -> OrderError {
    OrderError::unavailable("ringmaster is stopping")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::ChangeRequest;

    #[tokio::test]
    async fn reads_do_not_wait_behind_orders() {
        let (desk, mut counter) = order_queue();
        counter.list.send_replace(["S1".parse().unwrap()].into());
        let names = Vec::new();
        let order = || {
            Order::Add(ChangeRequest {
                n: 1,
                names: names.clone(),
            })
        };
        let mut waiting = Vec::new();
        for _ in 0..MAX_QUEUED_ORDERS {
            let mut ask = Box::pin(desk.submit(order(), String::new()));
            assert!(futures_poll(&mut ask).await.is_none());
            waiting.push(ask);
        }
        let refused = desk.submit(order(), String::new()).await.unwrap_err();
        assert_eq!(refused.sentence, "64 commands wait already");
        assert_eq!(desk.list().unwrap().len(), 1);
        // More than may be on their way: they wait for the fleet, and none is refused.
        let shows = (0..=MAX_QUEUED_SNAPSHOTS).map(|_| {
            let desk = desk.clone();
            tokio::spawn(async move { desk.show().await })
        });
        let shows: Vec<_> = shows.collect();
        for _ in 0..=MAX_QUEUED_SNAPSHOTS {
            let cards = FleetSnapshot {
                at: std::time::SystemTime::UNIX_EPOCH,
                all: Vec::new(),
            };
            counter.shows.recv().await.unwrap().send(cards).unwrap();
        }
        for show in shows {
            assert!(show.await.unwrap().is_ok());
        }
    }

    /// Polls once.
    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
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
    async fn a_fleet_that_is_gone_answers_nothing() {
        let (desk, counter) = order_queue();
        assert_eq!(desk.list(), Ok(Vec::new()));
        drop(counter);
        assert_eq!(desk.list(), Err(is_stopping_error()));
        assert_eq!(desk.show().await.err(), Some(is_stopping_error()));
    }
}
