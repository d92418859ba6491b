//! Flags of `ctl`, and the command line that it sends.
//!
//! The line must not be empty; its content is checked by the balancer.

use super::control_addrs::{ControlAddrs, control_addrs};
use super::control_token::TokenArgs;
use crate::access::Token;

/// Flags and words of `ctl`.
#[derive(Debug, clap::Args)]
pub struct CtlArgs {
    /// Address of the balancer's control port: host or IP address, and port; or unix:PATH
    #[arg(long, env = "RINGMASTER_CONTROL", value_name = "ADDR", default_value = "127.0.0.1:5001", value_parser = control_addrs)]
    pub control: ControlAddrs,
    /// Answer in JSON, one value on one line
    #[arg(long, env = "RINGMASTER_JSON", value_parser = clap::builder::BoolishValueParser::new())]
    pub json: bool,
    /// Ask every balancer that the host of --control names in DNS, and say which ones differ
    #[arg(long, env = "RINGMASTER_ALL_NODES", value_parser = clap::builder::BoolishValueParser::new())]
    pub all_nodes: bool,
    #[command(flatten)]
    token: TokenArgs,
    /// Command to send; `help` lists all of them
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub words: Vec<String>,
}

impl CtlArgs {
    /// Returns the token of the balancer. It blocks while it reads the file.
    ///
    /// # Errors
    /// A sentence that names the flag.
    pub fn token(&self) -> Result<Option<Token>, String> {
        self.token.check()
    }

    /// Returns the line to send, without line end and token. `--json` may also be the last word.
    ///
    /// # Errors
    /// A sentence for the user, when the words make no line or more than one.
    pub fn line(&self) -> Result<String, String> {
        let (words, last) = match self.words.split_last() {
            Some((last, words)) if last == "--json" => (words, true),
            _ => (&self.words[..], false),
        };
        if let Some(at) = words.iter().position(|word| word == "--") {
            return self.line_with_command(&self.words, at);
        }
        let text = words.join(" ");
        if text.contains(['\n', '\r']) {
            return Err("a command is one line".to_owned());
        }
        let commands = text.split(';').map(str::trim);
        let mut commands: Vec<String> = commands
            .filter(|command| !command.is_empty())
            .map(str::to_owned)
            .collect();
        if commands.is_empty() {
            return Err("there is no command; try 'ringmaster ctl help'".to_owned());
        }
        if self.json || last {
            commands
                .iter_mut()
                .for_each(|command| command.push_str(" json"));
        }
        Ok(commands.join("; "))
    }

    /// Returns the line of a command with a shell command behind its word `--`. One word is a shell
    /// command as it is, and several are quoted for the shell.
    fn line_with_command(&self, words: &[String], at: usize) -> Result<String, String> {
        let (before, command) = (&words[..at], &words[at + 1..]);
        let command = match command {
            [one] => one.clone(),
            several => shlex::try_join(several.iter().map(String::as_str))
                .map_err(|err| err.to_string())?,
        };
        let line = format!("{} -- {command}", before.join(" "));
        if self.json {
            return Err("--json does not go with a shell command".to_owned());
        }
        if line.contains([';', '\n', '\r']) {
            return Err("a shell command here has no ';' and no line feed: use HTTP".to_owned());
        }
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(json: bool, words: &[&str]) -> Result<String, String> {
        let args = CtlArgs {
            control: ControlAddrs {
                unix: None,
                host: None,
            },
            json,
            all_nodes: false,
            token: TokenArgs {
                control_token: None,
                control_token_file: None,
            },
            words: words.iter().map(ToString::to_string).collect(),
        };
        args.line()
    }

    #[test]
    fn words_make_a_line() {
        assert_eq!(line(false, &["add", "2", "S4"]).as_deref(), Ok("add 2 S4"));
        assert_eq!(line(true, &["rep"]).as_deref(), Ok("rep json"));
        assert_eq!(line(false, &["rep", "--json"]).as_deref(), Ok("rep json"));
        assert_eq!(line(false, &["events", "-w"]).as_deref(), Ok("events -w"));
        assert_eq!(
            line(true, &["rep;", "; events"]).as_deref(),
            Ok("rep json; events json")
        );
    }

    #[test]
    fn a_shell_command_keeps_its_words() {
        let replace =
            |command: &[&str]| line(false, &[&["replace", "all", "--"], command].concat());
        for (command, text) in [
            (&["./a -v  2"][..], "replace all -- ./a -v  2"),
            (&["./a", "--json"], "replace all -- ./a --json"),
            (&["sh", "-c", "a  b"], "replace all -- sh -c 'a  b'"),
        ] {
            assert_eq!(replace(command).as_deref(), Ok(text));
        }
        assert!(replace(&["a; rm 1"]).is_err());
        assert!(line(true, &["replace", "all", "--", "a"]).is_err());
    }

    #[test]
    fn an_invalid_line_is_refused() {
        for words in [
            &["rep\nadd 1"][..],
            &["rep\r"],
            &["", " "],
            &[";"],
            &["--json"],
        ] {
            assert!(line(false, words).is_err(), "{words:?}");
        }
    }
}
