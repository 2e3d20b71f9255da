//! The pages of a walk, and descriptions of answers that aren't pages.

use serde::{Deserialize, Serialize};

use cursorgate_config::diagnostic::is_hidden;
use cursorgate_core::pagination::answer::Answer;

/// A place at which a walk continues.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WalkPlace {
    /// The path and the query of a page, from a link or with a cursor.
    Target(String),
    /// The index of a page, from 0.
    Page(u64),
    /// The index of an item, from 0.
    Offset(u64),
    /// The index of a row that is requested alone, from 0.
    Row(u64),
    /// A token of the upstream; `None` at the start.
    Token(Option<String>),
}

/// A page of a walk.
#[derive(Debug)]
pub struct WalkedPage {
    /// The items of the page; the last key of each row is the id.
    pub answer: Answer,
    /// The place of the next page; `None` at the end of the list.
    pub next: Option<WalkPlace>,
}

/// Describes an answer that isn't a page: the status, and the first two of `code`, `detail`, `message`, `title` and
/// `error` in its body.
pub fn refusal(status: u16, body: &[u8]) -> String {
    const LONGEST: usize = 300;
    let document: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let words = ["code", "detail", "message", "title", "error"].iter().filter_map(|name| document.get(*name)?.as_str());
    let words: Vec<String> =
        // The upstream could manipulate the terminal with control characters, so they are removed.
        words.take(2).map(|text| text.chars().filter(|letter| !is_hidden(*letter)).take(LONGEST).collect()).collect();
    match words.is_empty() {
        true => format!("the answer is {status}"),
        false => format!("the answer is {status}: {}", words.join(": ")),
    }
}
