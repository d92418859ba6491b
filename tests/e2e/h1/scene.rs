//! The backend behind the program, and its records during one case.
//!
//! The backend outlives a case, and so do connections that the program pools: each request is noted
//! on the scene that is being played when its head arrives.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::case::{ScriptState, Step, play};
use crate::support::{Backend, Conversation, Message};

/// A backend that plays the scene of the moment.
#[derive(Debug)]
pub(crate) struct CaseBackend {
    pub(crate) backend: Backend,
    current: Arc<Mutex<Arc<Scene>>>,
}

/// A case from the backend's side.
#[derive(Debug, Default)]
pub(crate) struct Scene {
    script: Option<Vec<Step>>,
    over: AtomicBool,
    playing: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
    faults: Mutex<Vec<String>>,
}

/// A request as it reached the backend.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) request: Message,
    /// The backend's number of the connection it came on.
    pub(crate) connection: usize,
    /// `true` if its body arrived whole. Scripts do not read bodies.
    pub(crate) whole: bool,
}

impl CaseBackend {
    pub(crate) fn new() -> Self {
        let current = Arc::new(Mutex::new(Arc::new(Scene::default())));
        let scenes = Arc::clone(&current);
        let backend = Backend::scripted(move |conversation| converse(conversation, &scenes));
        Self { backend, current }
    }

    /// Ends the current scene and begins the next.
    pub(crate) fn begin(&self, script: Option<Vec<Step>>) -> Arc<Scene> {
        let next = Arc::new(Scene {
            script,
            ..Scene::default()
        });
        let before = std::mem::replace(&mut *lock(&self.current), Arc::clone(&next));
        before.end();
        next
    }
}

impl Scene {
    /// Stops the scripts of this scene.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Returns `true` while a script of this scene is being played.
    pub(crate) fn is_playing(&self) -> bool {
        self.playing.load(Ordering::Acquire) > 0
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    /// Returns the problems of the forwarded messages.
    pub(crate) fn faults(&self) -> Vec<String> {
        lock(&self.faults).clone()
    }

    fn note(&self, head: &Message, connection: usize) -> usize {
        let mut seen = lock(&self.seen);
        seen.push(Seen {
            request: head.clone(),
            connection,
            whole: false,
        });
        seen.len() - 1
    }
}

impl ScriptState for Scene {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn has_received(&self, _: &[u8]) -> bool {
        false
    }
}

fn converse(mut conversation: Conversation, current: &Mutex<Arc<Scene>>) -> io::Result<()> {
    loop {
        let head = conversation.wire.head()?;
        let scene = Arc::clone(&lock(current));
        let place = scene.note(&head, conversation.number);
        if let Some(script) = &scene.script {
            scene.playing.fetch_add(1, Ordering::AcqRel);
            let closes = play(&conversation.wire.stream, script, &*scene);
            scene.playing.fetch_sub(1, Ordering::AcqRel);
            if closes? {
                return Ok(());
            }
            continue;
        }
        lock(&scene.faults).extend(faults(&head));
        if !head.fields("expect").is_empty() {
            conversation.wire.write("HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = conversation.wire.body(&head, false).inspect_err(|err| {
            if err.kind() == io::ErrorKind::InvalidData {
                lock(&scene.faults).push("malformed chunk forwarded".into());
            }
        })?;
        {
            let mut seen = lock(&scene.seen);
            seen[place].request.body = body;
            seen[place].whole = true;
        }
        let content = if head.head.starts_with("HEAD ") {
            ""
        } else {
            "ok"
        };
        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Be: 1\r\n\r\n{content}");
        conversation.wire.write(reply)?;
    }
}

/// Returns the problems of a forwarded head that hold whatever it was made from.
fn faults(message: &Message) -> Vec<String> {
    let head = &message.head;
    let lines: Vec<&str> = head.split("\r\n").collect();
    let lengths = message.fields("content-length").len();
    let control = |c: char| c.is_ascii_control() && c != '\t' && c != '\r' && c != '\n';
    let in_name = |line: &&str| {
        line.split(':')
            .next()
            .is_some_and(|name| name.ends_with([' ', '\t']))
    };
    let rules = [
        (
            lengths > 0 && !message.fields("transfer-encoding").is_empty(),
            "both framings",
        ),
        (lengths > 1, "two Content-Length"),
        (
            lines[0].ends_with("HTTP/1.1") && message.fields("host").len() != 1,
            "not one Host",
        ),
        (head.contains(control), "control character"),
        (
            lines.iter().any(|line| line.contains(['\r', '\n'])),
            "bare CR or LF",
        ),
        (lines[1..].iter().any(in_name), "space before a colon"),
        (
            lines[1..].iter().any(|line| line.starts_with([' ', '\t'])),
            "folded line",
        ),
    ];
    let broken = rules.into_iter().filter(|(broken, _)| *broken);
    broken
        .map(|(_, what)| format!("{what} forwarded"))
        .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn faults_of_a_forwarded_head_are_found() {
    let head = |head: &str| Message {
        head: head.into(),
        body: vec![],
    };
    assert_eq!(
        faults(&head("GET / HTTP/1.1\r\nHost: a\r\nX: y: z")),
        [""; 0]
    );
    for bad in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\ncontent-length: 1",
        "GET / HTTP/1.1",
        "GET / HTTP/1.1\r\nHost: a\r\nhost: a",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \0",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\nZ: w",
        "GET / HTTP/1.1\r\nHost: a\r\nX : y",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z",
    ] {
        assert_eq!(faults(&head(bad)).len(), 1, "{bad:?}");
    }
}
