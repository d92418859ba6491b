//! Paths that code names: `crate::a::{b, c::D}` is the two paths `a::b` and `a::c::D` from the
//! root of the crate.

use crate::source::{is_word, words};

/// Segments of a path. A path into the own crate begins at the crate's root.
pub(crate) type Path = Vec<String>;

/// Absolute paths that `code` names. `base` resolves the first word of a path, `None` skips it.
pub(crate) fn named(code: &str, base: impl Fn(&str) -> Option<Path>) -> Vec<Path> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = code[at..].find(is_word).map(|start| at + start) {
        let word: String = code[start..].chars().take_while(|c| is_word(*c)).collect();
        at = start + word.len();
        if !begins_path(code, start) || !code[at..].starts_with("::") {
            continue;
        }
        let Some(base) = base(&word) else {
            continue;
        };
        for rest in segments(&code[at + 2..]) {
            found.push(absolute(&base, rest));
        }
    }
    found
}

/// Absolute paths into the own crate that `code` of `module` names by `crate`, `self` or `super`.
pub(crate) fn named_inside(module: &[String], code: &str) -> Vec<Path> {
    named(code, |word| base(module, word))
}

/// Module that `crate`, `self` or `super` means in `module`.
pub(crate) fn base(module: &[String], word: &str) -> Option<Path> {
    match word {
        "crate" => Some(vec![]),
        "self" => Some(module.to_vec()),
        "super" => Some(module[..module.len().checked_sub(1)?].to_vec()),
        _ => None,
    }
}

/// Absolute paths into the outside crate `name`, with the name as the first segment.
pub(crate) fn named_of_crate(name: &str, code: &str) -> Vec<Path> {
    named(code, |word| (word == name).then(|| vec![name.to_owned()]))
}

/// Positions at which `code` names the outside crate `name`: in a path, or in `use name`.
pub(crate) fn crate_positions<'c>(
    code: &'c str,
    name: &'c str,
) -> impl Iterator<Item = usize> + 'c {
    words(code, name).filter(move |at| {
        let before = code[..*at].trim_end_matches("::");
        let is_named = code[at + name.len()..].starts_with("::") || before.ends_with("use ");
        is_named && begins_path(code, *at)
    })
}

/// Returns `true` if the word at `at` is the first of its path. `::name` begins one, too.
fn begins_path(code: &str, at: usize) -> bool {
    match code[..at].strip_suffix("::") {
        Some(before) => !before.ends_with(|c| is_word(c) || c == '>'),
        None => true,
    }
}

/// Module that a file below the folder `root` defines; the root of the crate is the empty path.
pub(crate) fn module_of(root: &str, path: &str) -> Option<Path> {
    let inner = path.strip_prefix(root)?.strip_suffix(".rs")?;
    let inner = inner.trim_end_matches("/mod");
    if matches!(inner, "lib" | "main") {
        return Some(vec![]);
    }
    Some(inner.split('/').map(str::to_owned).collect())
}

/// Joins a base and the segments behind it, each `super` of which goes up.
fn absolute(base: &[String], rest: Path) -> Path {
    let mut path = base.to_vec();
    for segment in rest {
        match segment.as_str() {
            "super" => drop(path.pop()),
            "self" => {}
            _ => path.push(segment),
        }
    }
    path
}

/// Segments of a path, of each path of a `{…}` group one list. A glob ends at its module.
fn segments(rest: &str) -> Vec<Path> {
    if let Some(group) = rest.strip_prefix('{') {
        return members(group).into_iter().flat_map(segments).collect();
    }
    if rest.starts_with('*') {
        return vec![vec![]];
    }
    let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    let (word, rest) = rest.split_at(end);
    let first = vec![word.to_owned()];
    match rest.strip_prefix("::") {
        _ if word.is_empty() => vec![],
        Some(rest) if rest.starts_with(|c| is_word(c) || c == '{') => segments(rest)
            .into_iter()
            .map(|rest| [first.clone(), rest].concat())
            .collect(),
        _ => vec![first],
    }
}

/// Members of a group, up to its closing bracket.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut all) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                all.push(group[start..at].trim());
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    all
}

#[cfg(test)]
fn inside(path: &str, code: &str) -> Vec<String> {
    let module = module_of("src/", path).expect("a file below src/");
    let all = named_inside(&module, code).into_iter();
    all.map(|path| path.join("::")).collect()
}

#[test]
fn paths_are_found_however_they_are_written() {
    let text = "use crate::{roster::{Seat, Name}, wire, ring::Key};\nlet x = crate::peer::local();";
    assert_eq!(
        inside("src/a.rs", text),
        [
            "roster::Seat",
            "roster::Name",
            "wire",
            "ring::Key",
            "peer::local"
        ]
    );
    assert_eq!(
        inside("src/a.rs", "use super::fleet::Plan;"),
        ["fleet::Plan"]
    );
    assert_eq!(inside("src/a/mod.rs", "use super::fleet;"), ["fleet"]);
    assert_eq!(inside("src/a/b.rs", "use super::fleet;"), ["a::fleet"]);
    assert_eq!(inside("src/a/b.rs", "use super::super::fleet;"), ["fleet"]);
    assert_eq!(
        inside("src/a/b.rs", "use super::*; use crate::{b::*};"),
        ["a", "b"]
    );
    assert_eq!(inside("src/a.rs", "use crate::{self as top};"), [""]);
    assert!(inside("src/a.rs", "my_crate::x(); pub(crate) fn y()").is_empty());
    let nested = inside("src/a/b.rs", "use super::{Key, super::fleet::Plan};");
    assert!(nested.contains(&"fleet::Plan".to_owned()), "{nested:?}");
}

#[test]
fn outside_crates_are_found_at_the_beginning_of_a_path() {
    let count = |code| crate_positions(code, "nix").count();
    for code in [
        "use nix;",
        "nix::x()",
        "f(::nix::x())",
        "&::nix::X",
        "use ::nix;",
    ] {
        assert_eq!(count(code), 1, "{code}");
    }
    for code in [
        "self::nix::x()",
        "<T>::nix::x()",
        "let nix = 1;",
        "unix::x()",
    ] {
        assert_eq!(count(code), 0, "{code}");
    }
    let grouped = named_of_crate("std", "use std::{net::IpAddr, fmt};");
    assert_eq!(
        grouped,
        [["std", "net", "IpAddr"].as_slice(), &["std", "fmt"]]
    );
}
