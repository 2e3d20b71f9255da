//! The evidence for refusals of lists by token: which requests were answered in a way that leads no farther.

use super::fingerprint;
use cursorgate_core::{
    json::Span,
    pagination::{answer::Answer, fetch::TokenFetch},
};
use cursorgate_translate::upstream::Dialect;

/// The facts about the answer to a request by token. Tokens and items are kept as hashes.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenAnswer {
    /// The token of the request; `None` if it was for the first page.
    sent: Option<u64>,
    /// The token that leads on in the direction of the request; `None` if the answer has none.
    next: Option<u64>,
    /// The id of the first item; `None` without items, and if items have no ids.
    first: Option<u64>,
    /// The token of the first item, in lists that are continued after an item.
    first_token: Option<u64>,
    /// True if the answer says that more items follow.
    says_more: bool,
}

impl TokenAnswer {
    pub(super) fn new(fetch: &TokenFetch, answer: &Answer) -> Self {
        let next = if fetch.backward { &answer.previous } else { &answer.next };
        let first = if answer.items().is_empty() { &[] } else { answer.id(0) };
        let first_token = answer.item_tokens.first().filter(|span| !span.is_absent());
        // The list is continued after its last item.
        let last_token = answer.item_tokens.last().filter(|span| !span.is_absent());
        let of_item = |span: &Span| text_of(span.of(answer.body()));
        Self {
            sent: fetch.token.as_ref().map(|token| fingerprint(token.0.as_bytes())),
            next: next.as_ref().map(|token| fingerprint(token.0.as_bytes())).or_else(|| last_token.map(of_item)),
            first: (!first.is_empty()).then(|| fingerprint(first)),
            first_token: first_token.map(of_item),
            says_more: answer.more == Some(true),
        }
    }
}

/// Returns the hash of a value as text: of a JSON string without its quotes.
fn text_of(raw: &[u8]) -> u64 {
    let text = serde_json::from_slice::<String>(raw);
    fingerprint(text.as_deref().map_or(raw, str::as_bytes))
}

/// Returns why the answers lead no farther, with the requests that show it; `None` if they don't show it.
pub(super) fn explain(answers: &[TokenAnswer], dialect: &Dialect) -> Option<String> {
    included(answers, dialect)
        .or_else(|| same_beginning(answers, dialect))
        .or_else(|| same_token(answers, dialect))
        .or_else(|| lacking_token(answers, dialect))
}

/// Describes a request by its number and by the source of its token.
fn request(answers: &[TokenAnswer], index: usize) -> String {
    let number = index + 1;
    let source = match answers[index].sent {
        None => "without a token".to_owned(),
        sent => match answers[..index].iter().rposition(|answer| answer.next == sent) {
            Some(source) => format!("with the token of answer {}", source + 1),
            None => "with the token of the cursor".to_owned(),
        },
    };
    format!("request {number} ({source})")
}

/// Asks whether the upstream reads the token.
fn is_read(dialect: &Dialect) -> String {
    let of_dialect = format!("request.query of the dialect {:?}", dialect.name());
    dialect.token_name().map_or_else(
        || format!("does the upstream's link lead on? response.next_url of the dialect {:?} names it", dialect.name()),
        |name| format!("does the upstream read `{name}`? {of_dialect} names it"),
    )
}

/// Explains an answer that begins with the item after which it was requested.
fn included(answers: &[TokenAnswer], dialect: &Dialect) -> Option<String> {
    let index = answers.iter().position(|answer| answer.sent.is_some() && answer.first_token == answer.sent)?;
    Some(format!(
        "{} asked for the items after an item, and its answer begins with that item: set request.after_inclusive = true in \
         the dialect {:?} if the upstream includes it",
        request(answers, index),
        dialect.name()
    ))
}

/// Explains two requests with different tokens whose answers begin with the same item.
fn same_beginning(answers: &[TokenAnswer], dialect: &Dialect) -> Option<String> {
    let (one, other) = answers.iter().enumerate().find_map(|(index, one)| {
        let is_same = |other: &TokenAnswer| one.first.is_some() && other.first == one.first && other.sent != one.sent;
        Some((index, index + 1 + answers[index + 1..].iter().position(is_same)?))
    })?;
    let place = if answers[one].sent.is_none() { ", the first one of the list" } else { "" };
    Some(format!(
        "the answers to {} and {} begin with the same item{place}: {}",
        request(answers, one),
        request(answers, other),
        is_read(dialect)
    ))
}

/// Explains an answer with a token that was sent before, for the same page or an earlier one.
fn same_token(answers: &[TokenAnswer], dialect: &Dialect) -> Option<String> {
    let (earlier, later) = answers.iter().enumerate().find_map(|(later, answer)| {
        let next = answer.next?;
        Some((answers[..=later].iter().rposition(|earlier| earlier.sent == Some(next))?, later))
    })?;
    Some(if earlier == later {
        format!(
            "the answer to {} has the token with which it was requested: does response.next_token name the token of the \
             next page, and {}",
            request(answers, later),
            is_read(dialect)
        )
    } else {
        format!(
            "the answer to {} has the token of {}: the upstream's tokens lead round",
            request(answers, later),
            request(answers, earlier)
        )
    })
}

/// Explains an answer without a token that says that more items follow.
fn lacking_token(answers: &[TokenAnswer], dialect: &Dialect) -> Option<String> {
    let index = answers.iter().position(|answer| answer.says_more && answer.next.is_none())?;
    Some(format!(
        "the answer to {} says that more items follow, and has no token for them: response.next_token of the dialect {:?} \
         names its place; leave out response.has_more if the flag is wrong",
        request(answers, index),
        dialect.name()
    ))
}
