//! The JSON Schemas of the tools' arguments and results. Agents read these schemas, and clients use them to validate
//! results.

use rmcp::model::JsonObject;
use serde_json::{Value, json};

use super::tool_list::{COLUMNS, COMPRESSION, CURSOR, EXPORT, FORMAT, LIMIT, SORT, ToolList};
use crate::item_types::{TypeCatalog, ValueType};
use cursorgate_gateway::{lifecycle::snapshot::DescribedList, openapi::ParameterKind};

/// The largest nesting depth at which a schema describes items. Deeper values are described without their members. A
/// model reads the schemas of all tools at once, so these schemas must be short.
const DEPTH: usize = 3;

/// Returns the schema of the arguments for a tool that reads a list.
pub(super) fn of_reading(described: &DescribedList, list: &ToolList) -> JsonObject {
    let (default, most) = list.limits;
    let mut own = vec![
        (
            LIMIT,
            json!({
                "type": "integer", "minimum": 1, "maximum": most, "default": default,
                "description": "The number of items.",
            }),
        ),
        (
            CURSOR,
            json!({ "type": "string", "description": "`nextCursor` of an earlier result with the same other arguments." }),
        ),
    ];
    own.extend(sort(list));
    of_arguments(described, list, own)
}

/// Returns the schema of the arguments for a tool that exports a list.
pub(super) fn of_exporting(described: &DescribedList, list: &ToolList) -> JsonObject {
    let words = |words: &[&str], description: &str| json!({ "type": "string", "enum": words, "default": words.first(), "description": description });
    let mut own = vec![
        (
            FORMAT,
            words(&["ndjson", "csv", "json"], "`ndjson`: an item in each line. `csv`: a table. `json`: one array."),
        ),
        (COMPRESSION, words(&["none", "gzip", "zstd"], "The compression of the file.")),
        (
            COLUMNS,
            json!({
                "type": "array", "items": { "type": "string" }, "minItems": 1,
                "description": "The columns of a table: names of members of items. Without them, the members of the first page.",
            }),
        ),
        (
            EXPORT,
            json!({
                "type": "string",
                "description": "The `id` of an export that has begun, to ask for its state in place of beginning another one.",
            }),
        ),
    ];
    // An export uses the query of the list, which can sort only if the list has a sort parameter.
    if list.sort_parameter.is_some() {
        own.extend(sort(list));
    }
    of_arguments(described, list, own)
}

fn sort(list: &ToolList) -> Option<(&'static str, Value)> {
    let terms = (!list.terms.is_empty()).then_some(&list.terms)?;
    let description = "The order, its first term first; `-` in front of a field reverses it. Without a sort the list \
                       has its own order.";
    Some((
        SORT,
        json!({ "type": "array", "items": { "type": "string", "enum": terms }, "minItems": 1, "description": description }),
    ))
}

/// Returns the schema of a tool's own arguments, and of the arguments that come from the list: the parts of its path,
/// and the filters.
fn of_arguments(described: &DescribedList, list: &ToolList, own: Vec<(&str, Value)>) -> JsonObject {
    let mut properties: JsonObject = own.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    for (parameter, argument) in &list.arguments.path {
        let text = format!("The part `{parameter}` of the path {}.", list.path);
        properties.insert(argument.clone(), json!({ "type": "string", "minLength": 1, "description": text }));
    }
    for (filter, (_, argument)) in described.filters.iter().zip(&list.arguments.filters) {
        let text = filter.description.clone().unwrap_or_else(|| format!("The filter `{}`.", filter.name));
        let kind = match filter.kind {
            Some(ParameterKind::Text) => json!("string"),
            Some(ParameterKind::Integer) => json!("integer"),
            Some(ParameterKind::Number) => json!("number"),
            Some(ParameterKind::Boolean) => json!("boolean"),
            // Without a stated type, models write `true` and `5` without quotes. So all three types are permitted.
            None => json!(["string", "number", "boolean"]),
        };
        properties.insert(argument.clone(), json!({ "type": kind, "description": text }));
    }
    // Parts of the path have no defaults, so they are required. Every filter can be left out.
    let required: Vec<&String> = list.arguments.path.iter().map(|(_, argument)| argument).collect();
    object(json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false }))
}

/// Returns the schema of a page as a tool's result. `item` is the schema of an item; `None` permits any item.
pub(super) fn of_page(item: Option<Value>) -> JsonObject {
    object(json!({
        "type": "object",
        "properties": {
            "items": { "type": "array", "items": item.unwrap_or_else(|| json!({})), "description": "The items, as the upstream wrote them." },
            "nextCursor": { "type": ["string", "null"], "description": "The `cursor` of the next call; null at the end of the list, which is proven unless `endUnproven` is there." },
            "total": { "type": ["integer", "null"], "description": "The number of items in the whole list, where it is known." },
            "level": {
                "type": "string", "enum": ["exact", "checked", "anchored", "positional"],
                "description": "What the page promises. `exact`, `checked`: a walk to the end has every item that stays in the list, \
                                once. `anchored`: items may be missed or repeated where the list changes much. `positional`: \
                                where it changes at all.",
            },
            "unproven": { "type": "string", "description": "The reason that the page is served without a proof." },
            "endUnproven": {
                "type": "string",
                "description": "Only where `nextCursor` is null and the end is not proven: the upstream says that more items follow, \
                                and none were found. The list may go on.",
            },
            "leftOut": {
                "type": "integer",
                "description": "The number of items that were asked for and left out for their size: `nextCursor` leads to the first.",
            },
        },
        "required": ["items", "nextCursor", "total", "level"],
    }))
}

/// Returns the schema of an export's state as a tool's result.
pub(super) fn of_job() -> JsonObject {
    object(json!({
        "type": "object",
        "properties": {
            "id": { "type": "string", "description": "The name of the export, for the argument `export`." },
            "state": { "type": "string", "enum": ["queued", "active", "completed", "failed", "cancelled"] },
            "items": { "type": "integer", "description": "The items that are in the file so far." },
            "total": { "type": ["integer", "null"] },
            "level": { "type": ["string", "null"], "description": "The weakest level of its pages." },
            "statusUrl": { "type": "string" },
            "resultUrl": { "type": ["string", "null"], "description": "The address of the file, once the export is completed." },
            "error": { "description": "The reason that it has failed: code and detail." },
            "closing": { "description": "The guarantee of a completed export." },
        },
        "required": ["id", "state", "items", "statusUrl"],
    }))
}

/// Returns a schema that describes values of a type in words, but permits any value. Documents of upstreams are often
/// wrong, and a client refuses a result that doesn't match its schema.
pub(super) fn of_value(value: &ValueType, types: &TypeCatalog) -> Value {
    described_value(value, None, types, DEPTH)
}

fn described_value(value: &ValueType, text: Option<&str>, types: &TypeCatalog, depth: usize) -> Value {
    let mut schema = JsonObject::new();
    let kind = match value {
        ValueType::Text => Some("text"),
        ValueType::Integer | ValueType::BigInteger => Some("integer"),
        ValueType::Number => Some("number"),
        ValueType::Boolean => Some("true or false"),
        ValueType::Json | ValueType::Object(_) | ValueType::List(_) => None,
    };
    let description = match (kind, text) {
        (Some(kind), Some(text)) => Some(format!("({kind}) {text}")),
        (kind, text) => kind.or(text).map(str::to_owned),
    };
    schema.extend(description.map(|description| ("description".to_owned(), Value::from(description))));
    match value {
        ValueType::Object(name) if depth > 0 => {
            let object = types.objects.iter().find(|object| object.name == *name);
            let members = object.iter().flat_map(|object| &object.fields);
            let members = members.map(|field| {
                (field.member.clone(), described_value(&field.value, field.description.as_deref(), types, depth - 1))
            });
            schema.insert("properties".to_owned(), Value::Object(members.collect()));
        }
        ValueType::List(element) if depth > 0 => {
            schema.insert("items".to_owned(), described_value(element, None, types, depth - 1));
        }
        _ => {}
    }
    Value::Object(schema)
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(members) => members,
        _ => JsonObject::new(),
    }
}
