//! Tests of the language of comments, as far as a search can check it.

use super::{Source, rust_files};

/// The folders with Rust files.
const FOLDERS: [&str; 5] = ["src", "tests", "benches", "fuzz", "crates"];

/// Words with which no paragraph of a doc comment begins, because it begins with a noun or with what a function does.
const NO_SUBJECTS: [&str; 11] =
    ["What", "Who", "Whose", "Whoever", "It", "One", "Nothing", "Nobody", "How", "Whether", "Where"];

/// Words with which no name of a test begins, because it also begins with a noun.
const NO_NAMES: [&str; 11] =
    ["what", "who", "whose", "whoever", "whatever", "it", "nothing", "nobody", "none", "how", "whether"];

/// Phrases that comments avoid, each with its replacement. A result begins with "so"; "so that" begins a purpose, and
/// has no comma.
const UNWANTED: [(&str, &str); 2] = [("behind", "after"), (", so that", ", so")];

/// Sentences in which the unwanted word has its literal sense.
const LITERAL: [&str; 1] = ["behind a proxy"];

/// Returns the comments of a file: the line of each, whether it is documentation, and its text.
fn comments(source: &Source) -> impl Iterator<Item = (usize, bool, &str)> {
    source.text.lines().enumerate().filter_map(|(at, line)| {
        let line = line.trim_start();
        let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        let text = doc.or_else(|| line.strip_prefix("//"))?;
        Some((at + 1, doc.is_some(), text.trim()))
    })
}

/// Returns the files whose comments are read.
fn sources() -> impl Iterator<Item = Source> {
    FOLDERS.into_iter().flat_map(rust_files).filter(|source| !source.path.contains("target/"))
}

/// Returns the first word of a text.
fn first(text: &str) -> &str {
    text.split(|character: char| !character.is_alphabetic()).next().unwrap_or_default()
}

#[test]
fn a_doc_comment_begins_with_its_subject() {
    let mut faults = Vec::new();
    for source in sources() {
        let (mut last, mut was_blank) = (0, true);
        for (line, is_doc, text) in comments(&source) {
            let begins = is_doc && (line != last + 1 || was_blank);
            if begins && NO_SUBJECTS.contains(&first(text)) {
                faults.push(format!("{}:{line}: {text}", source.path));
            }
            (last, was_blank) = (line, text.is_empty());
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Returns the phrases that a paragraph should not contain, with their replacements. A phrase is found as whole words,
/// also across the end of a line.
fn unwanted(paragraph: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let text = LITERAL.iter().fold(paragraph.to_owned(), |text, sentence| text.replace(sentence, ""));
    UNWANTED.into_iter().filter(move |(phrase, _)| {
        text.match_indices(phrase).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + phrase.len()..]);
            let is_whole = |next: Option<char>| !next.is_some_and(char::is_alphabetic);
            (phrase.starts_with(',') || is_whole(before.chars().next_back())) && is_whole(after.chars().next())
        })
    })
}

#[test]
fn comments_use_plain_words() {
    let mut faults = Vec::new();
    for source in sources() {
        let mut paragraphs: Vec<(usize, String)> = Vec::new();
        let mut last = 0;
        for (line, _, text) in comments(&source) {
            match paragraphs.last_mut() {
                Some((_, paragraph)) if line == last + 1 => paragraph.extend([" ", text]),
                _ => paragraphs.push((line, text.to_owned())),
            }
            last = line;
        }
        for (line, paragraph) in paragraphs {
            for (phrase, instead) in unwanted(&paragraph) {
                faults.push(format!("{}:{line}: {phrase:?}, for {instead:?}: {paragraph}", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn unwanted_phrases_are_found_as_whole_words() {
    let found = |text| unwanted(text).map(|(phrase, _)| phrase).collect::<Vec<_>>();
    assert_eq!(found("An answer behind a proxy is read so that it can be checked."), [""; 0]);
    assert_eq!(found("The answer is behind the place, so that it is dropped."), ["behind", ", so that"]);
    assert_eq!(found("Handbehind, so thatched"), [""; 0]);
}

#[test]
fn a_name_of_a_test_begins_with_its_subject() {
    let mut faults = Vec::new();
    for source in sources() {
        let mut is_test = false;
        for (at, line) in source.text.lines().map(str::trim_start).enumerate() {
            let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            match name.and_then(|name| name.split(['(', '<']).next()) {
                Some(name) if is_test && NO_NAMES.contains(&name.split('_').next().unwrap_or_default()) => {
                    faults.push(format!("{}:{}: {name}", source.path, at + 1));
                }
                _ => {}
            }
            // Attributes and comments may be between `#[test]` and the function, so they keep `is_test`.
            is_test = line.starts_with("#[test]")
                || line.starts_with("#[tokio::test")
                || (is_test && line.starts_with(['#', '/']));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
