//! The dashboard: the files of the page, which are part of the program, and its security headers.
//!
//! The page is a client of the control port like any other, so it may do what its user may. The
//! server writes no data into the page: the files need no token, and the policy forbids all other
//! sources.

/// A file of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct File {
    /// Path of the file.
    pub(super) path: &'static str,
    /// `Content-Type` of the file.
    pub(super) kind: &'static str,
    /// Content of the file.
    pub(super) text: &'static str,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Route of all files but the first.
pub(super) const FOLDER: &str = "/dashboard/{file}";

/// All files, the page itself first.
pub(super) const FILES: [File; 14] = [
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
    file("/dashboard/api.js", SCRIPT, include_str!("api.js")),
    file(
        "/dashboard/change_dialog.js",
        SCRIPT,
        include_str!("change_dialog.js"),
    ),
    file("/dashboard/charts.js", SCRIPT, include_str!("charts.js")),
    file("/dashboard/events.js", SCRIPT, include_str!("events.js")),
    file(
        "/dashboard/where_key.js",
        SCRIPT,
        include_str!("where_key.js"),
    ),
    file("/dashboard/ring.js", SCRIPT, include_str!("ring.js")),
    file("/dashboard/rollout.js", SCRIPT, include_str!("rollout.js")),
    file("/dashboard/seats.js", SCRIPT, include_str!("seats.js")),
    file(
        "/dashboard/change_form.js",
        SCRIPT,
        include_str!("change_form.js"),
    ),
    file("/dashboard/format.js", SCRIPT, include_str!("format.js")),
];

const fn file(path: &'static str, kind: &'static str, text: &'static str) -> File {
    File { path, kind, text }
}

/// Security headers of each file. Scripts, styles, pictures and requests are allowed only from this
/// port, and forms may not leave it. Pages of other sites may not frame it, since they could trick
/// a visitor into clicking a hidden button. The files are not cached, so that a page never mixes
/// two versions.
///
/// The policy names the inline script by its hash. After a change of the script a test fails with
/// the browser's message, which contains the new hash.
pub(super) const FIELDS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self' 'sha256-mEwoo1j09zxyYmq9MQtSlsMX9ZvBy7R6t2ea35joNpA='; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// Returns the file of this path.
pub(super) fn find(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Maximum size of all files together, in bytes.
    const MAX_SIZE: usize = 100_000;

    /// Returns the quoted texts that begin with `begin`.
    fn quoted(text: &str, begin: &str) -> Vec<String> {
        let pieces = text.split(['"', '\'']).skip(1).step_by(2);
        let found = pieces.filter(|piece| piece.starts_with(begin));
        found.map(str::to_owned).collect()
    }

    #[test]
    fn the_page_is_small() {
        let size: usize = FILES.iter().map(|file| file.text.len()).sum();
        assert!(size < MAX_SIZE, "{size} bytes");
    }

    #[test]
    fn every_file_is_used_and_every_used_file_exists() {
        let mut used = BTreeSet::from(["/".to_owned()]);
        used.extend(quoted(FILES[0].text, "/dashboard/"));
        for file in FILES.iter().filter(|file| file.kind == SCRIPT) {
            let imports = file.text.lines().filter(|line| line.starts_with("import "));
            let names = imports.flat_map(|line| quoted(line, "./"));
            used.extend(names.map(|name| name.replace("./", "/dashboard/")));
        }
        let existing: BTreeSet<String> = FILES.iter().map(|file| file.path.to_owned()).collect();
        assert_eq!(used, existing);
        assert!(existing.iter().all(|path| find(path).is_some()));
        assert!(find("/dashboard/mod.rs").is_none());
    }

    #[test]
    fn all_sources_are_local_and_one_script_is_inline() {
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
                // Comments of scripts begin like URLs without a scheme.
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
    fn every_script_has_a_header_and_is_short() {
        for file in FILES.iter().filter(|file| file.kind == SCRIPT) {
            assert!(file.text.starts_with("// "), "{}", file.path);
            let lines = file.text.lines().count();
            assert!(lines <= 300, "{}: {lines} lines", file.path);
        }
    }
}
