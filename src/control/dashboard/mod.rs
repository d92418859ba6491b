//! The dashboard: a page of a few files that are part of the program, and under what rules a browser may
//! show it.
//!
//! It knows no HTTP library and no fleet: the page asks the control port like any other client, so it may do
//! what its user may. Everything comes from the port itself and nothing is written into the page by
//! the server; so the files need no token, and the policy can forbid all but them.

/// A file of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct File {
    /// Where it is asked for.
    pub(super) path: &'static str,
    /// Its `Content-Type`.
    pub(super) kind: &'static str,
    /// What is in it.
    pub(super) text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The folder of all but the first, as a route.
pub(super) const FOLDER: &str = "/dashboard/{file}";

/// All files, the page itself first.
pub(super) const FILES: [File; 13] = [
    file("/", "text/html; charset=utf-8", include_str!("index.html")),
    file(
        "/dashboard/page.css",
        "text/css; charset=utf-8",
        include_str!("page.css"),
    ),
    file(
        "/dashboard/icon.svg",
        "image/svg+xml",
        include_str!("icon.svg"),
    ),
    file("/dashboard/main.js", SCRIPT, include_str!("main.js")),
    file("/dashboard/ask.js", SCRIPT, include_str!("ask.js")),
    file("/dashboard/change.js", SCRIPT, include_str!("change.js")),
    file("/dashboard/charts.js", SCRIPT, include_str!("charts.js")),
    file("/dashboard/events.js", SCRIPT, include_str!("events.js")),
    file("/dashboard/key.js", SCRIPT, include_str!("key.js")),
    file("/dashboard/ring.js", SCRIPT, include_str!("ring.js")),
    file("/dashboard/seats.js", SCRIPT, include_str!("seats.js")),
    file("/dashboard/typed.js", SCRIPT, include_str!("typed.js")),
    file("/dashboard/words.js", SCRIPT, include_str!("words.js")),
];

const fn file(path: &'static str, kind: &'static str, text: &'static str) -> File {
    File { path, kind, text }
}

/// What is answered with each file. No script, style, picture or request but those of this port; no form
/// that leaves it; and no page of another site may frame it, whose visitors could be made to click on a
/// button that they do not see. It is not kept, so that a page never mixes the files of two versions.
///
/// The one script within the page is known by its hash; whoever changes it reads the new one in the browser's
/// complaint, which fails a test.
pub(super) const FIELDS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self' 'sha256-QvWEysmo5WF8iyG4ZM9u04egScqs1vNQDujKcY/oaNA='; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// The file of this path.
pub(super) fn find(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// All of it together, in bytes.
    const MOST: usize = 100_000;

    /// What stands between quotation marks and begins so.
    fn quoted(text: &str, begin: &str) -> Vec<String> {
        let pieces = text.split(['"', '\'']).skip(1).step_by(2);
        let found = pieces.filter(|piece| piece.starts_with(begin));
        found.map(str::to_owned).collect()
    }

    #[test]
    fn the_page_is_small() {
        let size: usize = FILES.iter().map(|file| file.text.len()).sum();
        assert!(size < MOST, "{size} bytes");
    }

    #[test]
    fn every_file_is_asked_for_and_every_one_asked_for_is_there() {
        let mut asked = BTreeSet::from(["/".to_owned()]);
        asked.extend(quoted(FILES[0].text, "/dashboard/"));
        for file in FILES.iter().filter(|file| file.kind == SCRIPT) {
            let imports = file.text.lines().filter(|line| line.starts_with("import "));
            let names = imports.flat_map(|line| quoted(line, "./"));
            asked.extend(names.map(|name| name.replace("./", "/dashboard/")));
        }
        let there: BTreeSet<String> = FILES.iter().map(|file| file.path.to_owned()).collect();
        assert_eq!(asked, there);
        assert!(there.iter().all(|path| find(path).is_some()));
        assert!(find("/dashboard/mod.rs").is_none());
    }

    #[test]
    fn nothing_comes_from_elsewhere_and_one_script_is_inline() {
        let namespace = "http://www.w3.org/2000/svg";
        for file in FILES {
            let text = file.text.replace(namespace, "");
            for foreign in [
                "http:",
                "https:",
                "//",
                "eval(",
                "innerHTML",
                "@import",
                "url(",
            ] {
                // Comments of scripts begin like addresses without a scheme.
                let lines = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                for line in lines {
                    assert!(!line.contains(foreign), "{}: {line}", file.path);
                }
            }
        }
        let page = FILES[0].text;
        for inline in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
            assert!(!page.contains(inline), "{inline}");
        }
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.matches("<script>").count(), 1);
    }

    #[test]
    fn every_script_says_what_it_is_and_is_short() {
        for file in FILES.iter().filter(|file| file.kind == SCRIPT) {
            assert!(file.text.starts_with("// "), "{}", file.path);
            let lines = file.text.lines().count();
            assert!(lines <= 300, "{}: {lines} lines", file.path);
        }
    }
}
