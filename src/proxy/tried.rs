//! Which replicas one request has tried in vain, and which of them it is saved from.
//!
//! Surprising: a request counts as saved where it would have failed, in the cell of the replica that did not
//! serve it, and as soon as another has it. Whether that one answers is not waited for.

use std::rc::Rc;

use super::pool::Pool;
use crate::roster::ReplicaId;

/// The replicas that one request has tried in vain.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// They refused it, unseen.
    pub(super) refused: Vec<ReplicaId>,
    /// They took it and fell silent.
    pub(super) lost: Vec<ReplicaId>,
    /// The first of these, or its home if that is not up; `None` again once another has the request.
    trouble: Option<Rc<Pool>>,
    saved: bool,
}

impl Tried {
    /// A replica has refused or lost it, or is not there to be asked.
    pub(super) fn turn_from(&mut self, pool: &Rc<Pool>) {
        if self.trouble.is_none() && !self.saved {
            self.trouble = Some(Rc::clone(pool));
        }
    }

    /// A replica gets it. If that is another than the one it was in trouble with, it counts there as
    /// saved; once, however far it travels.
    pub(super) fn turn_to(&mut self, pool: &Pool) {
        if let Some(trouble) = self.trouble.take_if(|trouble| trouble.id != pool.id) {
            trouble.cell().saved.add(1);
            self.saved = true;
        }
    }

    /// Whether it was tried in vain.
    pub(super) fn contains(&self, id: ReplicaId) -> bool {
        self.refused.contains(&id) || self.lost.contains(&id)
    }
}
