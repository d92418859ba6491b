//! Flags about the program of a replica: its command and its environment.

/// Variables that each replica gets with a value of its own.
const OUR_VARIABLES: [&str; 6] = [
    "SERVER_ID",
    "REPLICA_NAME",
    "REPLICA_LISTEN",
    "REPLICA_SOCKET",
    "PORT",
    "SOCKET",
];

/// Flags about the program of a replica.
#[derive(Debug, clap::Args)]
pub struct ProgramArgs {
    #[arg(
        long,
        env = "RINGMASTER_REPLICA_COMMAND",
        value_name = "COMMAND",
        value_parser = command,
        help = "Command of replicas; of child processes, run by /bin/sh, it must listen on 127.0.0.1:$PORT, or at the path $SOCKET if it names that, of containers it is split into words and replaces the image's [default: the bundled replica, or the image's command]"
    )]
    pub replica_command: Option<String>,
    #[arg(long, env = "RINGMASTER_REPLICA_ENV", hide_env_values = true, value_name = "K=V", value_delimiter = '\n', value_parser = variable, help = "Additional environment of replicas; repeatable, in the variable one per line")]
    pub replica_env: Vec<String>,
}

impl ProgramArgs {
    /// Returns the variables that are not empty: a variable may end in a line feed.
    pub(crate) fn env(&self) -> Vec<String> {
        let lines = self.replica_env.iter().filter(|line| !line.is_empty());
        lines.cloned().collect()
    }
}

/// Parses a command line for a shell.
fn command(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("must not be empty"),
        _ if text.contains('\0') => Err("must not have a NUL"),
        command => Ok(command.to_owned()),
    }
}

/// Parses a variable that the balancer does not set itself.
fn variable(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if OUR_VARIABLES.contains(&name) => {
            Err(format!("{name} is set for each replica"))
        }
        Some((name, _)) if !name.is_empty() && !text.contains('\0') => Ok(text.to_owned()),
        // A variable may end in a line feed.
        None if text.is_empty() => Ok(String::new()),
        _ => Err("is not K=V".to_owned()),
    }
}
