//! A route, compiled from its settings.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use arc_swap::ArcSwap;
use http::{HeaderMap, Method};

use super::{
    list::{List, page_cache::RoutePages},
    observed::ObservedList,
    unpaged::{self, SetBackList},
    upstream::Upstream,
};
use crate::{
    identity::rules::{IdentityRules, IdentitySources},
    outcome::metrics::RouteMetrics,
    request::path::PathTemplate,
    runtime::clock,
    shared::{clients::route_limits::RouteLimits, concurrency::RouteConcurrency, learning::Learning},
};
use cursorgate_config::{
    Diagnostics,
    diagnostic::Located,
    settings::{ConcurrencySettings, Methods, RouteSettings, UpstreamSettings},
};
use cursorgate_cursor::cursor::{self, KeyRing};
use cursorgate_translate::{
    downstream::{CorsPolicy, Problem, RequestBody, response::legacy},
    upstream::Costs,
};

/// A route, with its upstream and its list, compiled from its settings.
#[derive(Debug)]
pub struct Route {
    /// The name, which is bound into every cursor of the route.
    pub name: String,
    /// The hosts of the route; empty if the route serves all hosts.
    pub hosts: Vec<String>,
    /// The path as it is written in the configuration.
    pub path: Located<String>,
    /// The methods with which the list is read. Requests with other methods are forwarded.
    pub methods: Methods,
    /// The upstream, which several routes may share.
    pub upstream: Arc<Upstream>,
    /// The template for the path of upstream requests; `None` if the client's path is used.
    pub upstream_path: Option<PathTemplate>,
    /// The template for the list's own path, if the route is that of the list's second path; `None` for all others.
    list_path: Option<PathTemplate>,
    /// The public address with which links begin; `None` if it isn't configured.
    pub public_url: Option<String>,
    /// `true` if the upstream's links to itself are rewritten in forwarded answers.
    pub rewrites_links: bool,
    /// The limits of concurrent requests; `None` without limits.
    pub concurrency: Option<Arc<RouteConcurrency>>,
    /// The rate limits of clients; `None` without limits.
    pub limits: Option<Arc<RouteLimits>>,
    /// The cross-origin policy; `None` if the upstream decides.
    pub cors: Option<Arc<CorsPolicy>>,
    /// The list that the route serves; `None` if all requests are forwarded.
    pub list: Option<List>,
    /// The cursor context of the last request without filters, whose parts the next requests reuse; `None` without a
    /// list.
    pub usual: Option<ArcSwap<cursor::CursorContext>>,
    /// The list that is observed while all requests are forwarded; `None` if the route doesn't observe.
    pub observed: Option<Box<ObservedList>>,
    /// The list that the route would serve, if it was set back to forwarding; `None` for all other routes.
    pub set_back: Option<Box<SetBackList>>,
    /// The metrics of the route's requests. The next snapshot's route of the same name shares them.
    pub metrics: Arc<RouteMetrics>,
    /// A hash of the settings that determine the list that the upstream returns.
    pub fingerprint: u64,
    /// What identifies clients; `None` if headers tell them apart.
    pub identity: Option<Arc<IdentityRules>>,
}

/// What verifies the cursors and the names of a route's clients.
#[derive(Clone, Copy, Debug)]
pub struct RouteVerifiers<'s> {
    /// The keys of cursors; `None` if there are none.
    pub keys: Option<&'s Arc<KeyRing>>,
    /// What verifies the names of clients.
    pub identities: &'s IdentitySources,
}

impl Route {
    /// Compiles a route. `asked` are the settings of its upstream. `previous` are the routes of the snapshot in force;
    /// the route of the same name passes on its state. Returns `None` if there are errors, which are reported in
    /// `diagnostics`.
    pub fn compile(
        settings: &RouteSettings,
        asked: Option<&UpstreamSettings>,
        upstream: Option<Arc<Upstream>>,
        verifiers: RouteVerifiers<'_>,
        previous: &[Arc<Self>],
        costs: &mut Costs,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let RouteVerifiers { keys, identities } = verifiers;
        let parameters = parameter_names(&settings.path.value);
        let upstream_path = match &settings.upstream_path {
            Some(written) => Some(PathTemplate::compile(written, &parameters, diagnostics)?),
            None => None,
        };
        // A faulty path has been reported for the route of the list itself.
        let list_path = match &settings.list_path {
            Some(path) => Some(PathTemplate::of_route(&path.value)?),
            None => None,
        };
        let own_path = settings.list_path.as_ref().unwrap_or(&settings.path);
        let known = previous.iter().find(|route| route.name == settings.name.value).map(|route| &**route);
        // Both paths of a list share what was learnt about it.
        let fingerprint = match known.filter(|_| list_path.is_some()) {
            Some(list) => list.fingerprint,
            None => fingerprint(settings, asked),
        };
        let list = match &settings.list {
            Some(list) => {
                // Limits that were learnt for another list would be wrong for this one. Test:
                // `learnt_limits_outlive_a_reload_of_the_same_route`.
                let learning = known.filter(|known| known.fingerprint == fingerprint).and_then(Self::learning);
                let usage = known.and_then(Self::described_list).map(|list| &list.usage);
                let mut list = List::compile(list, keys, learning.unwrap_or_default(), usage, costs, diagnostics)?;
                list.page_cache = RoutePages::compile(settings, asked, &list.keys);
                Some(list)
            }
            None => None,
        };
        let (list, observed) = match settings.observe {
            Some(observe) => (None, list.map(|list| Box::new(ObservedList::new(list, observe)))),
            None => (list, None),
        };
        let set_back = settings.set_back.as_ref().and_then(|list| {
            let conventions = List::conventions(list, keys, diagnostics)?;
            Some(Box::new(SetBackList { conventions, budgets: list.budgets }))
        });
        let usual = list.as_ref().map(|list| {
            let (route, path) = (settings.name.value.as_str(), own_path.value.as_str());
            // The spellings with and without a final slash have the same cursors.
            let path = path.strip_suffix('/').unwrap_or(path);
            let order = &list.dialect.default_sorted().order;
            let parts = cursor::ContextParts { route, host: "", path, filters: &[], order, headers: &[] };
            ArcSwap::new(cursor::CursorContext::usual(parts, &list.keys))
        });
        Some(Self {
            metrics: known.map_or_else(|| RouteMetrics::new(&settings.name.value), |known| Arc::clone(&known.metrics)),
            name: settings.name.value.clone(),
            hosts: settings.hosts.clone(),
            path: settings.path.clone(),
            methods: settings.methods,
            // A missing upstream ends the compilation only here, to report the faults of the list as well.
            upstream: upstream?,
            upstream_path,
            list_path,
            public_url: settings.public_url.clone(),
            rewrites_links: asked.is_some_and(|upstream| settings.rewrites_links(upstream)),
            concurrency: settings.concurrency.as_ref().map(|limits| concurrency(limits, known)),
            limits: limits(settings, known),
            cors: settings.cors.as_ref().map(CorsPolicy::new).map(Arc::new),
            list,
            usual,
            observed,
            set_back,
            fingerprint,
            identity: IdentityRules::compile(&settings.identity, identities),
        })
    }

    fn learning(&self) -> Option<Arc<Learning>> {
        Some(Arc::clone(&self.described_list()?.learning))
    }

    /// Returns the list that the route serves or observes; `None` if there is neither.
    #[must_use]
    pub fn described_list(&self) -> Option<&List> {
        self.list.as_ref().or_else(|| self.observed.as_ref().map(|observed| &observed.list))
    }

    /// Returns whether the client's host can change the answer: the route has hosts, or the upstream gets the client's
    /// host. On other routes, cursors are valid under every name of the gateway.
    #[must_use]
    pub fn serves_by_host(&self) -> bool {
        !self.hosts.is_empty() || self.upstream.host.is_none()
    }

    /// Returns 503 `not_paged` for a request of a new client on a route that serves no pages at the moment; `None` for
    /// all other requests, and on all other routes. Tests: `a_route_that_observes_refuses_marked_requests`,
    /// `a_route_set_back_to_forwarding_refuses_marked_requests`.
    #[must_use]
    pub fn refusal(
        &self,
        method: &Method,
        headers: &HeaderMap,
        query: Option<&str>,
        body: Option<&RequestBody>,
    ) -> Option<Problem> {
        let observed = self.observed.as_ref().map(|observed| &observed.list.conventions);
        let conventions = observed.or_else(|| self.set_back.as_ref().map(|list| &list.conventions))?;
        let reads = [Method::GET, Method::HEAD].contains(method) || self.methods.take(method);
        // On the second path of a list, every request is a new client's.
        let by_name = || self.observed.as_ref().is_some_and(|observed| observed.marking_name(query).is_some());
        let is_new = || self.list_path.is_some() || (conventions.is_marked(headers, query, body) && !by_name());
        (reads && is_new()).then(unpaged::not_paged)
    }

    /// Returns whether a request that the service takes for one of the route's list may get another answer than the
    /// service's own: the request has a mark, or the route has limits, a cross-origin policy or another policy for old
    /// clients. Other requests may reach the list by any path and method. Test:
    /// `another_spelling_reaches_a_list_whose_old_clients_pass`.
    #[must_use]
    pub fn restricts(&self, headers: &HeaderMap, query: Option<&str>) -> bool {
        let Some(list) = &self.list else { return false };
        let is_limited = self.limits.is_some() || self.concurrency.is_some() || list.legacy.rate_limit.is_some();
        // A mark in a body would be found only after the body was read.
        let may_mark = || list.conventions.all().any(|convention| convention.parameters.reads_bodies());
        is_limited
            || self.cors.is_some()
            || !legacy::passes(&list.legacy, clock::unix_seconds())
            || may_mark()
            || list.conventions.is_marked(headers, query, None)
    }

    /// Returns the list's own path, if this is the route of the list's second path; `None` for all other routes.
    pub fn list_path(&self, parameters: &[(String, String)]) -> Option<String> {
        self.list_path.as_ref().map(|template| template.write("", parameters))
    }

    /// Returns the path and the query for the upstream. `path` and `parameters` come from the client's request.
    #[must_use]
    pub fn target(&self, path: &str, parameters: &[(String, String)], query: &str) -> String {
        let base = &self.upstream.base_path;
        let mut target = String::with_capacity(base.len() + path.len() + query.len() + 1);
        target.push_str(base);
        match &self.upstream_path {
            Some(template) => target.push_str(&template.write(path, parameters)),
            None => target.push_str(path),
        }
        if !query.is_empty() {
            target.push('?');
            target.push_str(query);
        }
        target
    }

    /// Returns the path and the query for the upstream of a request that passes. If the upstream's path for pages only
    /// has another final slash, the client's own spelling stays, as the upstream may redirect one to the other, which
    /// old clients see today. Test: `requests_that_pass_keep_their_final_slash`.
    #[must_use]
    pub fn passed_target(&self, path: &str, parameters: &[(String, String)], query: &str) -> String {
        let target = self.target(path, parameters, query);
        let base = &self.upstream.base_path;
        let asked = target.strip_prefix(base.as_str()).unwrap_or(&target).split('?').next().unwrap_or_default();
        let is_same = asked.trim_end_matches('/') == path.trim_end_matches('/');
        if self.described_list().is_none() || !is_same || asked == path {
            return target;
        }
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        format!("{base}{path}{query}")
    }
}

/// Returns the counts of a route's concurrent requests. A reload with the same limits keeps the counts.
fn concurrency(limits: &ConcurrencySettings, known: Option<&Route>) -> Arc<RouteConcurrency> {
    let known = known.and_then(|known| known.concurrency.as_ref()).filter(|known| known.limits() == limits);
    known.map_or_else(|| RouteConcurrency::new(limits.clone()), Arc::clone)
}

/// Compiles the rate limits of a route; `None` without limits. A reload keeps the state of limits that stay the same.
/// Test: `a_reload_keeps_what_clients_have_used`.
fn limits(settings: &RouteSettings, known: Option<&Route>) -> Option<Arc<RouteLimits>> {
    let known = known.and_then(|known| known.limits.as_deref());
    // An observed list has no limit for legacy requests, because all of its clients page in the legacy way.
    let list = settings.list.as_ref().filter(|_| settings.observe.is_none());
    RouteLimits::compile(&settings.rate_limit, list.map(|list| &list.legacy), known, clock::instant())
}

/// Returns a hash of the settings that determine whether learnt limits remain valid after a reload.
fn fingerprint(settings: &RouteSettings, upstream: Option<&UpstreamSettings>) -> u64 {
    let mut hasher = DefaultHasher::new();
    settings.path.value.hash(&mut hasher);
    settings.upstream_path.as_ref().map(|path| &path.value).hash(&mut hasher);
    if let Some(upstream) = upstream {
        for peer in &upstream.peers {
            peer.value.hash(&mut hasher);
        }
        upstream.base_path.hash(&mut hasher);
        upstream.host_header.hash(&mut hasher);
    }
    if let Some(list) = &settings.list {
        list.dialect.request.query.value.hash(&mut hasher);
        list.dialect.request.method.hash(&mut hasher);
        if let Some(body) = &list.dialect.request.body {
            body.value.hash_value(&mut hasher);
        }
        list.dialect.response.items.value.hash(&mut hasher);
        list.dialect.size.max.as_ref().map(|max| max.value).hash(&mut hasher);
        list.dialect.size.choices.hash(&mut hasher);
    }
    hasher.finish()
}

/// Returns the names of the parameters in a route's path, without the `*` of wildcards.
#[must_use]
pub fn parameter_names(path: &str) -> Vec<String> {
    path.split('{')
        .skip(1)
        .filter_map(|tail| tail.split_once('}'))
        .map(|(name, _)| name.strip_prefix('*').unwrap_or(name).to_owned())
        .collect()
}
