//! Descriptions of lists for the clients of services (GraphQL, MCP). They are compiled with the snapshot, because they
//! need the settings, which the process drops afterwards.

use std::sync::Arc;

use crate::{
    config::{
        CONNECTION,
        settings::{ListSettings, OfferedListSettings, Role, RouteSettings, Settings},
    },
    downstream::RequestKind,
    gateway::{
        openapi::{self, Names, ParameterKind},
        routes::{list::List, route::Route},
    },
    json::Document,
};

/// The lists that services describe, for each service in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct DescribedLists {
    pub(crate) graphql: Vec<DescribedList>,
    pub(crate) mcp: Vec<DescribedList>,
}

/// A list that a service offers.
#[derive(Debug)]
pub(crate) struct DescribedList {
    /// The name by which the service offers it.
    pub(crate) name: String,
    pub(crate) route: String,
    pub(crate) collection: String,
    /// The description in the configuration, else the one in the upstream's OpenAPI document.
    pub(crate) description: Option<String>,
    /// The path in the configuration, with `{name}` for a parameter.
    pub(crate) path: String,
    pub(crate) filters: Vec<FilterParameter>,
    /// The fields that clients can sort by; empty if the list has one order.
    pub(crate) sortable: Vec<String>,
    /// The parameter by which requests in the route's own convention sort.
    pub(crate) sort_parameter: Option<String>,
    /// The number of items of a page for a request without a limit, and the largest limit.
    pub(crate) limits: (u32, u32),
    /// `None` if no document of the upstream describes the items.
    pub(crate) item: Option<ItemDescription>,
}

/// A parameter by which clients filter a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilterParameter {
    pub(crate) name: String,
    /// The kind of its values; `None` if no document describes them.
    pub(crate) kind: Option<ParameterKind>,
    pub(crate) description: Option<String>,
}

/// The description of items by the upstream's own document.
#[derive(Debug)]
pub(crate) struct ItemDescription {
    /// The file of the document.
    pub(crate) file: String,
    pub(crate) schema: Document,
    /// The schemas that `schema` refers to. The same schema has the same name in every description of the file.
    pub(crate) components: Vec<(String, Document)>,
}

/// Describes the lists that services offer.
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

/// Returns the filters that the configuration names, and then the others that the upstream's document describes.
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

/// Returns whether a list takes a parameter as a filter. Parameters that page or sort are none: services have arguments
/// of their own for them. The answer is that of the parser of requests, which reads a query with the parameter.
fn is_filter(name: &str, list: &List) -> bool {
    let Some(chosen) = list.conventions.choose_inner(CONNECTION) else { return false };
    let encoded: String = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).collect();
    let parameters = &chosen.convention.parameters;
    let read = parameters.read(Some(&format!("cursorgate.first=1&{encoded}=1")));
    let is_taken = read.is_ok_and(|read| read.kind == RequestKind::Cursor && !read.filters.forwarded.is_empty());
    is_taken && !parameters.is_private(name.as_bytes())
}
