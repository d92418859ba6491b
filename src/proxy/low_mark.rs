//! The low mark of a socket (SO_RCVLOWAT): the event loop wakes us for a large body in larger pieces.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::wire::sockopt;

/// How many bytes of a large body should be there before the event loop wakes us for them.
const LOW_MARK: usize = 128 * 1024;
/// How long they are waited for. Whoever sends more slowly than that is read byte by byte from then on,
/// so that none of them is held back.
pub(super) const LOW_MARK_PATIENCE: Duration = Duration::from_millis(10);

/// The low mark of the socket that a body comes from (SO_RCVLOWAT): fewer wake-ups while it flows.
#[derive(Debug, Default)]
pub(super) struct LowMark {
    raised: bool,
    pub(super) too_slow: bool,
}

impl LowMark {
    /// Sets the mark for a body of which so much is certain to come. Returns whether it is raised.
    pub(super) fn adapt(&mut self, socket: &TcpStream, ahead: u64) -> bool {
        let raise = !self.too_slow && ahead >= LOW_MARK as u64;
        if raise != self.raised {
            sockopt::set_receive_low_mark(socket, if raise { LOW_MARK } else { 1 });
            self.raised = raise;
        }
        raise
    }
}
