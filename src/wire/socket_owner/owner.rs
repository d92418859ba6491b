//! Result of a lookup of a socket's owner.

/// Owner of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketOwner {
    /// The user with this ID.
    User(u32),
    /// No user: the owner has closed it.
    Gone,
}
