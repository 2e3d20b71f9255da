//! Reads the arguments of tools strictly. An argument that doesn't match the schema is a fault, whose detail says what
//! to write instead.

use std::borrow::Cow;

use bytes::Bytes;

use super::{
    tool_list::{COLUMNS, COMPRESSION, CURSOR, EXPORT, FORMAT, LIMIT, SORT, ToolList},
    tools::McpTool,
};
use crate::{
    exports,
    list_page::{ListFault, PageQuery, own},
};
use cursorgate_core::json::{
    self, Document,
    scalar::{self, ScalarKind},
};
use cursorgate_gateway::openapi::ParameterKind;
use cursorgate_translate::downstream::Code;

/// The largest number of elements in an array of strings, such as `columns`. A longer array is refused.
const MOST_COLUMNS: usize = 1_000;

/// The action that a call of an export tool requests.
#[derive(Debug)]
pub(super) enum ExportAsk {
    /// Begins an export with the filters and the sort of the query. The bytes are the body of the request.
    Begin(PageQuery, Bytes),
    /// Reads the state of the export with this id. The query has only the path of the list.
    State(PageQuery, String),
}

/// The arguments of a call, after the check of their names.
struct ToolArguments<'a> {
    members: Vec<json::Member<'a>>,
}

/// Reads the arguments of a tool that reads a list.
///
/// # Errors
///
/// Returns 400 `parameter_invalid`, `limit_invalid`, `limit_too_large` or `sort_invalid` for an argument that doesn't
/// match the schema.
pub(super) fn read_page(tool: &McpTool, arguments: Option<&Bytes>) -> Result<PageQuery, ListFault> {
    let list = &*tool.list;
    let arguments = ToolArguments::read(tool, arguments, &[LIMIT, CURSOR, SORT])?;
    let limit = arguments.limit(list)?;
    let cursor = arguments.text(CURSOR)?;
    let mut query = arguments.list_query(list)?;
    query.pairs.insert(0, (own("first"), limit.to_string()));
    // The total can cost an additional request, so only the first page contains it.
    query.counted = cursor.is_none();
    query.pairs.extend(cursor.map(|cursor| (own("after"), cursor.into_owned())));
    query.pairs.extend(arguments.sort(list)?.map(|sort| (own("sort"), sort)));
    Ok(query)
}

/// Reads the arguments of a tool that exports a list.
///
/// # Errors
///
/// Returns 400 `parameter_invalid` or `sort_invalid` for an argument that doesn't match the schema.
pub(super) fn read_export(tool: &McpTool, arguments: Option<&Bytes>) -> Result<ExportAsk, ListFault> {
    let list = &*tool.list;
    let sortable = list.sort_parameter.as_ref().map(|_| SORT);
    let names: Vec<&str> = [FORMAT, COMPRESSION, COLUMNS, EXPORT].into_iter().chain(sortable).collect();
    let arguments = ToolArguments::read(tool, arguments, &names)?;
    let mut query = arguments.list_query(list)?;
    if let Some(id) = arguments.text(EXPORT)? {
        // The id becomes part of the path, and a string of another form could lead to another route. So the form is
        // checked. Test: `a_tool_begins_an_export_and_follows_it`.
        if !exports::is_id(&id) {
            return Err(fault(EXPORT, "is the `id` of an export"));
        }
        query.pairs.clear();
        return Ok(ExportAsk::State(query, id.into_owned()));
    }
    if let (Some(sort), Some(parameter)) = (arguments.sort(list)?, &list.sort_parameter) {
        query.pairs.push((parameter.clone(), sort));
    }
    let mut order = Vec::new();
    for name in [FORMAT, COMPRESSION] {
        order.extend(arguments.text(name)?.map(|word| (name, Document::from(&*word))));
    }
    order.extend(arguments.texts(COLUMNS)?.map(|columns| (COLUMNS, Document::texts(columns))));
    Ok(ExportAsk::Begin(query, Document::object(order).render().into()))
}

impl<'a> ToolArguments<'a> {
    /// Reads the arguments and checks their names. `own` are the names that belong to the tool itself, in addition to
    /// the list's names.
    fn read(tool: &McpTool, arguments: Option<&'a Bytes>, own: &[&str]) -> Result<Self, ListFault> {
        let ToolList { arguments: names, .. } = &*tool.list;
        let members = arguments.map_or(Some(Vec::new()), |arguments| json::members(arguments));
        let members = members.ok_or_else(|| fault("arguments", "are an object"))?;
        let of_list = names.path.iter().chain(&names.filters).map(|(_, argument)| argument.as_str());
        let known: Vec<&str> = own.iter().copied().chain(of_list).collect();
        let is_known = |name: &[u8]| known.iter().any(|known| known.as_bytes() == name);
        if let Some((unknown, _)) = members.iter().find(|(name, _)| !is_known(name)) {
            let unknown: String = String::from_utf8_lossy(unknown).chars().take(100).collect();
            // `sort` isn't suggested for a list with only one order, because any call with it is refused.
            let shown = known.into_iter().filter(|name| *name != SORT || !tool.list.terms.is_empty());
            let shown = shown.collect::<Vec<_>>().join(", ");
            let detail = format!("`{unknown}` is not an argument of {}: there are {shown}", tool.definition.name);
            return Err(ListFault::new(Code::ParameterInvalid, detail));
        }
        Ok(Self { members })
    }

    /// Returns the JSON of an argument; `None` if it is missing or null, because models write null for an argument that
    /// they mean to leave out.
    fn value(&self, name: &str) -> Option<&'a [u8]> {
        let (_, value) = self.members.iter().find(|(known, _)| **known == *name.as_bytes())?;
        Some(*value).filter(|value| *value != b"null")
    }

    fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, ListFault> {
        self.value(name).map(|value| text(value).ok_or_else(|| fault(name, "is a string"))).transpose()
    }

    fn texts(&self, name: &str) -> Result<Option<Vec<String>>, ListFault> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let elements = json::elements(value).filter(|elements| elements.len() <= MOST_COLUMNS);
        let texts =
            elements.and_then(|elements| elements.into_iter().map(|one| Some(text(one)?.into_owned())).collect());
        texts.map(Some).ok_or_else(|| fault(name, "is an array of strings"))
    }

    fn limit(&self, list: &ToolList) -> Result<u32, ListFault> {
        let (default, most) = list.limits;
        let Some(value) = self.value(LIMIT) else { return Ok(default) };
        let invalid = || ListFault::new(Code::LimitInvalid, format!("`limit` is an integer from 1 to {most}"));
        // A number such as `2.0` is also an integer in JSON Schema. Test: `arguments_reach_the_list`.
        let is_number = scalar::kind(value) == ScalarKind::Number;
        let limit = scalar::unsigned(value).filter(|limit| is_number && *limit > 0).ok_or_else(invalid)?;
        u32::try_from(limit).ok().filter(|limit| *limit <= most).ok_or_else(|| {
            let detail = format!("`limit` is at most {most}: the rest follows by `cursor`");
            ListFault::new(Code::LimitTooLarge, detail)
        })
    }

    /// Returns the sort as the value of the gateway's parameter, which is the terms joined by commas; `None` without
    /// `sort`.
    fn sort(&self, list: &ToolList) -> Result<Option<String>, ListFault> {
        let Some(terms) = self.texts(SORT)? else { return Ok(None) };
        // An empty sort is also refused, because the schema has `minItems`.
        // Test: `wrong_arguments_are_errors_that_say_what_to_write`.
        if terms.is_empty() || terms.iter().any(|term| !list.terms.contains(term)) {
            let detail = match list.terms.as_slice() {
                [] => "the list has one order: leave out `sort`".to_owned(),
                terms => format!("`sort` is an array of some of {}", terms.join(", ")),
            };
            return Err(ListFault::new(Code::SortInvalid, detail));
        }
        Ok(Some(terms.join(",")))
    }

    /// Returns the query with the path and the filters that the arguments state.
    fn list_query(&self, list: &ToolList) -> Result<PageQuery, ListFault> {
        for (_, argument) in &list.arguments.path {
            // Without a value for this part, the path could name another resource, so the argument is required.
            // Test: `wrong_arguments_are_errors_that_say_what_to_write`.
            if self.text(argument)?.is_none_or(|value| value.is_empty()) {
                return Err(fault(argument, "is needed: a string that is not empty"));
            }
        }
        let value = |argument: &str| self.text(argument).ok().flatten().map(Cow::into_owned).unwrap_or_default();
        let path = list.arguments.fill(&list.path, value);
        let mut pairs = Vec::new();
        for ((parameter, argument), kind) in list.arguments.filters.iter().zip(&list.kinds) {
            let Some(value) = self.value(argument) else { continue };
            pairs.push((parameter.clone(), spelled(value, *kind).map_err(|form| fault(argument, form))?));
        }
        Ok(PageQuery { path, pairs, counted: false })
    }
}

/// Returns the value of a filter as a string. Numbers keep all their digits.
///
/// # Errors
///
/// Returns the form that the argument must have as the end of a sentence, such as `is an integer`.
fn spelled(value: &[u8], kind: Option<ParameterKind>) -> Result<String, &'static str> {
    let as_written = || String::from_utf8_lossy(value).into_owned();
    let is_integer = || value.strip_prefix(b"-").unwrap_or(value).iter().all(u8::is_ascii_digit);
    match (kind, scalar::kind(value)) {
        (Some(ParameterKind::Text) | None, ScalarKind::Text) => {
            text(value).map(Cow::into_owned).ok_or("is a string of Unicode characters")
        }
        (Some(ParameterKind::Number) | None, ScalarKind::Number) => Ok(as_written()),
        (Some(ParameterKind::Integer), ScalarKind::Number) if is_integer() => Ok(as_written()),
        (Some(ParameterKind::Boolean) | None, ScalarKind::Boolean(_)) => Ok(as_written()),
        (Some(ParameterKind::Text), _) => Err("is a string"),
        (Some(ParameterKind::Integer), _) => Err("is an integer"),
        (Some(ParameterKind::Number), _) => Err("is a number"),
        (Some(ParameterKind::Boolean), _) => Err("is true or false"),
        (None, _) => Err("is a string, a number, or true or false"),
    }
}

fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    match scalar::text(value)? {
        Cow::Borrowed(text) => std::str::from_utf8(text).ok().map(Cow::Borrowed),
        Cow::Owned(text) => String::from_utf8(text).ok().map(Cow::Owned),
    }
}

fn fault(argument: &str, form: &str) -> ListFault {
    ListFault::new(Code::ParameterInvalid, format!("`{argument}` {form}"))
}
