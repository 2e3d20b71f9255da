//! Continuation tokens: read from the upstream's answers and written into the next request.

use std::borrow::Cow;

use super::{error::ReadingError, link};
use crate::upstream::{
    place::{PlaceCompiler, ResponsePlace, ResponseView},
    template::{
        ask::UpstreamRequest,
        text::{append_pair, encode_value},
    },
};
use cursorgate_config::settings::{DialectRequest, DialectResponse, EndWord};
use cursorgate_core::{
    json::{
        Pointer,
        scalar::{self, ScalarKind},
        write::push_text,
    },
    pagination::fetch::{Token, TokenFetch},
};

/// The largest number of bytes in a token. A longer token doesn't fit into a cursor, so its answer is malformed.
const LONGEST: usize = 8 << 10;

/// The form in which the core keeps the tokens of a dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStyle {
    /// The upstream's token, decoded.
    Plain,
    /// The token as raw JSON, for bodies: a number stays a number.
    Json,
    /// The id of an item, or its value at the place of `item_token`, as raw JSON.
    Item,
    /// Encoded parameters that are added to the query.
    Pairs,
}

/// The compiled settings by which tokens are read from answers.
#[derive(Clone, Debug)]
pub struct TokenReading {
    style: TokenStyle,
    next: Option<TokenSource>,
    previous: Option<TokenSource>,
    /// The parameter that contains the token, if the value is a URL; `None` if the value is the token.
    parameter: Option<String>,
    /// The place of the base for relative links; `None` if the upstream states no base.
    base: Option<ResponsePlace>,
    /// `true` if the upstream marks the end of the list by repeating the token that was sent.
    same_at_end: bool,
    /// `true` if only a missing token ends the list, and flags say nothing.
    ends_by_itself: bool,
    /// The token that requests for the first page send; `None` if they send no token.
    first: Option<Token>,
    /// `true` if an answer begins with the item that the request named.
    pub after_inclusive: bool,
    /// The place, in an element, of the value that continues the list after the element; `None` for the id.
    pub of_item: Option<Pointer>,
}

#[derive(Clone, Debug)]
enum TokenSource {
    Text(ResponsePlace),
    Link(ResponsePlace),
    Members(MemberParameters),
}

/// An object whose members are parameters.
#[derive(Clone, Debug)]
struct MemberParameters {
    /// The index of the object's fact.
    fact: usize,
    /// The names of members whose parameters have other names, with these names.
    names: Vec<(String, String)>,
}

/// The tokens of an answer: for the next page and for the previous page.
pub type TokenPair = (Option<Token>, Option<Token>);

impl TokenReading {
    /// Compiles the token settings of `[response]`. All places are compiled before the first fault returns, so all
    /// faults are reported. Returns `None` if there are any.
    pub fn compile(
        style: TokenStyle,
        request: &DialectRequest,
        response: &DialectResponse,
        places: &mut PlaceCompiler<'_>,
    ) -> Option<Self> {
        let first = request.first_token.as_ref().map(|token| token.value.as_str());
        let mut sound = true;
        let mut place = |source: &Option<_>| {
            let compiled = source.as_ref().map(|source| places.place(source));
            sound &= !matches!(compiled, Some(None));
            compiled.flatten()
        };
        let base = place(&response.url_base);
        let (next, previous) = match style {
            TokenStyle::Plain | TokenStyle::Json => (place(&response.next_token), place(&response.prev_token)),
            TokenStyle::Pairs if response.next_params.is_none() => {
                (place(&response.next_url), place(&response.prev_url))
            }
            TokenStyle::Item | TokenStyle::Pairs => (None, None),
        };
        let of_item = response.item_token.as_ref().map(|source| places.pointer(source));
        sound &= !matches!(of_item, Some(None));
        let members = response.next_params.as_ref().map(|source| places.fact(source));
        sound &= !matches!(members, Some(None));
        let of_place = if style == TokenStyle::Pairs { TokenSource::Link } else { TokenSource::Text };
        let names = || response.param_names.iter().map(|(member, name)| (member.value.clone(), name.value.clone()));
        let members = members.flatten().map(|fact| MemberParameters { fact, names: names().collect() });
        let next = next.map(of_place).or_else(|| members.map(TokenSource::Members));
        sound.then_some(Self {
            style,
            next,
            previous: previous.map(of_place),
            parameter: response.token_param.as_ref().map(|name| name.value.clone()),
            base,
            same_at_end: matches!(&response.end, Some(end) if end.value == EndWord::SameToken),
            ends_by_itself: matches!(&response.end, Some(end) if end.value == EndWord::Token),
            first: first.map(|first| match style {
                TokenStyle::Json => Token(quoted(first).into()),
                TokenStyle::Plain | TokenStyle::Item | TokenStyle::Pairs => Token(first.into()),
            }),
            after_inclusive: request.after_inclusive,
            of_item: of_item.flatten(),
        })
    }

    /// Returns the tokens of an answer. Flags in the answer aren't considered.
    pub fn read(
        &self,
        fetch: &TokenFetch,
        ask: &UpstreamRequest,
        response: ResponseView<'_>,
    ) -> Result<TokenPair, ReadingError> {
        let next = self.one(self.next.as_ref(), true, ask, response)?;
        let previous = self.one(self.previous.as_ref(), false, ask, response)?;
        let sent = fetch.token.as_ref().or(self.first.as_ref());
        // The request for the first page has sent `first_token`, if the dialect has this setting. It is then the token
        // that was sent.
        let ended = self.same_at_end && sent.is_some() && next.as_ref() == sent;
        Ok((next.filter(|_| !ended), previous))
    }

    /// Returns the token of the next page, even if it is the token that was sent; `None` if it can't be read.
    pub fn shown(&self, ask: &UpstreamRequest, response: ResponseView<'_>) -> Option<Token> {
        self.one(self.next.as_ref(), true, ask, response).ok().flatten()
    }

    /// Returns the place of the token or the link of the next page; `None` if it isn't at one place.
    pub fn next_place(&self) -> Option<&ResponsePlace> {
        match self.next.as_ref()? {
            TokenSource::Text(place) | TokenSource::Link(place) => Some(place),
            TokenSource::Members(_) => None,
        }
    }

    pub fn style(&self) -> TokenStyle {
        self.style
    }

    /// Returns whether only a missing token ends the list, so flags in the answer say nothing.
    pub fn ends_by_itself(&self) -> bool {
        self.ends_by_itself
    }

    /// Returns whether each answer is the whole list, so it has no token that leads on.
    pub fn is_whole(&self) -> bool {
        self.style == TokenStyle::Pairs && self.next.is_none()
    }

    fn one(
        &self,
        source: Option<&TokenSource>,
        leads_on: bool,
        ask: &UpstreamRequest,
        response: ResponseView<'_>,
    ) -> Result<Option<Token>, ReadingError> {
        let text = match source {
            None => None,
            Some(TokenSource::Text(place)) => match (response.text(place), &self.parameter) {
                (Some(link), Some(name)) => {
                    let token = link::parameter(&link, name).filter(|token| !token.is_empty());
                    // Backward, a link without a token may lead to the first page, which needs no token. Forward, a
                    // missing token would look like the end. Test: `a_next_link_without_its_token_is_malformed`.
                    if token.is_none() && leads_on {
                        let detail = format!("the link that leads on has no parameter {name}");
                        return Err(ReadingError::Malformed(detail));
                    }
                    if self.style == TokenStyle::Json { token.map(|token| quoted(&token)) } else { token }
                }
                (text, _) if self.style == TokenStyle::Json => text.map(|text| json_of(response, place, &text)),
                (text, _) => text.map(Cow::into_owned),
            },
            Some(TokenSource::Link(place)) => match response.text(place) {
                Some(link) => {
                    let base = self.base.as_ref().and_then(|base| response.text(base));
                    let parameters =
                        // The request is sent to the route's own path, so a link to another path is refused. Test:
                        // `a_link_to_another_path_is_refused`.
                        link::parameters(&link, base.as_deref(), ask).map_err(|link::AnotherPath(path)| {
                            let detail = format!("a link leads to {path:?}, which is not the requested path");
                            ReadingError::Malformed(detail)
                        })?;
                    Some(parameters)
                }
                None => None,
            },
            Some(TokenSource::Members(members)) => members.read(response.fact(members.fact))?,
        };
        match text {
            // A cursor with such a long token would be refused when a client sends it, so the answer is malformed.
            // Test: `a_missing_null_or_empty_token_means_the_end`.
            Some(text) if text.len() > LONGEST => {
                Err(ReadingError::Malformed(format!("a token of {} bytes does not fit into a cursor", text.len())))
            }
            text => Ok(text.map(|text| Token(text.into()))),
        }
    }
}

/// Returns the value of a place as JSON. A value in the body is already JSON; a value from a header is quoted.
fn json_of(response: ResponseView<'_>, place: &ResponsePlace, text: &str) -> String {
    match place {
        ResponsePlace::Fact(index) => String::from_utf8_lossy(response.fact(*index)).into_owned(),
        ResponsePlace::Header(_) | ResponsePlace::Link(_) | ResponsePlace::ContentRange(_) => quoted(text),
    }
}

/// Returns a text as a JSON string, including the quotes.
pub fn quoted(text: &str) -> String {
    let mut json = Vec::with_capacity(text.len() + 2);
    push_text(&mut json, text);
    String::from_utf8_lossy(&json).into_owned()
}

/// Returns the value of a token by item as text for a query; `None` for null, the empty string and invalid strings.
pub fn said_by_item(raw: &str) -> Option<Cow<'_, str>> {
    match scalar::kind(raw.as_bytes()) {
        ScalarKind::Text => match scalar::text(raw.as_bytes())? {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        }
        // An empty token would request the first page again, in an endless loop, so it counts as missing.
        .filter(|text| !text.is_empty()),
        ScalarKind::Null => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

impl MemberParameters {
    /// Returns the members of an object as encoded parameters; `None` for null, and for an object without members or
    /// with nothing but nulls.
    fn read(&self, raw: &[u8]) -> Result<Option<String>, ReadingError> {
        if scalar::kind(raw) == ScalarKind::Null {
            return Ok(None);
        }
        let unreadable = || {
            ReadingError::Malformed("the continuation of the list is not an object of strings and numbers".to_owned())
        };
        let Some(members) = cursorgate_core::json::members(raw) else {
            return Err(unreadable());
        };
        if members.iter().all(|(_, value)| scalar::kind(value) == ScalarKind::Null) {
            return Ok(None);
        }
        let mut pairs = String::new();
        for (name, value) in members {
            let name = std::str::from_utf8(&name).map_err(|_| unreadable())?;
            let name = self.names.iter().find(|(member, _)| member == name).map_or(name, |(_, parameter)| parameter);
            let value = match scalar::kind(value) {
                ScalarKind::Text => scalar::text(value).ok_or_else(unreadable)?,
                ScalarKind::Number | ScalarKind::Boolean(_) => Cow::Borrowed(value),
                // Nulls, arrays and objects have no unique form in a query, so the answer is malformed. Test:
                // `parameters_that_continue_are_texts_and_numbers`.
                ScalarKind::Null | ScalarKind::Array | ScalarKind::Object => return Err(unreadable()),
            };
            let value = std::str::from_utf8(&value).map_err(|_| unreadable())?;
            append_pair(&mut pairs, &format!("{}={}", encode_value(name), encode_value(value)));
        }
        Ok(Some(pairs))
    }
}

#[cfg(test)]
mod tests;
