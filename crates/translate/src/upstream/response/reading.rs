//! Reading of responses: status, headers and body become an answer.

pub mod witnesses;

use http::{HeaderMap, header::LOCATION};

use super::{
    document::{described, is_object, kind_of_document},
    error::ReadingError,
    failed,
    token::{TokenReading, TokenStyle},
};
use crate::upstream::{
    place::{
        PlaceCompiler, ResponsePlace, ResponseView,
        matching::{Equality, Match},
    },
    template::ask::UpstreamRequest,
};
use cursorgate_config::settings::{DialectRequest, DialectResponse, EndWord, ItemsObjectWord};
use cursorgate_core::{
    json::{ItemsObject, JsonError, Limits, PageSpans, Pointer, Shape, Span, scan_page},
    pagination::{
        answer::{Answer, Standing, Total},
        fetch::{Fetch, Token, TokenFetch},
        window::{Offset, Slice},
    },
};

/// The compiled `[response]` of a dialect.
#[derive(Clone, Debug)]
pub struct ResponseReader {
    /// The places in a body whose values are read. Other fields refer to them by index.
    pub facts: Vec<Pointer>,
    /// The place of the array of items.
    pub items: Pointer,
    /// The place of the item in an element of the array.
    pub item: Pointer,
    /// `true` if the array may be missing or null when there are no items.
    items_optional: bool,
    /// The reading of an object at the place of the array.
    pub object: ItemsObject,
    total: Option<ResponsePlace>,
    total_exact_when: Vec<Equality>,
    /// `true` if the total is only an estimate, and never exact.
    total_is_estimate: bool,
    /// The facts that show whether more items follow, the most reliable fact first.
    more: Vec<More>,
    /// `true` if the dialect vouches for its flag, so the flag decides over a token beside it.
    vouches_for_flag: bool,
    page: Option<ResponsePlace>,
    offset: Option<ResponsePlace>,
    size: Option<ResponsePlace>,
    past_end: Vec<Match>,
    gone: Vec<Match>,
    /// The answers that are failures; `None` if the dialect doesn't describe any. In that case the members next to an
    /// empty list are examined.
    error: Option<Vec<Match>>,
    first_page: u64,
    first_item: u64,
    /// The settings for reading tokens; `None` if the dialect doesn't page by tokens.
    pub tokens: Option<TokenReading>,
}

/// A fact that shows whether more items follow.
#[derive(Clone, Debug)]
enum More {
    /// A boolean, and the value that it has if more items follow.
    Flag(ResponsePlace, bool),
    /// A value that is present if more items follow.
    Next(ResponsePlace),
    /// The number of pages in the list.
    Pages(ResponsePlace),
}

impl ResponseReader {
    /// Compiles `[response]` without the id, whose place the route may set. `style` is the style of tokens; `None`
    /// without tokens. Reports all faults, and returns `None` if there are any.
    pub fn compile(
        response: &DialectResponse,
        request: &DialectRequest,
        style: Option<TokenStyle>,
        mut places: PlaceCompiler<'_>,
    ) -> Option<Self> {
        let items = places.pointer(&response.items);
        let item = response.item.as_ref().map_or_else(|| Some(Pointer::default()), |item| places.pointer(item));
        // All places are compiled before the first fault returns, so all faults are reported.
        let mut sound = true;
        let mut place = |source: &Option<_>, places: &mut PlaceCompiler<'_>| {
            let compiled = source.as_ref().and_then(|source| places.place(source));
            sound &= compiled.is_some() == source.is_some();
            compiled
        };
        let total = place(&response.total, &mut places);
        let has_more = place(&response.has_more, &mut places).map(|place| More::Flag(place, true));
        let is_last = place(&response.is_last, &mut places).map(|place| More::Flag(place, false));
        let next_url = place(&response.next_url, &mut places).map(More::Next);
        let next_page = place(&response.next_page, &mut places).map(More::Next);
        let last_page = place(&response.last_page, &mut places).map(More::Pages);
        let page = place(&response.page, &mut places);
        let offset = place(&response.offset, &mut places);
        let size = place(&response.size, &mut places);
        // `prev_url` is used only if the dialect follows links. It is compiled here only to report a fault in it.
        place(&response.prev_url, &mut places);
        let tokens = style.map(|style| TokenReading::compile(style, request, response, &mut places));
        let total_exact_when = Equality::compile_all(&response.total_exact_when, &mut places);
        let past_end = Match::compile_all(&response.past_end, &mut places);
        let gone = Match::compile_all(&response.gone, &mut places);
        let error = response.error.as_ref().map(|error| Match::compile_all(error, &mut places));
        let reading = Self {
            facts: places.facts,
            items: items?,
            item: item?,
            items_optional: response.items_optional,
            object: compile_object(response),
            total,
            total_exact_when: total_exact_when?,
            total_is_estimate: response.estimates_total(),
            // The most reliable fact is first. The number of pages is last, because it comes from a count.
            more: [has_more, is_last, next_url, next_page, last_page].into_iter().flatten().collect(),
            vouches_for_flag: matches!(&response.end, Some(end) if end.value == EndWord::Flag),
            page,
            offset,
            size,
            past_end: past_end?,
            gone: gone?,
            error: match error {
                Some(error) => Some(error?),
                None => None,
            },
            first_page: request.first_page,
            first_item: request.first_item,
            tokens: match tokens {
                Some(tokens) => Some(tokens?),
                None => None,
            },
        };
        sound.then_some(reading)
    }

    /// Reads a response. `shape` has the places of the items and of the order's columns. The body may be nested at most
    /// `depth` levels deep.
    pub fn read(
        &self,
        shape: &Shape,
        ask: &UpstreamRequest,
        status: u16,
        headers: &HeaderMap,
        body: Vec<u8>,
        depth: u16,
    ) -> Result<Answer, ReadingError> {
        let limits = Limits { depth, ..Limits::default() };
        let scanned = matches!(status, 200 | 203 | 206).then(|| scan_page(&body, shape, limits));
        // A body that isn't a list may still match `error`, `gone` or `past_end`.
        let found;
        let facts = match &scanned {
            Some(Ok(page)) => page.facts.as_slice(),
            // A body that isn't JSON or exceeds the limits isn't searched for facts.
            Some(Err(JsonError::Malformed { .. } | JsonError::TooDeep | JsonError::TooManyItems)) => &[],
            Some(Err(_)) | None => {
                found = self.find_facts(status, &body);
                found.as_slice()
            }
        };
        let response = ResponseView { headers, body: &body, facts };
        // `gone` is checked before `error`, because the upstream may report an expired token as a failure. Contract:
        // slack, "a cursor that is no longer valid".
        let sent_token = matches!(&ask.fetch, Fetch::Token(fetch) if fetch.token.is_some());
        // A request for the first page has no token that could be gone, so `gone` isn't checked for it. Test:
        // `a_status_means_an_expired_token_only_if_a_token_was_sent`.
        if sent_token && self.gone.iter().any(|matched| matched.holds(status, response)) {
            return Ok(without_items(Standing::Gone, None, body));
        }
        if self.error.iter().flatten().any(|matched| matched.holds(status, response)) {
            let detail = format!("the answer, a {status}, matches a failure of the dialect");
            return Err(ReadingError::Unavailable(detail));
        }
        if self.past_end.iter().any(|matched| matched.holds(status, response)) {
            // At the very start of the list no end can be passed, so a successful answer there means an empty list.
            // Test: `a_status_that_means_the_end_is_an_empty_list_at_the_start`.
            let is_empty = (200..300).contains(&status) && begins_at_start(&ask.fetch);
            let standing = if is_empty { Standing::Listed } else { Standing::PastEnd };
            return Ok(without_items(standing, self.total(response), body));
        }
        // The status is checked after all matches, because a 404 may be the end of a list. Test:
        // `configured_matches_take_precedence_over_the_status`.
        let page = match scanned {
            Some(Ok(page)) => page,
            Some(Err(error)) => return Err(self.malformed(error, depth, headers, &body)),
            None => return Err(refused(status, headers, body)),
        };
        // Only an object can lack a member, so any other body isn't the dialect's list, unless it is an array with a
        // null at the place of the items. Tests: `missing_arrays_are_empty_where_the_dialect_says_so`,
        // `facts_and_items_may_be_two_elements_of_an_array`.
        let may_lack = |body: &[u8]| is_object(body) || (body.starts_with(b"[") && self.items.find(body).is_some());
        if page.items.is_none() && !(self.items_optional && may_lack(&body)) {
            let document = described(headers, &body);
            return Err(ReadingError::Malformed(format!("no array at {:?} of {document}", self.items.to_string())));
        }
        // An unnoticed failure would end the walk early, so an empty list beside a reported failure is malformed. Test:
        // `an_empty_list_beside_a_reported_failure_is_malformed`.
        if page.items.as_ref().is_none_or(Vec::is_empty)
            && self.error.is_none()
            && let Some(name) = failed::told_by(&body, &ask.query)
        {
            let detail = format!(
                "the list is empty, and {name:?} beside it says that something failed: response.error says which \
                 answers are failures; [] means none"
            );
            return Err(ReadingError::Malformed(detail));
        }
        let answer = self.answer(page, ask, headers, body)?;
        // A 206 may contain any part of the list, so it is malformed unless the dialect reads the range, or the answer has
        // a token for the rest. Test: `parts_are_lists_where_the_dialect_reads_ranges_or_tokens`.
        if status == 206 && !self.reads_content_range() && !self.leads_on(&answer) {
            let detail = match self.hands_out_tokens() {
                true => {
                    "206: a part of the list, and the answer has no token for the rest at response.next_token or next_url"
                }
                false => {
                    "206: a part of the list, and the dialect doesn't read which: response.total = \
                     \"content-range:total\" or response.offset = \"content-range:start\" reads it"
                }
            };
            return Err(ReadingError::Malformed(detail.to_owned()));
        }
        Ok(answer)
    }

    /// Returns whether the upstream hands out tokens or links. The ids of items, which any answer has, don't count.
    fn hands_out_tokens(&self) -> bool {
        self.tokens.as_ref().is_some_and(|tokens| tokens.style() != TokenStyle::Item && !tokens.is_whole())
    }

    /// Returns whether an answer has a token that the upstream handed out for another part of the list.
    fn leads_on(&self, answer: &Answer) -> bool {
        self.hands_out_tokens() && (answer.next.is_some() || answer.previous.is_some())
    }

    fn answer(
        &self,
        page: PageSpans,
        ask: &UpstreamRequest,
        headers: &HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, ReadingError> {
        let response = ResponseView { headers, body: &body, facts: &page.facts };
        let number = |place: &Option<ResponsePlace>| response.number(place.as_ref()?);
        let total = self.total(response);
        let said_page = number(&self.page).and_then(|page| page.checked_sub(self.first_page));
        let offset = number(&self.offset).and_then(|item| item.checked_sub(self.first_item));
        // A page has at least one item, so 0 isn't a size. Test:
        // `page_numbers_are_counted_from_the_first_page_of_the_dialect`.
        let size = number(&self.size).and_then(|size| u32::try_from(size).ok()).filter(|size| *size > 0);
        let asked_page = match &ask.fetch {
            Fetch::Slice(Slice::Page { number, .. }, _) => Some(number.0),
            _ => None,
        };
        // The most reliable fact in the answer decides. Test: `a_flag_takes_precedence_over_a_next_link`.
        let mut more = self.more.iter().find_map(|source| match source {
            More::Flag(place, when_more) => response.boolean(place).map(|flag| flag == *when_more),
            More::Next(place) => Some(response.says_something(place)),
            // The answer's page number takes precedence over the requested one. Test:
            // `the_number_of_pages_shows_if_another_page_follows`.
            More::Pages(place) => Some(said_page.or(asked_page)?.saturating_add(1) < response.number(place)?),
        });
        let mut items = page.items.unwrap_or_default();
        let (mut keys, mut item_tokens) = self.columns(page.columns, items.len());
        if self.begins_with_asked(&ask.fetch, item_tokens.first().map(|token| token.of(&body))) {
            keys.drain(..keys.len() / items.len());
            items.remove(0);
            item_tokens.remove(0);
        }
        let (mut next, mut previous) = (None, None);
        if let (Some(tokens), Fetch::Token(fetch)) = (&self.tokens, &ask.fetch) {
            let handed_out = tokens.read(fetch, ask, response)?;
            // A missing token is no statement of its own: the core sees that there is none. Of a whole list, no items
            // follow. Test: `a_missing_null_or_empty_token_means_the_end`.
            let flag = self.flag(response).filter(|_| !tokens.ends_by_itself());
            more = if tokens.is_whole() { flag.or(Some(false)) } else { flag };
            (next, previous) = match tokens.style() {
                TokenStyle::Item => {
                    let token = |span: Option<&Span>| of_item(span?.of(&body));
                    (token(item_tokens.last()), token(item_tokens.first()))
                }
                TokenStyle::Plain | TokenStyle::Json | TokenStyle::Pairs => handed_out,
            };
            // A flag that the dialect vouches for decides over a token beside it. Any other flag may be wrong, and the
            // token can be tried. Test: `a_flag_decides_over_tokens_only_by_the_dialects_word`.
            if self.vouches_for_flag && more == Some(false) {
                *if fetch.backward { &mut previous } else { &mut next } = None;
            }
        }
        let mut answer = Answer::listed(body, items, keys);
        (answer.total, answer.more, answer.offset) = (total, more, offset);
        (answer.page, answer.size) = (said_page, size);
        (answer.next, answer.previous, answer.item_tokens) = (next, previous, item_tokens);
        Ok(answer)
    }

    /// Returns whether more items follow, according to a flag; `None` if the answer has no flag. Flags take precedence
    /// over tokens and links.
    fn flag(&self, response: ResponseView<'_>) -> Option<bool> {
        self.more.iter().find_map(|source| match source {
            More::Flag(place, when_more) => response.boolean(place).map(|flag| flag == *when_more),
            More::Next(_) | More::Pages(_) => None,
        })
    }

    /// Returns whether the first item of an answer is the one after which items were asked for, where the dialect says
    /// that answers include it. `first` is the token of the first item. The item may have been deleted, so it needn't
    /// be there. Test: `the_item_asked_for_is_left_out_where_answers_include_it`.
    fn begins_with_asked(&self, fetch: &Fetch, first: Option<&[u8]>) -> bool {
        let Fetch::Token(TokenFetch { token: Some(asked), backward: false, .. }) = fetch else { return false };
        let is_inclusive = self.tokens.as_ref().is_some_and(|tokens| tokens.after_inclusive);
        is_inclusive && first == Some(asked.0.as_bytes())
    }

    /// Splits the columns of each row into the columns of the order and the token of the item. The token is the id
    /// unless the dialect names another place. Without tokens by item, the second list is empty.
    fn columns(&self, found: Vec<Span>, rows: usize) -> (Vec<Span>, Vec<Span>) {
        let Some(tokens) = self.tokens.as_ref().filter(|tokens| tokens.style() == TokenStyle::Item && rows > 0) else {
            return (found, Vec::new());
        };
        let width = found.len() / rows;
        let last_of_each = found.chunks_exact(width).filter_map(|row| row.last().copied()).collect();
        if tokens.of_item.is_none() {
            return (found, last_of_each);
        }
        let others = found.chunks_exact(width).flat_map(|row| &row[..width - 1]).copied().collect();
        (others, last_of_each)
    }

    /// Returns the facts of a body that isn't a list. Returns an empty list if no match reads the body of an answer
    /// with this status.
    fn find_facts(&self, status: u16, body: &[u8]) -> Vec<Span> {
        if !self
            .error
            .iter()
            .flatten()
            .chain(&self.past_end)
            .chain(&self.gone)
            .any(|matched| matched.looks_into(status))
        {
            return Vec::new();
        }
        self.facts.iter().map(|fact| fact.find(body).unwrap_or(Span::ABSENT)).collect()
    }

    /// Returns the key of a fact that the dialect promises for every list but that an answer lacks: its total, or its
    /// flag. Returns `None` if no such fact is missing.
    pub fn untold(&self, answer: &Answer) -> Option<&'static str> {
        let has_flag = self.more.iter().any(|source| matches!(source, More::Flag(..)));
        match answer.standing {
            Standing::Listed if self.total.is_some() && answer.total.is_none() => Some("response.total"),
            Standing::Listed if has_flag && answer.more.is_none() => Some("response.has_more or is_last"),
            _ => None,
        }
    }

    fn total(&self, response: ResponseView<'_>) -> Option<Total> {
        let value = response.number(self.total.as_ref()?)?;
        let may_be_exact = self.total_exact_when.iter().all(|equality| equality.holds(response));
        Some(Total { value, exact: may_be_exact && !self.total_is_estimate })
    }

    fn reads_content_range(&self) -> bool {
        let places = [&self.total, &self.offset, &self.size];
        places.iter().any(|place| matches!(place, Some(ResponsePlace::ContentRange(_))))
    }

    fn malformed(&self, error: JsonError, depth: u16, headers: &HeaderMap, body: &[u8]) -> ReadingError {
        let kind = kind_of_document(headers, body);
        ReadingError::Malformed(match error {
            JsonError::TooDeep => return ReadingError::TooDeep(depth),
            JsonError::TooManyItems => return ReadingError::TooManyItems(Limits::default().items),
            JsonError::Malformed { at } => format!("{kind}: not valid JSON from byte {at} of {} on", body.len()),
            JsonError::NotAnArray => {
                let is_object = self.items.find(body).is_some_and(|span| span.of(body).starts_with(b"{"));
                let help = if is_object && self.object == ItemsObject::Refused {
                    " but an object; response.items_object of the dialect says how to read one"
                } else {
                    ""
                };
                format!("the value at {:?} of {kind} is not an array{help}", self.items.to_string())
            }
            JsonError::ItemMissing { index } => {
                format!("element {index} has nothing at {:?}, where the item should be", self.item.to_string())
            }
        })
    }
}

fn compile_object(response: &DialectResponse) -> ItemsObject {
    match response.items_object.as_ref().map(|word| word.value) {
        None => ItemsObject::Refused,
        Some(ItemsObjectWord::Single) => ItemsObject::Element,
        Some(ItemsObjectWord::Values) => ItemsObject::Elements,
    }
}

/// Returns whether a fetch asks for the first items of the list, or isn't about a position in the list.
fn begins_at_start(fetch: &Fetch) -> bool {
    match fetch {
        Fetch::Slice(slice, _) => slice.begins() == Offset(0),
        Fetch::Token(fetch) => fetch.token.is_none(),
        Fetch::Item(_) | Fetch::Count => true,
    }
}

/// Returns the token of an item from its raw JSON; `None` if the token is missing.
fn of_item(raw: &[u8]) -> Option<Token> {
    let text = std::str::from_utf8(raw).ok().filter(|text| !text.is_empty())?;
    Some(Token(text.into()))
}

fn without_items(standing: Standing, total: Option<Total>, body: Vec<u8>) -> Answer {
    let mut answer = Answer::listed(body, Vec::new(), Vec::new());
    (answer.standing, answer.total) = (standing, total);
    answer
}

/// Returns the error for a response whose status isn't that of a list.
pub fn refused(status: u16, headers: &HeaderMap, body: Vec<u8>) -> ReadingError {
    match status {
        204 => {
            let help = "response.past_end = [{ status = 204 }] says so where that is an empty list";
            ReadingError::Malformed(format!("204: no content; {help}"))
        }
        304 => ReadingError::Malformed("304 to a request without conditions".to_owned()),
        300..=399 => {
            let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
            // The query might contain secrets, and the location is logged, so the query is cut off. Test:
            // `each_status_without_a_list_has_its_error`.
            let location = location.map(|text| text.split(['?', '#']).next().unwrap_or_default().to_owned());
            ReadingError::Redirected { status, location }
        }
        400..=499 => ReadingError::Failed { status, body },
        500..=599 => ReadingError::Unavailable(format!("the upstream answered {status}")),
        _ => ReadingError::Malformed(format!("{status} is not an answer to a request for a list")),
    }
}

#[cfg(test)]
mod tests;
