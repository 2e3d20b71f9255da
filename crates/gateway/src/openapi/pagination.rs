//! OpenAPI extensions from which client generators make iterators. They name the parameter that takes the cursor, the
//! place of the items in an answer, and the place of the cursor or the URL of the next page. They describe the route's
//! own envelope.
//!
//! - `x-speakeasy-pagination`: <https://www.speakeasy.com/docs/sdks/customize/runtime/pagination>. The inputs don't
//!   contain `limit`. With this input, a client would treat a page with fewer items than requested as the last page,
//!   but the gateway may lower limits.
//! - `x-fern-pagination`: <https://buildwithfern.com/learn/api-definitions/openapi/extensions/pagination>. Its paths
//!   have dots between names. Names with dots and bodies that are arrays therefore have no path.
//! - `x-ms-pageable`: <https://github.com/Azure/autorest/blob/main/docs/extensions/readme.md#x-ms-pageable>. It names
//!   only members of the body itself, not nested members.
//!
//! An extension is left out if it can't describe the way to the next page. With such an extension, clients would stop
//! after the first page.

use super::described::{DescribedRoute, LinkStart, Method};
use cursorgate_config::settings::Role;
use cursorgate_core::json::{Document, Pointer};
use cursorgate_translate::downstream::envelope::places::EnvelopePlaces;

pub(super) fn extensions(described: &DescribedRoute<'_>, method: Method) -> Vec<(&'static str, Document)> {
    let envelope = &described.list_settings.envelope;
    let places = EnvelopePlaces::of_body(&envelope.body, &described.list_settings.collection);
    let Some(items) = places.items.as_ref().and_then(Pointer::names) else { return Vec::new() };
    let found = [
        ("x-speakeasy-pagination", speakeasy(described, method, &places, &items)),
        ("x-fern-pagination", fern(described, method, &places, &items)),
        ("x-ms-pageable", pageable(described, method, &places, &items)),
    ];
    found.into_iter().filter_map(|(name, extension)| Some((name, extension?))).collect()
}

/// The next page's cursor in a body, and the parameter that takes the cursor.
struct NextCursor<'a> {
    /// The names of the members that lead to the cursor.
    output: Vec<&'a str>,
    /// The name of the query parameter, or of the member of the request's body.
    input: &'a str,
    in_body: bool,
}

impl<'a> NextCursor<'a> {
    /// Returns the place and the parameter of the next cursor: of the page's cursor if pages have one, and otherwise of
    /// the last item's. Returns `None` if the extensions can't name them.
    fn find(described: &'a DescribedRoute<'_>, method: Method, places: &'a EnvelopePlaces) -> Option<Self> {
        let (_, own) = described.conventions().next()?;
        let named = |role| own.name(role);
        let (place, name) = match places.find("next.cursor").zip(named(Role::Cursor).or_else(|| named(Role::After))) {
            Some(found) => found,
            None => places.find("end.cursor").zip(named(Role::After))?,
        };
        let input = match name.strip_prefix('/') {
            None => name,
            // The extensions can name the body's own members, but not nested members.
            Some(member) if method == Method::Post && !member.contains(['/', '~']) => member,
            // The extensions can't name this parameter: clients would stop after the first page. Test:
            // `envelopes_that_no_extension_can_describe_have_none`.
            Some(_) => return None,
        };
        Some(Self { output: place.names()?, input, in_body: name.starts_with('/') })
    }
}

/// Returns the names of the members that lead to the link to the next page. Returns `None` for POST, for envelopes that
/// take cursors in request bodies, and for envelopes without a link to the next page in the body.
fn next_link<'a>(described: &DescribedRoute<'_>, method: Method, places: &'a EnvelopePlaces) -> Option<Vec<&'a str>> {
    let (_, own) = described.conventions().next()?;
    let is_by_url = method == Method::Get && !own.takes_cursors_in_body();
    places.find("links.next").filter(|_| is_by_url)?.names()
}

fn speakeasy(
    described: &DescribedRoute<'_>,
    method: Method,
    places: &EnvelopePlaces,
    items: &[&str],
) -> Option<Document> {
    let results = json_path(items);
    if let Some(next) = NextCursor::find(described, method, places) {
        let place = if next.in_body { "requestBody" } else { "parameters" };
        let input = Document::object([("name", next.input.into()), ("in", place.into()), ("type", "cursor".into())]);
        let outputs = Document::object([("results", results.into()), ("nextCursor", json_path(&next.output).into())]);
        return Some(Document::object([
            ("type", "cursor".into()),
            ("inputs", vec![input].into()),
            ("outputs", outputs),
        ]));
    }
    // A path isn't a URL, so only links that begin with a host are named. Test:
    // `links_are_named_where_they_are_urls_or_where_paths_have_a_name`.
    let link = next_link(described, method, places).filter(|_| described.links == LinkStart::Host)?;
    let outputs = Document::object([("results", results.into()), ("nextUrl", json_path(&link).into())]);
    Some(Document::object([("type", "url".into()), ("outputs", outputs)]))
}

fn fern(described: &DescribedRoute<'_>, method: Method, places: &EnvelopePlaces, items: &[&str]) -> Option<Document> {
    let results = dotted("$response", items)?;
    if let Some(next) = NextCursor::find(described, method, places) {
        let mut members = vec![
            ("cursor", dotted("$request", &[next.input])?.into()),
            ("next_cursor", dotted("$response", &next.output)?.into()),
            ("results", results.into()),
        ];
        let more = places.find("has_next").and_then(Pointer::names).and_then(|names| dotted("$response", &names));
        members.extend(more.map(|more| ("has-next-page", more.into())));
        return Some(Document::object(members));
    }
    let link = next_link(described, method, places)?;
    let name = match described.links {
        LinkStart::Host => "next_uri",
        LinkStart::Path => "next_path",
        LinkStart::Unknown => return None,
    };
    Some(Document::object([(name, dotted("$response", &link)?.into()), ("results", results.into())]))
}

fn pageable(
    described: &DescribedRoute<'_>,
    method: Method,
    places: &EnvelopePlaces,
    items: &[&str],
) -> Option<Document> {
    let link = next_link(described, method, places).filter(|_| described.links == LinkStart::Host)?;
    let (&[link], &[items]) = (&link[..], items) else { return None };
    Some(Document::object([("nextLinkName", link.into()), ("itemName", items.into())]))
}

/// Returns a `JSONPath` (RFC 9535), such as `$.links.next` or `$['@odata.nextLink']`.
fn json_path(names: &[&str]) -> String {
    let step = |name: &&str| match is_plain(name) {
        true => format!(".{name}"),
        false => format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'")),
    };
    names.iter().fold("$".to_owned(), |path, name| path + &step(name))
}

/// Returns a path with dots, such as `$response.links.next`. Returns `None` without names, or if a name is empty or
/// contains a dot or `$`.
fn dotted(start: &str, names: &[&str]) -> Option<String> {
    let can = !names.is_empty() && names.iter().all(|name| !name.is_empty() && !name.contains(['.', '$']));
    can.then(|| names.iter().fold(start.to_owned(), |path, name| path + "." + name))
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::openapi::tests::document;

    /// Returns the pagination extensions of a route with this envelope. `more` contains additional keys of the route.
    fn extensions(envelope: &str, more: &str, method: &str) -> Value {
        let routes = format!(
            "[routes.users]\nold_clients = \"none\"\npath = \"/users\"\ndialect = \"offset-limit\"\norder = [\"id\"]\nenvelope = \"{envelope}\"\n{more}\n\
             [envelopes.flat]\ncontent_type = \"application/json\"\nparameters = {{ cursor = \"/on\", limit = \"/size\" }}\n\
             body = {{ rows = [\"{{item}}\"], on = \"{{next.cursor}}\" }}\n"
        );
        let operation = document(&routes, &[], None)["paths"]["/users"][method].clone();
        let own = operation.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("x-"));
        own.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// A public URL, with which links are URLs instead of paths.
    const URL: &str = "public_url = \"https://api.example.com\"";

    #[test]
    fn cursors_in_bodies_are_named_with_the_parameter_that_takes_them() {
        let cursor = |name: &str, place: &str, results: &str, next: &str| {
            json!({ "type": "cursor", "inputs": [{ "name": name, "in": place, "type": "cursor" }],
                    "outputs": { "results": results, "nextCursor": next } })
        };
        assert_eq!(
            extensions("standard", URL, "get"),
            json!({
                "x-speakeasy-pagination": cursor("cursor", "parameters", "$.data", "$.pagination.nextCursor"),
                "x-fern-pagination": { "cursor": "$request.cursor", "next_cursor": "$response.pagination.nextCursor",
                                       "results": "$response.data", "has-next-page": "$response.pagination.hasMore" },
            })
        );
        let relay = extensions("relay", "", "get");
        assert_eq!(relay["x-speakeasy-pagination"], cursor("after", "parameters", "$.edges", "$.pageInfo.endCursor"));
        assert_eq!(relay["x-fern-pagination"]["has-next-page"], "$response.pageInfo.hasNextPage");
        let aip = extensions("aip", "collection = \"people\"", "get");
        assert_eq!(aip["x-speakeasy-pagination"], cursor("pageToken", "parameters", "$.people", "$.nextPageToken"));
        let renamed = extensions("standard", "parameters = { cursor = \"on\" }", "get");
        assert_eq!(renamed["x-fern-pagination"]["cursor"], "$request.on");
        let posted = extensions("flat", "methods = [\"POST\"]", "post");
        assert_eq!(posted["x-speakeasy-pagination"], cursor("on", "requestBody", "$.rows", "$.on"));
    }

    #[test]
    fn links_are_named_where_they_are_urls_or_where_paths_have_a_name() {
        let url =
            |results: &str, next: &str| json!({ "type": "url", "outputs": { "results": results, "nextUrl": next } });
        assert_eq!(
            extensions("drf", URL, "get"),
            json!({
                "x-speakeasy-pagination": url("$.results", "$.next"),
                "x-fern-pagination": { "next_uri": "$response.next", "results": "$response.results" },
                "x-ms-pageable": { "nextLinkName": "next", "itemName": "results" },
            })
        );
        assert_eq!(
            extensions("drf", "", "get"),
            json!({ "x-fern-pagination": { "next_path": "$response.next", "results": "$response.results" } })
        );
        assert_eq!(
            extensions("odata", URL, "get"),
            json!({
                "x-speakeasy-pagination": url("$.value", "$['@odata.nextLink']"),
                "x-ms-pageable": { "nextLinkName": "@odata.nextLink", "itemName": "value" },
            })
        );
        let hal = extensions("hal", "hosts = [\"api.example.com\"]", "get");
        assert_eq!(hal["x-speakeasy-pagination"], url("$._embedded.users", "$._links.next.href"));
        assert_eq!(hal.get("x-ms-pageable"), None, "its names are members of the body itself");
    }

    /// With a wrong extension, a generated client would stop after the first page.
    #[test]
    fn envelopes_that_no_extension_can_describe_have_none() {
        for (envelope, more) in [("bare", ""), ("ogc", ""), ("batch", "methods = [\"POST\"]")] {
            let method = if envelope == "batch" { "post" } else { "get" };
            assert_eq!(extensions(envelope, &format!("{URL}\n{more}"), method), json!({}), "{envelope}");
        }
    }
}
