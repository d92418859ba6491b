//! Rules of the language that a machine can hold: how a doc block begins, words that hide the
//! actor, the length of a sentence. They read the comments and string literals of Rust files, and
//! README pages. Other files of the repository keep only the list of banned words.

use crate::source::{code, functions, line, words};

/// First words that a summary line must not have: the noun or the verb of the thing itself says
/// more.
const OPENINGS: [&str; 16] = [
    "what", "how", "whether", "who", "whom", "whose", "whoever", "when", "where", "why", "which",
    "one", "it", "those", "nobody", "another",
];

/// Openings that a later paragraph of a doc block may have: a condition comes first in its
/// sentence, and `It` is the thing of the summary line.
const LATER_OPENINGS: [&str; 3] = ["when", "it", "one"];

/// Words and phrases that hide the actor, or that are not current English.
const BANNED: [&str; 10] = [
    "whoever",
    "nobody",
    "somebody",
    "lest",
    "anew",
    "afresh",
    "of late",
    "in vain",
    "be it",
    "surprising:",
];

/// Phrases that may contain a banned word: a part of the path, and the phrase. All name the Unix
/// user.
const ALLOWED: [(&str, &str); 5] = [
    ("", "user nobody"),
    ("", "`nobody`"),
    ("tests/e2e/services/nginx.rs", "\"nobody nogroup\""),
    ("tests/e2e/services/postgres.rs", "--reuid=nobody"),
    ("tests/e2e/services/postgres.rs", "\"nobody:nogroup\""),
];

const MAX_SENTENCE_WORDS: usize = 30;

/// Returns what is wrong with the language of a Rust file.
pub(crate) fn speaks_plainly(path: &str, text: &str) -> Vec<String> {
    // The rules name what they forbid.
    if path == "tests/architecture/prose.rs" {
        return vec![];
    }
    let code = code(text);
    let mut wrong = banned_words(path, &literals_and_comments(text, &code));
    wrong.extend(banned_names(&code));
    wrong.extend(unread_forms(text, &code));
    for block in comment_blocks(text) {
        if block.is_doc {
            wrong.extend(hidden_actors(&block));
        }
        wrong.extend(long_sentences(block.at, &block.lines));
    }
    wrong
}

/// Returns what is wrong with the language of a page of documentation.
pub(crate) fn page_speaks_plainly(path: &str, text: &str) -> Vec<String> {
    let mut wrong = banned_words(path, text);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    wrong.extend(long_sentences(1, &lines));
    wrong
}

/// Comment lines that follow each other, without their slashes.
struct Block {
    at: usize,
    is_doc: bool,
    lines: Vec<String>,
}

fn comment_blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut before = "";
    for (at, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let marker = ["///", "//!", "//"]
            .into_iter()
            .find(|marker| trimmed.starts_with(marker));
        let marker = marker.unwrap_or_default();
        if !marker.is_empty() {
            let content = trimmed[marker.len()..].to_owned();
            let content = content.strip_prefix(' ').unwrap_or(&content).to_owned();
            match blocks.last_mut().filter(|_| before == marker) {
                Some(block) => block.lines.push(content),
                None => blocks.push(Block {
                    at: at + 1,
                    is_doc: marker.len() == 3,
                    lines: vec![content],
                }),
            }
        }
        before = marker;
    }
    blocks
}

/// Doc comments in forms that [`comment_blocks`] does not read.
fn unread_forms(text: &str, code: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if ["/**", "/*!"]
            .iter()
            .any(|form| line.trim_start().starts_with(form))
        {
            wrong.push(format!("line {number}: a doc comment without /// or //!"));
        }
    }
    for at in words(code, "doc") {
        let begins_attribute = code[..at].trim_end().ends_with(['[', ',']);
        if begins_attribute && code[at + 3..].trim_start().starts_with('=') {
            wrong.push(format!("line {}: a doc attribute", line(code, at)));
        }
    }
    wrong
}

/// Paragraphs of a doc block that begin with a question word or a pronoun.
fn hidden_actors(block: &Block) -> Vec<String> {
    let (mut wrong, mut begins, mut is_fenced) = (Vec::new(), true, false);
    for (at, line) in block.lines.iter().enumerate() {
        let content = line.trim().trim_start_matches(['*', '_', '`', '[']);
        is_fenced ^= line.trim_start().starts_with("```");
        let word = content.split(|c: char| !c.is_alphanumeric()).next();
        let word = word.unwrap_or_default().to_lowercase();
        let is_banned = OPENINGS.contains(&word.as_str())
            && (at == 0 || !LATER_OPENINGS.contains(&word.as_str()));
        if begins && !is_fenced && is_banned {
            let number = block.at + at;
            wrong.push(format!(
                "line {number}: a paragraph begins with a question word or a pronoun: {line}"
            ));
        }
        begins = line.trim().is_empty() || line.starts_with("# ");
    }
    wrong
}

/// `text` with its code turned into blanks: what is left is comments and literals.
fn literals_and_comments(text: &str, code: &str) -> String {
    let mut code = code.chars();
    let pairs = text.chars().map(|c| (c, code.next()));
    pairs
        .map(|(c, code)| match code {
            Some(code) if code == c && c != '\n' => ' ',
            _ => c,
        })
        .collect()
}

/// Functions whose names have a banned word.
fn banned_names(code: &str) -> Vec<String> {
    let names = functions(code).into_iter().filter(|(name, _, _)| {
        let mut parts = name.split('_');
        parts.any(|part| BANNED.contains(&part))
    });
    names
        .map(|(name, at, _)| format!("line {at}: fn {name}"))
        .collect()
}

/// Banned words and phrases of `text`, those broken over two lines included.
pub(crate) fn banned_words(path: &str, text: &str) -> Vec<String> {
    let (joined, lines) = joined(text);
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let mut wrong = Vec::new();
    for phrase in BANNED {
        for (at, _) in joined.match_indices(phrase) {
            let end = at + phrase.len();
            let is_part = is_word(joined[..at].chars().next_back())
                || (!phrase.ends_with(':') && is_word(joined[end..].chars().next()));
            let is_allowed = ALLOWED.iter().any(|(file, allowed)| {
                let mut places = joined.match_indices(allowed);
                path.contains(file)
                    && places.any(|(from, _)| from <= at && end <= from + allowed.len())
            });
            if !is_part && !is_allowed {
                wrong.push(format!("line {}: {phrase}", lines[at]));
            }
        }
    }
    wrong
}

/// `text` in lower case with its lines joined by one blank and without comment markers, and the
/// number of the line of each byte. An empty line stays a line break.
fn joined(text: &str) -> (String, Vec<usize>) {
    let (mut joined, mut lines) = (String::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        let content = line.trim().trim_start_matches(['/', '!', '#', '*']);
        let mut words = content.trim_end_matches('\\').split_whitespace().peekable();
        if words.peek().is_none() {
            joined.push('\n');
        }
        for word in words {
            joined.push_str(&word.to_lowercase());
            joined.push(' ');
        }
        lines.resize(joined.len(), number);
    }
    (joined, lines)
}

/// Sentences of prose that are too long. Fenced blocks and tables are no prose, a list item is a
/// sentence.
fn long_sentences(first_line: usize, lines: &[String]) -> Vec<String> {
    let (mut wrong, mut sentence, mut is_fenced) = (Vec::new(), Vec::new(), false);
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_fence = trimmed.starts_with("```");
        is_fenced ^= is_fence;
        let begins_item = trimmed.is_empty()
            || trimmed.starts_with(['|', '#', '>'])
            || ["- ", "* "].iter().any(|mark| trimmed.starts_with(mark))
            || trimmed
                .split_once(". ")
                .is_some_and(|(n, _)| n.parse::<u8>().is_ok());
        if is_fence || is_fenced || begins_item {
            sentence.clear();
        }
        if is_fence || is_fenced || trimmed.starts_with(['|', '#']) || line.starts_with("    ") {
            continue;
        }
        for word in trimmed.split_whitespace() {
            sentence.push(word);
            if sentence.len() == MAX_SENTENCE_WORDS + 1 {
                let number = first_line + at;
                wrong.push(format!("line {number}: a sentence of more than 30 words"));
            }
            let ends = [')', '"', '`', '*'];
            if word
                .trim_end_matches(ends)
                .ends_with(['.', '!', '?', ':', ';'])
            {
                sentence.clear();
            }
        }
    }
    wrong
}

#[cfg(test)]
fn expect_found(bad: &str, good: &str) {
    assert!(!speaks_plainly("src/a.rs", bad).is_empty(), "passed: {bad}");
    assert_eq!(speaks_plainly("src/a.rs", good), [""; 0], "stopped: {good}");
}

#[test]
fn a_question_word_or_pronoun_at_the_beginning_of_a_doc_block_is_found() {
    expect_found(
        "/// Whether it was said.\nfn a() {}",
        "/// Returns `true`.\n/// When it was.\nfn a() {}",
    );
    expect_found(
        "//! One that waits.",
        "// When the queue is full, the record is dropped.",
    );
    expect_found(
        "fn a() {}\n    /// Who waits.\n    x: u8,",
        "    /// Whole lines only.\n    x: u8,",
    );
    expect_found(
        "/// Returns `true`.\n///\n/// Whoever waits is woken.",
        "/// Returns `true`.\n///\n/// ```\n///\n/// which x\n/// ```\n///\n/// It waits.",
    );
    expect_found("/// **What** it is.", "/// # Errors\n/// When it is.");
    expect_found("/// `how` it is.", "// how it is.");
}

#[test]
fn doc_comments_in_other_forms_are_found() {
    let good = "let doc = 1; f(doc); // #[doc = \"x\"]\nf(\"/**\");";
    for bad in [
        "#[doc = \"What it is.\"]\nfn a() {}",
        "#![doc = \"What it is.\"]",
        "#[cfg_attr(all(), doc = \"What it is.\")]",
        "    /** What it is. */",
        "/*! What it is. */",
    ] {
        expect_found(bad, good);
    }
}

#[test]
fn words_that_hide_the_actor_are_found_in_comments_and_texts() {
    expect_found("// Nobody waits.", "let nobody = 1; // No request waits.");
    expect_found("let text = \"opened anew\";", "let anew = \"reopened\";");
    expect_found("/// Surprising: it lasts.", "/// A surprising one.");
    expect_found(
        "// Told of late.",
        "// A list of latecomers, as user nobody.",
    );
    expect_found("// Nobody runs as user nobody.", "// Runs as `nobody`.");
    expect_found("/// Told of\n/// late.", "/// Told of\n///\n/// late.");
    expect_found("f(\"told of \\\n    late\");", "// told of\nf();\n// late");
    expect_found("fn asks_nobody() {}", "fn asks_no_body() {}");
    let page = page_speaks_plainly("README.md", "Replicas wait in\nvain.");
    assert_eq!(page, ["line 1: in vain"]);
}

#[test]
fn a_long_sentence_is_found_and_a_list_is_none() {
    let words = |n: usize| vec!["word"; n].join(" ");
    expect_found(
        &format!("// {}.", words(31)),
        &format!("// {}.\n// {}.", words(30), words(30)),
    );
    expect_found(
        &format!("// {}\n// {}.", words(16), words(15)),
        &format!("// - {}\n// - {}.", words(16), words(15)),
    );
    let page = format!(
        "{}\n\n```\n{}\n```\n| {} |\n",
        words(30),
        words(40),
        words(40)
    );
    assert_eq!(page_speaks_plainly("README.md", &page), [""; 0]);
    assert!(!page_speaks_plainly("README.md", &words(31)).is_empty());
}
