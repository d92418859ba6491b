//! Names of the slots of a service, which its orchestrator numbers.

use super::{ChangeRequest, OrderError};
use crate::ring::Seat;

/// Checks that an `add` names the slots which the orchestrator fills next, the lowest free ones.
///
/// # Errors
/// The change names other slots.
pub fn check_slot_names(
    change: &ChangeRequest,
    is_taken: impl Fn(&Seat) -> bool,
) -> Result<(), OrderError> {
    let free = (1..).map(Seat).filter(|seat| !is_taken(seat));
    let next: Vec<String> = free.take(change.n).map(|seat| format!("S{seat}")).collect();
    let mut names = change.names.iter();
    match names.all(|name| next.iter().any(|next| next == name.as_ref())) {
        true => Ok(()),
        false => Err(OrderError::other_slots(&next)),
    }
}
