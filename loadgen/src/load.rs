//! A closed-loop load: so many connections, each sending its next request when it has its answer.
//!
//! Requests are numbered, and the number decides the ID; which connection carries it is chance. A slow
//! server slows the load, so latencies say nothing about a fixed rate of arrivals.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use tokio::task::JoinSet;

use crate::client::{Client, Template};
use crate::ids::request_id;
use crate::tally::Tally;

/// How much, over how many connections, with which IDs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) concurrency: u64,
    pub(crate) seed: u64,
}

/// Sends the whole load, counting in `tally`. Cancel safe: what was counted stays counted, and the
/// connections are closed.
pub(crate) async fn send(load: Load, template: Rc<Template>, tally: Rc<RefCell<Tally>>) {
    let next = Rc::new(Cell::new(0));
    let mut connections = JoinSet::new();
    for _ in 0..load.concurrency.min(load.requests) {
        let (template, tally) = (Rc::clone(&template), Rc::clone(&tally));
        let next = Rc::clone(&next);
        connections.spawn_local(async move { drive(load, &next, &template, &tally).await });
    }
    while connections.join_next().await.is_some() {}
}

async fn drive(load: Load, next: &Cell<u64>, template: &Template, tally: &RefCell<Tally>) {
    let mut client = Client::new(template);
    while next.get() < load.requests {
        let index = next.replace(next.get() + 1);
        let start = Instant::now();
        let outcome = client.request(request_id(load.seed, index)).await;
        tally.borrow_mut().add(outcome, start.elapsed());
    }
}
