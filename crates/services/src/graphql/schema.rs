//! The GraphQL schema of a snapshot: a field with a connection for each list, and the types of all items.

use std::sync::{Arc, atomic::Ordering};

use async_graphql::{
    ErrorExtensionValues, Pos, ServerError, Value,
    dynamic::{
        Enum, EnumItem, Field, FieldFuture, FieldValue, InputObject, InputValue, Object, ResolverContext, Scalar,
        Schema, SchemaBuilder, SchemaError, TypeRef,
    },
};

use super::{
    connection::QueryRun,
    response::MOST_ERRORS,
    selection::selects,
    value::{ObjectValue, convert},
};
use crate::{
    item_types::{ObjectField, ObjectType, TypeCatalog, ValueType, field_name},
    list::ArgumentNames,
    list_page::{ConnectionEdge, ConnectionPage, ListFault, PageQuery, own},
};
use cursorgate_config::settings::GraphqlSettings;
use cursorgate_gateway::{
    Snapshot,
    lifecycle::snapshot::{DescribedList, FilterParameter},
    openapi::{Names, ParameterKind, pascal},
};
use cursorgate_translate::downstream::Code;

const JSON: &str = "JSON";
const BIG_INTEGER: &str = "BigInt";
const FILTER_VALUE: &str = "FilterValue";
const FILTER: &str = "Filter";
const GUARANTEE: &str = "Guarantee";
const PAGE_INFO: &str = "PageInfo";
const QUERY: &str = "Query";
const TOTAL_COUNT: &str = "totalCount";

/// The names that the types of items can't have.
const TAKEN: [&str; 12] =
    [JSON, BIG_INTEGER, FILTER_VALUE, FILTER, GUARANTEE, PAGE_INFO, QUERY, "Boolean", "Float", "ID", "Int", "String"];

/// The arguments of every list's field. Arguments for filters and path parameters can't have these names.
const ARGUMENTS: [&str; 6] = ["first", "after", "last", "before", "sort", "filters"];

/// The levels of pages, each with its description in the schema.
const LEVELS: [(&str, &str); 4] = [
    ("exact", "No item is skipped or repeated."),
    ("checked", "Likewise, unless changes between two readings cancelled out."),
    ("anchored", "Items that keep their places are neither skipped nor repeated as long as one around them is found."),
    ("positional", "Only the place in the list."),
];

/// The root field of the schema that reads a list.
#[derive(Debug)]
struct ConnectionField {
    route: String,
    /// The path from the configuration, with parameters such as `{id}`.
    path: String,
    arguments: ArgumentNames,
    /// The values of the sort enumeration, each with the sort term that it represents, such as `NAME_DESC` and `-name`.
    sorts: Vec<(String, String)>,
    /// The number of items of a page if the query has neither `first` nor `last`.
    default: u32,
    node: ValueType,
}

/// Builds the schema for the lists that a snapshot offers by GraphQL.
///
/// # Errors
///
/// Returns an error if the schema can't be built, which is a fault of the gateway, not of the configuration.
pub(super) fn build(snapshot: &Snapshot, settings: &GraphqlSettings) -> Result<Schema, SchemaError> {
    let mut catalog = TypeCatalog::new(&TAKEN);
    let mut builder = Schema::build(QUERY, None, None).limit_recursive_depth(settings.depth.saturating_mul(2));
    if !settings.introspection {
        // The suggestions in error messages would reveal names of the schema, so they are disabled too.
        // Test: `introspection_of_graphql_is_refused_by_default`.
        builder = builder.disable_introspection().disable_suggestions();
    }
    builder = common(builder);
    // The types of connections claim their names before the types of items do, so the documents of upstreams can't
    // change the names of connections.
    let (lists, mut stems) = (&snapshot.described.graphql, Names::default());
    let stems: Vec<String> = lists.iter().map(|list| stem(&mut catalog, &mut stems, &list.name)).collect();
    let mut query = Object::new(QUERY);
    for (list, stem) in lists.iter().zip(stems) {
        let node = list.item.as_ref().map_or(ValueType::Json, |item| catalog.add(item, &stem));
        let field = ConnectionField::of(list, node);
        let types = connection(&stem, &field.node);
        let (connection, sort) = (format!("{stem}Connection"), format!("{stem}Sort"));
        builder = types.into_iter().fold(builder, SchemaBuilder::register);
        if !field.sorts.is_empty() {
            let values =
                field.sorts.iter().map(|(value, term)| EnumItem::new(value).description(format!("By `{term}`.")));
            builder = builder.register(Enum::new(&sort).items(values));
        }
        query = query.field(list_field(list, field, &connection, &sort));
    }
    for object in catalog.objects {
        builder = builder.register(object_type(object));
    }
    builder.register(query).finish()
}

/// Claims the names of a list's types, and returns the stem with which these names begin.
fn stem(catalog: &mut TypeCatalog, stems: &mut Names, name: &str) -> String {
    let stem = pascal(name);
    // A name can't begin with a digit (section 2.1.9 of the specification).
    let stem = if stem.starts_with(|first: char| first.is_ascii_digit()) { format!("T{stem}") } else { stem };
    // The fields `people` and `People` would otherwise share their types.
    // Test: `fields_that_look_alike_have_their_own_types`.
    let stem = stems.claim(&stem);
    for suffix in ["Connection", "Edge", "Sort"] {
        catalog.claim(&format!("{stem}{suffix}"));
    }
    stem
}

/// Adds the types that all lists use to the schema.
fn common(builder: SchemaBuilder) -> SchemaBuilder {
    let integer = Scalar::new(BIG_INTEGER).description("An integer with all its digits, however many there are.");
    let json = Scalar::new(JSON)
        .description("A JSON value as the upstream wrote it.")
        .specified_by_url("https://www.rfc-editor.org/rfc/rfc8259");
    let filter_value = Scalar::new(FILTER_VALUE)
        .description("A string, a number or a boolean. Numbers with more than 15 digits are written as strings.")
        .validator(|value| matches!(value, Value::String(_) | Value::Number(_) | Value::Boolean(_)));
    let filter = InputObject::new(FILTER)
        .description("A parameter that passes to the upstream.")
        .field(InputValue::new("name", TypeRef::named_nn(TypeRef::STRING)))
        .field(InputValue::new("value", TypeRef::named_nn(FILTER_VALUE)));
    let levels = LEVELS.map(|(level, text)| EnumItem::new(level.to_ascii_uppercase()).description(text));
    let guarantee = Enum::new(GUARANTEE).description("What a page promises.").items(levels);
    let flag = |name, description, read: fn(&ConnectionPage) -> Value| {
        page_field(name, TypeRef::named_nn(TypeRef::BOOLEAN), description, read)
    };
    let cursor = |name, description, read: fn(&ConnectionPage) -> Value| {
        page_field(name, TypeRef::named(TypeRef::STRING), description, read)
    };
    let page_info = Object::new(PAGE_INFO)
        .description("The place of a page in its list.")
        .field(flag("hasNextPage", "Items follow.", |page| page.has_next.into()))
        .field(flag("hasPreviousPage", "Items precede.", |page| page.has_previous.into()))
        .field(cursor("startCursor", "The cursor of the first item.", |page| Value::Binary(page.start.clone())))
        .field(cursor("endCursor", "The cursor of the last item.", |page| Value::Binary(page.end.clone())));
    builder
        .register(integer)
        .register(json)
        .register(filter_value)
        .register(filter)
        .register(guarantee)
        .register(page_info)
}

/// Returns a field of a connection or of its `pageInfo`. `read` returns the field's value for a page.
fn page_field(name: &str, kind: TypeRef, description: &str, read: fn(&ConnectionPage) -> Value) -> Field {
    let field = Field::new(name, kind, move |context| {
        let page = context.parent_value.downcast_ref::<Arc<ConnectionPage>>();
        FieldFuture::Value(page.map(|page| read(page)).filter(|value| *value != Value::Null).map(FieldValue::value))
    });
    field.description(description)
}

/// Returns the two types of a list: its connection and its edge.
fn connection(stem: &str, node: &ValueType) -> [Object; 2] {
    let (name, edge_name) = (format!("{stem}Connection"), format!("{stem}Edge"));
    let edges = Field::new("edges", TypeRef::named_nn_list_nn(&edge_name), |context| {
        let page = context.parent_value.downcast_ref::<Arc<ConnectionPage>>();
        FieldFuture::Value(page.map(|page| {
            let places = 0..page.edges.len();
            FieldValue::list(places.map(|place| FieldValue::owned_any((Arc::clone(page), place))))
        }))
    });
    let whole = |context: &ResolverContext<'_>| {
        let page = context.parent_value.downcast_ref::<Arc<ConnectionPage>>();
        page.map(|page| FieldValue::owned_any(Arc::clone(page)))
    };
    let page_info =
        Field::new("pageInfo", TypeRef::named_nn(PAGE_INFO), move |context| FieldFuture::Value(whole(&context)));
    let total = page_field(TOTAL_COUNT, TypeRef::named(TypeRef::INT), TOTAL, |page| {
        // A total that doesn't fit is null, because `Int` has 32 bits (section 3.5.1 of the specification).
        page.total.and_then(|total| i32::try_from(total).ok()).map_or(Value::Null, Value::from)
    });
    let guarantee = page_field("guarantee", TypeRef::named_nn(GUARANTEE), "What the page promises.", |page| {
        Value::Enum(async_graphql::Name::new(page.level.to_ascii_uppercase()))
    });
    let unproven = page_field("unproven", TypeRef::named(TypeRef::STRING), UNPROVEN, |page| {
        page.unproven.as_ref().map_or(Value::Null, |reason| Value::from(reason.as_str()))
    });
    let end_unproven = page_field("endUnproven", TypeRef::named_nn(TypeRef::BOOLEAN), END_UNPROVEN, |page| {
        page.is_end_unproven.into()
    });
    let cursor = Field::new("cursor", TypeRef::named(TypeRef::STRING), |context| {
        let edge = context.parent_value.downcast_ref::<(Arc<ConnectionPage>, usize)>();
        let cursor = edge.and_then(|(page, place)| page.edges.get(*place)).map(|edge| edge.cursor.clone());
        FieldFuture::Value(cursor.map(|cursor| FieldValue::value(Value::Binary(cursor))))
    });
    let (value, of_nodes) = (node.clone(), node.clone());
    let nodes = TypeRef::NonNull(Box::new(TypeRef::List(Box::new(type_ref(node)))));
    let nodes = Field::new("nodes", nodes, move |context| {
        let page = context.parent_value.downcast_ref::<Arc<ConnectionPage>>();
        FieldFuture::Value(page.map(|page| {
            let items = page.edges.iter().map(|edge| item(&context, edge, &of_nodes).unwrap_or(FieldValue::NULL));
            FieldValue::list(items.collect::<Vec<_>>())
        }))
    });
    let node = Field::new("node", type_ref(node), move |context| {
        let edge = context.parent_value.downcast_ref::<(Arc<ConnectionPage>, usize)>();
        let edge = edge.and_then(|(page, place)| page.edges.get(*place));
        FieldFuture::Value(edge.and_then(|edge| item(&context, edge, &value)))
    });
    let connection = Object::new(name)
        .description("A page of the list.")
        .field(edges.description("The items, each with its cursor."))
        .field(nodes.description("The items."))
        .field(page_info)
        .field(total)
        .field(guarantee)
        .field(unproven)
        .field(end_unproven);
    let cursor = cursor.description("The place of the item; null in a list that the upstream pages by tokens.");
    [connection, Object::new(edge_name).field(cursor).field(node)]
}

/// Returns the value of an item; `None` if it isn't of its type, which is reported.
fn item(context: &ResolverContext<'_>, edge: &ConnectionEdge, value: &ValueType) -> Option<FieldValue<'static>> {
    let invalid = || "the upstream's item is not valid JSON".to_owned();
    let node = edge.node.as_ref().ok_or_else(invalid);
    checked(context, node.and_then(|node| convert(node, value).map_err(|mismatch| mismatch.0)))
}

const TOTAL: &str = "The number of items in the whole list; null where the upstream does not report it.";
const UNPROVEN: &str = "The reason that the page is served without a proof.";
const END_UNPROVEN: &str =
    "True if the page ends the list, and the upstream says that more items follow: the list may go on.";

fn object_type(object: ObjectType) -> Object {
    let mut built = Object::new(object.name);
    if let Some(description) = object.description {
        built = built.description(description);
    }
    object.fields.into_iter().fold(built, |built, field| built.field(member_field(field)))
}

fn member_field(ObjectField { name, member, value, description }: ObjectField) -> Field {
    // If GraphQL forbids the member's name, the field has another name, and its description contains the member's name.
    let is_renamed = name != member;
    let of_member = format!("The member `{member}`.");
    let field = Field::new(name, type_ref(&value), move |context| {
        let parent = context.parent_value.downcast_ref::<ObjectValue>();
        FieldFuture::Value(match parent.map(|parent| parent.field(&member, &value)) {
            Some(found) => checked(&context, found.map_err(|mismatch| mismatch.0)),
            None => None,
        })
    });
    match (description, is_renamed) {
        (Some(text), true) => field.description(format!("{text}\n\n{of_member}")),
        (Some(text), false) => field.description(text),
        (None, true) => field.description(of_member),
        (None, false) => field,
    }
}

/// Returns the value of a field. If there is a fault, reports it as an error of the field, and returns `None`, which
/// makes the field null. If the resolver returned an error instead, the answer wouldn't contain the field.
fn checked<'v>(context: &ResolverContext<'_>, value: Result<Option<FieldValue<'v>>, String>) -> Option<FieldValue<'v>> {
    value.unwrap_or_else(|fault| {
        report(context, &ListFault { status: None, ..ListFault::new(Code::UpstreamMalformed, fault) });
        None
    })
}

/// Counts the fault of a field, and adds it to the errors of the answer unless there are [`MOST_ERRORS`] already.
fn report(context: &ResolverContext<'_>, fault: &ListFault) {
    let Some(run) = context.ctx.data_opt::<Arc<QueryRun>>() else { return };
    // If a document is wrong about all items, every field of every item has an error. So only the first errors are
    // kept. Test: `errors_are_bounded`.
    if run.faults.fetch_add(1, Ordering::Relaxed) >= MOST_ERRORS {
        return;
    }
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", fault.code.as_str());
    if let Some(status) = fault.status {
        extensions.set("status", i32::from(status));
    }
    if let Some(seconds) = fault.retry_after {
        extensions.set("retryAfter", i64::try_from(seconds).unwrap_or(i64::MAX));
    }
    let at: Pos = context.ctx.item.pos;
    let mut error = ServerError::new(fault.detail.clone(), Some(at));
    error.extensions = Some(extensions);
    context.ctx.add_error(context.ctx.set_error_path(error));
}

/// Returns a field's name as enumeration values are written: `CREATED_AT` for `created_at` and for `createdAt`.
fn screaming(name: &str) -> String {
    let mut value = String::with_capacity(name.len() + 4);
    let mut follows_lower = false;
    for character in name.chars() {
        if follows_lower && character.is_ascii_uppercase() {
            value.push('_');
        }
        follows_lower = character.is_ascii_lowercase() || character.is_ascii_digit();
        value.push(character.to_ascii_uppercase());
    }
    value
}

fn type_ref(value: &ValueType) -> TypeRef {
    match value {
        ValueType::Text => TypeRef::named(TypeRef::STRING),
        ValueType::Integer => TypeRef::named(TypeRef::INT),
        ValueType::BigInteger => TypeRef::named(BIG_INTEGER),
        ValueType::Number => TypeRef::named(TypeRef::FLOAT),
        ValueType::Boolean => TypeRef::named(TypeRef::BOOLEAN),
        ValueType::Json => TypeRef::named(JSON),
        ValueType::Object(name) => TypeRef::named(name),
        ValueType::List(element) => TypeRef::List(Box::new(type_ref(element))),
    }
}

impl ConnectionField {
    fn of(list: &DescribedList, node: ValueType) -> Self {
        let mut values = Names::default();
        let sorts = list.sortable.iter().flat_map(|field| {
            [("ASC", field.clone()), ("DESC", format!("-{field}"))]
                .map(|(direction, term)| (format!("{}_{direction}", screaming(&field_name(field))), term))
        });
        // Two fields can have the same name in upper case. The later field gets a number then.
        let sorts = sorts.map(|(value, term)| (values.claim(&value), term)).collect();
        Self {
            route: list.route.clone(),
            path: list.path.clone(),
            arguments: ArgumentNames::of(list, &ARGUMENTS, field_name),
            sorts,
            default: list.limits.0,
            node,
        }
    }

    /// Returns the request for the page that the field's arguments describe.
    ///
    /// # Errors
    ///
    /// Returns the fault of an argument that can't be sent to the list.
    fn query(&self, context: &ResolverContext<'_>) -> Result<PageQuery, ListFault> {
        let given = |name: &str| context.args.get(name).filter(|value| !value.is_null());
        let text = |name: &str| given(name).map(|value| spelled(value.as_value()));
        let path = self.arguments.fill(&self.path, |argument| text(argument).unwrap_or_default());
        let mut pairs: Vec<(String, String)> = Vec::new();
        for name in ["first", "after", "last", "before"] {
            pairs.extend(text(name).map(|value| (own(name), value)));
        }
        if given("first").is_none() && given("last").is_none() {
            // The page before a cursor must end at the cursor. With `first` it would begin at the start of the list.
            let name = if given("before").is_some() { "last" } else { "first" };
            pairs.push((own(name), self.default.to_string()));
        }
        if let Some(terms) = given("sort") {
            let terms = terms.list().map_err(|_| ListFault::new(Code::SortInvalid, "the sort is not a list"))?;
            let terms = terms.iter().map(|term| {
                let value = spelled(term.as_value());
                self.sorts.iter().find(|(known, _)| *known == value).map(|(_, term)| term.as_str())
            });
            let terms: Option<Vec<&str>> = terms.collect();
            let terms = terms.ok_or_else(|| ListFault::new(Code::SortInvalid, "there is no such sort"))?;
            if !terms.is_empty() {
                pairs.push((own("sort"), terms.join(",")));
            }
        }
        for (parameter, argument) in &self.arguments.filters {
            pairs.extend(text(argument).map(|value| (parameter.clone(), value)));
        }
        if let Some(Ok(filters)) = given("filters").map(|filters| filters.list()) {
            for filter in filters.iter() {
                // Validation has refused filters that aren't objects, so no filter is skipped here.
                let Ok(filter) = filter.object() else { continue };
                let member = |name: &str| filter.get(name).map(|value| spelled(value.as_value())).unwrap_or_default();
                let name = member("name");
                // A filter with the prefix would be a parameter of the inner form, such as the cursor, so it is
                // refused. Test: `faults_have_the_codes_of_problems`.
                if name.starts_with(&own("")) {
                    let detail = format!("`{name}` is not a filter");
                    return Err(ListFault::new(Code::ParameterInvalid, detail));
                }
                pairs.push((name, member("value")));
            }
        }
        Ok(PageQuery { path, pairs, counted: false })
    }
}

/// Returns the value of an argument as a string; empty for null, a list or an object.
fn spelled(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Enum(name) => name.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        _ => String::new(),
    }
}

/// Returns the root field of a list. `connection` and `sort` are the names of the list's types.
fn list_field(list: &DescribedList, field: ConnectionField, connection: &str, sort: &str) -> Field {
    let field = Arc::new(field);
    let argument = |name: &str, kind: TypeRef, text: String| InputValue::new(name, kind).description(text);
    let int = || TypeRef::named(TypeRef::INT);
    let string = || TypeRef::named(TypeRef::STRING);
    let (default, most) = list.limits;
    let mut built = Field::new(&list.name, TypeRef::named(connection), {
        let field = Arc::clone(&field);
        move |context| {
            let field = Arc::clone(&field);
            FieldFuture::new(async move { Ok(read(&field, &context).await.map(FieldValue::owned_any)) })
        }
    });
    built = built
        .description(format!("The list of {}.", list.collection))
        .argument(argument("first", int(), format!("The number of items, up to {most}; {default} without one.")))
        .argument(argument("after", string(), "The page begins after the item with this cursor.".to_owned()))
        .argument(argument("last", int(), "The number of items, counted from the end.".to_owned()))
        .argument(argument("before", string(), "The page ends before the item with this cursor.".to_owned()));
    for (parameter, name) in &field.arguments.path {
        let text = format!("The part `{parameter}` of the path {}.", list.path);
        built = built.argument(argument(name, TypeRef::named_nn(TypeRef::ID), text));
    }
    if !field.sorts.is_empty() {
        let kind = TypeRef::named_nn_list(sort);
        built = built.argument(argument("sort", kind, "The order, its first term first.".to_owned()));
    }
    for (FilterParameter { name: parameter, kind, description }, (_, name)) in
        list.filters.iter().zip(&field.arguments.filters)
    {
        let text = description.clone().unwrap_or_else(|| format!("The filter `{parameter}`."));
        built = built.argument(argument(name, TypeRef::named(filter_type(*kind)), text));
    }
    let text = "Further parameters that pass to the upstream.".to_owned();
    built.argument(argument("filters", TypeRef::named_nn_list(FILTER), text))
}

/// Returns the name of the type of a filter's argument. For integers it isn't `Int`, because they can have more than 32
/// bits.
fn filter_type(kind: Option<ParameterKind>) -> &'static str {
    match kind {
        Some(ParameterKind::Text) => TypeRef::STRING,
        Some(ParameterKind::Boolean) => TypeRef::BOOLEAN,
        Some(ParameterKind::Number) => TypeRef::FLOAT,
        Some(ParameterKind::Integer) | None => FILTER_VALUE,
    }
}

/// Reads the page of a field. If there is no page, reports an error of the field and returns `None`.
async fn read(field: &ConnectionField, context: &ResolverContext<'_>) -> Option<Arc<ConnectionPage>> {
    let run = context.ctx.data_opt::<Arc<QueryRun>>()?;
    let key = context.ctx.item.node.response_key().node.as_str();
    let (page, is_first) = match field.query(context) {
        Ok(query) => {
            let env = &context.ctx.query_env;
            // A total can cost an additional request to the upstream, so it is counted only if the query selects it.
            // Test: `a_total_is_counted_only_where_it_is_selected`.
            let counted = selects(&env.operation.node.selection_set.node, &env.fragments, key, TOTAL_COUNT);
            run.page(key, &field.route, &PageQuery { counted, ..query }).await
        }
        Err(fault) => (Err(fault), true),
    };
    match page {
        Ok(page) => Some(page),
        Err(fault) => {
            // A field that is selected in two places has only one error.
            if is_first {
                report(context, &fault);
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_values_are_in_upper_case_with_a_line_between_words() {
        for (name, value) in [
            ("created_at", "CREATED_AT"),
            ("createdAt", "CREATED_AT"),
            ("lineTotal2Net", "LINE_TOTAL2_NET"),
            ("SKU", "SKU"),
        ] {
            assert_eq!(screaming(name), value);
        }
    }
}
