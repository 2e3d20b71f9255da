//! Status, headers and bytes as an answer.

use http::{HeaderMap, header::LOCATION};
use thiserror::Error;

use super::{
    document::{is_object, kind_of_document},
    matching::{Equality, Match},
    place::{Place, PlaceCompiler, Response},
};
use crate::{
    config::settings::DialectResponse,
    json::{JsonError, Limits, PageSpans, Pointer, Shape, Span, scan_page},
    pagination::{
        answer::{Answer, Standing, Total},
        window::{Fetch, Offset},
    },
};

/// Why an upstream's response is no answer. Details are for the log: they hold no content of items.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadingError {
    /// A 4xx that the dialect does not explain: the client gets it as it is.
    #[error("the upstream answered {status}")]
    Failed {
        /// The status.
        status: u16,
        /// The body, as it came.
        body: Vec<u8>,
    },
    /// A 5xx, or an answer that the dialect knows as a failure in spite of its status.
    #[error("{0}")]
    Unavailable(String),
    /// A 3xx other than 304.
    #[error("the upstream redirects with {status}")]
    Redirected {
        /// The status.
        status: u16,
        /// Its `Location` without the query, where it is text: says what `upstream_path` should be.
        location: Option<String>,
    },
    /// Not what the dialect says a list looks like.
    #[error("{0}")]
    Malformed(String),
    /// Nested deeper than the route allows.
    #[error("the body is nested deeper than {0} levels")]
    TooDeep(u16),
    /// More items than any page needs.
    #[error("the body has more than {0} items")]
    TooManyItems(usize),
}

/// How answers are read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// Places in a body, which the rest of this names by index.
    pub(super) facts: Vec<Pointer>,
    /// The array.
    pub(super) items: Pointer,
    /// What is served of an element.
    pub(super) item: Pointer,
    /// The array may be missing or null where there are no items.
    items_optional: bool,
    total: Option<Place>,
    total_exact_when: Vec<Equality>,
    /// What says whether there is more, the surest first.
    more: Vec<More>,
    page: Option<Place>,
    offset: Option<Place>,
    size: Option<Place>,
    past_end: Vec<Match>,
    error: Vec<Match>,
    first_page: u64,
}

/// Something that says whether there is more.
#[derive(Clone, Debug)]
enum More {
    /// A boolean that is this where there is more.
    Flag(Place, bool),
    /// Something where there is more, nothing where there is none.
    Next(Place),
    /// How many pages there are.
    Pages(Place),
}

impl Reading {
    /// Compiles `[response]`, apart from the id, which the route may say.
    pub(super) fn compile(response: &DialectResponse, first_page: u64, mut places: PlaceCompiler<'_>) -> Option<Self> {
        let items = places.pointer(&response.items);
        let item = response.item.as_ref().map_or_else(|| Some(Pointer::default()), |item| places.pointer(item));
        // Each is compiled before the first fault ends this, so that all faults are reported.
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
        // Nothing here follows links back; a wrong place is wrong all the same.
        place(&response.prev_url, &mut places);
        let total_exact_when = Equality::compile_all(&response.total_exact_when, &mut places);
        let past_end = Match::compile_all(&response.past_end, &mut places);
        let error = Match::compile_all(&response.error, &mut places);
        let reading = Self {
            facts: places.facts,
            items: items?,
            item: item?,
            items_optional: response.items_optional,
            total,
            total_exact_when: total_exact_when?,
            more: [has_more, is_last, next_url, next_page, last_page].into_iter().flatten().collect(),
            page,
            offset,
            size,
            past_end: past_end?,
            error: error?,
            first_page,
        };
        sound.then_some(reading)
    }

    /// Reads one response. `shape` is this reading's, with the columns of an order.
    pub(super) fn read(
        &self,
        shape: &Shape,
        fetch: Fetch,
        status: u16,
        headers: &HeaderMap,
        body: Vec<u8>,
        depth: u16,
    ) -> Result<Answer, ReadingError> {
        let limits = Limits { depth, ..Limits::default() };
        let scanned = matches!(status, 200 | 203 | 206).then(|| scan_page(&body, shape, limits));
        // What is no list may still say what it is: an error, or that the end has been passed.
        let found;
        let facts = match &scanned {
            Some(Ok(page)) => page.facts.as_slice(),
            Some(Err(JsonError::Malformed { .. } | JsonError::TooDeep | JsonError::TooManyItems)) => &[],
            Some(Err(_)) | None => {
                found = self.find_facts(status, &body);
                found.as_slice()
            }
        };
        let response = Response { headers, body: &body, facts };
        if self.error.iter().any(|matched| matched.holds(status, response)) {
            let detail = format!("the answer, a {status}, is what the dialect calls a failure");
            return Err(ReadingError::Unavailable(detail));
        }
        if self.past_end.iter().any(|matched| matched.holds(status, response)) {
            // At the very start nothing was passed: what is said with success is that the list is empty.
            let is_empty = (200..300).contains(&status) && fetch.begins() == Offset(0);
            let standing = if is_empty { Standing::Listed } else { Standing::PastEnd };
            return Ok(without_items(standing, self.total(response), body));
        }
        let page = match scanned {
            Some(Ok(page)) => page,
            Some(Err(error)) => return Err(self.malformed(error, depth, headers, &body)),
            None => return Err(refused(status, headers, body)),
        };
        if status == 206 && !self.reads_content_range() {
            let detail = "206: a part of something, and the dialect reads no content-range".to_owned();
            return Err(ReadingError::Malformed(detail));
        }
        // A member can only be left out of an object: what is none was not written by a list.
        if page.items.is_none() && !(self.items_optional && is_object(&body)) {
            let kind = kind_of_document(headers, &body);
            let detail = format!("no array at {:?} of {kind}", self.items.to_string());
            return Err(ReadingError::Malformed(detail));
        }
        Ok(self.answer(page, fetch, headers, body))
    }

    fn answer(&self, page: PageSpans, fetch: Fetch, headers: &HeaderMap, body: Vec<u8>) -> Answer {
        let response = Response { headers, body: &body, facts: &page.facts };
        let number = |place: &Option<Place>| response.number(place.as_ref()?);
        let total = self.total(response);
        let said_page = number(&self.page).and_then(|page| page.checked_sub(self.first_page));
        let offset = number(&self.offset);
        let size = number(&self.size).and_then(|size| u32::try_from(size).ok()).filter(|size| *size > 0);
        let more = self.more.iter().find_map(|source| match source {
            More::Flag(place, when_more) => response.boolean(place).map(|flag| flag == *when_more),
            More::Next(place) => Some(response.says_something(place)),
            More::Pages(place) => {
                let asked = match fetch {
                    Fetch::Page { number, .. } => Some(number.0),
                    Fetch::Slice { .. } => None,
                };
                Some(said_page.or(asked)?.saturating_add(1) < response.number(place)?)
            }
        });
        Answer {
            items: page.items.unwrap_or_default(),
            keys: page.columns,
            standing: Standing::Listed,
            total,
            more,
            offset,
            page: said_page,
            size,
            body,
        }
    }

    /// The facts of a body that is no list, as far as a match wants to look at them.
    fn find_facts(&self, status: u16, body: &[u8]) -> Vec<Span> {
        if !self.error.iter().chain(&self.past_end).any(|matched| matched.looks_into(status)) {
            return Vec::new();
        }
        self.facts.iter().map(|fact| fact.find(body).unwrap_or(Span::ABSENT)).collect()
    }

    fn total(&self, response: Response<'_>) -> Option<Total> {
        let value = response.number(self.total.as_ref()?)?;
        let exact = self.total_exact_when.iter().all(|equality| equality.holds(response));
        Some(Total { value, exact })
    }

    fn reads_content_range(&self) -> bool {
        let places = [&self.total, &self.offset, &self.size];
        places.iter().any(|place| matches!(place, Some(Place::ContentRange(_))))
    }

    fn malformed(&self, error: JsonError, depth: u16, headers: &HeaderMap, body: &[u8]) -> ReadingError {
        let kind = kind_of_document(headers, body);
        ReadingError::Malformed(match error {
            JsonError::TooDeep => return ReadingError::TooDeep(depth),
            JsonError::TooManyItems => return ReadingError::TooManyItems(Limits::default().items),
            JsonError::Malformed { at } => format!("{kind}: no JSON from byte {at} of {} on", body.len()),
            JsonError::NotAnArray => format!("what stands at {:?} of {kind} is no array", self.items.to_string()),
            JsonError::ItemMissing { index } => {
                format!("element {index} has nothing at {:?}, where the item should be", self.item.to_string())
            }
        })
    }
}

fn without_items(standing: Standing, total: Option<Total>, body: Vec<u8>) -> Answer {
    Answer {
        body,
        items: Vec::new(),
        keys: Vec::new(),
        standing,
        total,
        more: None,
        offset: None,
        page: None,
        size: None,
    }
}

/// What a status means that is no list's.
fn refused(status: u16, headers: &HeaderMap, body: Vec<u8>) -> ReadingError {
    match status {
        204 => {
            let help = "response.past_end = [{ status = 204 }] says so where that is an empty list";
            ReadingError::Malformed(format!("204: no content; {help}"))
        }
        304 => ReadingError::Malformed("304 to a request without conditions".to_owned()),
        300..=399 => {
            let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
            let location = location.map(|text| text.split(['?', '#']).next().unwrap_or_default().to_owned());
            ReadingError::Redirected { status, location }
        }
        400..=499 => ReadingError::Failed { status, body },
        500..=599 => ReadingError::Unavailable(format!("the upstream answered {status}")),
        _ => ReadingError::Malformed(format!("{status} is no answer to a list")),
    }
}

#[cfg(test)]
mod tests;
