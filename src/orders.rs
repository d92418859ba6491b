//! Orders to the fleet, from the data port and the control port: request and reply types, the
//! checks that need no state, and the JSON with which both ports answer.
//!
//! The fleet does the checks that need state: a name that is taken or absent, a number against the
//! wanted N. Checks run in the order of the contract. A failed check means that nothing has
//! changed.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::roster::ReplicaName;
use crate::suggest::nearest;
use crate::terminal;

mod backend_addr;
mod error;
mod order;
mod queue;
mod replacement;
mod replica_info;
mod slot_names;

pub use backend_addr::{BackendAddr, BackendSeat, BadBackendAddr};
pub use error::{MAX_QUEUED_ORDERS, OrderError};
pub use order::{BackendChange, ChangeRequest, Order, OrderCall, OrderResult};
pub use queue::{OrderQueue, OrderReceiver, ReplicaNames, order_queue};
pub use replacement::{
    DEFAULT_MONITOR, ReplaceOptions, ReplacePace, ReplaceRequest, ReplaceTarget, VersionRequest,
};
pub use replica_info::{FleetSnapshot, PastReplica, ReplacementInfo, ReplicaInfo, ReplicaState};
pub use slot_names::check_slot_names;

/// Maximum length of a request body on the admin paths, in bytes; a longer one gets 413.
pub const MAX_ORDER_BODY: usize = 64 * 1024;

/// Kind of change that a request body describes; the error texts differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// `POST /add`
    Add,
    /// `DELETE /rm`
    Rm,
}

impl ChangeKind {
    /// Returns the order for a checked change.
    #[must_use]
    pub fn into_order(self, change: ChangeRequest) -> Order {
        match self {
            Self::Add => Order::Add(change),
            Self::Rm => Order::Rm(change),
        }
    }

    /// Checks a change from a text command or from a request body.
    ///
    /// # Errors
    /// The refusal of the first check that fails: more names than `n`, an illegal name, a repeated
    /// name.
    pub fn parse_change<S: AsRef<str>>(
        self,
        n: usize,
        names: &[S],
    ) -> Result<ChangeRequest, OrderError> {
        if names.len() > n {
            return Err(OrderError::invalid(match self {
                Self::Add => "Length of hostname list is more than newly added instances",
                Self::Rm => "Length of hostname list is more than removable instances",
            }));
        }
        let parse = |name: &S| {
            name.as_ref()
                .parse()
                .map_err(|err| OrderError::invalid(format!("{err}")))
        };
        let names: Vec<ReplicaName> = names.iter().map(parse).collect::<Result<_, _>>()?;
        let mut seen = HashSet::new();
        if let Some(repeated) = names.iter().find(|name| !seen.insert(*name)) {
            return Err(OrderError::invalid(format!(
                "hostname {repeated} is given twice"
            )));
        }
        Ok(ChangeRequest { n, names })
    }

    /// Parses a change from a request body: `{"n": 2, "hostnames": ["S4", "S5"]}`.
    ///
    /// # Errors
    /// The refusal of the first check that fails, in the order of the contract.
    pub fn parse_body(self, body: &[u8]) -> Result<ChangeRequest, OrderError> {
        let fields = parse_fields(body, &["n", "hostnames"])?;
        let n = fields
            .get("n")
            .ok_or_else(|| OrderError::invalid("n is missing"))?;
        let n = n.as_u64().filter(|n| *n > 0);
        let n = n.ok_or_else(|| OrderError::invalid("n is not a positive integer"))?;
        let names = match fields.get("hostnames") {
            None => Vec::new(),
            Some(list) => string_list(list)
                .ok_or_else(|| OrderError::invalid("hostnames is not a list of strings"))?,
        };
        self.parse_change(usize::try_from(n).unwrap_or(usize::MAX), &names)
    }
}

/// Parses a request body: a JSON object whose fields are all in `known`. An unknown field is
/// refused rather than ignored: without its misspelled `hostnames`, a removal would be random.
///
/// # Errors
/// The refusal, with the known field that was probably meant.
pub fn parse_fields(body: &[u8], known: &[&str]) -> Result<Map<String, Value>, OrderError> {
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return Err(OrderError::invalid("request body is not a JSON object"));
    };
    let Some(unknown) = fields.keys().find(|name| !known.contains(&name.as_str())) else {
        return Ok(fields);
    };
    let hint = match nearest(unknown, known) {
        Some(meant) => format!("did you mean '{meant}'?"),
        None if known.is_empty() => "this request has no fields".to_owned(),
        None => format!("the fields are: {}", known.join(", ")),
    };
    let unknown = terminal::echo(unknown);
    Err(OrderError::invalid(format!(
        "'{unknown}' is not a field of this request; {hint}"
    )))
}

fn string_list(list: &Value) -> Option<Vec<&str>> {
    list.as_array()?.iter().map(Value::as_str).collect()
}

/// Returns the HTTP status and JSON text of an answer, without a final line feed.
#[must_use]
pub fn render(answer: &OrderResult) -> (u16, String) {
    match answer {
        Ok(names) => (200, success(&names_message(names))),
        Err(refusal) => (refusal.status, failure(&refusal.sentence)),
    }
}

/// Returns the message of `/rep`: `{"N":2,"replicas":["S1","S2"]}`.
#[must_use]
pub fn names_message(names: &[ReplicaName]) -> Value {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    json!({"N": names.len(), "replicas": names})
}

/// Returns the JSON text of a success: `{"message":…,"status":"successful"}`.
#[must_use]
pub fn success(message: &Value) -> String {
    json!({"message": message, "status": "successful"}).to_string()
}

/// Returns the JSON text of a failure: `{"message":"<Error> …","status":"failure"}`.
#[must_use]
pub fn failure(sentence: &str) -> String {
    json!({"message": format!("<Error> {sentence}"), "status": "failure"}).to_string()
}

#[cfg(test)]
mod tests;
