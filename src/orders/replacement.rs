//! Orders to replace replicas: which of them, by which version, and how fast.

use std::fmt;
use std::time::Duration;

use super::error::OrderError;
use crate::roster::ReplicaName;

/// Maximum number of seats that a replacement works on at a time.
pub(super) const MAX_PARALLEL: usize = 256;
/// Maximum number of failures that a replacement tolerates.
pub(super) const MAX_FAILURES: usize = 1_000;
/// Longest time for which each new replica is monitored.
pub(super) const MAX_MONITOR: Duration = Duration::from_secs(3600);
/// Time for which each replica of another version is monitored, unless the order says otherwise.
pub const DEFAULT_MONITOR: Duration = Duration::from_secs(5);
/// Maximum length of an image's name or of a command, in bytes.
pub(super) const MAX_VERSION: usize = 4096;

/// Order to replace replicas. Displayed, it is the text command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplaceRequest {
    /// Replicas to replace.
    pub target: ReplaceTarget,
    /// Version of the new replicas; `None`: each runs what its predecessor ran.
    pub version: Option<VersionRequest>,
    /// Pace of the replacement.
    pub pace: ReplacePace,
}

/// Target of a replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplaceTarget {
    /// All replicas.
    All,
    /// The replica of this name.
    One(ReplicaName),
    /// The replicas of this many lowest seats.
    Lowest(usize),
}

/// Version as an operator names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionRequest {
    /// Name of a container image.
    Image(String),
    /// Shell command.
    Command(String),
}

/// Pace of a replacement, and its tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplacePace {
    /// Number of seats that are replaced at a time.
    pub parallel: usize,
    /// Number of failures at which the replacement stops.
    pub max_failures: usize,
    /// Time for which a new replica must live before the next seat begins.
    pub monitor: Duration,
}

/// Options of an order to replace replicas, each `None` if it is not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplaceOptions {
    /// [`ReplacePace::parallel`]
    pub parallel: Option<usize>,
    /// [`ReplacePace::max_failures`]
    pub max_failures: Option<usize>,
    /// [`ReplacePace::monitor`]
    pub monitor: Option<Duration>,
}

impl ReplaceRequest {
    /// Checks an order to replace replicas.
    ///
    /// # Errors
    /// The refusal of the first check that fails: a number of seats without a version, an option
    /// out of its range, an illegal version.
    pub fn new(
        target: ReplaceTarget,
        version: Option<VersionRequest>,
        options: &ReplaceOptions,
    ) -> Result<Self, OrderError> {
        if version.is_none() && matches!(target, ReplaceTarget::Lowest(_)) {
            return Err(OrderError::invalid(
                "a number of seats is replaced by another version: name an image or a command",
            ));
        }
        if target == ReplaceTarget::Lowest(0) {
            return Err(OrderError::invalid("n is not a positive integer"));
        }
        if let Some(version) = &version {
            version.check()?;
        }
        let pace = ReplacePace {
            parallel: in_range("parallel", options.parallel, MAX_PARALLEL)?,
            max_failures: in_range("max-failures", options.max_failures, MAX_FAILURES)?,
            monitor: options
                .monitor
                .unwrap_or_else(|| default_monitor(version.as_ref())),
        };
        if pace.monitor > MAX_MONITOR {
            return Err(OrderError::invalid("monitor is longer than 1h"));
        }
        Ok(Self {
            target,
            version,
            pace,
        })
    }

    /// Returns `true` if no option sets the pace.
    #[must_use]
    pub fn has_default_pace(&self) -> bool {
        let monitor = default_monitor(self.version.as_ref());
        self.pace
            == ReplacePace {
                monitor,
                ..ReplacePace::ONE_BY_ONE
            }
    }

    /// Returns the replacement of `target` by what it runs, with the default pace.
    #[must_use]
    pub fn same_version(target: ReplaceTarget) -> Self {
        Self {
            target,
            version: None,
            pace: ReplacePace::ONE_BY_ONE,
        }
    }
}

impl ReplacePace {
    /// Pace of a single seat at a time without monitoring; the first failure stops the order.
    pub const ONE_BY_ONE: Self = Self {
        parallel: 1,
        max_failures: 1,
        monitor: Duration::ZERO,
    };
}

/// Returns the time for which a new replica of this version is monitored by default.
fn default_monitor(version: Option<&VersionRequest>) -> Duration {
    match version {
        Some(_) => DEFAULT_MONITOR,
        None => Duration::ZERO,
    }
}

/// Returns the value of an option, or 1.
fn in_range(name: &str, value: Option<usize>, max: usize) -> Result<usize, OrderError> {
    match value.unwrap_or(1) {
        value if (1..=max).contains(&value) => Ok(value),
        _ => Err(OrderError::invalid(format!(
            "{name} is not a whole number from 1 to {max}"
        ))),
    }
}

impl VersionRequest {
    fn check(&self) -> Result<(), OrderError> {
        let (what, text) = match self {
            Self::Image(image) => ("image", image),
            Self::Command(command) => ("command", command),
        };
        let refusal = match self {
            _ if text.trim().is_empty() => "is empty".to_owned(),
            _ if text.len() > MAX_VERSION => format!("is longer than {MAX_VERSION} bytes"),
            _ if text.contains(char::is_control) => "has a control character".to_owned(),
            // The name becomes a part of a path of the engine's API.
            Self::Image(image) if !is_image_name(image) => "is not the name of an image".to_owned(),
            _ => return Ok(()),
        };
        Err(OrderError::invalid(format!("{what} {refusal}")))
    }
}

/// Returns `true` for a name with an optional tag or digest, or an ID.
fn is_image_name(image: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@-".contains(&byte);
    let begins = image
        .as_bytes()
        .first()
        .is_some_and(u8::is_ascii_alphanumeric);
    begins && image.bytes().all(is_allowed) && !image.contains("..")
}

impl fmt::Display for VersionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => f.write_str(image),
            Self::Command(command) => write!(f, "-- {command}"),
        }
    }
}

impl fmt::Display for ReplaceTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::One(name) => write!(f, "{name}"),
            Self::Lowest(n) => write!(f, "{n}"),
        }
    }
}

impl fmt::Display for ReplaceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replace {}", self.target)?;
        let ReplacePace {
            parallel,
            max_failures,
            monitor,
        } = self.pace;
        if parallel > 1 {
            write!(f, " --parallel {parallel}")?;
        }
        if max_failures > 1 {
            write!(f, " --max-failures {max_failures}")?;
        }
        if monitor != default_monitor(self.version.as_ref()) {
            let monitor = humantime::format_duration(monitor).to_string();
            write!(f, " --monitor {}", monitor.replace(' ', ""))?;
        }
        match &self.version {
            Some(version) => write!(f, " {version}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(text: &str) -> Option<VersionRequest> {
        Some(VersionRequest::Image(text.to_owned()))
    }

    #[test]
    fn an_option_has_a_range_and_a_version_a_form() {
        let options = |parallel, max_failures, monitor| ReplaceOptions {
            parallel,
            max_failures,
            monitor,
        };
        let second = Duration::from_secs(1);
        for (version, options, refusal) in [
            (
                image("a"),
                options(Some(256), Some(1000), Some(MAX_MONITOR)),
                "",
            ),
            (None, options(Some(1), Some(1), Some(Duration::ZERO)), ""),
            (
                None,
                options(Some(0), None, None),
                "parallel is not a whole number from 1 to 256",
            ),
            (
                None,
                options(Some(257), None, None),
                "parallel is not a whole number from 1 to 256",
            ),
            (
                None,
                options(None, Some(0), None),
                "max-failures is not a whole number from 1 to 1000",
            ),
            (
                None,
                options(None, Some(1001), None),
                "max-failures is not a whole number from 1 to 1000",
            ),
            (
                None,
                options(None, None, Some(MAX_MONITOR + second)),
                "monitor is longer than 1h",
            ),
            (image(""), ReplaceOptions::default(), "image is empty"),
            (
                image("-x"),
                ReplaceOptions::default(),
                "image is not the name of an image",
            ),
            (
                image("a b"),
                ReplaceOptions::default(),
                "image is not the name of an image",
            ),
            (
                image(&"a".repeat(4097)),
                ReplaceOptions::default(),
                "image is longer than 4096 bytes",
            ),
            (
                Some(VersionRequest::Command("a\0".into())),
                ReplaceOptions::default(),
                "command has a control character",
            ),
            (
                Some(VersionRequest::Command(" ".into())),
                ReplaceOptions::default(),
                "command is empty",
            ),
        ] {
            let request = ReplaceRequest::new(ReplaceTarget::All, version, &options);
            let sentence = request
                .err()
                .map_or(String::new(), |refusal| refusal.sentence);
            assert_eq!(sentence, refusal);
        }
        let canary = |version| {
            ReplaceRequest::new(
                ReplaceTarget::Lowest(1),
                version,
                &ReplaceOptions::default(),
            )
        };
        assert!(canary(image("a")).is_ok() && canary(None).is_err());
    }

    #[test]
    fn a_new_version_is_monitored_unless_the_order_says_otherwise() {
        let monitor = |version, monitor| {
            let options = ReplaceOptions {
                monitor,
                ..ReplaceOptions::default()
            };
            let request = ReplaceRequest::new(ReplaceTarget::All, version, &options);
            request.unwrap().pace.monitor
        };
        assert_eq!(monitor(image("a"), None), DEFAULT_MONITOR);
        assert_eq!(monitor(None, None), Duration::ZERO);
        assert_eq!(monitor(image("a"), Some(Duration::ZERO)), Duration::ZERO);
    }

    #[test]
    fn a_request_is_displayed_as_its_command() {
        let options = ReplaceOptions {
            parallel: Some(2),
            max_failures: Some(3),
            monitor: Some(Duration::from_secs(90)),
        };
        let request = ReplaceRequest::new(ReplaceTarget::All, image("app:2"), &options).unwrap();
        let text = "replace all --parallel 2 --max-failures 3 --monitor 1m30s app:2";
        assert_eq!(request.to_string(), text);
        let command = Some(VersionRequest::Command("./app -v".into()));
        let options = ReplaceOptions::default();
        let request = ReplaceRequest::new(ReplaceTarget::Lowest(2), command, &options).unwrap();
        assert_eq!(request.to_string(), "replace 2 -- ./app -v");
        let plain = ReplaceRequest::same_version(ReplaceTarget::One("S2".parse().unwrap()));
        assert_eq!(plain.to_string(), "replace S2");
    }
}
