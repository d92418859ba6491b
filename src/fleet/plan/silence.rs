//! Silence: how long a replica has not answered, what explains it, and when it counts as dead for it.
//!
//! A missed heartbeat proves little: an event loop that computes answers nothing meanwhile. So routing
//! passes a silent replica over after a few misses, and it is ended only after a long silence. The clock
//! of that silence starts again while bytes of its replies arrive. It stands still while the replica holds
//! a request with which another one fell silent before, or, for [`BUSY_AT_MOST`], while it serves its only
//! connection.

use std::time::{Duration, Instant};

use super::{Environment, Phase, Plan};
use crate::fleet::events::EventKind;
use crate::roster::{Health, ReplicaId};

/// Time for which requests under way explain the silence of a replica that serves one connection at a time.
/// One that computes for longer looks the same as one that is stuck.
const BUSY_AT_MOST: Duration = Duration::from_secs(30);

/// A run of unanswered heartbeats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    /// When the first of them was sent, or the last time that something explained the silence.
    since: Instant,
    /// When the first of them was sent, or the last time that bytes of its replies arrived.
    mute_since: Instant,
    /// Bytes of its replies at the last miss.
    replied: u64,
}

impl Plan {
    /// Counts an unanswered heartbeat, sent at `sent`. Returns `true` if the replica is dead by silence.
    pub(super) fn is_silent_too_long(
        &mut self,
        id: ReplicaId,
        sent: Instant,
        world: &dyn Environment,
    ) -> bool {
        let (now, limit) = (self.now, self.policy.replace_after);
        let traffic = world.traffic(id);
        let Some(life) = self.lives.get_mut(&id) else {
            return false;
        };
        let replied = traffic.replied;
        let silence = life.silence.get_or_insert(Silence {
            since: sent,
            mute_since: sent,
            replied,
        });
        if silence.replied != replied {
            (silence.mute_since, silence.replied) = (now, replied);
            silence.since = now;
        }
        let mute_for = now.saturating_duration_since(silence.mute_since);
        let is_busy = life.iterative && traffic.in_flight > 0 && mute_for < BUSY_AT_MOST;
        if traffic.slow > 0 || is_busy {
            silence.since = now;
        }
        // It is passed over first, however long each miss took: only then does it show whether a request
        // is slow.
        let least = self.policy.misses + u32::from(!limit.is_zero());
        life.misses >= least && now.saturating_duration_since(silence.since) >= limit
    }

    /// Has routing pass over a replica that is silent, and goes on watching it. One that is about to take a
    /// seat or to leave only gets more time.
    pub(super) fn mark_unresponsive(
        &mut self,
        id: ReplicaId,
        reason: String,
        world: &dyn Environment,
    ) {
        let (now, limit) = (self.now, self.policy.misses);
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        match life.phase {
            Phase::Up => {}
            Phase::Suspect if life.misses == limit && !life.silence_told => {}
            _ => return,
        }
        life.phase = Phase::Suspect;
        life.silence_told = true;
        let (seat, name) = (life.seat, life.name.clone());
        let last = life.last_ok.max(world.last_answer(id));
        self.set_health(id, Health::Suspect);
        self.record(EventKind::Suspect, seat, name.clone(), reason, |note| {
            note.detected_within = last.map(|at| now.saturating_duration_since(at));
        });
        if let Some(seat) = seat {
            self.record_silence(seat, name);
        }
    }

    /// Whether a replica holds its seat and has missed so many heartbeats that routing passes it over.
    pub(super) fn is_unresponsive(&self, id: ReplicaId) -> bool {
        let life = self.lives.get(&id);
        life.is_some_and(|life| life.phase == Phase::Suspect && life.misses >= self.policy.misses)
    }

    /// [`super::Pulse::Iterative`]. The roster is published again, so that workers close what they keep.
    pub(super) fn is_iterative(&mut self, id: ReplicaId) {
        if let Some(life) = self.lives.get_mut(&id) {
            life.iterative = true;
            self.changed = true;
        }
    }

    /// For how long a replica that is passed over has been silent, in words.
    pub(super) fn silence(&self, id: ReplicaId, now: Instant) -> Option<String> {
        let silence = self
            .lives
            .get(&id)?
            .silence
            .filter(|_| self.is_unresponsive(id))?;
        let time = now.saturating_duration_since(silence.since).as_secs_f64();
        let limit = self.policy.replace_after;
        Some(format!("silent for {time:.1} s, dead after {limit:?}"))
    }
}
