//! The kept connections that a request may use.

/// Requirement of a request on a kept connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReusePolicy {
    /// The connection may turn out closed: the request can be retried.
    MayBeClosed,
    /// The request was lost once already, so only a connection the kernel still considers open is
    /// used: if it fails again, the replica really had the request.
    Open,
    /// The connection must also have been used a moment ago: the request must not be sent twice.
    JustUsed,
}
