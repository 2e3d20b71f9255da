//! A configuration, compiled: everything a request needs, and nothing that can still fail.
//!
//! `check` and `run` build the very same snapshot. A request takes one at its start and keeps it to its end.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::Arc,
};

use crate::{
    config::{
        Diagnostics,
        diagnostic::{Located, Location},
        settings::{CursorKeySettings, Methods, Network, RouteSettings, ServerSettings, Settings, UpstreamSettings},
    },
    cursor::{self, KeyRing},
    downstream::{CorsPolicy, EnvelopeTemplate},
    gateway::{
        openapi::OpenApi,
        outcome::metrics::RouteMetrics,
        request::path::PathTemplate,
        routes::{
            guard::Guard,
            list::List,
            table::{RouteTable, parameter_names},
            upstream::Upstream,
        },
        runtime::memory_limit,
        session::observe::Observed,
        shared::{learning::Learning, pivots::Pivots},
    },
    upstream::{
        Costs, Dialect,
        net::{memory::Memory, resolve::Name},
    },
};

/// A whole configuration, compiled.
#[derive(Debug)]
pub struct Snapshot {
    /// Which route covers a request.
    pub table: RouteTable,
    /// What else could be read as a request for a list.
    pub(crate) guard: Guard,
    /// All routes, in the order of the file.
    pub routes: Vec<Arc<Route>>,
    /// All upstreams, likewise.
    pub upstreams: Vec<Arc<Upstream>>,
    /// What holds for all requests.
    pub server: ServerSettings,
    /// The names by which operators may ask.
    pub admin_hosts: Vec<String>,
    /// The keys of cursors.
    pub keys: Option<Arc<KeyRing>>,
    /// The memory for bodies. Shared with the next snapshot, where its bound stays the same.
    pub memory: Arc<Memory>,
    /// What is remembered of items. Shared with the next snapshot, where its bounds stay the same.
    pub pivots: Arc<Pivots>,
    /// What is counted of requests that no route covers.
    pub metrics: Arc<RouteMetrics>,
    /// What all routes look like to clients.
    pub openapi: OpenApi,
    /// What was computed of what their pages take: the next snapshot has most of it to compute no more.
    costs: Costs,
}

/// A route, compiled.
#[derive(Debug)]
pub struct Route {
    /// Its name: part of every cursor of the route.
    pub name: String,
    /// The hosts it answers for; empty: all.
    pub hosts: Vec<String>,
    /// Its path, as written.
    pub path: Located<String>,
    /// What its list is asked for by.
    pub methods: Methods,
    /// Who answers.
    pub upstream: Arc<Upstream>,
    /// The path asked upstream, where it is not the client's own.
    pub(crate) upstream_path: Option<PathTemplate>,
    /// What links begin with.
    pub public_url: Option<String>,
    /// Who may read it from other origins; none where the upstream says so.
    pub cors: Option<CorsPolicy>,
    /// What serving its list needs; none where everything is forwarded.
    pub list: Option<List>,
    /// What cursors are bound to where a request asks for the list as it is: without filters, and in its own order.
    pub(crate) usual: Option<Arc<cursor::Context>>,
    /// The list that its answers are read for, where they pass as they come.
    pub observed: Option<Box<Observed>>,
    /// What is counted of it. Shared with the next snapshot's route of the same name.
    pub metrics: Arc<RouteMetrics>,
    /// What tells whether another snapshot's route of the same name asks the same upstream in the same way.
    pub(crate) fingerprint: u64,
}

impl Snapshot {
    /// Compiles a configuration. Gives nothing where there was an error; all of them are in `diagnostics`. What the
    /// previous snapshot learnt about names and routes that are the same goes over to this one.
    pub fn build(settings: &Settings, previous: Option<&Self>, diagnostics: &mut Diagnostics) -> Option<Self> {
        let keys = settings.cursor.as_ref().and_then(|keys| key_ring(keys, diagnostics)).map(Arc::new);
        let upstreams: Vec<Option<Arc<Upstream>>> = settings
            .upstreams
            .iter()
            .map(|upstream| Upstream::compile(upstream, previous, diagnostics).map(Arc::new))
            .collect();
        let mut costs = previous.map(|previous| Costs::after(&previous.costs)).unwrap_or_default();
        let mut routes = Vec::with_capacity(settings.routes.len());
        for route in &settings.routes {
            let upstream = upstreams.get(route.upstream).and_then(Clone::clone);
            let asked = settings.upstreams.get(route.upstream);
            if let Some(route) =
                Route::compile(route, asked, upstream, keys.as_ref(), previous, &mut costs, diagnostics)
            {
                routes.push(Arc::new(route));
            }
        }
        for dialect in &settings.own_dialects {
            Dialect::check(dialect, diagnostics);
        }
        for envelope in &settings.own_envelopes {
            EnvelopeTemplate::compile(envelope, "items", diagnostics);
        }
        let openapi = OpenApi::compile(settings, &routes, diagnostics);
        let table = RouteTable::compile(&routes, diagnostics);
        if diagnostics.has_errors() {
            return None;
        }
        let metrics = previous.map_or_else(|| RouteMetrics::new(""), |previous| Arc::clone(&previous.metrics));
        let pivots =
            previous.map(|previous| &previous.pivots).filter(|pivots| pivots.settings() == settings.caches.pivots);
        let pivots = pivots.map_or_else(|| Arc::new(Pivots::new(settings.caches.pivots)), Arc::clone);
        let upstreams = upstreams.into_iter().flatten().collect();
        let kept = previous.filter(|previous| previous.server.memory == settings.server.memory);
        let memory = kept.map_or_else(
            || Memory::new(settings.server.memory.unwrap_or_else(|| memory_limit::memory() / 2)),
            |previous| Arc::clone(&previous.memory),
        );
        let admin_hosts = settings.admin.as_ref().map(|admin| admin.hosts.clone()).unwrap_or_default();
        costs.forget_others();
        let server = settings.server.clone();
        let guard = Guard::compile(&routes);
        Some(Self {
            table,
            guard,
            routes,
            upstreams,
            server,
            admin_hosts,
            keys,
            memory,
            pivots,
            metrics,
            openapi,
            costs,
        })
    }

    /// Whether this address is a trusted proxy's.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.server.trusted_proxies.iter().any(|network| contains(*network, address))
    }

    /// What is known of a `host:port`, where a route of this snapshot uses it.
    pub(crate) fn name(&self, text: &str) -> Option<Arc<Name>> {
        let names = self.routes.iter().flat_map(|route| route.upstream.peers.names());
        names.into_iter().find(|name| name.text() == text).map(Arc::clone)
    }

    fn route(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| route.name == name)
    }

    fn learning(&self, name: &str, fingerprint: u64) -> Option<Arc<Learning>> {
        let route = self.route(name).filter(|route| route.fingerprint == fingerprint)?;
        let list = route.list.as_ref().or_else(|| route.observed.as_ref().map(|observed| &observed.list));
        Some(Arc::clone(&list?.learning))
    }
}

/// Whether an address is in a network; an IPv4 address may come in its IPv6 form.
fn contains(network: Network, address: IpAddr) -> bool {
    let bits = u32::from(network.prefix);
    match (network.address, address.to_canonical()) {
        (IpAddr::V4(of), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
            of.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(of), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
            of.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

fn key_ring(settings: &CursorKeySettings, diagnostics: &mut Diagnostics) -> Option<KeyRing> {
    let keys: Vec<(u32, &[u8])> = settings.keys.iter().map(|(id, key)| (*id, key.reveal())).collect();
    match KeyRing::new(settings.signing_key, &keys) {
        Ok(ring) => Some(ring),
        Err(error) => {
            let start = Location { source: 0, start: 0, end: 0 };
            let help = "`cursorgate keygen` makes a key; each has an id of its own";
            diagnostics.error(start, error.to_string(), help);
            None
        }
    }
}

impl Route {
    fn compile(
        settings: &RouteSettings,
        asked: Option<&UpstreamSettings>,
        upstream: Option<Arc<Upstream>>,
        keys: Option<&Arc<KeyRing>>,
        previous: Option<&Snapshot>,
        costs: &mut Costs,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let parameters = parameter_names(&settings.path.value);
        let upstream_path = match &settings.upstream_path {
            Some(written) => Some(PathTemplate::compile(written, &parameters, diagnostics)?),
            None => None,
        };
        let fingerprint = fingerprint(settings, asked);
        let list = match &settings.list {
            Some(list) => {
                let learning = previous.and_then(|previous| previous.learning(&settings.name.value, fingerprint));
                let known = previous.and_then(|previous| previous.route(&settings.name.value)?.list.as_ref());
                let usage = known.map(|known| &known.usage);
                Some(List::compile(list, keys, learning.unwrap_or_default(), usage, costs, diagnostics)?)
            }
            None => None,
        };
        let (list, observed) = match settings.observe {
            Some(observe) => (None, list.map(|list| Box::new(Observed::new(list, observe)))),
            None => (list, None),
        };
        let known = previous.and_then(|previous| previous.route(&settings.name.value));
        let usual = list.as_ref().map(|list| {
            let (route, path) = (settings.name.value.as_str(), settings.path.value.as_str());
            let path = path.strip_suffix('/').unwrap_or(path);
            let order = &list.dialect.default_sorted().order;
            let parts = cursor::ContextParts { route, host: "", path, filters: &[], order, headers: &[] };
            cursor::Context::usual(parts, &list.keys)
        });
        Some(Self {
            metrics: known.map_or_else(|| RouteMetrics::new(&settings.name.value), |known| Arc::clone(&known.metrics)),
            name: settings.name.value.clone(),
            hosts: settings.hosts.clone(),
            path: settings.path.clone(),
            methods: settings.methods,
            upstream: upstream?,
            upstream_path,
            public_url: settings.public_url.clone(),
            cors: settings.cors.as_ref().map(CorsPolicy::new),
            list,
            usual,
            observed,
            fingerprint,
        })
    }

    /// Whether the host that a client asks for may decide what it gets: the route is one of some hosts, or the upstream
    /// is told the client's. Elsewhere a cursor lives on under another name of the gateway.
    #[must_use]
    pub fn serves_by_host(&self) -> bool {
        !self.hosts.is_empty() || self.upstream.host.is_none()
    }

    /// The path and query asked upstream: `path` as the client sent it, and its parameters.
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
}

/// What decides whether that which was learnt of a route still holds after a reload.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Environment, pagination::paging::Learnt};

    /// A key, and no file.
    struct Key;

    impl Environment for Key {
        fn variable(&self, _name: &str) -> Option<String> {
            Some("8mEJ0qzKcQ1nH7vXwY2rT5uB9dFgLpZaSxC3kVtNjRo".to_owned())
        }

        fn read(&self, _path: &std::path::Path) -> std::io::Result<Vec<u8>> {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }

    /// The snapshot of one route to one peer, where there is no fault.
    fn build(peer: &str, tls: &str, previous: Option<&Snapshot>) -> Result<Snapshot, String> {
        let text = format!(
            "version = 1\n[listeners.public]\naddress = \"127.0.0.1:0\"\n\
             [cursor]\nsigning_key = 1\nkeys = {{ 1 = \"env:KEY\" }}\n\
             [upstreams.people]\npeers = [{peer:?}]\n{tls}\n\
             [routes.users]\npath = \"/users\"\nupstream = \"people\"\ndialect = \"page-limit\"\norder = [\"id\"]\n"
        );
        let (settings, mut diagnostics) = crate::config::load_text("a.toml", &text, &Key);
        let built = settings.and_then(|settings| Snapshot::build(&settings, previous, &mut diagnostics));
        built.ok_or_else(|| diagnostics.render(false))
    }

    #[tokio::test]
    async fn no_timeout_of_a_peer_is_left_out() {
        let snapshot = build("127.0.0.1:1", "", None).unwrap();
        let upstream = &snapshot.routes[0].upstream;
        let now = tokio::time::Instant::now().into_std();
        let options = upstream.peers.next(now, upstream.timeouts.connect).await.unwrap().options;
        for timeout in [
            options.connection_timeout,
            options.total_connection_timeout,
            options.read_timeout,
            options.write_timeout,
            options.idle_timeout,
        ] {
            assert!(timeout.is_some_and(|timeout| !timeout.is_zero()), "{options:?}");
        }
    }

    #[test]
    fn what_was_learnt_outlives_a_reload_of_the_same_route() {
        let first = build("127.0.0.1:1", "", None).unwrap();
        let learnt = Learnt { cap: Some(100), run: 7, filters_in_vain: 0 };
        let learning = &first.routes[0].list.as_ref().unwrap().learning;
        let view = learning.view("/users", "", &http::HeaderMap::new(), &[]);
        learning.add(view, learnt);
        for (peer, known) in [("127.0.0.1:1", learnt), ("127.0.0.1:2", Learnt::default())] {
            let next = build(peer, "", Some(&first)).unwrap();
            assert_eq!(next.routes[0].list.as_ref().unwrap().learning.read(view), known, "{peer}");
        }
        let next = build("127.0.0.1:1", "", Some(&first)).unwrap();
        assert!(Arc::ptr_eq(&next.routes[0].upstream.peers.names()[0], &first.routes[0].upstream.peers.names()[0]));
    }

    #[test]
    fn a_certificate_is_always_held_against_a_name() {
        assert!(build("people.internal:443", "tls = {}", None).is_ok());
        assert!(build("192.0.2.1:443", "tls = { server_name = \"people.internal\" }", None).is_ok());
        let report = build("192.0.2.1:443", "tls = {}", None).unwrap_err();
        assert!(report.contains("server_name"), "{report}");
        let report = build("people.internal:443", "tls = { ca = \"/nothing/here.pem\" }", None).unwrap_err();
        assert!(report.contains("here.pem"), "{report}");
    }

    #[test]
    fn networks() {
        let network = |text: &str, prefix| Network { address: text.parse().unwrap(), prefix };
        for (of, prefix, address, within) in [
            ("10.20.0.0", 16, "10.20.255.1", true),
            ("10.20.0.0", 16, "10.21.0.1", false),
            ("10.20.0.0", 16, "::ffff:10.20.1.1", true),
            ("0.0.0.0", 0, "192.0.2.1", true),
            ("0.0.0.0", 0, "2001:db8::1", false),
            ("127.0.0.1", 32, "127.0.0.2", false),
            ("2001:db8::", 32, "2001:db8:7::1", true),
            ("::", 0, "2001:db8::1", true),
            ("::1", 128, "::1", true),
            ("::1", 128, "::2", false),
        ] {
            assert_eq!(contains(network(of, prefix), address.parse().unwrap()), within, "{of}/{prefix} {address}");
        }
    }
}
