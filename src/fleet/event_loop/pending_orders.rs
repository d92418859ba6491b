//! Orders that have no answer yet.
//!
//! A refusal is sent at once. A success is held back until every worker has acknowledged the roster
//! with the change, because the client may rely on it the next moment.

use std::collections::HashMap;

use tokio::sync::oneshot;

use crate::fleet::plan::OrderId;
use crate::orders::{Order, OrderCall, OrderResult};

/// Orders that have no answer yet.
#[derive(Debug, Default)]
pub(super) struct PendingOrders {
    waiting: HashMap<OrderId, PendingOrder>,
    /// Results of changes that wait for the workers.
    completed: Vec<(oneshot::Sender<OrderResult>, OrderResult)>,
    last_id: u64,
}

/// An order without a result.
#[derive(Debug)]
struct PendingOrder {
    /// Address of the client.
    client: String,
    reply: oneshot::Sender<OrderResult>,
}

impl PendingOrders {
    /// Gives an order its ID.
    pub(super) fn accept(&mut self, call: OrderCall) -> (OrderId, Order) {
        self.last_id += 1;
        let id = OrderId(self.last_id);
        let pending = PendingOrder {
            client: call.from,
            reply: call.reply,
        };
        self.waiting.insert(id, pending);
        (id, call.order)
    }

    /// Takes the result of an order: an error is sent at once, a success by
    /// [`PendingOrders::send_completed`].
    pub(super) fn complete(&mut self, id: OrderId, result: OrderResult) {
        let Some(order) = self.waiting.remove(&id) else {
            return;
        };
        if result.is_ok() {
            self.completed.push((order.reply, result));
        } else {
            // The client may have left.
            let _ = order.reply.send(result);
        }
    }

    /// Sends the results of completed changes. A stop does not wait for the workers before this:
    /// some may have ended, and others wait for the answer.
    pub(super) fn send_completed(&mut self) {
        for (reply, result) in self.completed.drain(..) {
            let _ = reply.send(result);
        }
    }

    /// Returns the client address of an order; empty if its result was taken.
    pub(super) fn client(&self, id: OrderId) -> String {
        let order = self.waiting.get(&id);
        order.map_or_else(String::new, |order| order.client.clone())
    }
}
