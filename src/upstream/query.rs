//! One fetch of the core as a query and headers.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};

use super::{
    headers::is_ours,
    template::{Piece, QueryTemplate, Text, Variable, append_pair},
};
use crate::{
    config::{
        diagnostic::{Diagnostics, Located},
        settings::DialectRequest,
    },
    pagination::window::Fetch,
};

/// What is asked of an upstream, beside the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The query without its `?`: the client's filters as they came, then the paging parameters, then the sort. May be
    /// empty.
    pub query: String,
    /// Headers of the dialect; they replace those of the client.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// How a slice is asked for.
#[derive(Clone, Debug)]
pub(super) struct RequestTemplate {
    /// The query.
    pub(super) query: QueryTemplate,
    /// Other queries that mean the same, of which clients' requests are read.
    pub(super) also: Vec<QueryTemplate>,
    headers: Vec<(HeaderName, Text)>,
    /// What the first page is called.
    pub(super) first_page: u64,
}

impl RequestTemplate {
    /// Compiles `[request]`.
    pub(super) fn compile(request: &DialectRequest, diagnostics: &mut Diagnostics) -> Option<Self> {
        let query = compile_query(&request.query, diagnostics);
        let also: Vec<Option<QueryTemplate>> =
            request.also.iter().map(|source| compile_query(source, diagnostics)).collect();
        let headers: Vec<Option<(HeaderName, Text)>> =
            request.headers.iter().map(|(name, value)| compile_header(name, value, diagnostics)).collect();
        Some(Self {
            query: query?,
            also: also.into_iter().collect::<Option<_>>()?,
            headers: headers.into_iter().collect::<Option<_>>()?,
            first_page: request.first_page,
        })
    }

    /// The variables of what is sent.
    pub(super) fn variables(&self) -> impl Iterator<Item = Variable> + '_ {
        self.query.variables().chain(self.headers.iter().flat_map(|(_, text)| text.variables()))
    }

    /// A fetch as it goes on the wire.
    pub(super) fn render(&self, fetch: Fetch, filters: &str, sort: &str) -> Ask {
        let value = |variable| self.value(fetch, variable).map(|number| Cow::Owned(number.to_string()));
        let mut query = filters.to_owned();
        self.query.append_to(&mut query, &value);
        append_pair(&mut query, sort);
        let headers = self
            .headers
            .iter()
            .filter_map(|(name, text)| Some((name.clone(), HeaderValue::from_str(&text.render(&value)?).ok()?)))
            .collect();
        Ask { query, headers }
    }

    fn value(&self, fetch: Fetch, variable: Variable) -> Option<u64> {
        let size = u64::from(fetch.size().0);
        match (variable, fetch) {
            (Variable::Size, _) => Some(size),
            (Variable::Page, Fetch::Page { number, .. }) => Some(self.first_page.saturating_add(number.0)),
            (Variable::Offset, Fetch::Slice { from, .. }) => Some(from.0),
            (Variable::End, Fetch::Slice { from, .. }) => Some(from.0.saturating_add(size)),
            (Variable::Last, Fetch::Slice { from, .. }) => Some(from.0.saturating_add(size).saturating_sub(1)),
            _ => None,
        }
    }
}

/// Compiles a query that pages. Its parameters have fixed names, each once: else a client's request could not be told
/// from a filter.
fn compile_query(source: &Located<String>, diagnostics: &mut Diagnostics) -> Option<QueryTemplate> {
    let query = QueryTemplate::parse(source, Variable::PAGING, diagnostics)?;
    let mut names: Vec<String> = Vec::new();
    for parameter in &query.parameters {
        if parameter.name.variables().next().is_some() {
            let help = "variables stand behind the `=`";
            diagnostics.error(source.at, "the name of a paging parameter can't hold a variable", help);
            return None;
        }
        let name = parameter.decoded_name();
        if names.contains(&name) {
            let message = format!("the parameter {name} stands twice");
            diagnostics.error(source.at, message, "say each parameter once");
            return None;
        }
        names.push(name);
    }
    Some(query)
}

fn compile_header(
    name: &Located<String>,
    value: &Located<String>,
    diagnostics: &mut Diagnostics,
) -> Option<(HeaderName, Text)> {
    let compiled_name = compile_header_name(name, diagnostics);
    let text = Text::parse(&value.value, value, Variable::PAGING, diagnostics)?;
    let sendable = |piece: &Piece| match piece {
        Piece::Literal(literal) => HeaderValue::from_str(literal).is_ok(),
        Piece::Variable(_) => true,
    };
    if !text.pieces().iter().all(sendable) {
        let message = format!("{:?} can't stand in a header", value.value);
        diagnostics.error(value.at, message, "a header's value is one line without control characters");
        return None;
    }
    Some((compiled_name?, text))
}

fn compile_header_name(source: &Located<String>, diagnostics: &mut Diagnostics) -> Option<HeaderName> {
    let Ok(name) = HeaderName::from_bytes(source.value.as_bytes()) else {
        let message = format!("{:?} is no header name", source.value);
        diagnostics.error(source.at, message, "a name is letters, digits and hyphens, as Range-Unit");
        return None;
    };
    if is_ours(&name) {
        let help = "the gateway sets this header itself: leave it out";
        diagnostics.error(source.at, format!("a dialect can't set {}", source.value), help);
        return None;
    }
    Some(name)
}
