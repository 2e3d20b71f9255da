//! The check of `[routes]`: merges each route with its defaults, and reports routes that answer the same requests.

use super::{
    Context, cors, dialect::Dialects, envelope::Envelopes, field, identity, list, methods, openapi::Described,
    other_paths, path, principal, rate_limit,
};
use crate::{
    diagnostic::{Located, Location, nearest},
    key::{Key, TableSettings as _},
    keys::{CURSOR_KEYS, FILE, LEGACY, NEW_CLIENTS, ROUTE, UPSTREAM},
    settings::{Action, ConcurrencySettings, ListSettings, ObserveSettings, OpenApiSettings, Role, RouteSettings},
    spanned::{Spanned, Value},
};

/// The hosts and paths of requests that a route answers.
struct Claim {
    route: String,
    hosts: Vec<String>,
    pattern: String,
    at: Location,
}

/// The dialects, envelopes and files that routes name, and the requests that earlier routes answer.
struct Known<'a> {
    root: &'a Spanned,
    dialects: Dialects<'a>,
    envelopes: Envelopes,
    described: Described,
    claims: Vec<Claim>,
}

pub(super) fn routes(root: &Spanned, context: &mut Context<'_>) -> Vec<RouteSettings> {
    let (own_dialects, own_envelopes) = (FILE.dialects.table(root), FILE.envelopes.table(root));
    let dialects = Dialects::new(&own_dialects, context);
    let envelopes = Envelopes::new(&own_envelopes, context);
    let mut known = Known { root, dialects, envelopes, described: Described::default(), claims: Vec::new() };
    if FILE.routes.find(root).is_none_or(|routes| routes.value == Value::Table(Vec::new())) {
        context.missing(root.at, "there are no routes", "add [routes.NAME] with path and upstream");
    }
    let (defaults, upstreams) = (FILE.defaults.table(root), FILE.upstreams.table(root));
    // If `upstreams` isn't a table, that fault has been reported, and the names of upstreams aren't reported as
    // unknown.
    let upstreams_are_known = FILE.upstreams.find(root).is_none_or(|written| matches!(written.value, Value::Table(_)));
    let mut routes = Vec::new();
    let mut has_list = false;
    let mut undecided = Vec::new();
    for (name, own) in FILE.routes.table(root).tables() {
        // The upstream is looked up before the merge, because its own `defaults` are a part of the merge.
        let upstream = ROUTE.upstream.located(own).or_else(|| ROUTE.upstream.located(&defaults));
        let known_upstream = upstream.as_ref().and_then(|name| upstreams.find(&name.value));
        // The settings of upstreams contain only values that are tables, so the index counts only these.
        let index =
            upstream.as_ref().and_then(|name| upstreams.tables().position(|(known, _)| known.value == name.value));
        let near = known_upstream.map(|known| UPSTREAM.defaults.table(known));
        // `legacy.client` is replaced as a whole: if it were merged, it could have a header of the defaults and a
        // parameter of the route, of which only one is allowed.
        let whole = [LEGACY.client.definition.name];
        let merged = near.map_or_else(|| defaults.clone(), |near| defaults.under(&near, &whole)).under(own, &whole);
        match &upstream {
            // An upstream that isn't a text has been reported, so only a missing one is reported here.
            None if ROUTE.upstream.find(&merged).is_none() => {
                let message = format!("routes.{} names no upstream", name.value);
                context.missing(own.at, message, "upstream = \"NAME\" of an [upstreams.NAME]");
            }
            Some(upstream) if known_upstream.is_none() && upstreams_are_known => {
                unknown_upstream(upstream, &upstreams, context);
            }
            _ => {}
        }
        let route = Route { name, at: own.at, own, written: merged };
        if route.has_list() && !std::mem::replace(&mut has_list, true) {
            route.check_key(root, context);
        }
        let read = route.read(index, &mut known, context);
        if route.is_undecided() {
            let first = read.as_ref().and_then(|read| first_page(read.list.as_deref()?));
            undecided.push((name.value.clone(), own.at, ROUTE.path.read(&route.written), first));
        }
        routes.extend(read);
    }
    ask_for_old_clients(&undecided, context);
    if let Some((own, at)) = other_paths::route(root, &routes, context) {
        let whole = [LEGACY.client.definition.name];
        let upstream = ROUTE.upstream.or_empty(&own);
        let index = upstreams.tables().position(|(known, _)| known.value == upstream);
        let near = upstreams.find(&upstream).map(|known| UPSTREAM.defaults.table(known));
        let merged = near.map_or_else(|| defaults.clone(), |near| defaults.under(&near, &whole)).under(&own, &whole);
        let name = Located { value: other_paths::NAME.to_owned(), at };
        let route = Route { name: &name, at, own: &own, written: merged };
        routes.extend(route.read(index, &mut known, context));
    }
    routes
}

/// Reports routes that don't say whether their lists have old clients: an upgrade or a copied file must not change
/// answers silently, in either direction, so there is no default.
fn ask_for_old_clients(routes: &[(String, Location, Option<String>, Option<String>)], context: &mut Context<'_>) {
    let Some(((name, at, path, first), others)) = routes.split_first() else { return };
    let first = first.as_deref().unwrap_or("?cursor=start");
    let path = path.as_deref().unwrap_or("its list");
    let others = match others {
        [] => String::new(),
        [(other, ..)] => format!(", nor does routes.{other}"),
        others => format!(", nor do {} other routes", others.len()),
    };
    let message = format!("who uses {path} today? routes.{name} doesn't say{others}");
    let help = format!(
        "write one of these in the route:\n\
         old_clients = \"pass\"   their requests get the service's own answers; pages begin with {first}\n\
         old_clients = \"none\"   nobody yet: every request is a page\n\
         for all routes: [defaults] old_clients = \"pass\""
    );
    context.missing(*at, message, help);
}

/// Describes the first request of a new client for a list; `None` if its envelope has no cursor.
fn first_page(list: &ListSettings) -> Option<String> {
    let renamed = &list.parameters.renamed;
    let kept = list.envelope.parameters.iter().filter(|(role, _)| renamed.iter().all(|(other, _)| other != role));
    let named: Vec<&(Role, Located<String>)> = renamed.iter().chain(kept).collect();
    let name = [Role::Cursor, Role::After, Role::AfterId]
        .into_iter()
        .find_map(|role| named.iter().find(|(known, _)| *known == role))
        .map(|(_, name)| &name.value)?;
    let start = &list.new_clients.start;
    Some(match name.starts_with('/') {
        true => format!("{start:?} at {name} of the body"),
        false => format!("?{name}={start}"),
    })
}

pub(super) fn unknown_upstream(name: &Located<String>, upstreams: &Spanned, context: &mut Context<'_>) {
    let names: Vec<&str> = upstreams.members().iter().map(|(known, _)| known.value.as_str()).collect();
    let meant = nearest(&name.value, names.iter().copied());
    let help = match meant {
        Some(meant) => format!("did you mean {meant:?}? upstreams: {}", names.join(", ")),
        None => format!("add [upstreams.{}] with its peers", name.value),
    };
    context.diagnostics.error(name.at, format!("there is no upstream {:?}", name.value), help);
}

/// A route with its defaults merged in.
struct Route<'a> {
    name: &'a Located<String>,
    at: Location,
    /// The table of the route itself, without defaults.
    own: &'a Spanned,
    written: Spanned,
}

impl Route<'_> {
    fn read(&self, upstream: Option<usize>, known: &mut Known<'_>, context: &mut Context<'_>) -> Option<RouteSettings> {
        let action = self.action();
        let hosts = ROUTE.hosts.or_empty(&self.written);
        let path = ROUTE.path.located(&self.written);
        if ROUTE.path.find(&self.written).is_none() {
            let message = format!("routes.{} has no path", self.name.value);
            context.missing(self.at, message, "path = \"/api/users\"; \"/{*rest}\" for all of them, if it forwards");
        }
        let segments = path.as_ref().and_then(|path| self.segments(path, context));
        if let (Some(path), Some(segments)) = (&path, &segments) {
            self.claim(path, &hosts, segments, &mut known.claims, context);
        }
        let keeps_list = self.has_list() || self.is_set_back();
        let second = NEW_CLIENTS.path.read(&ROUTE.new_clients.table(&self.written)).filter(|_| keeps_list);
        if let (Some(second), Some(segments)) = (&second, &segments) {
            self.claim_second(second, &hosts, segments, &mut known.claims, context);
        }
        let methods = methods::methods(&self.written, context);
        let rate_limit = rate_limit::rate_limit(known.root, &self.written, context);
        let identity = identity::of_route(known.root, &self.written, context);
        let list = match action? {
            Action::Forward => None,
            Action::Paginate | Action::Observe => {
                let collection = segments.as_ref().and_then(|segments| self.collection(segments, context));
                let route = list::Route { name: &self.name.value, at: self.at, written: &self.written };
                let list = route.read(collection, &mut known.dialects, &mut known.envelopes, known.root, context)?;
                methods::check(&list, methods, &self.written, context);
                // Only fields of the route itself are checked, because fields of the defaults may be meant for other
                // routes.
                field::check_names(&list, self.own, context);
                rate_limit::check_cost(&rate_limit, list.budgets, context);
                identity::check_parameters(&identity, &list, &self.written, context);
                if action? == Action::Observe {
                    methods::check_observed(methods, &self.written, context);
                }
                Some(Box::new(list))
            }
        };
        let set_back = segments.as_ref().and_then(|segments| self.set_back(segments, known, context));
        Some(RouteSettings {
            name: self.name.clone(),
            hosts,
            path: path?,
            methods,
            upstream: upstream?,
            upstream_path: ROUTE.upstream_path.located(&self.written),
            list_path: None,
            public_url: ROUTE.public_url.without_final_slash(&self.written),
            identity,
            concurrency: concurrency(known.root, &self.written),
            rate_limit,
            cors: ROUTE.cors.written(&self.written).and_then(|written| cors::cors(&written, context)),
            legacy_links: ROUTE.legacy.find(&self.written).and_then(|legacy| LEGACY.links.located(legacy)),
            list,
            set_back,
            observe: self.observe(action?, context),
            openapi: self.openapi(known, context),
        })
    }

    /// Returns whether the route forwards, and still has keys of a list of its own: it was set back to forwarding.
    fn is_set_back(&self) -> bool {
        let own = [ROUTE.dialect.find(self.own), ROUTE.order.find(self.own), ROUTE.old_clients.find(self.own)];
        self.action() == Some(Action::Forward) && own.iter().any(Option::is_some)
    }

    /// Reads the list of a route that was set back to forwarding; `None` for all other routes. The list isn't served, so
    /// its faults aren't reported.
    fn set_back(
        &self,
        segments: &[path::Segment<'_>],
        known: &mut Known<'_>,
        context: &mut Context<'_>,
    ) -> Option<Box<ListSettings>> {
        if !self.is_set_back() || matches!(segments.last(), Some(path::Segment::Rest(_))) {
            return None;
        }
        let Context { environment, whole, .. } = *context;
        let list = context.diagnostics.unreported(|diagnostics| {
            let context = &mut Context { diagnostics, environment, whole };
            let collection = self.collection(segments, context);
            let route = list::Route { name: &self.name.value, at: self.at, written: &self.written };
            route.read(collection, &mut known.dialects, &mut known.envelopes, known.root, context)
        });
        list.flatten().map(Box::new)
    }

    /// Reads `openapi`. Reports it on a route without a list, which has no items. Returns `None` without `openapi`, and
    /// for a faulty one.
    fn openapi(&self, known: &mut Known<'_>, context: &mut Context<'_>) -> Option<OpenApiSettings> {
        ROUTE.openapi.find(&self.written)?;
        if self.has_list() {
            return known.described.find(&ROUTE.openapi.table(&self.written), context);
        }
        self.check_unused(
            &ROUTE.openapi,
            "has no items to describe",
            "remove this: forwarded requests are not described",
            context,
        );
        None
    }

    /// Reports a key of the route itself that has no effect on the route. `what` completes the message.
    fn check_unused(&self, key: &Key<Spanned>, what: &str, help: &str, context: &mut Context<'_>) {
        // A key of the defaults may be meant for other routes, so only the route's own keys are reported.
        if let Some(name) = key.name_in(self.own) {
            context.diagnostics.error(name.at, format!("routes.{} {what}", self.name.value), help);
        }
    }

    /// Reads `observe`; `None` if the route doesn't observe. Reports `observe` on such a route.
    fn observe(&self, action: Action, context: &mut Context<'_>) -> Option<ObserveSettings> {
        if action == Action::Observe {
            return Some(ROUTE.observe.settings(&self.written));
        }
        self.check_unused(&ROUTE.observe, "does not observe", "write action = \"observe\", or remove this", context);
        None
    }

    /// Returns whether the route pages a list without saying whether the list has old clients. If `legacy` still says so
    /// in the words of earlier versions, that has been reported, with the words that replace them.
    fn is_undecided(&self) -> bool {
        let says_it_as_before = ROUTE.legacy.table(&self.written).find("policy").is_some();
        self.action() == Some(Action::Paginate) && ROUTE.old_clients.find(&self.written).is_none() && !says_it_as_before
    }

    /// Returns whether the route serves or observes a list.
    fn has_list(&self) -> bool {
        matches!(self.action(), Some(Action::Paginate | Action::Observe))
    }

    /// Returns the action; `None` if it is invalid, which has been reported.
    fn action(&self) -> Option<Action> {
        let is_written = ROUTE.action.find(&self.written).is_some();
        if is_written { ROUTE.action.written(&self.written) } else { Some(ROUTE.action.default()) }
    }

    /// Reports that there are no keys for cursors. This is called only for the first route with a list, to report the
    /// fault once.
    fn check_key(&self, root: &Spanned, context: &mut Context<'_>) {
        let cursor = FILE.cursor.table(root);
        let has_keys = CURSOR_KEYS.keys.find(&cursor).is_some_and(|keys| keys.value != Value::Table(Vec::new()));
        if !has_keys && CURSOR_KEYS.signing_key.find(&cursor).is_none() {
            let message = format!("routes.{} serves a list, and there is no key for its cursors", self.name.value);
            let help = "[cursor] signing_key = 1, keys = { 1 = \"env:CURSORGATE_KEY\" }; `cursorgate keygen` makes one";
            context.missing(self.at, message, help);
        }
    }

    fn segments<'p>(&self, path: &'p Located<String>, context: &mut Context<'_>) -> Option<Vec<path::Segment<'p>>> {
        match path::read(&path.value) {
            Ok(segments) => {
                if let Some(path::Segment::Rest(rest)) = segments.last().filter(|_| self.has_list()) {
                    let at = context.diagnostics.part(
                        path.at,
                        &path.value,
                        path.value.len() - rest.len() - 3..path.value.len(),
                    );
                    let message = format!("routes.{} serves a list, and its path ends in {{*{rest}}}", self.name.value);
                    context.diagnostics.error(at, message, "name the list's path, or write action = \"forward\"");
                }
                Some(segments)
            }
            Err(fault) => {
                fault.report(path.at, &path.value, context.diagnostics);
                None
            }
        }
    }

    /// Reports a second path that isn't one of the same list, or that another route already answers. Adds its requests
    /// to `claims`.
    fn claim_second(
        &self,
        second: &Located<String>,
        hosts: &[String],
        own: &[path::Segment<'_>],
        claims: &mut Vec<Claim>,
        context: &mut Context<'_>,
    ) {
        let Some(segments) = self.segments(second, context) else { return };
        let names = |segments: &[path::Segment<'_>]| {
            let mut names: Vec<String> = segments.iter().filter_map(path::parameter).map(str::to_owned).collect();
            names.sort();
            names
        };
        if names(&segments) != names(own) {
            let message = format!("the second path of routes.{} has other parameters than `path`", self.name.value);
            let help = "both paths lead to the same list: write the same names in braces";
            context.diagnostics.error(second.at, message, help);
        }
        self.claim(second, hosts, &segments, claims, context);
    }

    /// Returns the name of the list: the last fixed segment of the path. Reports a path without one, unless the route
    /// has `collection`.
    fn collection(&self, segments: &[path::Segment<'_>], context: &mut Context<'_>) -> Option<String> {
        let fixed = segments.iter().rev().find_map(|segment| match segment {
            path::Segment::Fixed(text) => Some((*text).to_owned()),
            _ => None,
        });
        if fixed.is_none() && ROUTE.collection.find(&self.written).is_none() {
            let message = format!("routes.{} has no name for its list", self.name.value);
            let help = "collection = \"users\"; the path has no fixed segment to take it from";
            context.missing(self.at, message, help);
        }
        fixed
    }

    /// Reports a path that an earlier route already answers for the same hosts. Adds the requests of this route to
    /// `claims`.
    fn claim(
        &self,
        path: &Located<String>,
        hosts: &[String],
        segments: &[path::Segment<'_>],
        claims: &mut Vec<Claim>,
        context: &mut Context<'_>,
    ) {
        let pattern = path::pattern(segments);
        let meets = |claim: &&Claim| {
            let same_host = claim.hosts.iter().any(|host| hosts.contains(host));
            // A route with hosts takes precedence over a route without, so these two don't conflict. Test:
            // `the_more_specific_route_wins`.
            claim.pattern == pattern && (same_host || (claim.hosts.is_empty() && hosts.is_empty()))
        };
        if let Some(other) = claims.iter().find(meets) {
            let place = context.diagnostics.place_seen_from(other.at, path.at);
            let message = match other.route == self.name.value {
                true => format!("both paths of routes.{} match the same requests", other.route),
                false => format!("routes.{} and routes.{} answer the same requests", other.route, self.name.value),
            };
            context.diagnostics.error(
                path.at,
                message,
                format!("the other path is in {place}; tell them apart by path or hosts"),
            );
        }
        claims.push(Claim { route: self.name.value.clone(), hosts: hosts.to_vec(), pattern, at: path.at });
    }
}

/// Reads `concurrency` of a merged route; `None` if no limit is set.
fn concurrency(root: &Spanned, route: &Spanned) -> Option<ConcurrencySettings> {
    let written = ROUTE.concurrency.find(route)?;
    let principal = principal::read(root, route);
    let limits = ConcurrencySettings { principal, ..ConcurrencySettings::read(written) };
    (limits.requests.is_some() || limits.per_client.is_some()).then_some(limits)
}
