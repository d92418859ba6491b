//! Events of replacements by another version, with their log lines.

use std::fmt;

/// A stage of a replacement by another version. Displayed, it is the log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutEvent {
    /// Stage that was reached.
    pub stage: RolloutStage,
    /// Version of the new replicas.
    pub version: String,
    /// Pace, progress or failure, in a phrase.
    pub reason: String,
    /// Number of replicas that are up.
    pub up: usize,
    /// Number of wanted replicas.
    pub wanted: usize,
}

/// Stage of a replacement by another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutStage {
    /// The version is there, and the first seat is next.
    Begun,
    /// Every seat of the order runs the version.
    Completed,
    /// An order stopped it; every seat keeps what it has.
    Stopped,
    /// The former versions are being brought back, after failures or by order.
    TurnedBack,
    /// Every seat runs its former version again.
    RolledBack,
    /// A former version could not be brought back.
    Failed,
}

impl RolloutStage {
    /// All stages.
    pub const ALL: [Self; 6] = [
        Self::Begun,
        Self::Completed,
        Self::Stopped,
        Self::TurnedBack,
        Self::RolledBack,
        Self::Failed,
    ];

    /// Returns the word of the journal and the metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::TurnedBack => "turned_back",
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for RolloutEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.stage {
            RolloutStage::Begun => "has begun",
            RolloutStage::Completed => "is complete",
            RolloutStage::Stopped => "was stopped",
            RolloutStage::TurnedBack => "turns back",
            RolloutStage::RolledBack => "is rolled back",
            RolloutStage::Failed => "could not be rolled back",
        };
        let Self {
            version,
            reason,
            up,
            wanted,
            ..
        } = self;
        write!(
            f,
            "rollout of {version} {what}: {reason}; {up} of {wanted} up"
        )
    }
}
