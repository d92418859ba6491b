//! Flags that loosen or extend the confinement of replica containers, for images of one's own.
//!
//! Without them a container has no capability, a read-only file system, 16 MB in `/tmp` and no
//! volume.

use std::num::NonZeroU32;

use clap::ArgAction;
use clap::builder::{BoolishValueParser, PossibleValuesParser, TypedValueParser};

use super::parsers::first_given;
use crate::fleet::{ContainerOptions, PullPolicy};

/// Modes of a volume, as the engine knows them.
const VOLUME_MODES: [&str; 12] = [
    "", "ro", "rw", "z", "Z", "nocopy", "shared", "rshared", "slave", "rslave", "private",
    "rprivate",
];

/// Prefix of the labels that the balancer sets.
const OWN_LABEL_PREFIX: &str = "ringmaster.";

/// Flags of `serve` about the confinement of containers.
#[derive(Debug, clap::Args)]
pub struct ContainerOptionArgs {
    #[arg(long = "replica-volume", env = "RINGMASTER_REPLICA_VOLUME", value_name = "SOURCE:TARGET[:ro]", value_delimiter = '\n', value_parser = volume, help = "Named volume or folder of the host in each container; repeatable, in the variable one per line")]
    pub replica_volumes: Vec<String>,
    #[arg(long, env = "RINGMASTER_REPLICA_TMPFS", value_name = "PATH[:OPTIONS]", value_delimiter = '\n', value_parser = tmpfs, help = "Additional writable folder in memory; repeatable, in the variable one per line")]
    pub replica_tmpfs: Vec<(String, String)>,
    #[arg(
        long,
        env = "RINGMASTER_REPLICA_USER",
        value_name = "USER[:GROUP]",
        help = "User of the processes in a container [default: that of the image]"
    )]
    pub replica_user: Option<String>,
    #[arg(
        long,
        env = "RINGMASTER_REPLICA_CAP_ADD",
        value_name = "CAPABILITY",
        value_delimiter = ',',
        help = "Capability of a container, such as NET_BIND_SERVICE; repeatable [default: none]"
    )]
    pub replica_cap_add: Vec<String>,
    #[arg(
        long,
        env = "RINGMASTER_REPLICA_READ_ONLY",
        value_name = "true|false",
        default_value = "true",
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
        hide_possible_values = true,
        help = "File system of a container is read-only, except for volumes and folders in memory"
    )]
    pub replica_read_only: bool,
    #[arg(
        long,
        env = "RINGMASTER_REPLICA_PIDS",
        value_name = "N",
        default_value = "256",
        help = "Limit of processes and threads in a container"
    )]
    pub replica_pids: NonZeroU32,
    #[arg(
        long,
        env = "RINGMASTER_REPLICA_LOG_DRIVER",
        value_name = "DRIVER",
        help = "Log driver of a container [default: json-file with max-size=1m]"
    )]
    pub replica_log_driver: Option<String>,
    #[arg(long = "replica-log-opt", env = "RINGMASTER_REPLICA_LOG_OPT", value_name = "K=V", value_delimiter = '\n', value_parser = pair, help = "Option of the log driver; repeatable, in the variable one per line")]
    pub replica_log_opts: Vec<(String, String)>,
    #[arg(long = "replica-label", env = "RINGMASTER_REPLICA_LABEL", value_name = "K=V", value_delimiter = '\n', value_parser = label, help = "Additional label of a container; repeatable, in the variable one per line")]
    pub replica_labels: Vec<(String, String)>,
    #[arg(
        long,
        env = "RINGMASTER_REPLICA_STOP_SIGNAL",
        value_name = "SIGNAL",
        help = "Signal that ends a container [default: that of the image, or SIGTERM]"
    )]
    pub replica_stop_signal: Option<String>,
    #[arg(
        long,
        env = "RINGMASTER_PULL",
        default_value = "missing",
        value_parser = pull_policy(),
        help = "When to pull the image of --image, with the credentials of the docker client"
    )]
    pub pull: PullPolicy,
}

impl ContainerOptionArgs {
    /// Returns the name of a given flag that has no meaning without containers.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            (!self.replica_volumes.is_empty(), "--replica-volume"),
            (!self.replica_tmpfs.is_empty(), "--replica-tmpfs"),
            (self.replica_user.is_some(), "--replica-user"),
            (!self.replica_cap_add.is_empty(), "--replica-cap-add"),
            (!self.replica_read_only, "--replica-read-only false"),
            (self.replica_log_driver.is_some(), "--replica-log-driver"),
            (!self.replica_log_opts.is_empty(), "--replica-log-opt"),
            (!self.replica_labels.is_empty(), "--replica-label"),
            (self.replica_stop_signal.is_some(), "--replica-stop-signal"),
        ];
        first_given(&given)
    }

    /// Returns the options, with the words of `command` in the place of the image's command.
    ///
    /// # Errors
    /// A sentence, when the command has no word, or a quote without its end.
    pub(super) fn check(&self, command: Option<&str>) -> Result<ContainerOptions, String> {
        let words = command.map(|command| match shlex::split(command) {
            Some(words) if !words.is_empty() => Ok(words),
            Some(_) => Err(format!("--replica-command {command}: there is no word")),
            None => Err(format!(
                "--replica-command {command}: a quote or a backslash has no end"
            )),
        });
        Ok(ContainerOptions {
            volumes: not_empty(&self.replica_volumes),
            tmpfs: named(&self.replica_tmpfs),
            user: self.replica_user.clone(),
            cap_add: self.replica_cap_add.clone(),
            read_only: self.replica_read_only,
            pids: i64::from(self.replica_pids.get()),
            log_driver: self.replica_log_driver.clone(),
            log_opts: named(&self.replica_log_opts),
            labels: named(&self.replica_labels),
            command: words.transpose()?,
            stop_signal: self.replica_stop_signal.clone(),
        })
    }
}

/// Returns the lines that are not empty: a variable may end in a line feed.
fn not_empty(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .filter(|line| !line.is_empty())
        .cloned()
        .collect()
}

/// Returns the pairs that have a name.
fn named(pairs: &[(String, String)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .filter(|(name, _)| !name.is_empty())
        .cloned()
        .collect()
}

/// Returns a parser of the time of a pull.
fn pull_policy() -> impl TypedValueParser<Value = PullPolicy> {
    PossibleValuesParser::new(["missing", "always", "never"]).map(|word| match word.as_str() {
        "always" => PullPolicy::Always,
        "never" => PullPolicy::Never,
        _ => PullPolicy::Missing,
    })
}

/// Checks a volume: a name or a path of the host, an absolute path in the container, and a mode.
fn volume(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let parts: Vec<&str> = text.split(':').collect();
    let modes = parts.get(2).copied().unwrap_or_default();
    if !modes.split(',').all(|mode| VOLUME_MODES.contains(&mode)) {
        return Err("has a mode that is not ro, rw, z, Z, nocopy or a kind of propagation");
    }
    match parts[..] {
        [source, target] | [source, target, _] if !source.is_empty() && target.starts_with('/') => {
            match source.starts_with('.') {
                true => Err("a folder of the host must be an absolute path"),
                false => Ok(text.to_owned()),
            }
        }
        _ => Err("is not SOURCE:TARGET or SOURCE:TARGET:ro, with an absolute TARGET"),
    }
}

/// Parses a folder in memory and its mount options.
fn tmpfs(text: &str) -> Result<(String, String), &'static str> {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    match path.starts_with('/') {
        true => Ok((path.to_owned(), options.to_owned())),
        false if text.is_empty() => Ok(Default::default()),
        false => Err("is not an absolute path, perhaps with :OPTIONS"),
    }
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        None if text.is_empty() => Ok(Default::default()),
        _ => Err("is not K=V"),
    }
}

/// Parses a label that the balancer does not set itself.
fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = pair(text)?;
    match key.starts_with(OWN_LABEL_PREFIX) {
        true => Err(format!(
            "labels {OWN_LABEL_PREFIX}… are set for each replica"
        )),
        false => Ok((key, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked() {
        for good in ["data:/data", "/srv/www:/www:ro", "a:/b:rw,z"] {
            assert_eq!(volume(good).as_deref(), Ok(good));
        }
        for bad in [
            "/data",
            "data:b",
            ":/b",
            "./a:/b",
            "a:/b:ro:x",
            "a:/b:bogus",
        ] {
            assert!(volume(bad).is_err(), "{bad}");
        }
        let mounted = |path: &str, options: &str| Ok((path.to_owned(), options.to_owned()));
        assert_eq!(tmpfs("/run"), mounted("/run", ""));
        assert_eq!(tmpfs("/run:size=1m,exec"), mounted("/run", "size=1m,exec"));
        assert!(tmpfs("run").is_err());
        assert_eq!(pair("a=b=c"), mounted("a", "b=c"));
        assert!(pair("=b").is_err() && pair("a").is_err());
        assert_eq!(not_empty(&["a:/b".to_owned(), String::new()]), ["a:/b"]);
        let pairs = [pair("a=b").unwrap(), pair("").unwrap(), tmpfs("").unwrap()];
        assert_eq!(named(&pairs), [pair("a=b").unwrap()]);
        assert!(label("ringmaster.seat=1").is_err());
        assert!(label("com.example.team=web").is_ok());
    }
}
