//! Rust source as the rules of the house look at it: what is code, what is production code, which
//! parts of the crate it imports, where its functions begin and end.
//!
//! It is a scanner, not a parser: comments and literals are blanked in place (line breaks stay), and
//! the rest is judged by words and brackets, which is all the rules need.

/// `text` with every comment, string and character literal turned into blanks.
pub(crate) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let blank = blank_length(rest, out.chars().next_back());
        if blank == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let (gone, left) = rest.split_at(blank);
            out.extend(gone.chars().map(|c| if c == '\n' { c } else { ' ' }));
            rest = left;
        }
    }
    out
}

/// Number of bytes at the start of `rest` that are a comment or a literal; `before` is the last code character.
fn blank_length(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest);
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    let inside_word = before.is_some_and(is_word);
    if inside_word { 0 } else { raw_string(rest) }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let tail = &rest.as_bytes()[at..];
        if tail.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if tail.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// 0 for a lifetime, which has no closing quote after one character.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            let after_escaped = chars.nth(1).map_or(rest.len(), |(at, _)| at);
            rest[after_escaped..]
                .find('\'')
                .map_or(rest.len(), |at| after_escaped + at + 1)
        }
        _ => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
    }
}

/// `r"…"`, `r#"…"#`, `br#"…"#`; 0 if it is none, raw identifiers included.
fn raw_string(rest: &str) -> usize {
    let Some(hashes) = ["r", "br", "cr"].iter().find_map(|p| rest.strip_prefix(p)) else {
        return 0;
    };
    let Some(body) = hashes.trim_start_matches('#').strip_prefix('"') else {
        return 0;
    };
    let close = format!("\"{}", "#".repeat(hashes.len() - body.len() - 1));
    let start = rest.len() - body.len();
    body.find(&close)
        .map_or(rest.len(), |at| start + at + close.len())
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The part of `text` that ships: all before `#[cfg(test)] mod …`, nothing of a tests file.
pub(crate) fn production<'t>(path: &str, text: &'t str) -> &'t str {
    if path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs") {
        return "";
    }
    let mut from = 0;
    while let Some(at) = text[from..].find("#[cfg(test)]").map(|at| from + at) {
        let after = &text[at + "#[cfg(test)]".len()..];
        if after.trim_start().starts_with("mod ") {
            return &text[..at];
        }
        from = at + 1;
    }
    text
}

/// Positions of `word` in `code` as a whole word.
pub(crate) fn words<'c>(code: &'c str, word: &'c str) -> impl Iterator<Item = usize> + 'c {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let before = code[..*at].chars().next_back();
            let after = code[at + word.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
}

/// The number of the line, counted from 1, in which byte `at` stands.
pub(crate) fn line(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The modules of the crate's root that `code` names, by `crate::` or by enough `super::`.
pub(crate) fn imports(path: &str, code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for at in words(code, "crate") {
        if let Some(rest) = code[at..].strip_prefix("crate::") {
            found.extend(heads(rest));
        }
    }
    let to_root = "super::".repeat(depth(path));
    for (at, _) in code.match_indices(&to_root) {
        if !to_root.is_empty() && !code[..at].ends_with("super::") {
            found.extend(heads(&code[at + to_root.len()..]));
        }
    }
    found
}

/// Depth of a module below the crate's root `src/…`: 0 for lib.rs, 1 for roster.rs.
fn depth(path: &str) -> usize {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    match inner.trim_end_matches("/mod") {
        "lib" | "main" => 0,
        module => module.split('/').count(),
    }
}

/// The first word of a path, or of each path of a `{…}` group.
fn heads(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        return vec![rest[..end].to_owned()];
    };
    let (mut depth, mut start, mut paths) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                paths.extend(heads(group[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    paths.retain(|path| !path.is_empty());
    paths
}

/// Each function of `code` that has a body: its name, the line it begins in, and its lines.
pub(crate) fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let signature = code[at + 2..].trim_start();
        let name: String = signature.chars().take_while(|c| is_word(*c)).collect();
        if name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(&code[at..]) {
            let first = line(code, at);
            found.push((name, first, line(code, at + end) - first + 1));
        }
    }
    found
}

/// Position of the closing bracket of the body behind a signature; `None` for a declaration.
fn body_end(code: &str) -> Option<usize> {
    let (mut round, mut curly) = (0, 0);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            '{' => curly += 1,
            '}' if curly == 1 => return Some(at),
            '}' => curly -= 1,
            ';' if round == 0 && curly == 0 => return None,
            _ => {}
        }
    }
    None
}

#[test]
fn comments_and_literals_are_blanked() {
    let blank = |text: &str| code(text).split_whitespace().collect::<String>();
    assert_eq!(blank("a // b\nc /* d /* e */ f */ g"), "acg");
    assert_eq!(blank(r#"a("b \" // c") d"#), "a()d");
    assert_eq!(blank("a(r#\"b \" c\"#, br\"d\\\", r) e"), "a(,,r)e");
    assert_eq!(
        blank(r"f::<'a>('{', '\'', '\u{7f}', b'\\') g"),
        "f::<'a>(,,,b)g"
    );
    assert_eq!(code("\"x\ny\"z"), "  \n  z");
    assert_eq!(blank("\"never closed { fn"), "");
}

#[test]
fn production_ends_at_the_tests() {
    let text = "fn a() {}\n#[cfg(test)]\nuse b;\nfn c() {}\n#[cfg(test)]\nmod tests {}\n";
    assert!(production("src/a.rs", text).ends_with("fn c() {}\n"));
    assert_eq!(production("src/ring/tests.rs", text), "");
    assert_eq!(production("tests/e2e/a.rs", text), "");
}

#[test]
fn imports_are_found_however_they_are_written() {
    let text = "use crate::{roster::{Seat, Name}, wire, ring::Key};\nlet x = crate::peer::local();";
    assert_eq!(
        imports("src/a.rs", text),
        ["roster", "wire", "ring", "peer"]
    );
    assert_eq!(imports("src/a.rs", "use super::fleet::Plan;"), ["fleet"]);
    assert_eq!(imports("src/a/mod.rs", "use super::fleet;"), ["fleet"]);
    assert!(imports("src/a/b.rs", "use super::fleet;").is_empty());
    assert_eq!(imports("src/a/b.rs", "use super::super::fleet;"), ["fleet"]);
    assert!(imports("src/a.rs", "my_crate::x(); pub(crate) fn y()").is_empty());
}

#[test]
fn functions_are_measured_from_signature_to_closing_brace() {
    let text = "trait T { fn no_body(x: [u8; 4]); }\nfn two() -> [u8; 4] {\n}\ntype F = fn(u8);\nfn one() { if a { b } }";
    let expected = [("two".to_owned(), 2, 2), ("one".to_owned(), 5, 1)];
    assert_eq!(functions(text), expected);
}
