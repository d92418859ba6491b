//! Flags of `loadgen run`. Their letters are those of hey and oha.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::load_args::LoadArgs;
use crate::request::{HeaderField, Method, RequestSpec};
use crate::target::Target;

/// Bounds of a time.
const MIN_TIME: Duration = Duration::from_millis(1);
const MAX_TIME: Duration = Duration::from_hours(24);

/// Flags of `loadgen run`.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// URL to request, instead of --target and --path
    #[arg(conflicts_with_all = ["target", "path", "spawn"])]
    pub(crate) url: Option<Url>,

    #[command(flatten)]
    pub(crate) load: LoadArgs,

    /// Path to request; only a GET of /home identifies the server that answered
    #[arg(long, default_value = "/home", value_parser = parse_path)]
    pub(crate) path: String,

    /// Time in which requests are sent, for example 10s or 2m; the run ends with the last answer,
    /// or after --requests if they are given too
    #[arg(short = 'z', long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) duration: Option<Duration>,

    /// Method of the requests
    #[arg(short, long, default_value = "GET")]
    pub(crate) method: Method,

    /// Header field 'Name: value'; repeatable. Replaces Host or X-Request-ID if it has that name
    #[arg(
        short = 'H',
        long = "header",
        value_name = "FIELD",
        allow_hyphen_values = true
    )]
    pub(crate) headers: Vec<HeaderField>,

    /// Body of the requests
    #[arg(short = 'd', long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) body: Option<String>,

    /// Time limit of a request; a number without a unit is in seconds
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub(crate) timeout: Duration,

    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Directory for run.json, run.csv, a latency chart and report.html [default: no files]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

impl RunArgs {
    /// Request of these flags.
    pub(crate) fn request(&self) -> RequestSpec {
        let path = self.url.as_ref().map_or(&self.path, |url| &url.path);
        RequestSpec {
            method: self.method.clone(),
            path: path.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            timeout: self.timeout,
        }
    }
}

/// URL of requests: a target, followed by a path.
#[derive(Debug, Clone)]
pub(crate) struct Url {
    pub(crate) target: Target,
    pub(crate) path: String,
}

impl FromStr for Url {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let host = text.find("://").map_or(0, |at| at + "://".len());
        let path = text[host..].find('/').map_or(text.len(), |at| host + at);
        let (target, path) = text.split_at(path);
        Ok(Self {
            target: target.parse()?,
            path: parse_path(if path.is_empty() { "/" } else { path })?,
        })
    }
}

fn parse_path(text: &str) -> Result<String, &'static str> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && text.starts_with('/') && !text.contains('#') {
        Ok(text.to_owned())
    } else {
        Err("a path begins with / and is visible ASCII without #")
    }
}

/// Parses a time with a unit, or a number of seconds.
fn parse_time(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().map(Duration::try_from_secs_f64);
    let time = match seconds {
        Some(time) => time.ok(),
        None => humantime::parse_duration(text).ok(),
    };
    time.filter(|time| (MIN_TIME..=MAX_TIME).contains(time))
        .ok_or("a time is 1ms to 24h, for example 10s, 500ms or 2m")
}
