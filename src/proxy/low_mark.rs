//! The receive low mark of a socket (SO_RCVLOWAT, socket(7)): the event loop wakes a session for
//! larger pieces of a body.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::wire::sockopt;

/// Bytes of a large body that must be available before the event loop wakes the session.
const LOW_MARK: usize = 128 * 1024;
/// Maximum wait for that many bytes. A slower sender is read piece by piece from then on, so that
/// no byte is delayed.
pub(super) const LOW_MARK_PATIENCE: Duration = Duration::from_millis(10);

/// Low mark of the socket that a body comes from.
#[derive(Debug, Default)]
pub(super) struct LowMark {
    raised: bool,
    pub(super) too_slow: bool,
}

impl LowMark {
    /// Sets the mark for a body of which `ahead` bytes are certain to come. Returns `true` if the
    /// mark is raised.
    pub(super) fn adapt(&mut self, socket: &TcpStream, ahead: u64) -> bool {
        let raise = !self.too_slow && ahead >= LOW_MARK as u64;
        if raise != self.raised {
            sockopt::set_receive_low_mark(socket, if raise { LOW_MARK } else { 1 });
            self.raised = raise;
        }
        raise
    }
}
