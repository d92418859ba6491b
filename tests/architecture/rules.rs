//! Rules of the architecture, each a pure function of a path and a text that returns the violations. The
//! tests at the bottom show for each that it accepts the good and finds the bad: a rule that cannot fail is
//! none.
//!
//! A new part of the crate gets its layer here, a new outside crate its owner. All rules stand in one list,
//! where a missing one shows.

use std::collections::BTreeSet;
use std::path::Path;

use crate::source::{code, functions, imports, line, production, words};

/// Returns what is wrong with the text of a file, path from the repository's root.
pub(crate) type Rule = fn(path: &str, text: &str) -> Vec<String>;

/// Rules for every .rs file of the workspace.
pub(crate) const RULES: [Rule; 8] = [
    begins_with_a_header,
    is_short,
    has_short_functions,
    imports_go_down,
    stays_pure,
    names_no_higher_layer,
    leaves_outside_crates_to_their_owners,
    holds_nothing_forbidden,
];

/// The layers, lowest first. A part may import what lies on a lower one.
const LAYERS: [&[&str]; 6] = [
    &["wire", "metrics", "shutdown", "terminal"],
    &["ring", "load"],
    &["roster", "orders", "access", "stats"],
    &["fleet"],
    &["proxy", "control"],
    &[
        "access_log",
        "config",
        "ctl",
        "manpages",
        "healthcheck",
        "supervisor",
        "lib",
        "logging",
        "main",
        "serve",
        "startup",
        "takeover",
    ],
];

/// Imports that are allowed within a layer: importer, imported.
const SAME_LAYER_IMPORTS: [(&str, &str); 20] = [
    ("load", "ring"),
    ("orders", "roster"),
    ("lib", "config"),
    ("lib", "ctl"),
    ("lib", "manpages"),
    ("manpages", "config"),
    ("lib", "healthcheck"),
    ("lib", "serve"),
    ("serve", "access_log"),
    ("serve", "config"),
    ("serve", "supervisor"),
    ("serve", "startup"),
    ("serve", "takeover"),
    ("supervisor", "startup"),
    ("supervisor", "takeover"),
    ("startup", "config"),
    ("takeover", "config"),
    ("logging", "config"),
    ("lib", "logging"),
    ("access_log", "config"),
];

/// Imports that are forbidden although they go down.
const FORBIDDEN_IMPORTS: [(&str, &str); 1] = [("proxy", "fleet")];

/// Files that get time, bytes and chance as values.
const PURE: [&str; 5] = [
    "src/ring/",
    "src/load.rs",
    "src/load/",
    "src/fleet/plan.rs",
    "src/fleet/plan/",
];

/// Names that a pure file must not have.
const IMPURE: [&str; 6] = [
    "Instant::now",
    "SystemTime",
    "std::net",
    "tokio::net",
    "tokio::time",
    "rand::",
];

/// Outside crates that only these files may name.
const OWNERS: [(&str, &[&str]); 14] = [
    (
        "bollard",
        &[
            "src/fleet/engine/docker/api.rs",
            "src/fleet/engine/docker/logs.rs",
            "src/fleet/engine/docker/api_types.rs",
            "src/fleet/engine/docker/network_types.rs",
            "src/fleet/engine/docker/spec.rs",
        ],
    ),
    ("clap_complete", &["src/manpages.rs"]),
    ("clap_mangen", &["src/manpages.rs"]),
    ("exmex", &["src/ring/expr.rs"]),
    (
        "futures_util",
        &[
            "src/fleet/engine/docker/api.rs",
            "src/fleet/engine/docker/logs.rs",
            "src/control/http/events.rs",
        ],
    ),
    ("httparse", &["src/wire/head.rs", "src/wire/head/fields.rs"]),
    ("nix", &["src/wire/sockopt.rs", "src/wire/fd_passing.rs"]),
    ("prometheus", &["src/control/metrics/exposition.rs"]),
    (
        "rustix",
        &[
            "src/wire/splice.rs",
            "src/wire/socket.rs",
            "src/wire/listener.rs",
            "src/wire/socket_owner.rs",
            "src/wire/fd_passing.rs",
            "src/access_log/file.rs",
            "src/fleet/engine/process.rs",
        ],
    ),
    (
        "axum",
        &[
            "src/control/http/mod.rs",
            "src/control/http/events.rs",
            "src/control/http/reply.rs",
            "src/control/http/request.rs",
            "src/control/http/assets.rs",
            "src/control/http/probes.rs",
            "src/control/http/routes.rs",
        ],
    ),
    ("hyper", &["src/control/http/mod.rs"]),
    ("hyper_util", &["src/control/http/mod.rs"]),
    ("percent_encoding", &["src/control/http/request.rs"]),
    ("strsim", &["src/control/suggest.rs"]),
];

/// Names at the top level of the repository: the project's own, and those that tools require.
const TOP: [&str; 18] = [
    "Cargo.toml",
    "src",
    "replica",
    "docker",
    "loadgen",
    "Makefile",
    "tests",
    "README.md",
    "Cargo.lock",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    ".ci",
    ".clippy.toml",
    ".deny.toml",
    ".dockerignore",
    ".env",
    ".github",
    ".gitignore",
];

const MAX_FILE_LINES: usize = 300;
const MAX_FUNCTION_LINES: usize = 70;

fn begins_with_a_header(_: &str, text: &str) -> Vec<String> {
    let has_header = text
        .lines()
        .next()
        .is_some_and(|line| line.starts_with("//! "));
    if has_header {
        vec![]
    } else {
        vec!["line 1: no //! header".into()]
    }
}

fn is_short(path: &str, text: &str) -> Vec<String> {
    let lines = production(path, text).lines().count();
    if lines <= MAX_FILE_LINES {
        return vec![];
    }
    vec![format!(
        "{lines} lines of production code, above {MAX_FILE_LINES} it is two files"
    )]
}

fn has_short_functions(path: &str, text: &str) -> Vec<String> {
    functions(&code(production(path, text)))
        .into_iter()
        .filter(|(_, _, lines)| *lines > MAX_FUNCTION_LINES)
        .map(|(name, at, lines)| {
            format!("line {at}: fn {name} has {lines} lines, above {MAX_FUNCTION_LINES} it is two functions")
        })
        .collect()
}

fn imports_go_down(path: &str, text: &str) -> Vec<String> {
    let Some(importer) = part(path) else {
        return vec![];
    };
    let Some(own) = layer(importer) else {
        return vec![format!("{importer} has no layer: add it to LAYERS")];
    };
    let allowed = |imported: &str| match layer(imported) {
        _ if imported == importer => true,
        // Not a part: a function or a type of lib.rs, which is the top.
        None => own == LAYERS.len() - 1,
        Some(other) if other == own => SAME_LAYER_IMPORTS.contains(&(importer, imported)),
        Some(other) => other < own && !FORBIDDEN_IMPORTS.contains(&(importer, imported)),
    };
    imports(path, &code(production(path, text)))
        .into_iter()
        .filter(|imported| !allowed(imported))
        .map(|imported| format!("{importer} imports {imported}"))
        .collect()
}

/// The part of the crate that `path` belongs to; `None` outside src/.
fn part(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("src/")?;
    Some(inner.split('/').next()?.trim_end_matches(".rs"))
}

fn layer(part: &str) -> Option<usize> {
    LAYERS.iter().position(|parts| parts.contains(&part))
}

fn stays_pure(path: &str, text: &str) -> Vec<String> {
    if !PURE.iter().any(|pure| path.starts_with(pure)) {
        return vec![];
    }
    let code = code(production(path, text));
    found(&code, &IMPURE)
}

fn names_no_higher_layer(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if path.starts_with("src/wire/") {
        // Comments count too: what wire has_header about replicas, it knows about replicas.
        wrong.extend(found(&text.to_lowercase(), &["replica"]));
    }
    let publishes = path.starts_with("src/fleet/") || path == "src/roster.rs";
    if path.starts_with("src/") && !publishes {
        // serve.rs makes the channel with its first, empty roster.
        let makes: &[&str] = match path {
            "src/serve.rs" => &[".publish("],
            _ => &[".publish(", "Roster::new(", "roster::channel("],
        };
        wrong.extend(found(&code(production(path, text)), makes));
    }
    wrong
}

fn leaves_outside_crates_to_their_owners(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("src/") {
        return vec![];
    }
    let code = code(text);
    let mut wrong = Vec::new();
    for (name, owners) in OWNERS.iter().filter(|(_, owners)| !owners.contains(&path)) {
        for at in words(&code, name) {
            let is_crate =
                code[at + name.len()..].starts_with("::") || code[..at].ends_with("use ");
            let is_root = !code[..at].ends_with("::") || code[..at].ends_with(" ::");
            if is_crate && is_root {
                wrong.push(format!(
                    "line {}: {name} belongs to {}",
                    line(&code, at),
                    owners.join(", ")
                ));
            }
        }
    }
    wrong
}

fn holds_nothing_forbidden(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let mut wrong = found(&code, &["todo!", "unimplemented!", "dbg!", "#[ignore"]);
    wrong.extend(words(&code, "unsafe").map(|at| format!("line {}: unsafe", line(&code, at))));
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str());
    if let Some(drawer @ ("util" | "utils" | "helper" | "helpers" | "common" | "constants")) = stem
    {
        wrong.push(format!(
            "{drawer} is a drawer: a thing lives beside its only user"
        ));
    }
    wrong
}

/// Positions of the needles in the text; a needle that begins with a letter must begin a word.
fn found(text: &str, needles: &[&str]) -> Vec<String> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut places = Vec::new();
    for needle in needles {
        for (at, _) in text.match_indices(needle) {
            let inside = needle.starts_with(word) && text[..at].ends_with(word);
            if !inside {
                places.push(format!("line {}: {needle}", line(text, at)));
            }
        }
    }
    places
}

/// Violations among the names at the top level of the repository.
pub(crate) fn unexpected_at_top_level(names: &BTreeSet<&str>) -> Vec<String> {
    let strange = names.iter().filter(|name| !TOP.contains(name));
    strange
        .map(|name| format!("{name} does not belong at the top level"))
        .collect()
}

#[track_caller]
fn expect_found(rule: Rule, path: &str, bad: &str, good: &str) {
    assert!(!rule(path, bad).is_empty(), "passed: {bad}");
    assert_eq!(rule(path, good), [""; 0], "stopped: {good}");
}

#[test]
fn a_missing_header_is_found() {
    expect_found(
        begins_with_a_header,
        "src/a.rs",
        "// a\nuse b;",
        "//! What a owns.\n",
    );
    expect_found(begins_with_a_header, "src/a.rs", "", "//! What a owns.");
}

#[test]
fn length_is_found_in_production_code_alone() {
    let line = "let a = 1;\n";
    expect_found(is_short, "src/a.rs", &line.repeat(301), &line.repeat(300));
    let tested = format!(
        "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
        line.repeat(300),
        line.repeat(99)
    );
    assert!(is_short("src/a.rs", &tested).is_empty());
    let function = |lines: usize| format!("fn a() {{\n{}}}\n", line.repeat(lines - 2));
    expect_found(
        has_short_functions,
        "replica/src/a.rs",
        &function(71),
        &function(70),
    );
}

#[test]
fn imports_that_go_up_or_aside_are_found() {
    let bad_and_good = [
        (
            "src/wire/head.rs",
            "use crate::ring::Key;",
            "use crate::wire::framing;",
        ),
        (
            "src/wire/head.rs",
            "use crate::metrics::Cells;",
            "use super::framing;",
        ),
        (
            "src/proxy/route.rs",
            "use crate::fleet::Plan;",
            "use crate::roster::Roster;",
        ),
        (
            "src/proxy/mod.rs",
            "use crate::{ring, control};",
            "use crate::{ring, wire::head};",
        ),
        (
            "src/control/http/mod.rs",
            "crate::proxy::run()",
            "use crate::fleet;",
        ),
        (
            "src/roster.rs",
            "use super::orders::Order;",
            "use super::ring::Seat;",
        ),
        (
            "src/load.rs",
            "use crate::roster::Roster;",
            "use crate::ring::Seat;",
        ),
        (
            "src/proxy/accept.rs",
            "use crate::config::Config;",
            "// use crate::config::Config;",
        ),
        (
            "src/fleet/mod.rs",
            "use crate::Config;",
            "use crate::orders::Call;",
        ),
        ("src/attic.rs", "", ""),
    ];
    for (path, bad, good) in bad_and_good {
        if path == "src/attic.rs" {
            assert!(
                !imports_go_down(path, bad).is_empty(),
                "a part without a layer"
            );
        } else {
            expect_found(imports_go_down, path, bad, good);
        }
    }
}

#[test]
fn clocks_sockets_and_chance_are_found_in_pure_files() {
    for bad in [
        "Instant::now()",
        "std::time::SystemTime",
        "use std::net::IpAddr;",
        "tokio::net::lookup_host",
        "rand::rng()",
    ] {
        for path in ["src/ring/mod.rs", "src/fleet/plan.rs", "src/load.rs"] {
            expect_found(stays_pure, path, bad, "fn at(now: Instant, operand: u8) {}");
        }
        assert!(stays_pure("src/fleet/mod.rs", bad).is_empty());
    }
    let tested = "#[cfg(test)]\nmod tests {\nInstant::now();\n}";
    assert!(stays_pure("src/fleet/plan.rs", tested).is_empty());
}

#[test]
fn words_of_a_higher_layer_are_found() {
    let rule = names_no_higher_layer;
    expect_found(
        rule,
        "src/wire/head.rs",
        "// The Replica's head.",
        "// The server's head.",
    );
    expect_found(
        rule,
        "src/proxy/route.rs",
        "publisher.publish(next)",
        "roster.member(seat)",
    );
    expect_found(
        rule,
        "src/control/mod.rs",
        "Roster::new(1)",
        "\"Roster::new(\"",
    );
    assert!(rule("src/fleet/mod.rs", "publisher.publish(next)").is_empty());
}

#[test]
fn outside_crates_in_the_wrong_file_are_found() {
    let rule = leaves_outside_crates_to_their_owners;
    expect_found(
        rule,
        "src/proxy/pump.rs",
        "use rustix::pipe;",
        "use crate::wire::splice;",
    );
    expect_found(
        rule,
        "src/wire/framing.rs",
        "httparse::parse_chunk_size(x)",
        "self::httparse::x(); // httparse::x",
    );
    expect_found(rule, "src/control/text.rs", "use axum;", "let axum = 1;");
    expect_found(
        rule,
        "src/control/http/mod.rs",
        "bollard::Docker",
        "hyper_util::rt::TokioIo; hyper::body; axum::Router",
    );
    assert!(rule("replica/src/main.rs", "use hyper::server;").is_empty());
}

#[test]
fn forbidden_things_are_found() {
    let rule = holds_nothing_forbidden;
    for bad in [
        "unsafe { x() }",
        "todo!()",
        "dbg!(x)",
        "#[ignore = \"slow\"]",
        "unimplemented!()",
    ] {
        expect_found(
            rule,
            "tests/e2e/a.rs",
            bad,
            "#![forbid(unsafe_code)] // todo!() unsafe",
        );
    }
    assert!(!rule("src/proxy/util.rs", "").is_empty());
}

#[test]
fn unexpected_names_at_the_top_level_are_found() {
    assert!(unexpected_at_top_level(&BTreeSet::from(TOP)).is_empty());
    assert_eq!(
        unexpected_at_top_level(&BTreeSet::from(["src", "notes.txt"])).len(),
        1
    );
}
