//! Rules of the architecture, each a pure function of a path and a text that returns the
//! violations. The tests at the bottom show for each that it accepts the good and finds the bad: a
//! rule that cannot fail is none.
//!
//! All rules stand in one list, where a missing one shows. Their tables are in tables.rs.

use std::collections::BTreeSet;
use std::path::Path;

use crate::dependencies::names_no_other_program;
use crate::paths::{crate_positions, module_of, named_inside, named_of_crate};
use crate::source::{code, functions, line, production_code, production_lines, uses, words};
use crate::tables::{
    FORBIDDEN_IMPORTS, IMPURE, IMPURE_MODULES, LAYERS, OWNERS, PURE, SAME_LAYER_IMPORTS, TOP,
};

/// Returns what is wrong with the text of a file, path from the repository's root.
pub(crate) type Rule = fn(path: &str, text: &str) -> Vec<String>;

/// Rules for every .rs file of the workspace.
pub(crate) const RULES: [Rule; 11] = [
    begins_with_a_header,
    has_narrow_comments,
    is_short,
    has_short_functions,
    imports_go_down,
    stays_pure,
    names_no_higher_layer,
    leaves_outside_crates_to_their_owners,
    holds_nothing_forbidden,
    imports_by_name,
    names_no_other_program,
];

const MAX_FILE_LINES: usize = 300;
const MAX_FUNCTION_LINES: usize = 70;
/// Columns of a comment, as rustfmt has for code.
const MAX_COLUMNS: usize = 100;

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

fn has_narrow_comments(_: &str, text: &str) -> Vec<String> {
    let numbered = (1..).zip(text.lines());
    let wide = numbered.filter(|(_, line)| {
        let comment = line.trim_start();
        // A row of a table cannot be wrapped.
        let wraps = comment.starts_with("//") && !comment.starts_with("/// |");
        wraps && line.chars().count() > MAX_COLUMNS
    });
    wide.map(|(at, _)| format!("line {at}: a comment wider than {MAX_COLUMNS} columns"))
        .collect()
}

fn is_short(path: &str, text: &str) -> Vec<String> {
    let lines = production_lines(path, text);
    if lines <= MAX_FILE_LINES {
        return vec![];
    }
    vec![format!(
        "{lines} lines of production code, above {MAX_FILE_LINES} it is two files"
    )]
}

fn has_short_functions(path: &str, text: &str) -> Vec<String> {
    functions(&production_code(path, text))
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
    let module = module_of("src/", path).unwrap_or_default();
    let imported = named_inside(&module, &production_code(path, text))
        .into_iter()
        .map(|path| path.into_iter().next().unwrap_or_else(|| "lib".to_owned()));
    imported
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
    let code = production_code(path, text);
    let mut wrong = found(&code, &IMPURE);
    for module in IMPURE_MODULES {
        let forbidden: Vec<&str> = module.split("::").collect();
        let named = named_of_crate(forbidden[0], &code);
        let impure = named.iter().filter(|path| path.len() >= forbidden.len());
        let impure = impure.filter(|path| forbidden.iter().zip(*path).all(|(a, b)| a == b));
        wrong.extend(impure.map(|path| format!("names {}", path.join("::"))));
    }
    wrong
}

fn names_no_higher_layer(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if path.starts_with("src/wire/") {
        // Comments count, too: wire knows nothing of replicas.
        wrong.extend(found(&text.to_lowercase(), &["replica"]));
    }
    let publishes = path.starts_with("src/fleet/") || path == "src/roster.rs";
    if path.starts_with("src/") && !publishes {
        // serve.rs makes the channel with its first, empty roster.
        let code = production_code(path, text);
        wrong.extend(found(&code, &[".publish(", "Publisher"]));
        if path != "src/serve.rs" {
            let module = module_of("src/", path).unwrap_or_default();
            let named = named_inside(&module, &code);
            let makes = named.iter().any(|path| *path == ["roster", "channel"]);
            wrong.extend(makes.then(|| "names roster::channel".to_owned()));
            wrong.extend(found(&code, &["Roster::new(", "roster::channel"]));
        }
    }
    wrong
}

fn leaves_outside_crates_to_their_owners(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("src/") {
        return vec![];
    }
    let code = code(text);
    let mut wrong = Vec::new();
    for (name, owners) in OWNERS {
        if owners.iter().any(|owner| path.starts_with(owner)) {
            continue;
        }
        let owners = owners.join(", ");
        let places = crate_positions(&code, name).map(|at| line(&code, at));
        wrong.extend(places.map(|at| format!("line {at}: {name} belongs to {owners}")));
    }
    wrong
}

fn holds_nothing_forbidden(path: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let mut wrong = found(&code, &["todo!", "unimplemented!", "dbg!", "#[ignore"]);
    wrong.extend(found(
        &code,
        &["include!", "extern crate", "crate as", "super as", "use {"],
    ));
    wrong.extend(words(&code, "unsafe").map(|at| format!("line {}: unsafe", line(&code, at))));
    for (at, _) in code.match_indices("#[cfg_attr(") {
        let attribute = code[at..].split(']').next().unwrap_or_default();
        if words(attribute, "ignore").next().is_some() {
            wrong.push(format!("line {}: ignore", line(&code, at)));
        }
    }
    // Tests share files by path. A module of a program is where its name says.
    if !path.starts_with("tests/") {
        wrong.extend(found(&code, &["#[path"]));
    }
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str());
    if let Some(drawer @ ("util" | "utils" | "helper" | "helpers" | "common" | "constants")) = stem
    {
        wrong.push(format!(
            "{drawer} is a drawer: a thing lives beside its only user"
        ));
    }
    wrong
}

/// Each import and re-export of production code names its items: the other rules cannot follow a
/// glob of the own crate, or a re-export under another name.
fn imports_by_name(path: &str, text: &str) -> Vec<String> {
    let code = production_code(path, text);
    let mut wrong = Vec::new();
    for range in uses(&code) {
        let (at, import) = (line(&code, range.start), &code[range]);
        let is_re_export = import.starts_with("pub");
        let is_prelude = !is_re_export && import.ends_with("::prelude::*");
        if import.contains('*') && !is_prelude {
            wrong.push(format!("line {at}: a glob import"));
        }
        if is_re_export && words(import, "as").next().is_some() {
            wrong.push(format!("line {at}: a re-export under another name"));
        }
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

/// Differences between the names at the top level of the repository and the expected ones.
pub(crate) fn differences_at_top_level(names: &BTreeSet<&str>) -> Vec<String> {
    let expected = BTreeSet::from(TOP);
    let strange = names.difference(&expected);
    let strange = strange.map(|name| format!("{name} does not belong at the top level"));
    let missing = expected.difference(names);
    let missing = missing.map(|name| format!("{name} is missing at the top level"));
    strange.chain(missing).collect()
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
fn a_wide_comment_is_found() {
    let comment = |columns: usize| format!("    //! {}", "é".repeat(columns - 8));
    expect_found(
        has_narrow_comments,
        "src/a.rs",
        &comment(101),
        &comment(100),
    );
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
    ];
    for (path, bad, good) in bad_and_good {
        expect_found(imports_go_down, path, bad, good);
    }
}

#[test]
fn imports_that_go_up_are_found_in_groups_globs_and_behind_test_modules() {
    let bad_and_good = [
        (
            "src/wire/head.rs",
            "use super::{Key, super::fleet::Plan};",
            "use super::{framing, super::wire::Head};",
        ),
        ("src/wire.rs", "use super::*;", "use self::head::*;"),
        (
            "src/fleet/mod.rs",
            "#[cfg(test)]\nmod tests;\nuse crate::proxy::run;",
            "#[cfg(test)]\nmod tests { use crate::proxy::run; }",
        ),
    ];
    for (path, bad, good) in bad_and_good {
        expect_found(imports_go_down, path, bad, good);
    }
    let no_layer = imports_go_down("src/attic.rs", "");
    assert_eq!(no_layer, ["attic has no layer: add it to LAYERS"]);
}

#[test]
fn clocks_sockets_and_chance_are_found_in_pure_files() {
    for bad in [
        "Instant::now()",
        "std::time::SystemTime",
        "use std::net::IpAddr;",
        "tokio::net::lookup_host",
        "rand::rng()",
        "since.elapsed()",
        "use std::fs;",
        "std::env::var(x)",
        "::std::thread::sleep(x)",
        "use std::time::Instant as Clock;",
        "use tokio::{time};",
        "use std::{fmt, net::IpAddr};",
        "#[cfg(test)]\nmod tests;\nfn f() { Instant::now() }",
    ] {
        for path in ["src/ring/mod.rs", "src/fleet/plan/add.rs", "src/load.rs"] {
            expect_found(stays_pure, path, bad, "fn at(now: Instant, operand: u8) {}");
        }
        assert!(stays_pure("src/fleet/mod.rs", bad).is_empty());
    }
    let tested = "#[cfg(test)]\nmod tests {\nInstant::now();\n}";
    assert!(stays_pure("src/fleet/plan/add.rs", tested).is_empty());
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
    for bad in [
        "use crate::roster::channel;",
        "use crate::{roster::{channel, Roster}};",
        "roster::channel(1, first)",
        "Publisher::publish(&p, next)",
    ] {
        expect_found(
            rule,
            "src/control/mod.rs",
            bad,
            "use crate::roster::Roster;",
        );
    }
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
    for bad in ["f(::nix::sys::x())", "&::rustix::pipe::X", "subtle::Choice"] {
        expect_found(rule, "src/control/text.rs", bad, "crate::nix::x()");
    }
    assert!(rule("src/ring/jump.rs", "use xxhash_rust::xxh3;").is_empty());
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
        "#[cfg_attr(all(), ignore)]",
        "#[cfg_attr(\n    all(),\n    ignore = \"slow\"\n)]",
        "extern crate nix as n;",
        "use crate as top;",
        "use super::super as top;",
        "include!(\"a.rs\")",
        "use {nix, std::fmt};",
    ] {
        expect_found(
            rule,
            "tests/e2e/a.rs",
            bad,
            "#![forbid(unsafe_code)] // todo!() unsafe",
        );
    }
    let path = "#[path = \"a.rs\"]\nmod a;";
    expect_found(rule, "src/a.rs", path, "include_str!(\"a\")");
    assert!(rule("tests/e2e/a.rs", path).is_empty());
    assert!(!rule("src/proxy/util.rs", "").is_empty());
}

#[test]
fn unexpected_and_missing_names_at_the_top_level_are_found() {
    assert!(differences_at_top_level(&BTreeSet::from(TOP)).is_empty());
    let mut names = BTreeSet::from(TOP);
    names.insert("notes.txt");
    assert_eq!(differences_at_top_level(&names).len(), 1);
    names.remove("LICENSE-MIT");
    assert_eq!(differences_at_top_level(&names).len(), 2);
}

#[test]
fn globs_and_renamed_re_exports_are_found() {
    let test = "#[cfg(test)]\nmod tests { use super::*; }\nuse a::b as c;\nuse d::prelude::*;";
    for bad in [
        "use super::*;",
        "use crate::{a::b, c::*};",
        "mod b; pub use b::*;",
        "pub use b::prelude::*;",
        "pub(crate) use b::Inner as Outer;",
        "pub use b::{A, Inner as Outer};",
    ] {
        expect_found(imports_by_name, "src/a.rs", bad, test);
    }
    assert!(imports_by_name("tests/e2e/a.rs", "use super::*;").is_empty());
}
