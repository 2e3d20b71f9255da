//! Requests for something other than a list: one item, or only the total.

use std::borrow::Cow;

use http::{HeaderMap, Method};

use super::header_templates::HeaderTemplates;
use crate::upstream::{
    place::{
        PlaceCompiler, ResponsePlace, ResponseView,
        matching::{Equality, Match},
    },
    response::{error::ReadingError, reading::refused},
    template::{
        ask::{Unaskable, UpstreamRequest},
        text::{QueryTemplate, TemplatePart, TemplateText, Variable, append_pair, encode_literal, encode_value},
    },
};
use cursorgate_config::{
    diagnostic::{Diagnostics, Located},
    settings::{DialectCount, DialectItem, DialectResponse},
};
use cursorgate_core::{
    json::{JsonError, Limits, Pointer, Span, scan_facts},
    pagination::{
        answer::{Answer, Standing, Total},
        fetch::Fetch,
        key::KeyValue,
    },
};

const ITEM_VARIABLES: &[Variable] = &[Variable::Path, Variable::Parent, Variable::Id];
const COUNT_VARIABLES: &[Variable] = &[Variable::Path, Variable::Parent];

/// The path, query and headers of a resource.
#[derive(Clone, Debug)]
struct ResourceRequest {
    /// The path; `None` if it is the list's path.
    path: Option<TemplateText>,
    query: QueryTemplate,
    headers: HeaderTemplates,
}

impl ResourceRequest {
    fn compile(
        path: Option<&Located<String>>,
        query: Option<&Located<String>>,
        headers: &[(Located<String>, Located<String>)],
        allowed: &[Variable],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let path = path.map(|source| compile_path(source, allowed, diagnostics));
        let query = query.map(|source| QueryTemplate::parse(source, allowed, diagnostics));
        let headers = HeaderTemplates::compile(headers, allowed, diagnostics);
        Some(Self {
            path: match path {
                Some(path) => Some(path?),
                None => None,
            },
            query: match query {
                Some(query) => query?,
                None => QueryTemplate::default(),
            },
            headers: headers?,
        })
    }

    fn uses(&self, variable: Variable) -> bool {
        let path = self.path.iter().flat_map(TemplateText::variables);
        path.chain(self.query.variables()).chain(self.headers.variables()).any(|used| used == variable)
    }

    /// Builds the request. `list` is the list's path, `filters` are the client's filters, and `id` is the item's id,
    /// unencoded.
    fn ask(
        &self,
        method: Method,
        fetch: Fetch,
        list: &str,
        filters: &str,
        id: Option<&str>,
    ) -> Result<UpstreamRequest, Unaskable> {
        let edits = (method == Method::POST).then(Vec::new);
        // The template adds its own slash in front of the id, so the final slash of the list's path is removed. Test:
        // `an_item_is_asked_for_at_its_own_address`.
        let plain = list.trim_end_matches('/');
        let parent = plain.rsplit_once('/').map_or("", |(parent, _)| parent);
        let of_id = |encode: fn(&str) -> String| id.map(|id| Cow::Owned(encode(id)));
        let in_path = |variable| match variable {
            Variable::Path => Some(Cow::Borrowed(plain)),
            Variable::Parent => Some(Cow::Borrowed(parent)),
            // The id is one path segment, whatever characters it contains, so it is encoded. Test:
            // `hostile_ids_do_not_escape_from_their_path_segment`.
            Variable::Id => of_id(encode_value),
            _ => None,
        };
        // Query templates encode the id themselves, and header templates refuse line ends, so the id isn't encoded
        // here.
        let elsewhere = |variable| match variable {
            Variable::Id => of_id(str::to_owned),
            variable => in_path(variable),
        };
        let path = match &self.path {
            Some(path) => path.render(&in_path).ok_or(Unaskable::Gone)?,
            None => list.to_owned(),
        };
        let mut query = String::new();
        // The total must count the list that the client asked for, so the client's filters are sent. Test:
        // `a_count_keeps_the_clients_filters`.
        append_pair(&mut query, filters);
        self.query.append_to(&mut query, &elsewhere);
        let headers = self.headers.render(&elsewhere).ok_or(Unaskable::Gone)?;
        Ok(UpstreamRequest { method, path, query, headers, edits, fetch, common: String::new() })
    }
}

fn compile_path(source: &Located<String>, allowed: &[Variable], diagnostics: &mut Diagnostics) -> Option<TemplateText> {
    let text = TemplateText::parse(&source.value, source, allowed, diagnostics)?;
    let begins = match text.pieces().first() {
        Some(TemplatePart::Literal(literal)) => literal.starts_with('/'),
        Some(TemplatePart::Variable(variable)) => matches!(variable, Variable::Path | Variable::Parent),
        None => false,
    };
    if !begins {
        let help = "begin with {path}, {parent} or a slash: \"{path}/{id}\"";
        diagnostics.error(source.at, format!("{:?} is not a path", source.value), help);
        return None;
    }
    if source.value.contains(['?', '#']) {
        let help = "the part after the `?` goes into `query`";
        diagnostics.error(source.at, "a path has no query", help);
        return None;
    }
    let pieces = text.pieces().iter();
    let runs_on = pieces
        .clone()
        .zip(pieces.skip(1))
        .any(|pair| matches!(pair, (TemplatePart::Variable(_), TemplatePart::Variable(_))));
    if runs_on {
        let help = "{path} and {parent} end without a slash: write \"{path}/{id}\"";
        diagnostics.error(source.at, format!("{:?} runs two names into one", source.value), help);
        return None;
    }
    Some(text.with_literals(encode_literal))
}

/// The compiled `[item]` of a dialect.
#[derive(Clone, Debug)]
pub struct ItemTemplate {
    address: ResourceRequest,
    /// `true` if quotes in ids are doubled, because the path encloses the id in quotes: `{path}('{id}')`.
    doubles_quotes: bool,
    /// The place, in the answer, of a value in the form of the list's elements.
    value: Pointer,
    gone: Vec<Match>,
    facts: Vec<Pointer>,
}

impl ItemTemplate {
    /// Compiles `[item]`. Reports all faults, and returns `None` if there are any.
    pub fn compile(item: &DialectItem, collection: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let address =
            ResourceRequest::compile(Some(&item.path), item.query.as_ref(), &item.headers, ITEM_VARIABLES, diagnostics);
        let mut places = PlaceCompiler { collection, facts: Vec::new(), diagnostics };
        let value = item.value.as_ref().map_or_else(|| Some(Pointer::default()), |value| places.pointer(value));
        let gone = Match::compile_all(&item.gone, &mut places);
        let facts = places.facts;
        let address = address?;
        if !address.uses(Variable::Id) {
            let help = "put {id} into the path, as \"{path}/{id}\", or into the query";
            diagnostics.error(item.path.at, "the item is asked for without its id", help);
            return None;
        }
        let doubles_quotes = item.path.value.contains("'{id}");
        Some(Self { address, doubles_quotes, value: value?, gone: gone?, facts })
    }

    /// Builds the request for an item. `list` is the list's path at the upstream.
    pub fn ask(&self, id: &KeyValue, list: &str) -> Result<UpstreamRequest, Unaskable> {
        let text = written_id(id).ok_or(Unaskable::Gone)?;
        let text = if self.doubles_quotes { Cow::Owned(text.replace('\'', "''")) } else { text };
        self.address.ask(Method::GET, Fetch::Item(id.clone()), list, "", Some(&text))
    }

    /// Reads the answer: the item with its keys, or that the item is gone. `columns` are the places of the keys in an
    /// element, and `item` is the place of the item in an element.
    pub fn read(
        &self,
        columns: &[Pointer],
        item: &Pointer,
        status: u16,
        headers: &HeaderMap,
        body: Vec<u8>,
        depth: u16,
    ) -> Result<Answer, ReadingError> {
        let gone = |body| {
            let mut answer = Answer::listed(body, Vec::new(), Vec::new());
            answer.standing = Standing::Gone;
            answer
        };
        // These statuses mean gone in every dialect. `gone` describes other answers that mean the same.
        if matches!(status, 404 | 410) {
            return Ok(gone(body));
        }
        let own = self.facts.len();
        let mut facts = self.facts.clone();
        facts.push(self.value.then(item));
        facts.extend(columns.iter().map(|column| self.value.then(column)));
        let scanned = scan_facts(&body, &facts, Limits { depth, ..Limits::default() });
        let found = scanned.as_deref().unwrap_or_default();
        let response = ResponseView { headers, body: &body, facts: found.get(..own).unwrap_or_default() };
        if self.gone.iter().any(|matched| matched.holds(status, response)) {
            return Ok(gone(body));
        }
        if !matches!(status, 200 | 203 | 206) {
            return Err(refused(status, headers, body));
        }
        let spans = scanned.map_err(|error| unreadable(error, depth))?;
        match spans.split_at(own).1 {
            // PostgREST answers with an empty list if no item has the id, so a missing item is gone. Test:
            // `an_item_is_read_with_its_keys`.
            [Span::ABSENT, ..] | [] => Ok(gone(body)),
            [item, keys @ ..] => {
                let (items, keys) = (vec![*item], keys.to_vec());
                Ok(Answer::listed(body, items, keys))
            }
        }
    }
}

/// Returns an id as it is written in a path or query before encoding. Returns `None` for null, for invalid UTF-8, and
/// for ids that would change the path: the empty string, strings with `.` or `..` as a segment, and strings with
/// control characters.
fn written_id(id: &KeyValue) -> Option<Cow<'_, str>> {
    let text: Cow<'_, str> = match id {
        KeyValue::Null => return None,
        KeyValue::Boolean(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        KeyValue::Number(spelling) => Cow::Borrowed(spelling),
        KeyValue::Text(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).ok()?),
    };
    // Lenient servers decode slashes before they resolve dots, and read a backslash as a slash, so ids with such
    // segments are refused. Test: `hostile_ids_do_not_escape_from_their_path_segment`.
    let leads_elsewhere = text.split(['/', '\\']).any(|part| matches!(part, "." | ".."));
    let sound = !text.is_empty() && !leads_elsewhere && !text.contains(char::is_control);
    sound.then_some(text)
}

/// The compiled `[count]` of a dialect.
#[derive(Clone, Debug)]
pub struct CountTemplate {
    address: ResourceRequest,
    method: Method,
    total: ResponsePlace,
    /// The conditions under which the total is exact; otherwise it is a lower bound.
    exact_when: Vec<Equality>,
    /// `true` if the total is only an estimate, and never exact.
    is_estimate: bool,
    facts: Vec<Pointer>,
}

impl CountTemplate {
    /// Compiles `[count]`. Without a `total` in `[count]`, the total is at the same place as in lists. Reports faults,
    /// and returns `None` if there are any.
    pub fn compile(
        count: &DialectCount,
        response: &DialectResponse,
        collection: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let address = ResourceRequest::compile(
            count.path.as_ref(),
            count.query.as_ref(),
            &count.headers,
            COUNT_VARIABLES,
            diagnostics,
        );
        let Some(source) = count.total.as_ref().or(response.total.as_ref()) else {
            let help = "total = \"/total\", or response.total";
            diagnostics.error(count.at, "[count] does not say where the total is", help);
            return None;
        };
        let mut places = PlaceCompiler { collection, facts: Vec::new(), diagnostics };
        let total = places.place(source);
        // The conditions and `total_counts` describe the total in lists, not a total at a separate place, which is
        // always exact.
        let is_estimate = count.total.is_none() && response.estimates_total();
        let exact_when = match &count.total {
            Some(_) => Some(Vec::new()),
            None => Equality::compile_all(&response.total_exact_when, &mut places),
        };
        let facts = places.facts;
        if count.method == Method::HEAD && matches!(total, Some(ResponsePlace::Fact(_))) {
            let help = "the answer to HEAD has no body: read header:NAME or content-range:total, or ask by GET";
            diagnostics.error(source.at, "the total of a HEAD request can't be in its body", help);
            return None;
        }
        let (method, exact_when) = (count.method.clone(), exact_when?);
        Some(Self { address: address?, method, total: total?, exact_when, is_estimate, facts })
    }

    /// Builds the request for the total with the client's filters.
    pub fn ask(&self, list: &str, filters: &str) -> Result<UpstreamRequest, Unaskable> {
        self.address.ask(self.method.clone(), Fetch::Count, list, filters, None)
    }

    /// Reads the answer: the total, or an answer without a total if it has none.
    pub fn read(&self, status: u16, headers: &HeaderMap, body: Vec<u8>, depth: u16) -> Result<Answer, ReadingError> {
        if !(200..300).contains(&status) {
            return Err(refused(status, headers, body));
        }
        let spans = match self.facts.as_slice() {
            [] => Vec::new(),
            facts => {
                let limits = Limits { depth, ..Limits::default() };
                scan_facts(&body, facts, limits).map_err(|error| unreadable(error, depth))?
            }
        };
        let response = ResponseView { headers, body: &body, facts: &spans };
        let exact = !self.is_estimate && self.exact_when.iter().all(|equality| equality.holds(response));
        let total = response.number(&self.total).map(|value| Total { value, exact });
        Ok(Answer::counted(total))
    }
}

fn unreadable(error: JsonError, depth: u16) -> ReadingError {
    match error {
        JsonError::TooDeep => ReadingError::TooDeep(depth),
        error => ReadingError::Malformed(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
