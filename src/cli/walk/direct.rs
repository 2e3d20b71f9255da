//! The source of direct readings: an upstream that is read with a built-in dialect, or with the dialect of a route in a
//! configuration.

use std::{path::Path, sync::Arc};

use http::{HeaderName, HeaderValue};

use super::super::{
    Failure,
    arguments::WalkArguments,
    report,
    target::{self, ListUrl, NO_LISTENER},
};
use cursorgate_config::{self as config, ProcessEnvironment};
use cursorgate_core::{json::Pointer, pagination::paging::Family};
use cursorgate_gateway::{
    Snapshot,
    probe::ProbeSender,
    routes::{
        list::List,
        route::{Route, parameter_names},
    },
};
use cursorgate_tools::walk::{DirectPager, ListingPager, Pager};

/// A list of an upstream, and the dialect with which it is read.
pub(super) struct DirectSource {
    route: Arc<Route>,
}

impl DirectSource {
    /// Finds the source of the list at a URL, as the arguments describe it.
    pub(super) fn find(arguments: &WalkArguments, url: &ListUrl) -> Result<Self, Failure> {
        let snapshot = match (&arguments.dialect, &arguments.config) {
            (Some(name), _) => by_dialect(arguments, url, name)?,
            (None, Some(path)) => configured(path)?,
            (None, None) => {
                let message = "a direct list needs --dialect NAME, or --config FILE with a route for it";
                return Err(Failure::mistaken(message));
            }
        };
        let is_configured = arguments.dialect.is_none();
        let asks = |route: &&Arc<Route>| !is_configured || asks_for(route, url);
        let route = snapshot.routes.iter().filter(|route| route.described_list().is_some()).find(asks);
        match route {
            Some(route) => Ok(Self { route: Arc::clone(route) }),
            None => {
                let (peer, path) = (&url.peer, &url.path);
                Err(Failure::mistaken(format!("no route of the configuration has a list of {path} at {peer}")))
            }
        }
    }

    #[expect(clippy::expect_used, reason = "only a route with a list is found")]
    fn list(&self) -> &List {
        self.route.described_list().expect("the route has a list")
    }

    /// Returns a sender of requests with these headers, and with the TLS settings and headers of the upstream in the
    /// configuration.
    pub(super) fn sender(&self, headers: &[(HeaderName, HeaderValue)]) -> Result<ProbeSender, Failure> {
        Ok(ProbeSender::new(Arc::clone(&self.route.upstream), headers.to_vec(), None)?)
    }

    /// Returns the name for walks of this source in reports.
    pub(super) fn way(&self) -> &'static str {
        match self.list().dialect.paging().family {
            Family::Page => "by page",
            Family::Offset => "by offset",
            Family::Token => "by token",
        }
    }

    /// Creates a walk of the list at a URL, as clients of the upstream read it.
    pub(super) fn pager(&self, url: &ListUrl) -> Pager<'_> {
        Pager::Direct(self.direct(url))
    }

    /// Creates a listing of the list at a URL, with which walks are compared.
    pub(super) fn listing(&self, url: &ListUrl) -> Pager<'_> {
        Pager::Listing(Box::new(ListingPager::new(self.direct(url))))
    }

    fn direct(&self, url: &ListUrl) -> DirectPager<'_> {
        let list = self.list();
        // The sender adds the base path, so it is removed here.
        let base = self.route.upstream.base_path.as_str();
        let path = url.path.strip_prefix(base).unwrap_or(&url.path).to_owned();
        let default = list.page_size.default;
        DirectPager::new(&list.dialect, path, &url.query, default)
    }

    /// Returns the place of the id in an item; `None` if the id is outside the item.
    pub(super) fn id(&self) -> Option<Pointer> {
        let shape = &self.list().dialect.default_sorted().shape;
        let (id, item) = (shape.columns.last()?.to_string(), shape.item.to_string());
        Pointer::parse(id.strip_prefix(&item)?).ok()
    }
}

/// Compiles a configuration with a route for the URL and a built-in dialect.
fn by_dialect(arguments: &WalkArguments, url: &ListUrl, name: &str) -> Result<Snapshot, Failure> {
    let id = arguments
        .id
        .as_ref()
        .map_or_else(String::new, |_| format!("response = {{ id = {:?} }}\n", arguments.id_text()));
    let tls = if url.tls { "tls = {}\n" } else { "" };
    // The path names the collection, as for every route. A path without a segment, with braces or with percent-encoding
    // isn't used, because as the path of a route it would be invalid or mean other paths.
    let is_plain = url.path.split('/').any(|segment| !segment.is_empty()) && !url.path.contains(['{', '}', '%']);
    let path = if is_plain { url.path.as_str() } else { "/items" };
    let text = format!(
        "version = 1\n{NO_LISTENER}[cursor]\nsigning_key = 1\nkeys = {{ 1 = \"env:KEY\" }}\n[upstreams.service]\npeers = [{:?}]\n{tls}\
         [routes.list]\nold_clients = \"none\"\npath = {path:?}\nupstream = \"service\"\ndialect = \"walked\"\n\
         page_size = {{ default = 20, max = 20 }}\n\
         [dialects.walked]\nextends = {name:?}\n{id}",
        url.peer
    );
    let loaded = target::load(&text);
    loaded.map(|(snapshot, _)| snapshot).map_err(|faults| Failure::mistaken(format!("--dialect {name}:\n{faults}")))
}

/// Loads and compiles a configuration, as `run` does.
fn configured(path: &Path) -> Result<Snapshot, Failure> {
    let (settings, mut diagnostics) = config::load(path, &ProcessEnvironment::default());
    let built = settings.and_then(|settings| Snapshot::build(&settings, None, &mut diagnostics));
    built.filter(|_| !diagnostics.has_errors()).ok_or_else(|| {
        report::diagnostics(&diagnostics);
        Failure::mistaken(report::counts(&diagnostics))
    })
}

/// Returns whether a route reads the list at a URL from its upstream.
fn asks_for(route: &Route, url: &ListUrl) -> bool {
    let names = route.upstream.peers.names();
    let is_peer = names.iter().any(|name| [&url.peer, &url.authority].iter().any(|own| name.text() == own.as_str()));
    let parameters = parameter_names(&route.path.value).into_iter().map(|name| (name.clone(), format!("{{{name}}}")));
    let pattern = route.target(&route.path.value, &parameters.collect::<Vec<_>>(), "");
    let segments = |path: &str| -> Vec<String> { path.trim_end_matches('/').split('/').map(str::to_owned).collect() };
    let (pattern, own) = (segments(&pattern), segments(&url.path));
    let is_same = |(wanted, given): (&String, &String)| wanted.starts_with('{') && !given.is_empty() || wanted == given;
    is_peer && pattern.len() == own.len() && pattern.iter().zip(&own).all(is_same)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::arguments::{Arguments, Command};
    use cursorgate_config::preset_dialects;

    #[test]
    fn every_built_in_dialect_can_be_named() {
        let url = ListUrl::parse("http://127.0.0.1:9/api/users?team=a").unwrap();
        for (name, _) in preset_dialects() {
            let parsed = Arguments::try_parse_from(["cursorgate", "walk", "http://a/", "--dialect", name]).unwrap();
            let Command::Walk(arguments) = parsed.command else { panic!("{name}") };
            let source = DirectSource::find(&arguments, &url);
            let source = source.unwrap_or_else(|failure| panic!("{name}: {}", failure.message));
            let pager = source.pager(&url);
            let request = pager.request(&pager.start());
            let asks_by_post = source.list().dialect.sends_bodies();
            assert_eq!(request.is_err(), asks_by_post, "{name}: {request:?}");
            assert!(request.is_err() || request.unwrap().method == http::Method::GET, "{name}");
        }
    }
}
