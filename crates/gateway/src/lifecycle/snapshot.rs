//! A compiled configuration, with everything that a request needs. Compilation also finds the faults that need more
//! than the settings themselves, such as an unusable certificate.
//!
//! The commands `check` and `run` build the same snapshot. A request takes the snapshot that is in force at its start,
//! and keeps this snapshot until its end.

use std::{
    fmt::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sha2::{Digest as _, Sha256};

mod described_lists;
mod service_paths;

use super::{files::ConfigurationFiles, memory_plan::MemoryPlan};
use described_lists::DescribedLists;
pub use described_lists::{DescribedList, FilterParameter, ItemDescription};
pub use service_paths::authorizing;

use crate::{
    identity::{
        rules::{IdentityRules, IdentitySources},
        tokens::TokenVerifier,
    },
    net::memory::Memory,
    openapi::OpenApi,
    outcome::metrics::RouteMetrics,
    routes::{
        collector::Collector,
        guard::Guard,
        identity_source::IdentitySource,
        route::{Route, RouteVerifiers},
        table::RouteTable,
        token_keys::TokenKeys,
        upstream::Upstream,
    },
    runtime::clock,
    shared::{
        explanations::Explanations,
        pages::KeptPages,
        pivots::{PivotLimits, Pivots},
    },
    store::handle::SharedStore,
    tls::{self, Acceptor, Credentials, PeerCredentials, Renewable},
};
use cursorgate_config::{
    Diagnostics,
    diagnostic::Location,
    redacted::RedactedConfiguration,
    settings::{
        AdminSettings, AfterSunset, CorsSettings, CursorKeySettings, IdentityWord, LegacySettings, ListenerSettings,
        Network, Role, ServerSettings, ServiceCors, ServiceSettings, ServiceStoreSettings, Settings, TlsVersion,
        TokenKeySource, UpstreamTls,
    },
};
use cursorgate_cursor::cursor::KeyRing;
use cursorgate_translate::{
    downstream::{CorsPolicy, EnvelopeTemplate},
    upstream::{Costs, Dialect},
};

/// The time for which a browser may store the answer to a preflight for the tools.
const OF_TOOLS: Duration = Duration::from_secs(600);

/// A compiled configuration, which never changes. A reload replaces it as a whole.
#[derive(Debug)]
pub struct Snapshot {
    /// The table that finds the route of a request.
    pub table: RouteTable,
    /// The guard against requests that would reach a list by another spelling of its path, host or method.
    pub guard: Guard,
    /// All routes, in the order of the file.
    pub routes: Vec<Arc<Route>>,
    /// All upstreams, in the order of the file.
    pub upstreams: Vec<Arc<Upstream>>,
    /// The protocols of listeners, by name. A listener that a reload removes from the configuration stays open until
    /// the process ends, and stays in this list.
    pub listeners: Vec<(String, ListenerProtocols)>,
    /// The settings of `[server]`.
    pub server: ServerSettings,
    /// The settings of `[services]`.
    pub services: ServiceSettings,
    /// The upstream that says who a client is; `None` if none is asked.
    pub identity_source: Option<Arc<IdentitySource>>,
    /// The URL of the keys of tokens; `None` if they are in a file.
    pub token_keys: Option<Arc<TokenKeys>>,
    /// What identifies the clients of services that don't belong to a route.
    pub service_identities: ServiceIdentities,
    /// The cross-origin policies of services that don't belong to a route.
    pub service_policies: ServicePolicies,
    /// The certificate authorities that verify receivers of webhooks; `None` if the system's authorities do.
    pub webhook_authorities: Option<Arc<Renewable<PeerCredentials>>>,
    /// The certificates for the connections to the database of exports; `None` without a database or without TLS.
    pub export_credentials: Option<Arc<Renewable<PeerCredentials>>>,
    /// The certificates for the connections to the database of webhooks; `None` without a database or without TLS.
    pub webhook_store_credentials: Option<Arc<Renewable<PeerCredentials>>>,
    /// The lists that GraphQL and MCP offer, with their descriptions.
    pub described: DescribedLists,
    /// The settings of the admin listener; `None` without `[admin]`.
    pub admin: Option<AdminSettings>,
    /// The TLS settings of the admin listener; `None` for plain text.
    pub admin_tls: Option<Arc<Renewable<Acceptor>>>,
    /// The keys that sign or seal cursors; `None` without `[cursor]`.
    pub keys: Option<Arc<KeyRing>>,
    /// The cursor keys without their secrets, for reports.
    pub cursor_keys: Vec<CursorKey>,
    /// The division of the process's memory.
    pub memory_plan: MemoryPlan,
    /// The memory budget for bodies. The next snapshot shares the budget if `server.memory` is the same.
    pub memory: Arc<Memory>,
    /// The cache of pivots. The next snapshot shares the cache if its limits are the same.
    pub pivots: Arc<Pivots>,
    /// The cache of pages; `None` if no route has a page cache. The next snapshot shares the cache if its size is the
    /// same.
    pub pages: Option<Arc<KeptPages>>,
    /// The shared store; `None` without `[caches.shared]`.
    pub store: Option<Arc<SharedStore>>,
    /// The collector of traces; `None` without `[traces]`.
    pub traces: Option<Collector>,
    /// The explanations of requests that had a permit; `None` without `admin.explain_key`.
    pub explanations: Option<Explanations>,
    /// The metrics of requests that match no route.
    pub metrics: Arc<RouteMetrics>,
    /// The OpenAPI description of all routes.
    pub openapi: OpenApi,
    /// The configuration from which the snapshot was compiled, for reports.
    pub source: SnapshotSource,
    /// The computed costs of pages. The next snapshot reuses the costs of unchanged routes.
    pub costs: Costs,
}

/// What identifies the clients of services that don't belong to a route; `None` if headers do.
#[derive(Debug)]
pub struct ServiceIdentities {
    pub bulk: Option<Arc<IdentityRules>>,
    pub jobs: Option<Arc<IdentityRules>>,
    pub webhooks: Option<Arc<IdentityRules>>,
}

impl ServiceIdentities {
    fn compile(settings: &ServiceSettings, sources: &IdentitySources) -> Self {
        let compile = |words: &[IdentityWord]| IdentityRules::compile(words, sources);
        let clients = settings.webhooks.as_ref().and_then(|webhooks| webhooks.clients.as_ref());
        Self {
            bulk: settings.bulk.as_ref().and_then(|bulk| compile(&bulk.identity)),
            jobs: settings.jobs.as_ref().and_then(|jobs| compile(&jobs.identity)),
            webhooks: clients.and_then(|clients| compile(&clients.identity)),
        }
    }
}

/// The cross-origin policies of services that don't belong to a route; `None` if scripts of other origins can't use
/// these services.
#[derive(Debug)]
pub struct ServicePolicies {
    /// The policy of services that read lists.
    pub of_lists: Option<Arc<CorsPolicy>>,
    /// The policy of services that send requests to any route.
    pub of_routes: Option<Arc<CorsPolicy>>,
    /// The policy of the tools for agents.
    pub of_tools: Option<Arc<CorsPolicy>>,
}

impl ServicePolicies {
    fn compile(settings: &ServiceSettings) -> Self {
        let policy = |cors: Option<&CorsSettings>| cors.map(CorsPolicy::new).map(Arc::new);
        let ServiceCors { of_lists, of_routes } = &settings.cors;
        Self {
            of_lists: policy(of_lists.as_ref()),
            of_routes: policy(of_routes.as_ref()),
            of_tools: settings.mcp.as_ref().filter(|mcp| !mcp.origins.is_empty()).map(|mcp| {
                let origins = mcp.origins.clone();
                Arc::new(CorsPolicy::new(&CorsSettings { origins, credentials: false, max_age: OF_TOOLS }))
            }),
        }
    }
}

/// Reads the keys of `server.tokens`; `None` without the table, or if the keys can't be used, which is reported.
fn tokens(settings: &Settings, diagnostics: &mut Diagnostics) -> Option<Arc<TokenVerifier>> {
    let settings = settings.tokens.as_ref()?;
    TokenVerifier::compile(settings)
        .map_err(|fault| diagnostics.error(settings.written.at, fault, "write the keys as the issuer publishes them"))
        .ok()
}

/// Compiles the URL of the keys of tokens; `None` if there is no URL, or for faults, which are reported.
fn token_keys(
    settings: &Settings,
    identities: &IdentitySources,
    previous: Option<&Snapshot>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<TokenKeys>> {
    let (tokens, verifier) = (settings.tokens.as_ref()?, identities.tokens.as_ref()?);
    let TokenKeySource::Url(url) = &tokens.keys else { return None };
    TokenKeys::compile(url, verifier, previous.and_then(|previous| previous.token_keys.as_ref()), diagnostics)
}

/// The configuration from which a snapshot was compiled.
#[derive(Debug)]
pub struct SnapshotSource {
    /// The configuration without its secrets.
    pub written: RedactedConfiguration,
    /// The files that were read, ordered by path; empty if no file was read.
    pub files: Vec<PathBuf>,
    /// The time of the compilation, in seconds since 1970.
    pub loaded: u64,
    /// A hash of the configuration without its secrets, in hexadecimal digits. Replicas should have the same.
    pub hash: String,
    /// A hash of the settings that make a cursor of one replica valid at another one, in hexadecimal digits.
    pub cursor_hash: String,
}

impl SnapshotSource {
    /// Returns the source of a snapshot that is being compiled. The list of files is still empty.
    fn of(settings: &Settings, routes: &[Arc<Route>]) -> Self {
        let mut cursors = String::new();
        for route in routes {
            let Some(list) = &route.list else { continue };
            // The mark by the signing key stands for the key, so the hash reveals nothing about it. Writing into a
            // string can't fail.
            let mark = list.keys.client_mark(b"fingerprint");
            let (order, cursor) = (&list.dialect.default_sorted().order, &list.cursor);
            let _ = write!(cursors, "{}\0{mark:x}\0{cursor:?}\0{order:?}\0", route.name);
            for convention in list.conventions.all() {
                let names = [Role::Cursor, Role::After, Role::Before].map(|role| convention.parameters.name(role));
                let _ = write!(cursors, "{}{names:?}\0", convention.name);
            }
        }
        let hash = |text: &str| Sha256::digest(text)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            hash: hash(settings.written.toml()),
            cursor_hash: hash(&cursors),
            written: settings.written.clone(),
            files: Vec::new(),
            loaded: clock::unix_seconds(),
        }
    }
}

/// A cursor key, without its secret.
#[derive(Clone, Copy, Debug)]
pub struct CursorKey {
    pub number: u32,
    /// `true` if the key signs new cursors.
    pub signs: bool,
    /// The time since which the process has had the key, in seconds since 1970.
    pub since: u64,
}

/// The protocols of a listener, and the proxies in front of it.
#[derive(Clone, Debug)]
pub struct ListenerProtocols {
    /// The TLS settings; `None` for plain text.
    pub tls: Option<Arc<Renewable<Acceptor>>>,
    pub http2: bool,
    /// The networks of proxies whose connections begin with a PROXY protocol header; empty if clients connect directly.
    pub proxies: Arc<[Network]>,
}

impl Snapshot {
    /// Compiles a configuration. Returns `None` if there are errors, all of which are in `diagnostics`. For unchanged
    /// routes and upstreams, the previous snapshot provides resolved addresses, learnt limits and counts.
    pub fn build(settings: &Settings, previous: Option<&Self>, diagnostics: &mut Diagnostics) -> Option<Self> {
        // The settings already have errors. The dialects are checked even so, to report their errors at the same time.
        if diagnostics.has_errors() {
            Dialect::check_all(settings, diagnostics);
            return None;
        }
        let keys = settings.cursor.as_ref().and_then(|keys| key_ring(keys, diagnostics)).map(Arc::new);
        let (known_upstreams, known_routes) =
            previous.map_or((&[][..], &[][..]), |previous| (&previous.upstreams[..], &previous.routes[..]));
        // An upstream with faults keeps its place, because routes refer to upstreams by index.
        let upstreams: Vec<Option<Arc<Upstream>>> = settings
            .upstreams
            .iter()
            .map(|upstream| Upstream::compile(upstream, known_upstreams, diagnostics).map(Arc::new))
            .collect();
        let mut costs = previous.map(|previous| Costs::after(&previous.costs)).unwrap_or_default();
        let answer = settings.identity_answer.as_ref();
        let identity_source = answer.and_then(|answer| IdentitySource::compile(answer, &upstreams, settings));
        let answers = identity_source.as_ref().map(|source| Arc::clone(&source.answers));
        let identities = IdentitySources { tokens: tokens(settings, diagnostics), answers };
        let token_keys = token_keys(settings, &identities, previous, diagnostics);
        let verifiers = RouteVerifiers { keys: keys.as_ref(), identities: &identities };
        let mut routes = Vec::with_capacity(settings.routes.len());
        for route in &settings.routes {
            let upstream = upstreams.get(route.upstream).and_then(Clone::clone);
            let asked = settings.upstreams.get(route.upstream);
            let compiled = Route::compile(route, asked, upstream, verifiers, known_routes, &mut costs, diagnostics);
            routes.extend(compiled.map(Arc::new));
        }
        let second = second_paths(settings, &routes, verifiers, diagnostics);
        let entries: Vec<Arc<Route>> = routes.iter().chain(&second).map(Arc::clone).collect();
        check_own(settings, diagnostics);
        warn_of_sunsets(settings, clock::unix_seconds(), diagnostics);
        let memory_plan = MemoryPlan::of(settings, &routes, diagnostics);
        let listeners = listeners(settings, previous, diagnostics);
        let admin_tls = admin_tls(settings, previous, diagnostics);
        let store = store(settings, keys.as_ref(), previous, diagnostics);
        let authorities = webhook_authorities(settings, diagnostics);
        let exports = settings.services.exports.as_ref().map(|exports| &exports.store);
        let webhooks = settings.services.webhooks.as_ref().map(|webhooks| &webhooks.store);
        let credentials = [exports, webhooks].map(|store| database_credentials(store?, diagnostics));
        let [export_credentials, webhook_store_credentials] = credentials;
        let openapi = OpenApi::compile(settings, &entries, diagnostics);
        let table = service_paths::table(&settings.services, &entries, diagnostics);
        // This check follows the compilation of all parts, to report all of their faults at once.
        if diagnostics.has_errors() {
            return None;
        }
        // The next snapshot can reuse only the costs of these routes.
        costs.forget_others();
        Some(Self {
            table,
            guard: Guard::compile(&entries),
            pages: pages(memory_plan.pages, previous),
            source: SnapshotSource::of(settings, &routes),
            described: described_lists::describe(settings, &routes),
            routes,
            traces: collector(settings, &upstreams),
            upstreams: upstreams.into_iter().flatten().collect(),
            listeners,
            server: settings.server.clone(),
            service_identities: ServiceIdentities::compile(&settings.services, &identities),
            service_policies: ServicePolicies::compile(&settings.services),
            identity_source,
            token_keys,
            services: settings.services.clone(),
            webhook_authorities: authorities,
            export_credentials,
            webhook_store_credentials,
            admin: settings.admin.clone(),
            admin_tls,
            keys,
            cursor_keys: cursor_keys(settings, previous),
            memory: memory(memory_plan.bodies, previous),
            pivots: pivots(memory_plan.pivots, settings, previous),
            memory_plan,
            store,
            explanations: explanations(settings, previous),
            metrics: previous.map_or_else(|| RouteMetrics::new(""), |previous| Arc::clone(&previous.metrics)),
            openapi,
            costs,
        })
    }

    /// Adds the paths of the files that the configuration was read from.
    #[must_use]
    pub fn read_from(mut self, files: &ConfigurationFiles) -> Self {
        self.source.files = files.paths().map(Path::to_owned).collect();
        self
    }

    /// Returns the protocols of the listener with this name; `None` if there is no such listener.
    pub fn listener(&self, name: &str) -> Option<&ListenerProtocols> {
        self.listeners.iter().find(|(known, _)| known == name).map(|(_, protocols)| protocols)
    }

    /// Returns everything that is made from certificate files: for listeners, the admin listener, upstreams, receivers of
    /// webhooks, the databases of services and the shared store. The renewal thread reads these files again.
    pub fn credentials(&self) -> impl Iterator<Item = &dyn Credentials> {
        let listeners = self.listeners.iter().filter_map(|(_, protocols)| protocols.tls.as_deref());
        let listeners = listeners.chain(self.admin_tls.as_deref());
        let of_keys = self.token_keys.iter().map(|keys| &keys.upstream);
        let upstreams = self.upstreams.iter().chain(of_keys).filter_map(|upstream| upstream.peers.credentials());
        let listeners = listeners.map(|tls| -> &dyn Credentials { tls });
        let store = self.store.iter().filter_map(|store| store.credentials());
        let databases = self.export_credentials.iter().chain(&self.webhook_store_credentials);
        let receivers = self.webhook_authorities.iter().chain(databases);
        let peers = upstreams.chain(receivers).map(|tls| -> &dyn Credentials { &**tls });
        listeners.chain(peers).chain(store)
    }

    /// Returns whether an address belongs to a trusted proxy.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.server.trusted_proxies.iter().any(|network| network.contains(address))
    }
}

/// Reads the certificate authorities that verify receivers of webhooks; `None` if the configuration names none.
fn webhook_authorities(settings: &Settings, diagnostics: &mut Diagnostics) -> Option<Arc<Renewable<PeerCredentials>>> {
    let ca = settings.services.webhooks.as_ref()?.ca.clone()?;
    let name = "services.webhooks".to_owned();
    let tls = UpstreamTls { name, server_name: None, ca: Some(ca), pair: None, min_version: TlsVersion::Tls12 };
    tls::upstream(&tls, clock::unix_seconds(), diagnostics)
}

fn database_credentials(
    store: &ServiceStoreSettings,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<Renewable<PeerCredentials>>> {
    tls::upstream(store.postgres()?.tls.as_ref()?, clock::unix_seconds(), diagnostics)
}

/// Compiles the second paths of lists (`new_clients.path`), each as a route of its own, which has no old clients and
/// shares the state of the list's route. No request therefore needs to know that a list has two paths.
fn second_paths(
    settings: &Settings,
    routes: &[Arc<Route>],
    verifiers: RouteVerifiers<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<Arc<Route>> {
    let compile = |route: &Arc<Route>| {
        let own = settings.routes.iter().find(|own| own.name.value == route.name)?.for_new_clients()?;
        let asked = settings.upstreams.get(own.upstream);
        let (known, upstream) = (std::slice::from_ref(route), Some(Arc::clone(&route.upstream)));
        // All faults have been reported for the list's own path.
        let compiled = diagnostics.unreported(|diagnostics| {
            Route::compile(&own, asked, upstream, verifiers, known, &mut Costs::default(), diagnostics)
        });
        compiled.flatten().map(Arc::new)
    };
    routes.iter().filter_map(compile).collect()
}

/// Checks the configuration's own dialects and envelopes, including those that no route uses.
fn check_own(settings: &Settings, diagnostics: &mut Diagnostics) {
    for dialect in &settings.own_dialects {
        Dialect::check(dialect, diagnostics);
    }
    for envelope in &settings.own_envelopes {
        EnvelopeTemplate::compile(envelope, "items", diagnostics);
    }
}

/// Warns of routes that refuse all legacy requests because their sunset has passed. A mistyped year has the same
/// effect.
fn warn_of_sunsets(settings: &Settings, now: u64, diagnostics: &mut Diagnostics) {
    let lists = settings.routes.iter().filter_map(|route| Some((&route.name.value, route.list.as_ref()?)));
    for (name, list) in lists {
        let LegacySettings { sunset: Some(sunset), sunset_at: Some(at), after_sunset: AfterSunset::Reject, .. } =
            list.legacy
        else {
            continue;
        };
        if let Some(sunset) = u64::try_from(sunset).ok().filter(|sunset| *sunset <= now) {
            let date = clock::date(sunset);
            let message = format!("the sunset of routes.{name} was {date}: all its old clients are refused");
            diagnostics.warning(at, message, "is the year right? if so, write old_clients = \"reject\" instead");
        }
    }
}

/// Compiles the collector of traces; `None` without `[traces]`.
fn collector(settings: &Settings, upstreams: &[Option<Arc<Upstream>>]) -> Option<Collector> {
    let traces = settings.traces.as_ref()?;
    let upstream = upstreams.get(traces.upstream)?.as_ref()?;
    Some(Collector::compile(traces, Arc::clone(upstream)))
}

/// Compiles the key of permits, and keeps the explanations of the previous snapshot; `None` without
/// `admin.explain_key`.
fn explanations(settings: &Settings, previous: Option<&Snapshot>) -> Option<Explanations> {
    let key = settings.admin.as_ref()?.explain_key.as_ref()?;
    Some(Explanations::new(key, previous.and_then(|previous| previous.explanations.as_ref())))
}

/// Returns the cursor keys. A key that the previous snapshot already had keeps its time.
fn cursor_keys(settings: &Settings, previous: Option<&Snapshot>) -> Vec<CursorKey> {
    let Some(cursor) = &settings.cursor else { return Vec::new() };
    let known = previous.map_or(&[][..], |previous| &previous.cursor_keys);
    let since =
        |number| known.iter().find(|key| key.number == number).map_or_else(clock::unix_seconds, |key| key.since);
    let keys = cursor.keys.iter().map(|(number, _)| *number);
    keys.map(|number| CursorKey { number, signs: number == cursor.signing_key, since: since(number) }).collect()
}

/// Compiles the protocols of listeners. Listeners with faults are left out. Listeners that only the previous snapshot
/// has are kept, because their sockets stay open until the process ends.
fn listeners(
    settings: &Settings,
    previous: Option<&Snapshot>,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, ListenerProtocols)> {
    let now = clock::unix_seconds();
    let mut listeners = Vec::with_capacity(settings.listeners.len());
    for ListenerSettings { name, http2, tls, proxy_protocol, .. } in &settings.listeners {
        let tls = match tls {
            Some(tls) => match tls::listener(tls, *http2, now, diagnostics) {
                Some(tls) => Some(tls),
                None => continue,
            },
            None => None,
        };
        listeners
            .push((name.clone(), ListenerProtocols { tls, http2: *http2, proxies: proxy_protocol.as_slice().into() }));
    }
    let open = previous.map_or(&[][..], |previous| &previous.listeners);
    let is_gone = |(name, _): &&(String, ListenerProtocols)| settings.listeners.iter().all(|known| known.name != *name);
    listeners.extend(open.iter().filter(is_gone).cloned());
    listeners
}

/// Compiles the TLS settings of the admin listener; `None` for plain text, or for faults, which are reported. A reload
/// that removes `[admin]` changes nothing here, because the listener stays open until the process ends.
fn admin_tls(
    settings: &Settings,
    previous: Option<&Snapshot>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<Renewable<Acceptor>>> {
    match &settings.admin {
        Some(admin) => tls::listener(admin.tls.as_ref()?, false, clock::unix_seconds(), diagnostics),
        None => previous?.admin_tls.clone(),
    }
}

/// Returns the memory budget of bodies: the previous one if its size is the same, and otherwise a new one.
fn memory(size: usize, previous: Option<&Snapshot>) -> Arc<Memory> {
    // Requests in flight hold shares of the previous budget, which a new budget wouldn't count. An unchanged budget is
    // therefore kept.
    let kept = previous.filter(|previous| previous.memory.most() == size);
    kept.map_or_else(|| Memory::new(size), |previous| Arc::clone(&previous.memory))
}

/// Returns the cache of pivots: the previous one if its limits are the same, and otherwise an empty one.
fn pivots(size: usize, settings: &Settings, previous: Option<&Snapshot>) -> Arc<Pivots> {
    let limits = PivotLimits { size, ttl: settings.caches.pivots.ttl };
    let known = previous.map(|previous| &previous.pivots);
    let known = known.filter(|pivots| pivots.limits() == limits);
    known.map_or_else(|| Arc::new(Pivots::new(limits)), Arc::clone)
}

/// Returns the cache of pages: the previous one if its size is the same, and otherwise an empty one that keeps the
/// known purges. Returns `None` if no route has a page cache: the size is then 0.
fn pages(size: usize, previous: Option<&Snapshot>) -> Option<Arc<KeptPages>> {
    if size == 0 {
        return None;
    }
    Some(match previous.and_then(|previous| previous.pages.as_ref()) {
        Some(pages) if pages.limit() == size => Arc::clone(pages),
        Some(pages) => Arc::new(pages.resized(size)),
        None => Arc::new(KeptPages::new(size)),
    })
}

/// Compiles the shared store; `None` without `[caches.shared]` or if the store's settings have faults.
fn store(
    settings: &Settings,
    keys: Option<&Arc<KeyRing>>,
    previous: Option<&Snapshot>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<SharedStore>> {
    let previous = previous.and_then(|previous| previous.store.as_deref());
    SharedStore::compile(settings.caches.shared.as_ref()?, keys, previous, diagnostics).map(Arc::new)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::Viewer, shared::learning::LearntProfile};
    use cursorgate_config::Environment;
    use cursorgate_core::pagination::paging::UpstreamProfile;

    /// An environment in which every variable contains a key and no file exists.
    struct Key;

    impl Environment for Key {
        fn variable(&self, _name: &str) -> Option<String> {
            Some("8mEJ0qzKcQ1nH7vXwY2rT5uB9dFgLpZaSxC3kVtNjRo".to_owned())
        }

        fn read(&self, _path: &Path) -> std::io::Result<Vec<u8>> {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }

    /// Returns the snapshot of a configuration with one route and one peer. `tls` is an extra line of the upstream.
    ///
    /// # Errors
    ///
    /// Returns the diagnostics as text.
    fn build(peer: &str, tls: &str, previous: Option<&Snapshot>) -> Result<Snapshot, String> {
        let text = format!(
            "version = 1\n[listeners.public]\naddress = \"127.0.0.1:0\"\n\
             [cursor]\nsigning_key = 1\nkeys = {{ 1 = \"env:KEY\" }}\n\
             [upstreams.people]\npeers = [{peer:?}]\n{tls}\n\
             [routes.users]\nold_clients = \"none\"\npath = \"/users\"\nupstream = \"people\"\ndialect = \"page-limit\"\norder = [\"id\"]\n"
        );
        let (settings, mut diagnostics) = cursorgate_config::load_text("a.toml", &text, &Key);
        let built = settings.and_then(|settings| Snapshot::build(&settings, previous, &mut diagnostics));
        built.ok_or_else(|| diagnostics.render(false))
    }

    #[tokio::test]
    async fn all_timeouts_of_a_peer_are_set() {
        let snapshot = build("127.0.0.1:1", "", None).unwrap();
        let upstream = &snapshot.routes[0].upstream;
        let now = tokio::time::Instant::now().into_std();
        let visit = upstream.visit(&http::HeaderMap::new(), "/", true);
        let options = visit.next(now, upstream.timeouts.connect).await.unwrap().http.options;
        for timeout in [
            options.connection_timeout,
            options.total_connection_timeout,
            options.read_timeout,
            options.write_timeout,
            options.idle_timeout,
        ] {
            assert!(timeout.is_some_and(|timeout| !timeout.is_zero()), "{options:?}");
        }
        // Without these, a connection in the pool that a NAT has forgotten is noticed only by the next request. A peer may
        // leave its window closed for as long as a write may take. Test: `an_upstream_may_pause_within_an_upload`.
        let probes = options.tcp_keepalive.as_ref().unwrap();
        assert!(
            probes.user_timeout == upstream.timeouts.whole && probes.idle < crate::net::connection::IDLE,
            "{probes:?}"
        );
    }

    #[test]
    fn learnt_limits_outlive_a_reload_of_the_same_route() {
        let first = build("127.0.0.1:1", "", None).unwrap();
        let profile = UpstreamProfile { cap: Some(100), run: 7, drift: Some(3), ..UpstreamProfile::default() };
        let learning = &first.routes[0].list.as_ref().unwrap().learning;
        let none = http::HeaderMap::new();
        let viewer = Viewer { headers: &none, known: None, told_apart_by: &[], bound: &[], impersonal: &[] };
        let scope = learning.scope("/users", "", viewer);
        let address = ([127, 0, 0, 1], 1).into();
        learning.add(scope, Some(address), LearntProfile { before: UpstreamProfile::default(), after: profile });
        let unknown = UpstreamProfile { drift: Some(0), ..UpstreamProfile::default() };
        for (peer, known) in [("127.0.0.1:1", profile), ("127.0.0.1:2", unknown)] {
            let next = build(peer, "", Some(&first)).unwrap();
            let learning = &next.routes[0].list.as_ref().unwrap().learning;
            assert_eq!(learning.read(learning.cap(scope, address)), known, "{peer}");
        }
        let next = build("127.0.0.1:1", "", Some(&first)).unwrap();
        assert!(Arc::ptr_eq(&next.routes[0].upstream.peers.names()[0], &first.routes[0].upstream.peers.names()[0]));
    }

    #[test]
    fn the_memory_of_the_process_is_divided() {
        let snapshot = build("127.0.0.1:1", "", None).unwrap();
        assert_eq!(snapshot.memory_plan.whole, crate::runtime::memory_limit::usable());
        let next = build("127.0.0.1:1", "[server]\nmemory = \"512MiB\"", Some(&snapshot)).unwrap();
        let plan = next.memory_plan;
        assert_eq!((plan.whole, plan.connections, plan.bodies), (512 << 20, 2_340, next.memory.most()));
        assert_eq!(
            plan.to_string(),
            "of 512 MiB, 32 at rest, 192 for connections (at most 2340), 1 for routes, 287 for bodies"
        );
        let limited =
            "[server]\nmemory = \"512MiB\"\n[defaults.rate_limit]\nrequests = 9\nupstream_requests = 9\nper = \"1m\"";
        let plan = build("127.0.0.1:1", limited, None).unwrap().memory_plan;
        assert!(plan.to_string().ends_with(", 7 for rate limits, 281 for bodies"), "{plan}");
        let whole = build("127.0.0.1:1", "[server]\nmemory = \"512MiB\"\n", Some(&next)).unwrap();
        assert!(Arc::ptr_eq(&whole.memory, &next.memory), "requests in flight hold shares of it");
        let small = "[server]\nmemory = \"256MiB\"\nconnections = 10000";
        let report = build("127.0.0.1:1", small, None).unwrap_err();
        assert!(report.contains("821 for connections (at most 10000)"), "{report}");
    }

    #[test]
    fn a_tls_upstream_without_a_name_for_its_certificate_is_refused() {
        assert!(build("people.internal:443", "tls = {}", None).is_ok());
        assert!(build("192.0.2.1:443", "tls = { server_name = \"people.internal\" }", None).is_ok());
        let report = build("192.0.2.1:443", "tls = {}", None).unwrap_err();
        assert!(report.contains("server_name"), "{report}");
        let report = build("people.internal:443", "tls = { ca = \"/nothing/here.pem\" }", None).unwrap_err();
        assert!(report.contains("here.pem"), "{report}");
    }
}
