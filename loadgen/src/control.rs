//! Client of a balancer's control port: one text command per connection, answered in JSON.
//!
//! A started command runs to its end even if its caller was cancelled. Only then is it known which
//! state has to be restored.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Time limit of one command: `rm` waits for the requests in flight.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest answer, in bytes.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// Address of a control port.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    addr: String,
    /// Held while a command is running.
    command_lock: Arc<Mutex<()>>,
}

/// The balancer refused a command.
#[derive(Debug)]
pub(crate) struct RefusedCommand {
    command: String,
    /// Sentence of the balancer.
    sentence: String,
}

impl fmt::Display for RefusedCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' was refused: {}", self.command, self.sentence)
    }
}

impl std::error::Error for RefusedCommand {}

impl Control {
    /// Returns a client for the control port at `host:port`.
    pub(crate) fn new(addr: impl ToString) -> Self {
        Self {
            addr: addr.to_string(),
            command_lock: Arc::default(),
        }
    }

    /// Sends a command and returns its answer. Commands run one at a time. Cancelling the caller
    /// does not cancel the command.
    ///
    /// # Errors
    /// The control port is unreachable, or the balancer refused the command ([`RefusedCommand`]).
    pub(crate) async fn execute(&self, command: &str) -> anyhow::Result<Value> {
        let command_lock = Arc::clone(&self.command_lock).lock_owned().await;
        let (addr, line) = (self.addr.clone(), format!("{command} json\n"));
        let task = tokio::task::spawn_local(async move {
            let _turn = command_lock;
            timeout(COMMAND_TIMEOUT, exchange(&addr, &line)).await
        });
        let answer = task.await.context("the task of the command panicked")?;
        let answer = answer.map_err(|_| anyhow!("no answer within {COMMAND_TIMEOUT:?}"));
        let answer = answer.and_then(|answer| answer);
        let answer = answer.with_context(|| format!("'{command}' on {}", self.addr))?;
        parse_answer(command, &answer)
    }

    /// Names of the replicas that answer, in order.
    pub(crate) async fn replicas(&self) -> anyhow::Result<Vec<String>> {
        let answer = self.execute("rep").await?;
        let names = answer["message"]["replicas"].as_array();
        let names = names.context("the answer to 'rep' has no list of replicas")?;
        let names = names.iter().filter_map(Value::as_str);
        Ok(names.map(str::to_owned).collect())
    }

    /// Number of retries the balancer has made, if it counts them (`/metrics`).
    pub(crate) async fn retries(&self) -> Option<u64> {
        let head = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = timeout(COMMAND_TIMEOUT, exchange(&self.addr, head))
            .await
            .ok()?
            .ok()?;
        let answer = answer.split("\r\n\r\n").nth(1)?;
        let lines = answer
            .lines()
            .filter(|line| line.starts_with("ringmaster_retries_total{"));
        let counts: Vec<u64> = lines
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        (!counts.is_empty()).then(|| counts.iter().sum())
    }
}

async fn exchange(addr: &str, line: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(addr).await.context("cannot connect")?;
    stream.write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    stream
        .take(MAX_ANSWER_BYTES)
        .read_to_string(&mut answer)
        .await?;
    Ok(answer)
}

fn parse_answer(command: &str, answer: &str) -> anyhow::Result<Value> {
    let line = answer.trim();
    let refused = |sentence: &str| RefusedCommand {
        command: command.to_owned(),
        sentence: sentence.to_owned(),
    };
    if let Some(sentence) = line.strip_prefix("ERR ") {
        bail!(refused(sentence));
    }
    let value: Value = serde_json::from_str(line)
        .with_context(|| format!("the answer to '{command}' is not JSON"))?;
    if value["status"] == "failure" {
        let sentence = value["message"].as_str().unwrap_or_default();
        bail!(refused(
            sentence.strip_prefix("<Error> ").unwrap_or(sentence)
        ));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_quoted_and_an_answer_without_json_is_reported() {
        let refusal = r#"{"message":"<Error> n is wrong","status":"failure"}"#;
        let error = |answer| parse_answer("add 0", answer).unwrap_err().to_string();
        assert_eq!(error(refusal), "'add 0' was refused: n is wrong");
        assert_eq!(
            error("ERR n is wrong\n\n"),
            "'add 0' was refused: n is wrong"
        );
        assert!(error("HTTP/1.1 400").contains("is not JSON"));
        assert_eq!(
            parse_answer("events", "[]\n\n").unwrap(),
            Value::Array(vec![])
        );
    }
}
