//! Descriptions of lists for the clients of services (GraphQL, MCP). The snapshot compiles the descriptions, because
//! they need the settings, which the process drops after compilation.

use std::sync::Arc;

use crate::{
    openapi::{self, Names, ParameterKind},
    routes::{list::List, route::Route},
};
use cursorgate_config::{
    CONNECTION,
    settings::{ListSettings, OfferedListSettings, Role, RouteSettings, Settings},
};
use cursorgate_core::json::Document;
use cursorgate_translate::downstream::RequestKind;

/// The lists that services describe. Each service's lists are in the order of the configuration file.
#[derive(Debug, Default)]
pub struct DescribedLists {
    pub graphql: Vec<DescribedList>,
    pub mcp: Vec<DescribedList>,
}

/// A list that a service offers.
#[derive(Debug)]
pub struct DescribedList {
    /// The name under which the service offers the list.
    pub name: String,
    pub route: String,
    pub collection: String,
    /// The description in the configuration, or else the one in the upstream's OpenAPI document; `None` if there is
    /// neither.
    pub description: Option<String>,
    /// The path in the configuration, with `{name}` for a parameter.
    pub path: String,
    pub filters: Vec<FilterParameter>,
    /// The fields by which clients can sort; empty if the list has only one order.
    pub sortable: Vec<String>,
    /// The parameter that sorts requests in the route's own convention; `None` if the convention has no such parameter.
    pub sort_parameter: Option<String>,
    /// The default limit and the largest limit of a page.
    pub limits: (u32, u32),
    /// The description of the items; `None` if no document of the upstream describes them.
    pub item: Option<ItemDescription>,
}

/// A parameter with which clients filter a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterParameter {
    pub name: String,
    /// The kind of the parameter's values; `None` if no document describes the parameter.
    pub kind: Option<ParameterKind>,
    pub description: Option<String>,
}

/// The description of a list's items in the upstream's own document.
#[derive(Debug)]
pub struct ItemDescription {
    /// The path of the document's file.
    pub file: String,
    pub schema: Document,
    /// The schemas that `schema` refers to, with their names. A schema has the same name in every description of the
    /// file.
    pub components: Vec<(String, Document)>,
}

/// Describes the lists that GraphQL and MCP offer.
pub(super) fn describe(settings: &Settings, routes: &[Arc<Route>]) -> DescribedLists {
    let of = |offered: &[OfferedListSettings]| {
        let described = offered.iter().filter_map(|offered| {
            let written = settings.routes.iter().find(|route| route.name.value == offered.route)?;
            let list = routes.iter().find(|route| route.name == offered.route)?.list.as_ref()?;
            Some(DescribedList::of(offered, written, written.list.as_deref()?, list))
        });
        described.collect()
    };
    let services = &settings.services;
    DescribedLists {
        graphql: services.graphql.as_ref().map(|graphql| of(&graphql.fields)).unwrap_or_default(),
        mcp: services.mcp.as_ref().map(|mcp| of(&mcp.lists)).unwrap_or_default(),
    }
}

impl DescribedList {
    fn of(offered: &OfferedListSettings, route: &RouteSettings, settings: &ListSettings, list: &List) -> Self {
        let item = openapi::item_schema(route, list, &mut Names::default()).zip(route.openapi.as_ref());
        let sorts = list.dialect.can_sort();
        Self {
            name: offered.name.clone(),
            route: route.name.value.clone(),
            collection: settings.collection.clone(),
            description: offered.description.clone().or_else(|| openapi::documentation(route)),
            path: route.path.value.clone(),
            filters: filters(route, settings, list),
            sortable: settings.sortable.iter().filter(|_| sorts).map(|field| field.value.clone()).collect(),
            sort_parameter: list.conventions.own().parameters.query_name(Role::Sort).map(str::to_owned),
            limits: (settings.page_size.default, settings.page_size.max),
            item: item.map(|((schema, components), openapi)| ItemDescription {
                file: openapi.file.value.clone(),
                schema,
                components,
            }),
        }
    }
}

/// Returns the filters that the configuration names, followed by others that the upstream's document describes.
fn filters(route: &RouteSettings, settings: &ListSettings, list: &List) -> Vec<FilterParameter> {
    let mut described = openapi::query_parameters(route);
    let declared = settings.parameters.filters.iter().map(|name| {
        let known = described.iter().position(|parameter| parameter.name == name.value);
        let known = known.map(|at| described.remove(at));
        let (kind, description) = known.map_or((None, None), |known| (known.kind, known.description));
        FilterParameter { name: name.value.clone(), kind, description }
    });
    let mut filters: Vec<FilterParameter> = declared.collect();
    let others = described.into_iter().filter(|parameter| is_filter(&parameter.name, list));
    filters.extend(others.map(|parameter| FilterParameter {
        name: parameter.name,
        kind: parameter.kind,
        description: parameter.description,
    }));
    filters
}

/// Returns whether a list takes a parameter as a filter. Parameters for paging and sorting aren't filters: services
/// have separate arguments for these. Private parameters aren't filters either. The parser of requests decides, by
/// reading a query with the parameter.
fn is_filter(name: &str, list: &List) -> bool {
    let Some(chosen) = list.conventions.choose_inner(CONNECTION) else { return false };
    let encoded: String = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).collect();
    let parameters = &chosen.convention.parameters;
    // Services send requests of new clients, without a mark, whatever old clients the list has.
    let read = parameters.read_with(Some(&format!("cursorgate.first=1&{encoded}=1")), None, true);
    let is_taken = read.is_ok_and(|read| read.kind == RequestKind::Cursor && !read.filters.forwarded.is_empty());
    is_taken && !parameters.is_private(name.as_bytes())
}
