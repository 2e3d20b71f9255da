//! The description of a configuration's routes in plain words: the way in which pages are found, the guarantee for
//! clients, the cost of a page, the treatment of parameters, and the treatment of legacy clients.

use std::fmt::Write as _;

use super::{durations::duration, links, old_clients, page_cache, review};
use crate::cli::Failure;
use cursorgate_config::settings::{
    BrownoutEffect, CorsSettings, EndWord, IdentityWord, LegacySettings, ListSettings, Methods, Mode, ObserveSettings,
    OverMax, QuotaSettings, Role, RouteSettings, Settings, SortTerm,
};
use cursorgate_core::pagination::{
    order::{Direction, Order, Ties},
    page::Level,
    paging::{EndEvidence, Family, Paging, Sizes},
    resolver::{Totals, Verify, WhenUnproven},
};
use cursorgate_gateway::{Snapshot, routes::route::Route, runtime::clock};
use cursorgate_translate::{
    downstream::Parameters,
    upstream::{CompiledOrder, Costs, Dialect, Guarantee, PageCosts, Places},
};

/// The largest number of routes that are all described. A description has about 700 bytes, in full twice as many.
const MOST_DESCRIBED: usize = 50;

/// The lines of a short description: those by which a reader decides whether the route is what was meant.
const SHORT: [&str; 8] = ["observes", "mode", "level", "order", "cost", "old clients", "new clients", "forwards"];

/// The routes that are described.
#[derive(Clone, Copy, Debug)]
pub(super) enum ShownRoutes<'a> {
    None,
    /// All routes, beyond [`MOST_DESCRIBED`] with a line each.
    All(Detail),
    /// The routes with these names, in full.
    Named(&'a [String]),
}

/// The lines of a description that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Detail {
    /// Those of [`SHORT`].
    Short,
    All,
}

/// Returns the description of routes. Fails if there is no route of a name.
pub(super) fn described(settings: &Settings, snapshot: &Snapshot, shown: ShownRoutes<'_>) -> Result<String, Failure> {
    let mut text = String::new();
    match shown {
        ShownRoutes::None => return Ok(text),
        ShownRoutes::Named(names) => {
            for name in names {
                let found = of_route(settings, snapshot, name, Detail::All);
                if found.is_empty() {
                    return Err(Failure::mistaken(format!("there is no route {name:?}")));
                }
                text.push_str(&found);
            }
            return Ok(text);
        }
        ShownRoutes::All(_) if settings.routes.len() > MOST_DESCRIBED => {
            for (route, compiled) in settings.routes.iter().zip(&snapshot.routes) {
                text.push_str(&requests(settings, route, compiled.list.is_some()));
            }
            let _ = writeln!(text, "\n`--route NAME` describes a route in full.");
        }
        ShownRoutes::All(detail) => {
            let (now, mut costs) = (clock::unix_seconds(), Costs::after(&snapshot.costs));
            let routes = settings.routes.iter().zip(&snapshot.routes);
            let routes = routes.map(|(route, compiled)| describe(settings, route, compiled, &mut costs, now, detail));
            // Routes of one upstream often differ by their paths only. Such routes are described once.
            let mut groups: Vec<(String, String)> = Vec::new();
            for (requests, description) in routes {
                match groups.iter_mut().find(|(_, known)| *known == description) {
                    Some((heads, _)) => heads.push_str(&requests),
                    None => groups.push((requests, description)),
                }
            }
            for (heads, description) in groups {
                text.push_str(&heads);
                text.push_str(&description);
            }
        }
    }
    if !settings.routes.is_empty() && !settings.routes.iter().any(RouteSettings::takes_all_paths) {
        let _ = writeln!(text, "{:<16} every path that no route covers → 404", "other_paths");
    }
    // Without the key, the memory is that of the machine on which the process will run.
    if settings.server.memory.is_some() {
        let _ = writeln!(text, "\nmemory: {}", snapshot.memory_plan);
    }
    Ok(text)
}

/// Returns the description of the routes with this name; an empty string if there is no such route.
pub(in crate::cli) fn of_route(settings: &Settings, snapshot: &Snapshot, name: &str, detail: Detail) -> String {
    let (mut text, mut costs) = (String::new(), Costs::after(&snapshot.costs));
    let routes = settings.routes.iter().zip(&snapshot.routes);
    for (route, compiled) in routes.filter(|(route, _)| route.name.value == name) {
        let (requests, description) = describe(settings, route, compiled, &mut costs, clock::unix_seconds(), detail);
        text.push_str(&requests);
        text.push_str(&description);
    }
    text
}

/// Returns the line about the requests of a route, and the description of what it does with them.
fn describe(
    settings: &Settings,
    route: &RouteSettings,
    compiled: &Route,
    known: &mut Costs,
    now: u64,
    detail: Detail,
) -> (String, String) {
    let mut lines = ShownLines { text: String::new(), detail };
    describe_policy(&mut lines, settings, route, compiled, known, now);
    (requests(settings, route, compiled.list.is_some()), lines.text)
}

fn describe_policy(
    out: &mut ShownLines,
    settings: &Settings,
    route: &RouteSettings,
    compiled: &Route,
    known: &mut Costs,
    now: u64,
) {
    if let Some(observe) = route.observe {
        line(out, "observes", &observes(observe));
    }
    if describe_list(out, settings, route, compiled, known, now).is_none() {
        match links::passed(settings, route, None) {
            Some((word, text)) => {
                line(out, "forwards", "everything");
                line(out, word, &text);
            }
            None => line(out, "forwards", "everything, unchanged"),
        }
    }
    if let Some(who) = identity(route) {
        line(out, "identity", &who);
    }
    let does =
        if compiled.set_back.is_some() { Some("forwards") } else { compiled.observed.as_ref().map(|_| "observes") };
    if let Some(does) = does {
        line(out, "new clients", &format!("get 503 not_paged, because the route {does}"));
    }
    if let Some(limits) = limits(route) {
        line(out, "limits", &(limits + counted(settings)));
    }
    if let Some(settings) = &route.cors {
        line(out, "cors", &cors(settings));
    }
}

/// Describes the requests that the route answers, and the upstream and the path to which they are sent.
fn requests(settings: &Settings, route: &RouteSettings, is_served: bool) -> String {
    let upstream = &settings.upstreams[route.upstream];
    let path = &route.path.value;
    let asked = match &route.upstream_path {
        Some(template) => template.value.replace("{path}", path.strip_suffix('/').unwrap_or(path)),
        None => path.clone(),
    };
    let methods = match (is_served, route.methods) {
        (false, _) => "every method",
        (true, Methods { get: true, post: true }) => "GET and POST",
        (true, Methods { post: true, .. }) => "POST",
        (true, _) => "GET",
    };
    let hosts = if route.hosts.is_empty() { String::new() } else { format!("{} ", route.hosts.join(" ")) };
    let name = &route.name.value;
    format!("{name:<16} {methods} {hosts}{path} → {} {}{asked}\n", upstream.name, upstream.base_path)
}

/// Describes the pages of a list, and its legacy clients. Returns `None` if the route has no list.
fn describe_list(
    out: &mut ShownLines,
    settings: &Settings,
    route: &RouteSettings,
    compiled: &Route,
    known: &mut Costs,
    now: u64,
) -> Option<()> {
    let (list, serving) = (route.list.as_deref()?, compiled.described_list()?);
    let served = compiled.list.as_ref();
    let dialect = &serving.dialect;
    let promise = dialect.guarantee(dialect.default_sorted(), list);
    let names = [dialect.paging_names(), &dialect.paging_places()].concat();
    describe_pages(out, list, dialect, &promise, &names, known);
    let parameters = &serving.conventions.own().parameters;
    line(out, "clients", &clients(list, parameters));
    line(out, "others", &others(list));
    line(out, "pages", &pages(list));
    if let Some(example) = served.and_then(|_| links::example(settings, route, parameters)) {
        line(out, "links", &example);
    }
    if route.methods.post {
        line(out, "bodies", &bodies(list, dialect.sends_bodies()));
    }
    line(out, "cursors", &cursors(list, &promise, compiled.serves_by_host()));
    if let Some(cache) = &list.page_cache {
        line(out, "page cache", &page_cache::kept(cache, list.cursor.ttl));
    }
    // Without a mark, the name of the clients' limit is the service's own.
    let is_own = |name: &&String| !parameters.has_old_clients() && parameters.name(Role::Limit) == Some(name.as_str());
    let marks: Vec<String> = names.iter().filter(|name| !is_own(name)).cloned().collect();
    if served.is_some() {
        line(out, "old clients", &old_clients::old(&list.legacy, &marks, now));
        if let Some(new) = old_clients::new(list, parameters) {
            line(out, "new clients", &new);
        }
    } else {
        line(out, "old clients", "every request without a mark passes, because the route observes");
    }
    if parameters.has_old_clients() {
        if let Some(limits) = legacy_limits(&list.legacy, now).filter(|_| served.is_some()) {
            line(out, "old limits", &(limits + counted(settings)));
        }
        if let Some((word, text)) = links::passed(settings, route, Some(serving)) {
            line(out, word, &text);
        }
        let others = review::catch_alls(route, settings);
        if !others.is_empty() {
            let text = "other requests below this path reach the same upstream, without this policy";
            line(out, "bypass", &format!("{}: {text}", others.join(", ")));
        }
    }
    Some(())
}

/// Describes the origins whose scripts may read answers of the route.
fn cors(settings: &CorsSettings) -> String {
    let origins = match settings.origins.as_slice() {
        [any] if any == "*" => "all origins".to_owned(),
        origins => origins.join(", "),
    };
    let credentials = if settings.credentials { ", with credentials" } else { "" };
    format!("{origins}{credentials}; browsers ask again after {}", duration(settings.max_age))
}

/// Describes the treatment of requests on a route that observes.
fn observes(observe: ObserveSettings) -> String {
    let which = match observe.every {
        1 => "every answer to an old client".to_owned(),
        every => format!("one of {every} answers to old clients"),
    };
    format!("every request passes through; {which} is read and counted. action = \"paginate\" does the following")
}

/// The lines of a description, as far as they are shown.
struct ShownLines {
    text: String,
    detail: Detail,
}

/// Writes a line of the description of a route, with `word` as its label.
fn line(out: &mut ShownLines, word: &str, text: &str) {
    if out.detail == Detail::All || SHORT.contains(&word) {
        let _ = writeln!(out.text, "  {word:<11}  {text}");
    }
}

/// Describes how pages are found, and their guarantee, order and cost.
fn describe_pages(
    out: &mut ShownLines,
    list: &ListSettings,
    dialect: &Dialect,
    promise: &Guarantee,
    names: &[String],
    known: &mut Costs,
) {
    line(out, "mode", &mode(list, promise, dialect, names));
    if list.mode.value == Mode::Auto && promise.mode != Mode::Token {
        line(out, "why", &promise.why);
    }
    if let Some(shown) = dialect.shown_filters() {
        line(out, "filters", &shown);
    }
    let run = known.longest_run(dialect, list);
    line(out, "level", &level(list, promise, dialect));
    if let Some((next, why)) = next_level(promise.level).zip(promise.keeps_from_next.as_deref()) {
        line(out, "why", &format!("not {next}: {why}"));
    }
    if let Some(order) = order(list, promise, dialect, run) {
        line(out, "order", &order);
    }
    let of_largest = known.longest_run_of_largest(dialect, list);
    let rows = Costs::rows(dialect, list);
    line(out, "cost", &cost(list, promise, &known.of(dialect, list), rows, run, of_largest));
}

/// Describes the mode, and the requests with which pages are read.
fn mode(list: &ListSettings, promise: &Guarantee, dialect: &Dialect, names: &[String]) -> String {
    let (paging, places) = (dialect.paging(), dialect.places());
    let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    let family = match paging.family {
        Family::Page => "page",
        Family::Offset => "offset",
        Family::Token => "token",
    };
    let how = match promise.mode {
        Mode::Keyset | Mode::Seek => {
            let fields: Vec<&str> = list.filterable.iter().map(|field| field.value.as_str()).collect();
            let otherwise = match places {
                Places::Ranges => "no offset or page can be asked for".to_owned(),
                _ if promise.mode == Mode::Keyset && !dialect.default_sorted().filters_back => {
                    format!("backward and else by {family}{names}")
                }
                _ => format!("else by {family}{names}"),
            };
            match fields.as_slice() {
                [] => format!("by the keys of the cursor's item, {otherwise}"),
                fields => format!("by range filters on {}, {otherwise}", fields.join(", ")),
            }
        }
        Mode::Offset | Mode::Token | Mode::Auto => format!("by {family}{names}"),
    };
    let sizes = match paging.sizes() {
        Sizes::Free { most: Some(most), .. } => format!("at most {most} items a request"),
        Sizes::Free { most: None, .. } => "any number of items a request".to_owned(),
        Sizes::Listed(sizes) => {
            let sizes: Vec<String> = sizes.iter().map(u32::to_string).collect();
            format!("{} items a request", sizes.join(" or "))
        }
        Sizes::Fixed(size) => format!("always {size} items a request"),
    };
    format!("{}: {how}; {sizes}; dialect {}", promise.mode.word(), list.dialect.name)
}

/// Describes the best level of a page, and its exceptions.
fn level(list: &ListSettings, promise: &Guarantee, dialect: &Dialect) -> String {
    let (paging, sorted) = (dialect.paging(), dialect.default_sorted());
    let level = match promise.level {
        Level::Exact => "exact: no item is skipped or repeated",
        Level::Checked => "checked: no item is skipped or repeated, unless changes cancel out between two answers",
        Level::Anchored if paging.family == Family::Token => {
            "anchored: of the items that the upstream's tokens lead to, none is skipped or repeated"
        }
        Level::Anchored => {
            "anchored: of the items that keep their place among their neighbours, none is skipped or repeated"
        }
        Level::Positional => "positional: pages by their offsets, unproven",
    };
    let by_filter = matches!(promise.mode, Mode::Keyset | Mode::Seek);
    let mut text = level.to_owned();
    if let (Sizes::Listed(sizes), Family::Page, false, Level::Exact) =
        (paging.sizes(), paging.family, by_filter, promise.level)
    {
        let place = sizes.iter().fold(1, |multiple, size| least_common_multiple(multiple, u64::from(*size)));
        let _ = write!(text, "; at every {place}th item by the flipped order");
    }
    if promise.level == Level::Exact && paging.end == EndEvidence::Unvouched && !list.dialect.response.tells_end() {
        text.push_str(
            "; the last page is checked, since no answer says that the list ends (response.total, has_more, end)",
        );
    }
    if paging.family == Family::Token {
        // The items of a run that were served are known only by their place beside the cursor's item.
        if promise.level == Level::Anchored && has_loose_ties(&sorted.order) {
            text.push_str("; if the cursor's item is deleted or items with equal keys change their order, these may come again or be skipped");
        }
        text.push_str(way_back(list, paging));
    }
    if !dialect.reads_back(sorted) {
        let why =
            if sorted.flips { "the filters lead only forward" } else { "the order can't be asked for from its end" };
        let _ = write!(text, "; no pages backward, since {why}");
    }
    if list.unproven == WhenUnproven::Flag {
        text.push_str("; pages that can't be proven are served and flagged");
    }
    if list.verify == Verify::WhenCheap {
        text.push_str("; pages whose proof takes a further request are served unproven and flagged");
    }
    text
}

/// Returns whether items with equal keys come in any order.
fn has_loose_ties(order: &Order) -> bool {
    order.ties() == Ties::Unordered && !order.strong().is_empty()
}

/// Describes a declared order, and the treatment of equal keys. Returns `None` if no order is declared.
fn order(list: &ListSettings, promise: &Guarantee, dialect: &Dialect, run: Option<(u32, u32)>) -> Option<String> {
    let sorted = dialect.default_sorted();
    let order = &sorted.order;
    if !order.is_declared() {
        return None;
    }
    let mut terms: Vec<SortTerm> = list.order.iter().map(|term| term.value.clone()).collect();
    terms.push(SortTerm { field: "id".to_owned(), direction: list.id_direction });
    let asked = if sorted.query.is_empty() { String::new() } else { format!(": {}", sorted.query) };
    let mut text = format!("{} ({}{asked})", terms_text(&terms), how_sorted(list, promise, sorted));
    if has_loose_ties(order) {
        text.push_str("; items with equal keys are read together");
        if let Some((longest, _)) = run {
            let _ = write!(text, ", up to {longest} of them: a longer run ends a walk");
        }
    }
    Some(text)
}

/// Describes the source of the declared order: the gateway requests it, or assumes that the list has it.
fn how_sorted(list: &ListSettings, promise: &Guarantee, sorted: &CompiledOrder) -> String {
    let strong = sorted.order.strong().len();
    if sorted.asked > strong {
        return "requested".to_owned();
    }
    let names = |field: &str| list.sortable.iter().any(|sortable| sortable.value == field);
    let most = list.dialect.sort.as_ref().and_then(|sort| sort.max_keys).filter(|most| *most == sorted.asked);
    let limited =
        |most: usize| format!("the dialect takes at most {most} key{} (max_keys)", if most == 1 { "" } else { "s" });
    if sorted.asked == strong && strong > 0 {
        return match most.filter(|_| names("id")) {
            Some(most) => format!("requested without the id: {}", limited(most)),
            None => "requested without the id, which is not in sortable".to_owned(),
        };
    }
    if sorted.asked > 0 {
        let why = most.map(|most| format!(": {}", limited(most))).unwrap_or_default();
        return format!("requested as far as its first {}{why}", sorted.asked);
    }
    let assumed = if promise.level == Level::Positional {
        "not requested"
    } else {
        "not requested, and every response is checked"
    };
    let missing = list.order.iter().map(|term| term.value.field.as_str()).chain(["id"]).find(|field| !names(field));
    match missing.filter(|_| list.dialect.sort.is_some() && !list.sortable.is_empty()) {
        Some(field) => format!("{assumed}: {field} is not in sortable"),
        None => assumed.to_owned(),
    }
}

/// Describes whether a list by token has pages backward.
fn way_back(list: &ListSettings, paging: &Paging) -> &'static str {
    match paging.tokens.backward {
        _ if matches!(&list.dialect.response.end, Some(end) if end.value == EndWord::WholeList) => {
            "; each page reads the whole list"
        }
        true => "; backward by the upstream's tokens",
        false => "; no pages backward beyond one page of the upstream, which has no tokens for that",
    }
}

/// Returns the next higher level; `None` for the highest level.
const fn next_level(level: Level) -> Option<&'static str> {
    match level {
        Level::Exact => None,
        Level::Checked => Some("exact"),
        Level::Anchored => Some("checked"),
        Level::Positional => Some("anchored"),
    }
}

fn least_common_multiple(left: u64, right: u64) -> u64 {
    let (mut greatest, mut rest) = (left.max(1), right.max(1));
    while rest > 0 {
        (greatest, rest) = (rest, greatest % rest);
    }
    (left / greatest).saturating_mul(right)
}

fn terms_text(terms: &[SortTerm]) -> String {
    let terms = terms.iter().map(|term| match term.direction {
        Direction::Ascending => term.field.clone(),
        Direction::Descending => format!("-{}", term.field),
    });
    terms.collect::<Vec<_>>().join(", ")
}

/// Describes the cost of pages up to the largest size, in upstream requests, and the `rows` that the upstream gives for
/// a page of the default size. `run` has the length of the longest tie run that a page of the default limit can cross,
/// and the number of requests that this page takes; `of_largest` has both for pages of the largest limit.
fn cost(
    list: &ListSettings,
    promise: &Guarantee,
    costs: &PageCosts,
    rows: u64,
    run: Option<(u32, u32)>,
    of_largest: Option<(u32, u32)>,
) -> String {
    let max = list.page_size.max;
    let (first, later) = (costs.first(max), costs.later(max));
    let mut text = match first == later {
        true => format!("each page: {first}"),
        false => format!("first page: {first}; further pages: {later}"),
    };
    if rows > 0 {
        let _ = write!(text, "; up to {rows} rows for a page of {}", list.page_size.default);
    }
    if promise.mode == Mode::Seek {
        text.push_str("; 1 more where the keys of the cursor's item are not remembered");
    }
    if list.total == Totals::Count && matches!(promise.mode, Mode::Keyset | Mode::Seek) {
        text.push_str("; 1 more for the total");
    }
    if let Some(at_ends) = costs.at_ends() {
        let _ = write!(text, "; where the list ends: up to {at_ends}");
    }
    if let Some((_, over_runs)) = run.filter(|(_, over_runs)| *over_runs > costs.listed.most()) {
        let _ = write!(text, "; over long runs of equal keys: up to {over_runs}");
    }
    // Windows overlap by a run of equal items. Test: `check_names_the_limits_of_a_route`.
    let is_news = |(longest, over): &(u32, u32)| {
        *over > costs.listed.inner || run.is_some_and(|(of_default, _)| *longest < of_default)
    };
    if let Some((longest, over)) = of_largest.filter(is_news) {
        let _ =
            write!(text, "; a page of {max} items among equal keys: up to {over}, if no more than {longest} are equal");
    }
    let _ = write!(text, "; while the list changes: up to {}", list.budgets.search_requests);
    text
}

/// Describes the parameters of clients: in the query, in the body, and in `Prefer`.
fn clients(list: &ListSettings, parameters: &Parameters) -> String {
    let seeks = list.mode.value == Mode::Seek;
    let roles = [Role::Limit, Role::LimitBackward, Role::Cursor, Role::After, Role::Before];
    let ids = [Role::AfterId, Role::BeforeId].into_iter().filter(|_| seeks);
    let mut names: Vec<String> =
        roles.into_iter().chain(ids).filter_map(|role| parameters.name(role)).map(str::to_owned).collect();
    if let Some(sort) = parameters.name(Role::Sort).filter(|_| list.dialect.sort.is_some() && !list.sortable.is_empty())
    {
        let fields: Vec<&str> = list.sortable.iter().map(|field| field.value.as_str()).collect();
        names.push(format!("{sort} (by {})", fields.join(" ")));
    }
    let (body, query): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| name.starts_with('/'));
    let prefer: Vec<String> = parameters.preferred_limit().map(str::to_owned).into_iter().collect();
    let places = [("query", query), ("body", body), ("Prefer", prefer)].into_iter();
    let places = places.filter(|(_, names)| !names.is_empty());
    places.map(|(place, names)| format!("{place}: {}", names.join(", "))).collect::<Vec<_>>().join("; ")
}

/// Describes the treatment of all other parameters.
fn others(list: &ListSettings) -> String {
    let text = "filters for the upstream; names by which other APIs sort or page (orderBy, per_page, …) are refused";
    let declared: Vec<&str> = list.parameters.filters.iter().map(|name| name.value.as_str()).collect();
    let but = if declared.is_empty() { String::new() } else { format!(", but for {}", declared.join(", ")) };
    format!("{text}{but}")
}

/// Describes the sizes of pages, their envelopes and their totals.
fn pages(list: &ListSettings) -> String {
    let over = match list.page_size.over_max.unwrap_or(list.envelope.over_max) {
        OverMax::Clamp => "lowered",
        OverMax::Reject => "refused",
    };
    let total = match list.total {
        Totals::Upstream => "",
        Totals::Omit => "; without totals",
        Totals::Count => "; totals counted by a request of their own, with the client's filters under the same names",
        Totals::FirstPage => "; totals as of the first page",
    };
    let others: String = list.envelopes.iter().map(|envelope| format!(", or {}", envelope.name)).collect();
    let (default, max) = (list.page_size.default, list.page_size.max);
    format!("{default} items, at most {max} (larger limits are {over}); envelope {}{others}{total}", list.envelope.name)
}

fn cursors(list: &ListSettings, promise: &Guarantee, by_host: bool) -> String {
    let valid = "valid as long as their key".to_owned();
    let life = list.cursor.ttl.map_or(valid, |ttl| format!("valid for {}", duration(ttl)));
    let mut bound = vec!["path", "filters", "order"];
    if by_host {
        // Each host may have its own lists. Test: `a_cursor_is_bound_to_the_host_that_the_upstream_gets`.
        bound.insert(0, "host");
    }
    bound.extend(list.cursor.bind.iter().map(http::HeaderName::as_str));
    // Cursors with tokens of the upstream are sealed, because clients could read the tokens in signed cursors.
    let form = if list.cursor.sealed || promise.mode == Mode::Token { "sealed" } else { "signed" };
    let of_item = if promise.mode == Mode::Seek { ", with ids only" } else { "" };
    let also: Vec<&str> = list.cursor.accept.iter().map(|also| also.word()).collect();
    let also = if also.is_empty() { String::new() } else { format!(" (accepted too: {})", also.join(", ")) };
    let personal = review::personal_keys(list);
    let advice = if form == "signed" && promise.mode != Mode::Seek && !personal.is_empty() {
        format!("; a cursor shows {}: cursor = {{ sealed = true }} hides it", personal.join(", "))
    } else {
        String::new()
    };
    format!("{form}{of_item}{also}, {life}; bound to {}{advice}", bound.join(", "))
}

/// Describes the use of the bodies of requests by POST. `goes_along` is true if they are sent to the upstream.
fn bodies(list: &ListSettings, goes_along: bool) -> String {
    let mut text = format!("JSON objects of at most {} bytes; ", list.budgets.body_size);
    let names: Vec<&str> = list.parameters.query.iter().map(|(name, _)| name.value.as_str()).collect();
    text.push_str(match (goes_along, names.is_empty()) {
        (true, _) => "members that are not parameters are sent to the upstream",
        (false, true) => "no part of them is sent, since the upstream is asked by GET",
        (false, false) => "the upstream is asked by GET, with ",
    });
    if !names.is_empty() {
        text.push_str(if goes_along { ", and in the query " } else { "" });
        text.push_str(&names.join(", "));
    }
    text
}

/// Describes what identifies clients; `None` for a route that forwards, if only the default headers do.
fn identity(route: &RouteSettings) -> Option<String> {
    let shared = "beside another header that may identify, nothing is shared";
    let words: Vec<String> = route.identity.iter().map(ToString::to_string).collect();
    if !words.is_empty() {
        let is_verified = route.identity.iter().any(IdentityWord::is_verified);
        let others = if is_verified { "other tokens and cookies don't matter" } else { shared };
        let words = words.join(" and ");
        return Some(format!("{words}; {others}; without it, a client is told apart by all its headers"));
    }
    let names: Vec<&str> = route.list.as_ref()?.principal.iter().map(http::HeaderName::as_str).collect();
    Some(match names.as_slice() {
        [] => format!("none: all clients see the same list; {shared}"),
        names => format!("{}, byte for byte; {shared}", names.join(", ")),
    })
}

/// Describes the rate limits of a client; `None` if there are none.
fn limits(route: &RouteSettings) -> Option<String> {
    let limits = &route.rate_limit;
    let upstream_requests = limits.upstream_requests.as_ref().map(|limit| limit.value);
    let told: Vec<String> = [(limits.requests, "requests"), (upstream_requests, "upstream requests")]
        .into_iter()
        .filter_map(|(limit, noun)| Some(quota(limit?, noun)))
        .collect();
    let names: Vec<&str> = limits.clients.iter().map(http::HeaderName::as_str).collect();
    let clients = match names.as_slice() {
        [] => "identified by its address".to_owned(),
        _ if limits.by_identity && !route.identity.is_empty() => "identified by its identity".to_owned(),
        names => format!("identified by {}, or else its address", names.join(", ")),
    };
    (!told.is_empty()).then(|| format!("{} for each client, {clients}; 429 beyond that", told.join(" and ")))
}

/// Describes whether processes count limits together.
fn counted(settings: &Settings) -> &'static str {
    match settings.caches.shared {
        Some(_) => "; all processes with this store count together",
        None => "; each process counts for itself",
    }
}

/// Describes a rate limit; `noun` names what is limited, such as `requests`.
fn quota(QuotaSettings { requests, per, burst }: QuotaSettings, noun: &str) -> String {
    let burst = if burst < requests { format!(", {burst} at once") } else { String::new() };
    format!("{requests} {noun} in {}{burst}", duration(per))
}

/// Describes the rate limit of legacy requests, and the brownouts that haven't ended; `None` if there are neither.
fn legacy_limits(legacy: &LegacySettings, now: u64) -> Option<String> {
    let mut told: Vec<String> =
        legacy.rate_limit.map(|limit| quota(limit, "requests") + " for each client").into_iter().collect();
    for brownout in legacy.brownouts.iter().filter(|brownout| now < brownout.until) {
        let effect = match brownout.effect {
            BrownoutEffect::Pause => "none, 429".to_owned(),
            BrownoutEffect::Slow(limit) => quota(limit, "requests") + " for each client",
            BrownoutEffect::Reject => "none, 410".to_owned(),
        };
        told.push(format!("{effect} from {} until {}", clock::rfc3339(brownout.from), clock::rfc3339(brownout.until)));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_origins_of_a_cors_policy_are_described() {
        let settings = |origins: &[&str], credentials| CorsSettings {
            origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
            credentials,
            max_age: Duration::from_secs(600),
        };
        assert_eq!(cors(&settings(&["*"], false)), "all origins; browsers ask again after 10m");
        assert_eq!(
            cors(&settings(&["https://a.example", "https://b.example"], true)),
            "https://a.example, https://b.example, with credentials; browsers ask again after 10m"
        );
    }
}
