//! Requests for slices and tokens: query, headers and body.

use std::borrow::Cow;

use http::Method;

use super::header_templates::HeaderTemplates;
use crate::upstream::{
    response::token,
    template::{
        ask::{Unaskable, UpstreamRequest},
        body::{BodyTemplate, Values},
        pairs,
        text::{Parameter, QueryTemplate, TemplatePart, Variable, append_pair},
    },
};
use cursorgate_config::{
    diagnostic::{Diagnostics, Located},
    settings::{DialectRequest, DialectSize},
};
use cursorgate_core::{
    json::Edits,
    pagination::{
        fetch::{Fetch, TokenFetch},
        window::{Offset, PageNumber, PageSize, Slice},
    },
};

/// The compiled `[request]` of a dialect.
#[derive(Clone, Debug)]
pub struct RequestTemplate {
    method: Method,
    pub query: QueryTemplate,
    /// Equivalent queries, which are only recognized in clients' requests.
    pub also: Vec<QueryTemplate>,
    headers: HeaderTemplates,
    /// The template of the body; `None` if the dialect writes no members into it.
    pub body: Option<BodyTemplate>,
    /// The number that the upstream gives to the first page.
    pub first_page: u64,
    /// The number that the upstream gives to the first item.
    pub first_item: u64,
    /// The token that requests for the first page send; `None` if they send no token.
    first_token: Option<String>,
    /// `true` if filters and sort aren't sent together with a token.
    token_alone: bool,
    /// `true` if requests for the items after an item ask for one more, because the answer begins with that item.
    asks_for_one_more: bool,
}

/// The parts of a request other than paging.
#[derive(Clone, Copy, Debug)]
pub struct RequestExtras<'a> {
    /// The list's path at the upstream.
    pub path: &'a str,
    /// The filters as query pairs: the client's filters, and the filter on keys.
    pub filters: &'a str,
    /// The sort as query pairs.
    pub sort: &'a str,
    /// The edits that put the sort into a body.
    pub sort_edits: &'a Edits,
}

impl RequestTemplate {
    /// Compiles `[request]`. Reports the faults, and returns `None` if there are any.
    pub fn compile(request: &DialectRequest, size: &DialectSize, diagnostics: &mut Diagnostics) -> Option<Self> {
        let query = compile_query(&request.query, diagnostics);
        let also: Vec<Option<QueryTemplate>> =
            request.also.iter().map(|source| compile_query(source, diagnostics)).collect();
        let headers = HeaderTemplates::compile(&request.headers, Variable::PAGING, diagnostics);
        let body = request.body.as_ref().map(|body| BodyTemplate::compile(body, Variable::PAGING, &[], diagnostics));
        if let Some(body) = request.body.as_ref().filter(|_| request.method != Method::POST) {
            diagnostics.error(body.at, "a request by GET has no body", "set method = \"POST\"");
            return None;
        }
        Some(Self {
            method: request.method.clone(),
            query: query?,
            also: also.into_iter().collect::<Option<_>>()?,
            headers: headers?,
            body: match body {
                Some(body) => Some(body?),
                None => None,
            },
            first_page: request.first_page,
            first_item: request.first_item,
            first_token: request.first_token.as_ref().map(|token| token.value.clone()),
            token_alone: request.token_alone,
            // One more than a choice isn't a choice.
            asks_for_one_more: request.after_inclusive && size.choices.is_empty(),
        })
    }

    /// Returns the name of the query parameter that contains a variable, or the JSON Pointer of the body member that
    /// does; `None` if neither contains the variable.
    pub fn name_of(&self, variable: Variable) -> Option<String> {
        let has = |parameter: &&Parameter| parameter.variables().any(|used| used == variable);
        let in_query = self.query.parameters.iter().find(has).map(Parameter::decoded_name);
        in_query.or_else(|| {
            let in_body = self.body.as_ref()?.members();
            let is_it = |part: &TemplatePart| matches!(part, TemplatePart::Variable(used) if *used == variable);
            in_body.into_iter().find(|(_, parts)| parts.iter().any(is_it)).map(|(place, _)| place)
        })
    }

    /// Returns the variables in the query, the headers and the body.
    pub fn variables(&self) -> impl Iterator<Item = Variable> + '_ {
        let in_body = self.body.iter().flat_map(BodyTemplate::variables);
        self.query.variables().chain(self.headers.variables()).chain(in_body)
    }

    /// Returns whether requests name a place in the list: an offset, a page or a token.
    pub fn says_place(&self) -> bool {
        let says = |variable: Variable| {
            variable.is_token()
                || matches!(variable, Variable::Page | Variable::Offset | Variable::End | Variable::Last)
        };
        self.variables().any(says)
    }

    /// Returns whether requests have a body, which they have by POST.
    pub fn sends_bodies(&self) -> bool {
        self.method == Method::POST
    }

    /// Returns whether the body contains the token.
    pub fn token_in_body(&self) -> bool {
        self.body.iter().flat_map(BodyTemplate::variables).any(Variable::is_token)
    }

    /// Builds the request for a slice.
    pub fn ask_slice(
        &self,
        fetch: Fetch,
        slice: Slice,
        beside: RequestExtras<'_>,
    ) -> Result<UpstreamRequest, Unaskable> {
        let value = |variable| self.of_slice(slice, variable).map(|number| Cow::Owned(number.to_string()));
        self.assemble(fetch, beside, &value, None)
    }

    /// Builds a request for the first items of the list, as few as possible. Its answer is only read for the total.
    pub fn ask_first(&self, least: PageSize, beside: RequestExtras<'_>) -> Result<UpstreamRequest, Unaskable> {
        let value = |variable| {
            match variable {
                Variable::Page => self.of_slice(Slice::Page { number: PageNumber(0), size: least }, variable),
                Variable::Token | Variable::NextToken => return self.first_token.as_deref().map(Cow::Borrowed),
                _ => self.of_slice(Slice::Offset { from: Offset(0), size: least }, variable),
            }
            .map(|number| Cow::Owned(number.to_string()))
        };
        self.assemble(Fetch::Count, beside, &value, self.first_json().as_deref())
    }

    /// Builds the request for a token, or for the first page if `fetch` has no token.
    pub fn ask_token(
        &self,
        style: token::TokenStyle,
        fetch: &TokenFetch,
        beside: RequestExtras<'_>,
    ) -> Result<UpstreamRequest, Unaskable> {
        let TokenFetch { token, backward, size } = fetch;
        let token = token.as_ref().map(|token| token.0.as_ref());
        // With `token_alone`, a token already contains filters and sort. The request for the first page has no token,
        // so it needs both. Test: `a_token_alone_is_sent_without_filters_and_sort`.
        let beside = match token.is_some() && self.token_alone {
            true => RequestExtras { filters: "", sort: "", sort_edits: &NO_EDITS, ..beside },
            false => beside,
        };
        let asked = Fetch::Token(fetch.clone());
        let one_more = self.asks_for_one_more && token.is_some() && !backward;
        let size = size.0.saturating_add(one_more.into()).to_string();
        let said = match (style, token) {
            (token::TokenStyle::Item | token::TokenStyle::Json, Some(raw)) => {
                Some(token::said_by_item(raw).ok_or(Unaskable::Gone)?)
            }
            (token::TokenStyle::Plain, Some(text)) => Some(Cow::Borrowed(text)),
            (token::TokenStyle::Pairs, _) => None,
            (_, None) => self.first_token.as_deref().map(Cow::Borrowed),
        };
        let value = |variable| match variable {
            Variable::Size => Some(Cow::Borrowed(size.as_str())),
            Variable::Token => said.clone(),
            Variable::NextToken | Variable::After => said.clone().filter(|_| !backward),
            Variable::PreviousToken | Variable::Before => said.clone().filter(|_| *backward),
            _ => None,
        };
        let json = match (style, token) {
            (token::TokenStyle::Item | token::TokenStyle::Json, Some(raw)) => Some(Cow::Borrowed(raw.as_bytes())),
            (_, Some(text)) => Some(Cow::Owned(token::quoted(text).into_bytes())),
            (_, None) => self.first_json().map(Cow::Owned),
        };
        let mut ask = self.assemble(asked, beside, &value, json.as_deref())?;
        if style == token::TokenStyle::Pairs {
            // A link keeps the size that it was made with, because its position may count pages of this size. Test:
            // `a_link_keeps_its_own_size`.
            let without_size = |variable| value(variable).filter(|_| variable != Variable::Size);
            ask.common = self.written(beside, &without_size);
            if let Some(further) = token {
                // If a parameter occurred twice, the upstream could read either page, so the link's parameters replace
                // those with the same names. Test: `parameters_that_continue_are_texts_and_numbers`.
                ask.query = pairs::replaced(&ask.query, further);
            }
        }
        Ok(ask)
    }

    fn assemble<'v>(
        &self,
        fetch: Fetch,
        beside: RequestExtras<'_>,
        value: &dyn Fn(Variable) -> Option<Cow<'v, str>>,
        token: Option<&[u8]>,
    ) -> Result<UpstreamRequest, Unaskable> {
        let query = self.written(beside, value);
        // Only a token can be invalid in a header, because numbers are always valid. Such a token counts as gone. Test:
        // `a_token_with_a_line_break_is_not_sent_in_a_header`.
        let headers = self.headers.render(value).ok_or(Unaskable::Gone)?;
        let path = beside.path.to_owned();
        let edits = (self.method == Method::POST).then(|| self.edits(beside, value, token));
        Ok(UpstreamRequest { method: self.method.clone(), path, query, headers, edits, fetch, common: String::new() })
    }

    /// Returns the edits of a body: first the paging, then the sort. `token` is the token as JSON.
    fn edits<'v>(
        &self,
        beside: RequestExtras<'_>,
        value: &dyn Fn(Variable) -> Option<Cow<'v, str>>,
        token: Option<&[u8]>,
    ) -> Vec<Edits> {
        let text = |variable| value(variable).map(|text| Cow::Owned(text.into_owned()));
        let json = |variable: Variable| match (value(variable)?, token) {
            (_, Some(token)) if variable.is_token() => Some(Cow::Owned(token.to_vec())),
            // All paging values other than tokens are numbers, which are written as they are.
            (number, _) => Some(Cow::Owned(number.into_owned().into_bytes())),
        };
        let values = Values { text: &text, json: &json };
        let paging = self.body.as_ref().map(|body| body.edits(&[values], None));
        paging.into_iter().chain([beside.sort_edits.clone()]).filter(|edits| !edits.is_empty()).collect()
    }

    /// Returns the token of the first page as JSON; `None` if requests for the first page send no token.
    fn first_json(&self) -> Option<Vec<u8>> {
        self.first_token.as_deref().map(|text| token::quoted(text).into_bytes())
    }

    fn written<'v>(&self, beside: RequestExtras<'_>, value: &dyn Fn(Variable) -> Option<Cow<'v, str>>) -> String {
        // Paging parameters are usually shorter than 64 bytes.
        let mut query = String::with_capacity(beside.filters.len() + beside.sort.len() + 64);
        query.push_str(beside.filters);
        self.query.append_to(&mut query, value);
        append_pair(&mut query, beside.sort);
        query
    }

    fn of_slice(&self, slice: Slice, variable: Variable) -> Option<u64> {
        let size = u64::from(slice.size().0);
        // The gateway counts from 0, some upstreams from 1. Test: `items_may_be_counted_from_1`.
        let item = |from: Offset| from.0.saturating_add(self.first_item);
        match (variable, slice) {
            (Variable::Size, _) => Some(size),
            (Variable::Page, Slice::Page { number, .. }) => Some(self.first_page.saturating_add(number.0)),
            // With `aligned`, slices are pages, and begin at their number times their size.
            (Variable::Offset, _) => Some(item(slice.begins())),
            (Variable::End, _) => Some(item(slice.begins()).saturating_add(size)),
            (Variable::Last, _) => Some(item(slice.begins()).saturating_add(size).saturating_sub(1)),
            _ => None,
        }
    }
}

static NO_EDITS: Edits = Vec::new();

/// Compiles a query with paging parameters. Their names must be fixed and unique. Otherwise a client's paging
/// parameters couldn't be distinguished from filters. Reports a fault and returns `None` if the query is invalid.
fn compile_query(source: &Located<String>, diagnostics: &mut Diagnostics) -> Option<QueryTemplate> {
    let query = QueryTemplate::parse(source, Variable::PAGING, diagnostics)?;
    let mut names: Vec<String> = Vec::new();
    for parameter in &query.parameters {
        if parameter.name.variables().next().is_some() {
            let help = "variables go after the `=`";
            diagnostics.error(source.at, "the name of a paging parameter can't hold a variable", help);
            return None;
        }
        // `page%5Bsize%5D` and `page[size]` are the same parameter, so decoded names are compared. Test:
        // `names_are_decoded_and_unique`.
        let name = parameter.decoded_name();
        if names.contains(&name) {
            let message = format!("the parameter {name} is repeated");
            diagnostics.error(source.at, message, "write each parameter once");
            return None;
        }
        names.push(name);
    }
    Some(query)
}
