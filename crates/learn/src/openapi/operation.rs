//! The operation of a path in an OpenAPI document: its parameters, body, answer and credentials.

use http::Method;
use serde_json::Value;

use super::{
    DocumentedParameter,
    schema::{DocumentSchemas, text_of},
};
use crate::prober::answer::step;

/// The largest number of operations and of parameters that are read.
const MOST: usize = 5_000;

/// The maximum depth of the members of a body.
const BODY_DEPTH: usize = 3;

pub(super) struct FoundOperation<'d> {
    /// The path template in the document, such as `/users/{id}`.
    pub(super) template: &'d str,
    item: &'d Value,
    operation: &'d Value,
}

fn operations<'d>(reader: DocumentSchemas<'d>, method: &Method) -> Vec<FoundOperation<'d>> {
    let name = method.as_str().to_ascii_lowercase();
    let paths = reader.root.get("paths").and_then(Value::as_object).into_iter().flatten().take(MOST);
    let found = paths.filter_map(|(template, item)| {
        let item = reader.resolved(item)?;
        Some(FoundOperation { template, item, operation: item.get(&name)? })
    });
    found.collect()
}

/// Returns the path templates without parameters that have an operation with this method.
pub(super) fn lists(reader: DocumentSchemas<'_>, method: &Method) -> Vec<String> {
    let all = operations(reader, method).into_iter().map(|found| found.template);
    all.filter(|template| !template.contains('{')).map(str::to_owned).collect()
}

/// Finds the operation whose path template matches the end of a path. Prefers a template that matches everything after
/// the path of a server; the prefix of a proxy may differ. Of several such templates, the one with the most literal
/// segments is chosen.
pub(super) fn find<'d>(reader: DocumentSchemas<'d>, method: &Method, path: &str) -> Option<FoundOperation<'d>> {
    let segments = segments(path);
    let fitting = operations(reader, method).into_iter().filter_map(|found| {
        let literal = fits(&segments, found.template)?;
        // The servers of an operation replace the servers of its path, which replace the servers of the document
        // (OpenAPI 3).
        let servers =
            [found.operation, found.item, reader.root].into_iter().find_map(|at| at.get("servers")?.as_array());
        let prefixes = servers.into_iter().flatten().map(server_path);
        let missing = segments.len().checked_sub(self::segments(found.template).len())?;
        let is_whole =
            missing == 0 || prefixes.into_iter().any(|prefix| self::segments(&prefix) == segments[..missing]);
        Some(((is_whole, literal), found))
    });
    fitting.max_by_key(|(rank, _)| *rank).map(|(_, found)| found)
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

/// Returns the number of literal segments of a path template; `None` if the template does not match the end of the
/// path.
fn fits(path: &[&str], template: &str) -> Option<usize> {
    let own = segments(template);
    let end = &path[path.len().checked_sub(own.len())?..];
    let is_parameter = |segment: &str| segment.contains('{');
    let is_fit = own.iter().zip(end).all(|(own, given)| is_parameter(own) || own == given);
    let literal = own.iter().filter(|segment| !is_parameter(segment)).count();
    // A template without literal segments, such as `/{id}`, would match the end of every path.
    (is_fit && (literal > 0 || path.is_empty())).then_some(literal)
}

/// Returns the path of a server's URL, with the defaults of its variables.
fn server_path(server: &Value) -> String {
    let mut url = server.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, variable) in server.get("variables").and_then(Value::as_object).into_iter().flatten() {
        let usual = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), usual);
    }
    match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or_else(String::new, |at| rest[at..].to_owned()),
        None => url,
    }
}

/// A substitute without keys, for a parameter without a schema.
static EMPTY: Value = Value::Null;

/// Returns the parameters of the query. A parameter of the operation replaces the parameter of its path with the same
/// name.
pub(super) fn parameters<'d>(reader: DocumentSchemas<'d>, found: &FoundOperation<'d>) -> Vec<DocumentedParameter> {
    let mut own: Vec<DocumentedParameter> = Vec::new();
    let lists = [found.operation, found.item].into_iter().filter_map(|at| at.get("parameters")?.as_array());
    for parameter in lists.flatten().take(MOST).filter_map(|parameter| reader.resolved(parameter)) {
        let text = |key: &str| parameter.get(key).and_then(Value::as_str);
        let (Some(name), Some("query")) = (text("name"), text("in")) else { continue };
        let schema = parameter.get("schema").unwrap_or(&EMPTY);
        let members = reader.properties(schema);
        if members.is_empty() {
            let mut one = read(reader, name.to_owned(), schema);
            one.example = parameter.get("example").and_then(text_of).or(one.example);
            one.is_required = parameter.get("required") == Some(&Value::Bool(true));
            add(&mut own, one);
        }
        // The style `deepObject` sends the members of an object as `page[size]=5`. Other styles send them as `size=5`.
        let is_deep = text("style") == Some("deepObject");
        for (member, schema) in members {
            let name = if is_deep { format!("{name}[{member}]") } else { member.clone() };
            add(&mut own, read(reader, name, schema));
        }
    }
    own
}

fn add(own: &mut Vec<DocumentedParameter>, new: DocumentedParameter) {
    if !own.iter().any(|known| known.name == new.name) {
        own.push(new);
    }
}

fn read<'d>(reader: DocumentSchemas<'d>, name: String, schema: &'d Value) -> DocumentedParameter {
    let text = |key: &str| reader.value(schema, key).and_then(text_of);
    let number = |key: &str| reader.value(schema, key).and_then(Value::as_u64);
    // `exclusiveMaximum` is a number in OpenAPI 3.1, and a flag next to `maximum` in 3.0. Both forms are read.
    let is_exclusive = reader.value(schema, "exclusiveMaximum") == Some(&Value::Bool(true));
    let below = number("exclusiveMaximum").or_else(|| number("maximum").filter(|_| is_exclusive));
    let maximum = below.map(|bound| bound.saturating_sub(1)).or_else(|| number("maximum"));
    let (kind, choices) = (reader.kind(schema), reader.choices(schema));
    let example = text("example").or_else(|| text("default")).or_else(|| text("minimum"));
    let example = example.or_else(|| choices.first().cloned());
    DocumentedParameter { name, kind, maximum, default: text("default"), example, choices, is_required: false }
}

/// Returns the members of the JSON body. The name of each is a JSON Pointer, such as `/paging/size`.
pub(super) fn members_of_body<'d>(reader: DocumentSchemas<'d>, found: &FoundOperation<'d>) -> Vec<DocumentedParameter> {
    let body = found.operation.get("requestBody").and_then(|body| reader.resolved(body));
    let Some(schema) = body.and_then(json_schema) else { return Vec::new() };
    let mut own = Vec::new();
    let mut waiting = vec![(String::new(), schema, 0)];
    while let Some((at, schema, depth)) = waiting.pop() {
        for (name, member) in reader.properties(schema) {
            let pointer = format!("{at}{}", step(name));
            if own.len() >= MOST {
                return own;
            }
            if depth + 1 < BODY_DEPTH && !reader.properties(member).is_empty() {
                waiting.push((pointer, member, depth + 1));
            } else {
                own.push(read(reader, pointer, member));
            }
        }
    }
    own
}

/// Returns the schema of a successful answer in JSON; `None` if the document has none.
pub(super) fn answer<'d>(reader: DocumentSchemas<'d>, found: &FoundOperation<'d>) -> Option<&'d Value> {
    let responses = found.operation.get("responses")?;
    let response = ["200", "206", "2XX", "2xx", "default"].into_iter().find_map(|status| responses.get(status))?;
    json_schema(reader.resolved(response)?)
}

fn json_schema(holder: &Value) -> Option<&Value> {
    let types = holder.get("content")?.as_object()?;
    // The media type may have parameters, such as `charset`, so only its beginning is compared.
    let plain = types.iter().find(|(name, _)| name.starts_with("application/json"));
    let json = plain.or_else(|| types.iter().find(|(name, _)| name.contains("json") || *name == "*/*"))?;
    json.1.get("schema")
}

/// Returns the headers in which the operation's security schemes send credentials.
pub(super) fn credentials<'d>(reader: DocumentSchemas<'d>, found: &FoundOperation<'d>) -> Vec<String> {
    // The security requirements of an operation replace the requirements of the document (OpenAPI 3, Operation Object).
    let required = found.operation.get("security").or_else(|| reader.root.get("security")).and_then(Value::as_array);
    let names = required.into_iter().flatten().filter_map(Value::as_object).flat_map(|scheme| scheme.keys());
    let schemes = names.filter_map(|name| {
        let known = reader.root.get("components")?.get("securitySchemes")?.get(name)?;
        reader.resolved(known)
    });
    let mut own: Vec<String> = Vec::new();
    for scheme in schemes.take(MOST) {
        let text = |key: &str| scheme.get(key).and_then(Value::as_str);
        let header = match (text("type"), text("in")) {
            (Some("apiKey"), Some("header")) => text("name").map(str::to_owned),
            (Some("apiKey"), Some("cookie")) => Some("Cookie".to_owned()),
            (Some("http" | "oauth2" | "openIdConnect"), _) => Some("Authorization".to_owned()),
            _ => None,
        };
        own.extend(header.filter(|header| !own.contains(header)));
    }
    own
}
