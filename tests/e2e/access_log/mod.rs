//! The access log of the real program: a line for each request. Its file may be moved away, full,
//! slow or missing, and no client is affected.

mod correlation;
mod cut;
mod ends;
mod gone;
mod lines;
mod target;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::support::{TEST_TIMEOUT, eventually, fresh_path};

const OK: &str = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok";
const ASK: &str = "GET /a?b=c HTTP/1.1\r\nHost: a\r\nX-Request-ID: 5\r\n\r\n";

type Line = BTreeMap<String, String>;

/// A log file of this test's own.
struct Log(PathBuf);

impl Log {
    fn new() -> Self {
        Self(fresh_path("access"))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }

    fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        // A line that is being written has no line feed yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(fields).collect()
    }

    /// Waits for this number of lines.
    #[track_caller]
    fn expect(&self, count: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        eventually(TEST_TIMEOUT, &format!("{count} lines"), || {
            lines = self.lines();
            lines.len() >= count
        });
        assert_eq!(lines.len(), count, "{lines:?}");
        lines
    }
}

impl Log {
    /// Waits for this number of lines in any format.
    #[track_caller]
    fn expect_text(&self, count: usize) -> String {
        let mut text = String::new();
        eventually(TEST_TIMEOUT, &format!("{count} lines"), || {
            text = std::fs::read_to_string(&self.0).unwrap_or_default();
            text.matches('\n').count() >= count
        });
        text
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// `TIME name=value name="value" …`
#[track_caller]
fn fields(line: &str) -> Line {
    assert!(
        line.is_ascii() && !line.contains(char::is_control),
        "{line:?}"
    );
    let (time, mut rest) = line.split_once(' ').expect("a time");
    let mut fields = Line::from([("time".to_owned(), time.to_owned())]);
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').expect("a field");
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"').expect("a second quote");
                (value, next.strip_prefix(' ').unwrap_or(next))
            }
            None => after.split_once(' ').unwrap_or((after, "")),
        };
        let twice = fields.insert(name.to_owned(), value.to_owned());
        assert!(twice.is_none(), "{name} twice: {line}");
        rest = next;
    }
    fields
}

#[track_caller]
fn expect(line: &Line, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        assert_eq!(
            line.get(*name).map(String::as_str),
            Some(*value),
            "{name}: {line:?}"
        );
    }
}
