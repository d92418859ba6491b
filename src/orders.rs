//! Orders as they cross from whoever read them (data port, control port) to the fleet:
//! request and reply types, the checks that need no state, and the JSON both ports answer with.
//!
//! The fleet does the checks that need state (a name taken or absent, a number against the wanted N).
//! Checks go in the order of the contract, and the first failure means that nothing has changed.

use std::collections::HashSet;
use std::fmt;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::load::LoadBound;
use crate::ring::Spec;
use crate::roster::ReplicaName;

mod queue;
mod replica_info;

pub use queue::{OrderQueue, OrderReceiver, ReplicaNames, order_queue};
pub use replica_info::{FleetSnapshot, PastReplica, ReplicaInfo, ReplicaState};

/// The longest request body the admin paths read, in bytes; a longer one is 413.
pub const MAX_ORDER_BODY: usize = 64 * 1024;

/// How many orders may wait for the fleet; more are refused with 503.
pub const MAX_QUEUED_ORDERS: usize = 64;

/// How many replicas, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRequest {
    /// How many replicas to add or remove, at least 1.
    pub n: usize,
    /// Names for the first of them, at most `n`, all distinct; the fleet chooses the rest.
    pub names: Vec<ReplicaName>,
}

/// What is asked of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Start replicas; answered when they all answer, or when none of them is left.
    Add(ChangeRequest),
    /// Remove replicas; answered when they are gone.
    Rm(ChangeRequest),
    /// Have so many, by starting more or by removing the highest seats; answered as these are.
    Scale(usize),
    /// Put another replica in the place of one, or of all, one at a time; answered when the old ones are
    /// gone.
    Replace(ReplaceTarget),
    /// Give this one no new requests, and keep it; answered when all workers go by it.
    Drain(ReplicaName),
    /// Undo that.
    Ready(ReplicaName),
    /// Give the keys out by another kind of ring; answered when all workers do.
    Ring(Spec),
    /// Let loads lie so far above the mean; answered when all workers do.
    Bound(LoadBound),
}

/// Whom a replacement is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplaceTarget {
    /// Everybody.
    All,
    /// The replica of this name.
    One(ReplicaName),
}

/// As the log tells it: `/add n=2 S4 S5`.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, change) = match self {
            Self::Add(change) => ("/add", change),
            Self::Rm(change) => ("/rm", change),
            Self::Scale(n) => return write!(f, "scale {n}"),
            Self::Replace(ReplaceTarget::All) => return f.write_str("replace all"),
            Self::Replace(ReplaceTarget::One(name)) => return write!(f, "replace {name}"),
            Self::Drain(name) => return write!(f, "drain {name}"),
            Self::Ready(name) => return write!(f, "ready {name}"),
            Self::Ring(spec) => return write!(f, "ring set {spec}"),
            Self::Bound(bound) => return write!(f, "bound {bound}"),
        };
        write!(f, "{path} n={}", change.n)?;
        let mut names = change.names.iter();
        names.try_for_each(|name| write!(f, " {name}"))
    }
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderError {
    /// HTTP status: 400 for a bad order, 404 for one about nobody, 503 for one that failed.
    pub status: u16,
    /// The reason in a sentence, without the leading `<Error> `.
    pub sentence: String,
}

impl OrderError {
    /// The order is wrong; nothing has changed.
    pub fn invalid(sentence: impl Into<String>) -> Self {
        Self {
            status: 400,
            sentence: sentence.into(),
        }
    }

    /// There is no replica of this name; nothing has changed.
    #[must_use]
    pub fn not_found(name: &ReplicaName) -> Self {
        Self {
            status: 404,
            sentence: format!("there is no replica named {name}"),
        }
    }

    /// The order was right and could not be carried out.
    pub fn unavailable(sentence: impl Into<String>) -> Self {
        Self {
            status: 503,
            sentence: sentence.into(),
        }
    }
}

/// The replicas that `/rep` lists, in its order, or why not.
pub type OrderResult = Result<Vec<ReplicaName>, OrderError>;

/// An order on its way to the fleet.
#[derive(Debug)]
pub struct OrderCall {
    /// What is asked.
    pub order: Order,
    /// Who asks, for the log: an address.
    pub from: String,
    /// Where the answer goes. It may be dropped: whoever asks may leave.
    pub reply: oneshot::Sender<OrderResult>,
}

/// Which of the two changes a body asks for; the texts differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// `POST /add`
    Add,
    /// `DELETE /rm`
    Rm,
}

impl ChangeKind {
    /// The order for a checked change.
    #[must_use]
    pub fn into_order(self, change: ChangeRequest) -> Order {
        match self {
            Self::Add => Order::Add(change),
            Self::Rm => Order::Rm(change),
        }
    }

    /// Checks a change that was given as words (text commands) or taken from a body.
    ///
    /// # Errors
    /// The refusal of the first check that fails: more names than `n`, an illegal name, a name twice.
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
        let mut met = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !met.insert(*name)) {
            return Err(OrderError::invalid(format!(
                "hostname {twice} is given twice"
            )));
        }
        Ok(ChangeRequest { n, names })
    }

    /// Reads a change from a request body: `{"n": 2, "hostnames": ["S4", "S5"]}`.
    ///
    /// # Errors
    /// The refusal of the first check that fails, in the order of the contract.
    pub fn parse_body(self, body: &[u8]) -> Result<ChangeRequest, OrderError> {
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
            return Err(OrderError::invalid("request body is not a JSON object"));
        };
        let n = fields.get("n").and_then(Value::as_u64).filter(|n| *n > 0);
        let n = n.ok_or_else(|| OrderError::invalid("n is not a positive integer"))?;
        let names = match fields.get("hostnames") {
            None => Vec::new(),
            Some(list) => strings(list)
                .ok_or_else(|| OrderError::invalid("hostnames is not a list of strings"))?,
        };
        self.parse_change(usize::try_from(n).unwrap_or(usize::MAX), &names)
    }
}

fn strings(list: &Value) -> Option<Vec<&str>> {
    list.as_array()?.iter().map(Value::as_str).collect()
}

/// The HTTP status and JSON text of an answer, without a final line feed.
#[must_use]
pub fn render(answer: &OrderResult) -> (u16, String) {
    match answer {
        Ok(names) => {
            let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
            let message = json!({"N": names.len(), "replicas": names});
            (
                200,
                json!({"message": message, "status": "successful"}).to_string(),
            )
        }
        Err(refusal) => (refusal.status, failure(&refusal.sentence)),
    }
}

/// The JSON text of a success: `{"message":…,"status":"successful"}`.
#[must_use]
pub fn success(message: &Value) -> String {
    json!({"message": message, "status": "successful"}).to_string()
}

/// The JSON text of a failure: `{"message":"<Error> …","status":"failure"}`.
#[must_use]
pub fn failure(sentence: &str) -> String {
    json!({"message": format!("<Error> {sentence}"), "status": "failure"}).to_string()
}

#[cfg(test)]
mod tests;
