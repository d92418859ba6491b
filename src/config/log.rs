//! The flags about log lines, which the programs that serve have in common.

use clap::ValueEnum;

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// A JSON object per line.
    Json,
}

/// The flags.
#[derive(Debug, clap::Args)]
#[expect(missing_docs, reason = "the help texts are the docs")]
pub struct LogArgs {
    #[arg(
        long,
        env = "RINGMASTER_LOG_FORMAT",
        default_value = "text",
        help = "Format of log lines on stderr"
    )]
    pub log_format: LogFormat,
    #[arg(
        long,
        env = "RINGMASTER_LOG_LEVEL",
        default_value = "info",
        help = "Lowest level that is logged: error, warn, info or debug"
    )]
    pub log_level: tracing::Level,
}
