//! The cases of tests/h1/*.json as values, and how the steps of a script are played on a socket.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde::Deserialize;

/// The cases that were given.
pub(crate) const GIVEN: &str = include_str!("../../h1/cases.json");
/// Cases of our own.
pub(crate) const MORE: &str = include_str!("../../h1/more.json");

const TICK: Duration = Duration::from_millis(2);

/// A test case: a client's request, the backend's answer, and the outcomes allowed to an
/// intermediary.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) side: Side,
    pub(crate) send: Vec<Step>,
    /// `None`: the backend reads every request by its framing and answers 200.
    pub(crate) backend: Option<Vec<Step>>,
    /// Outcomes that are right.
    pub(crate) accept: Vec<String>,
    pub(crate) level: Level,
    /// Properties of a forwarded message.
    #[serde(default)]
    pub(crate) if_forwarded: Vec<String>,
    /// Events that must not happen.
    #[serde(default)]
    pub(crate) never: Vec<String>,
    #[serde(default)]
    pub(crate) close_after: bool,
    pub(crate) max_backend_requests: Option<usize>,
    pub(crate) backend_reusable: Option<bool>,
}

/// The side whose message is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Request,
    Response,
}

/// RFC force; `policy` where the RFCs leave it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Level {
    #[serde(rename = "MUST")]
    Must,
    #[serde(rename = "SHOULD")]
    Should,
    #[serde(rename = "policy")]
    Policy,
}

/// A step of a script. Each character of a text is one byte (Latin-1).
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Step {
    Send(String),
    Repeat {
        repeat: String,
        n: usize,
    },
    Bytewise {
        bytewise_ms: u64,
        data: String,
    },
    Drip {
        drip: String,
        every_ms: u64,
        for_ms: u64,
    },
    Pause {
        pause_ms: u64,
    },
    Await {
        r#await: String,
        ms: u64,
    },
    Shutdown {
        shutdown: String,
    },
    Close {
        close: String,
    },
}

/// State that a running script can observe.
pub(crate) trait ScriptState {
    /// Returns `true` if the case is over.
    fn is_over(&self) -> bool;
    /// Returns `true` if these bytes were received.
    fn has_received(&self, bytes: &[u8]) -> bool;
}

pub(crate) fn load(text: &str) -> Vec<Case> {
    #[derive(Deserialize)]
    struct File {
        cases: Vec<Case>,
    }
    let file: File = serde_json::from_str(text).expect("well-formed cases");
    file.cases
}

pub(crate) fn latin1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(c).expect("Latin-1"))
        .collect()
}

/// Pauses up to this long are always kept.
const SHORT_PAUSE_MS: u64 = 1_000;

/// Plays `steps`. Returns `true` if the last of them asked for a close (by dropping, after the
/// linger was set).
///
/// # Errors
/// When the other side took no more: often right, so the caller judges it.
pub(crate) fn play(
    mut stream: &TcpStream,
    steps: &[Step],
    state: &dyn ScriptState,
) -> io::Result<bool> {
    for step in steps {
        match step {
            Step::Send(text) => stream.write_all(&latin1(text))?,
            Step::Repeat { repeat, n } => stream.write_all(&latin1(repeat).repeat(*n))?,
            Step::Bytewise { bytewise_ms, data } => {
                for byte in latin1(data) {
                    stream.write_all(&[byte])?;
                    pause(*bytewise_ms, || state.is_over());
                }
            }
            Step::Drip {
                drip,
                every_ms,
                for_ms,
            } => {
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_millis(*for_ms) && !state.is_over() {
                    stream.write_all(&latin1(drip))?;
                    pause(*every_ms, || state.is_over());
                }
            }
            // Events after a short pause are part of the case, even when its outcome is known.
            Step::Pause { pause_ms } => {
                pause(*pause_ms, || *pause_ms > SHORT_PAUSE_MS && state.is_over());
            }
            Step::Await { r#await, ms } => {
                let wanted = latin1(r#await);
                pause(*ms, || state.is_over() || state.has_received(&wanted));
            }
            Step::Shutdown { shutdown } => {
                assert_eq!(shutdown, "write");
                stream.shutdown(Shutdown::Write)?;
            }
            Step::Close { close } => {
                if close == "rst" {
                    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
                }
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Waits for `ms`, or less when `enough`.
fn pause(ms: u64, enough: impl Fn() -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(ms) && !enough() {
        std::thread::sleep(TICK);
    }
}
