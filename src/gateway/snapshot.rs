//! A configuration, compiled: everything a request needs, and nothing that can still fail.
//!
//! `check` and `run` build the very same snapshot. A request takes one at its start and keeps it to its end.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::Arc,
};

use http::{HeaderName, HeaderValue};

use super::{
    learning::Learning,
    path::PathTemplate,
    route::{RouteTable, parameter_names},
    upstream::Upstream,
};
use crate::{
    config::{
        Diagnostics,
        diagnostic::{Located, Location},
        settings::{
            Budgets, CursorKeySettings, CursorSettings, LegacySettings, ListSettings, Network, PageSizeSettings,
            RouteSettings, ServerSettings, Settings, TotalPolicy, UpstreamSettings,
        },
    },
    cursor::KeyRing,
    downstream::{EnvelopeTemplate, Parameters, legacy},
    pagination::resolver::{ShortPages, WhenUnproven},
    upstream::{Dialect, resolve::Name},
};

/// A whole configuration, compiled.
#[derive(Debug)]
pub struct Snapshot {
    /// Which route covers a request.
    pub table: RouteTable,
    /// All routes, in the order of the file.
    pub routes: Vec<Arc<Route>>,
    /// What holds for all requests.
    pub server: ServerSettings,
    /// The keys of cursors.
    pub keys: Option<Arc<KeyRing>>,
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
    /// Who answers.
    pub upstream: Arc<Upstream>,
    /// The path asked upstream, where it is not the client's own.
    pub(super) upstream_path: Option<PathTemplate>,
    /// What links begin with.
    pub public_url: Option<String>,
    /// What serving its list needs; none where everything is forwarded.
    pub list: Option<List>,
    /// What tells whether another snapshot's route of the same name asks the same upstream in the same way.
    fingerprint: u64,
}

/// What serving a list needs, compiled.
#[derive(Debug)]
pub struct List {
    /// How the upstream is asked and read.
    pub dialect: Dialect,
    /// What a query means.
    pub parameters: Parameters,
    /// What clients get.
    pub envelope: EnvelopeTemplate,
    /// The keys of its cursors.
    pub keys: Arc<KeyRing>,
    /// What is done where a page can't be proven.
    pub unproven: WhenUnproven,
    /// What is done where a page can't be filled.
    pub short_pages: ShortPages,
    /// The limits of clients.
    pub page_size: PageSizeSettings,
    /// Whether totals are passed on.
    pub total: TotalPolicy,
    /// The principal's headers and those that cursors are bound to: answers vary by them, and no client may have them
    /// dropped on the way.
    pub protected: Vec<HeaderName>,
    /// How cursors are made.
    pub cursor: CursorSettings,
    /// What becomes of requests by page or offset.
    pub legacy: LegacySettings,
    /// `Deprecation` and `Sunset` of legacy answers.
    pub legacy_headers: Vec<(HeaderName, HeaderValue)>,
    /// Bounds.
    pub budgets: Budgets,
    /// What was learnt of the upstream. Shared with the next snapshot, where the route stays the same.
    pub learning: Arc<Learning>,
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
        let mut routes = Vec::with_capacity(settings.routes.len());
        for route in &settings.routes {
            let upstream = upstreams.get(route.upstream).and_then(Clone::clone);
            let asked = settings.upstreams.get(route.upstream);
            if let Some(route) = Route::compile(route, asked, upstream, keys.as_ref(), previous, diagnostics) {
                routes.push(Arc::new(route));
            }
        }
        for dialect in &settings.own_dialects {
            Dialect::check(dialect, diagnostics);
        }
        for envelope in &settings.own_envelopes {
            EnvelopeTemplate::compile(envelope, "items", diagnostics);
        }
        let table = RouteTable::compile(&routes, diagnostics);
        (!diagnostics.has_errors()).then(|| Self { table, routes, server: settings.server.clone(), keys })
    }

    /// Whether `X-Forwarded-*` of this address is believed.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.server.trusted_proxies.iter().any(|network| contains(*network, address))
    }

    /// What is known of a `host:port`, where a route of this snapshot uses it.
    pub(super) fn name(&self, text: &str) -> Option<Arc<Name>> {
        let names = self.routes.iter().flat_map(|route| route.upstream.peers.names());
        names.into_iter().find(|name| name.text() == text).map(Arc::clone)
    }

    fn learning(&self, name: &str, fingerprint: u64) -> Option<Arc<Learning>> {
        let route = self.routes.iter().find(|route| route.name == name && route.fingerprint == fingerprint)?;
        Some(Arc::clone(&route.list.as_ref()?.learning))
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
                Some(List::compile(list, keys, learning.unwrap_or_default(), diagnostics)?)
            }
            None => None,
        };
        Some(Self {
            name: settings.name.value.clone(),
            hosts: settings.hosts.clone(),
            path: settings.path.clone(),
            upstream: upstream?,
            upstream_path,
            public_url: settings.public_url.clone(),
            list,
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

impl List {
    fn compile(
        settings: &ListSettings,
        keys: Option<&Arc<KeyRing>>,
        learning: Arc<Learning>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let dialect = Dialect::compile(settings, diagnostics);
        let envelope = EnvelopeTemplate::compile(&settings.envelope, &settings.collection, diagnostics);
        let names = |names: fn(&Dialect) -> &[String]| dialect.as_ref().map_or(&[][..], names);
        let parameters =
            Parameters::compile(settings, names(Dialect::paging_names), names(Dialect::sort_names), diagnostics);
        let (dialect, envelope, parameters) = (dialect?, envelope?, parameters?);
        let mut protected = settings.principal.clone();
        protected.extend(settings.cursor.bind.iter().cloned());
        Some(Self {
            dialect,
            parameters,
            envelope,
            keys: Arc::clone(keys?),
            unproven: settings.unproven,
            short_pages: settings.short_pages,
            page_size: settings.page_size,
            total: settings.total,
            protected,
            cursor: settings.cursor.clone(),
            legacy_headers: legacy::headers(&settings.legacy),
            legacy: settings.legacy.clone(),
            budgets: settings.budgets,
            learning,
        })
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
        let options = upstream.peers.at(0, now, upstream.timeouts.connect).await.unwrap().options;
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
        let learnt = Learnt { honoured: 100, cap: Some(100) };
        first.routes[0].list.as_ref().unwrap().learning.add(learnt);
        for (peer, known) in [("127.0.0.1:1", learnt), ("127.0.0.1:2", Learnt::default())] {
            let next = build(peer, "", Some(&first)).unwrap();
            assert_eq!(next.routes[0].list.as_ref().unwrap().learning.read(), known, "{peer}");
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
