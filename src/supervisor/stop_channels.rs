//! Channels by which the supervisor ends the threads.

use crate::shutdown;

/// Shutdown channels of the threads, generic over sender and receiver.
pub(crate) struct StopChannels<T> {
    /// Readiness: not ready from here on.
    pub(crate) readiness: T,
    /// Workers: finish the requests under way, then end.
    pub(crate) workers: T,
    /// Workers: end at once.
    pub(crate) cut: T,
    pub(crate) control: T,
}

/// Creates the shutdown channels: senders, then receivers. Dropping a sender requests the shutdown
/// as well.
pub(crate) fn stop_channels() -> (
    StopChannels<shutdown::Trigger>,
    StopChannels<shutdown::Shutdown>,
) {
    let (readiness, readiness_end) = shutdown::channel();
    let (workers, workers_stop) = shutdown::channel();
    let (cut, workers_cut) = shutdown::channel();
    let (control, control_stops) = shutdown::channel();
    let triggers = StopChannels {
        readiness,
        workers,
        cut,
        control,
    };
    let receivers = StopChannels {
        readiness: readiness_end,
        workers: workers_stop,
        cut: workers_cut,
        control: control_stops,
    };
    (triggers, receivers)
}
