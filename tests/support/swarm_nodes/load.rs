//! Loads at the data ports of several nodes.

use std::time::Duration;

use super::Nodes;
use crate::support::{Load, Tally};

/// Connections to each port.
const CONNECTIONS: usize = 3;
/// Least time from request to request of a connection. Managers and balancers need the processors,
/// too.
const PACE: Duration = Duration::from_millis(10);

/// A load at the port of each of some nodes.
#[derive(Debug)]
pub(crate) struct Loads(Vec<Load>);

impl Nodes {
    /// Starts to send requests to the ports of these nodes.
    #[track_caller]
    pub(crate) fn load(&self, on: &[usize]) -> Loads {
        let start = |node: &usize| Load::paced(self.data_port(*node), CONNECTIONS, PACE);
        let loads = Loads(on.iter().map(start).collect());
        loads.go_on(50);
        loads
    }
}

impl Loads {
    /// Waits until each port has answered this many more requests.
    #[track_caller]
    pub(crate) fn go_on(&self, more: u64) {
        self.0.iter().for_each(|load| load.go_on(more));
    }

    /// Waits until each connection has got a reply to a request sent from now on.
    #[track_caller]
    pub(crate) fn serve_each_connection(&self) {
        let loads = self.0.iter();
        loads.for_each(Load::wait_for_one_reply_per_connection);
    }

    /// Ends them after the requests that are under way, and adds their counts.
    #[track_caller]
    pub(crate) fn finish(self) -> Tally {
        let mut all = Tally::default();
        for load in self.0 {
            all.merge(load.finish());
        }
        all
    }
}
