//! Scanner of Rust source for the rules: code without comments and literals, production code
//! without tests, positions of words, `use` declarations and functions.
//!
//! Comments and literals are blanked in place (line breaks stay). The rules judge the rest by words
//! and brackets, so they need no parser.

use std::ops::Range;

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

/// Number of bytes at the start of `rest` that are a comment or a literal; `before` is the last
/// code character.
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

/// Code of `text` that ships: comments, literals and test modules are blank. A tests file has none.
pub(crate) fn production_code(path: &str, text: &str) -> String {
    if path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs") {
        return String::new();
    }
    let mut code = code(text);
    for module in test_modules(&code) {
        let blank: String = code[module.clone()]
            .chars()
            .map(|c| if c == '\n' { c } else { ' ' })
            .collect();
        code.replace_range(module, &blank);
    }
    code
}

/// Number of lines of `text` that ship: its comments count, its test modules do not.
pub(crate) fn production_lines(path: &str, text: &str) -> usize {
    if production_code(path, text).is_empty() {
        return 0;
    }
    let code = code(text);
    let tests: usize = test_modules(&code)
        .into_iter()
        .map(|module| code[module].lines().count())
        .sum();
    text.lines().count() - tests
}

/// Each `#[cfg(test)] mod x;` and `#[cfg(test)] mod x { … }` of `code`, brackets balanced.
fn test_modules(code: &str) -> Vec<Range<usize>> {
    let mut modules = Vec::new();
    let mut from = 0;
    while let Some(at) = code[from..].find("#[cfg(test)]").map(|at| from + at) {
        from = at + 1;
        let item = at + "#[cfg(test)]".len();
        let head = code[item..].find([';', '{']).map(|end| item + end);
        let Some(head) = head.filter(|head| words(&code[item..*head], "mod").next().is_some())
        else {
            continue;
        };
        let end = match body_end(&code[item..]) {
            _ if code[head..].starts_with(';') => head + 1,
            Some(end) => item + end + 1,
            None => code.len(),
        };
        modules.push(at..end);
        from = end;
    }
    modules
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

/// `use` declarations of `code`, each from its visibility to its semicolon.
pub(crate) fn uses(code: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for at in words(code, "use") {
        let before = code[..at].trim_end();
        let end = at + code[at..].find(';').unwrap_or(code.len() - at);
        let start = match before.strip_suffix(')').and_then(|head| head.rfind("pub(")) {
            Some(visibility) => visibility,
            None if before.ends_with("pub") => before.len() - 3,
            None => at,
        };
        found.push(start..end);
    }
    found
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
fn production_is_all_but_the_test_modules() {
    let text = "fn a() {}\n#[cfg(test)]\nuse b;\n#[cfg(test)]\nmod tests;\nfn c() {}\n\
                #[cfg(test)]\npub(crate) mod t {\n    fn d() {}\n}\nfn e() {}\n";
    let code = production_code("src/a.rs", text);
    assert!(
        code.contains("use b;\n") && code.contains("fn c() {}\n"),
        "{code}"
    );
    assert!(
        code.ends_with("\nfn e() {}\n") && !code.contains("mod"),
        "{code}"
    );
    assert_eq!(code.lines().count(), text.lines().count());
    assert_eq!(production_lines("src/a.rs", text), text.lines().count() - 6);
    assert_eq!(production_code("src/ring/tests.rs", text), "");
    assert_eq!(production_lines("tests/e2e/a.rs", text), 0);
}

#[test]
fn use_declarations_are_found_with_their_visibility() {
    let code = "use a::b;\n    pub(in crate::x) use c;pub use d::{e,\n f};\nlet user = reuse;";
    let found = uses(code).into_iter().map(|range| &code[range]);
    assert_eq!(
        Vec::from_iter(found),
        ["use a::b", "pub(in crate::x) use c", "pub use d::{e,\n f}"]
    );
}

#[test]
fn functions_are_measured_from_signature_to_closing_brace() {
    let text = "trait T { fn no_body(x: [u8; 4]); }\nfn two() -> [u8; 4] {\n}\ntype F = fn(u8);\nfn one() { if a { b } }";
    let expected = [("two".to_owned(), 2, 2), ("one".to_owned(), 5, 1)];
    assert_eq!(functions(text), expected);
}
