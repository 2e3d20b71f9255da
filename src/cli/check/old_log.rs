//! `cursorgate check --old-clients FILE`: the requests of old clients in an access log or an HTTP archive. Each is
//! classified as the gateway would; with `--live`, one for each set of parameters is sent too.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    fs::File,
    io::Read as _,
    path::Path,
    time::Duration,
};

use http::Method;
use serde_json::Value;

use super::{
    super::{Failure, arguments::LiveArguments, report, target},
    client_host,
    unchanged::{self, Prover, Ways, reads::OldRead},
};
use cursorgate_config::{
    Diagnostics,
    diagnostic::Location,
    settings::{OldClients, RouteSettings, Settings},
};
use cursorgate_gateway::{
    Snapshot,
    explain::{AskedRequest, RequestFate, explain},
    replay::Replayer,
};
use cursorgate_learn::{ProbeLimits, after_scheme, query_of};

/// The largest size of a file, in bytes. Larger files are refused.
const LARGEST: u64 = 256 << 20;

/// The largest number of different requests that are classified. Further ones are counted as left out.
const CLASSIFIED: usize = 50_000;

/// The largest number of requests that are sent.
const SENT: usize = 50;

/// The largest number of groups that are reported for a route.
const SHOWN: usize = 10;

/// Parts of paths that reading might change something by: requests for them are never sent.
const CHANGING: [&str; 9] =
    ["logout", "log-out", "log_out", "signout", "sign-out", "sign_out", "logoff", "delete", "unsubscribe"];

/// The requests of a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct OldLog {
    /// The different requests, and how often each is in the file.
    requests: HashMap<(Method, String), usize>,
    /// The lines that are no requests.
    unread: usize,
    /// The requests beyond [`CLASSIFIED`].
    left_out: usize,
}

/// The treatment of a request.
enum Treatment {
    Passes,
    /// A request with a mark, or one that the route answers as it is configured to.
    AsConfigured,
    /// A request that gets another answer than today, with the reason.
    Changed(String),
}

/// Classifies the requests of a file, and sends some of them if `arguments` has `--live`. Reports an error for each kind
/// of request that gets another answer than today. Returns a summary.
pub(super) fn review(
    settings: &Settings,
    snapshot: &Snapshot,
    file: &Path,
    arguments: &LiveArguments,
    diagnostics: &mut Diagnostics,
) -> Result<String, Failure> {
    let log = OldLog::read(file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut passing, mut configured) = (0, 0);
    let mut changed: BTreeMap<(String, String), (usize, String)> = BTreeMap::new();
    let mut kinds: BTreeMap<String, (Method, String)> = BTreeMap::new();
    for ((method, target), count) in &log.requests {
        match runtime.block_on(treatment(settings, snapshot, method, target)) {
            Treatment::Passes => {
                passing += count;
                if matches!(*method, Method::GET | Method::HEAD) && !may_change(target) {
                    kinds.entry(kind(target)).or_insert_with(|| (method.clone(), target.clone()));
                }
            }
            Treatment::AsConfigured => configured += count,
            Treatment::Changed(why) => {
                let group = changed.entry((why, kind(target))).or_insert_with(|| (0, format!("{method} {target}")));
                group.0 += count;
            }
        }
    }
    let mut text = String::from("\nold clients\n");
    let all: usize = log.requests.values().sum();
    let _ = writeln!(text, "  {}: {} pass", report::count(all, "request"), passing);
    if configured > 0 {
        let _ = writeln!(text, "  {configured} have a mark, or are answered as the route's configuration says");
    }
    for (count, what) in [(log.unread, "lines are no requests"), (log.left_out, "requests were not classified")] {
        if count > 0 {
            let _ = writeln!(text, "  {count} {what}");
        }
    }
    for ((why, _), (count, example)) in changed.iter().take(SHOWN) {
        let path = example.split([' ', '?']).nth(1).unwrap_or_default();
        let message =
            format!("{}: {} like `{example}` would not pass: {why}", file.display(), report::count(*count, "request"));
        let help =
            "let old requests pass on this route, or write other_paths = \"NAME\", an upstream, before all tables";
        diagnostics.error(place(settings, snapshot, path), message, help);
    }
    if changed.len() > SHOWN {
        let _ = writeln!(text, "  {} more kinds of requests would not pass", changed.len() - SHOWN);
    }
    if arguments.live {
        text.push_str(&replay(settings, snapshot, &kinds, arguments, diagnostics)?);
    }
    Ok(text)
}

/// Returns the paths of the GET requests in a file, the most frequent ones first.
pub(super) fn paths(file: &Path) -> Result<Vec<String>, Failure> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for ((method, target), count) in OldLog::read(file)?.requests {
        if method == Method::GET && !may_change(&target) {
            *counts.entry(target.split('?').next().unwrap_or_default().to_owned()).or_default() += count;
        }
    }
    let mut paths: Vec<(String, usize)> = counts.into_iter().collect();
    paths.sort_by(|(path, count), (other, fewer)| fewer.cmp(count).then_with(|| path.cmp(other)));
    Ok(paths.into_iter().map(|(path, _)| path).collect())
}

/// Sends one request of each kind in both ways. Returns a line about them.
fn replay(
    settings: &Settings,
    snapshot: &Snapshot,
    kinds: &BTreeMap<String, (Method, String)>,
    arguments: &LiveArguments,
    diagnostics: &mut Diagnostics,
) -> Result<String, Failure> {
    let delay = arguments.delay.map_or_else(|| ProbeLimits::default().delay, Duration::from_millis);
    let headers = target::headers(&arguments.header)?;
    let replayer = Replayer::start(settings).map_err(|error| unchanged::unready(&error))?;
    let prover = Prover { settings, snapshot, replayer, headers, delay };
    let (mut sent, mut unchanged) = (0, 0);
    for (method, target) in kinds.values().take(SENT) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let Some(found) = snapshot.table.find(None, path) else { continue };
        let Some(route) = settings.routes.iter().find(|route| route.name.value == found.route.name) else { continue };
        let host = client_host::of(route, &settings.server);
        let (list, shares) = (route.list.as_deref(), route.cors.is_some());
        let ways = Ways {
            upstream: &found.route.upstream,
            meant: unchanged::meant(&found.route, shares, list, host.as_deref()),
            authority: host,
        };
        let asked = found.route.passed_target(path, &found.parameters, query);
        let direct = asked.strip_prefix(found.route.upstream.base_path.as_str()).unwrap_or(&asked).to_owned();
        sent += 1;
        match prover.replay(&ways, &OldRead::recorded(method.clone(), target.clone(), direct)) {
            Ok(None) => unchanged += 1,
            Ok(Some(difference)) => {
                let message = format!(
                    "{}: old clients get another answer to `{method} {target}`: {difference}",
                    found.route.name
                );
                let help = "send the request to the service and to the gateway with curl -i, and compare the answers";
                diagnostics.error(route.path.at, message, help);
            }
            Err(why) => return Ok(format!("  {unchanged} of {sent} that were sent are unchanged, and then {why}\n")),
        }
    }
    Ok(format!("  {unchanged} of {sent} that were sent are unchanged, one of each set of parameters\n"))
}

/// Classifies a request as the gateway would.
async fn treatment(settings: &Settings, snapshot: &Snapshot, method: &Method, target: &str) -> Treatment {
    let asked = AskedRequest {
        method: method.clone(),
        scheme: "http",
        authority: None,
        target: target.to_owned(),
        headers: Vec::new(),
        body: (*method == Method::POST).then(|| b"{}".to_vec()),
        has_keys: true,
        is_live: false,
    };
    let explained = explain(snapshot, asked).await;
    let route = explained.route.as_ref().and_then(|(name, _)| route_of(settings, name));
    // A route that pages or refuses old requests by itself does what its configuration says.
    let lets_pass =
        route.and_then(|route| route.list.as_ref()).is_none_or(|list| list.legacy.old_clients == OldClients::Pass);
    match explained.fate {
        RequestFate::Forwarded { .. } => Treatment::Passes,
        RequestFate::Refused(why) if lets_pass => Treatment::Changed(why),
        RequestFate::Paged(page) if lets_pass && !is_marked(snapshot, target) => {
            drop(page);
            Treatment::Changed(
                "the gateway takes it for the request of a new client, and answers with a page".to_owned(),
            )
        }
        _ => Treatment::AsConfigured,
    }
}

fn route_of<'s>(settings: &'s Settings, name: &str) -> Option<&'s RouteSettings> {
    settings.routes.iter().find(|route| route.name.value == name)
}

fn is_marked(snapshot: &Snapshot, target: &str) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Some(found) = snapshot.table.find(None, path) else { return false };
    let list = found.route.list.as_ref();
    list.is_some_and(|list| {
        let chosen = list.conventions.choose(&http::HeaderMap::new());
        chosen.convention.parameters.is_marked(Some(query), None)
    })
}

/// Returns the place of the route of a path, or of the first route.
fn place(settings: &Settings, snapshot: &Snapshot, path: &str) -> Location {
    let found = snapshot.table.find(None, path).and_then(|found| route_of(settings, &found.route.name));
    let route = found.or_else(|| settings.routes.first());
    route.map_or(Location { source: 0, start: 0, end: 0 }, |route| route.path.at)
}

fn may_change(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default().to_ascii_lowercase();
    CHANGING.iter().any(|word| path.contains(word))
}

/// Returns what requests of one kind have in common: the path, without numbers, and the names of the parameters.
fn kind(target: &str) -> String {
    let path = target.split('?').next().unwrap_or_default();
    let is_id = |segment: &str| segment.chars().any(|letter| letter.is_ascii_digit());
    let path: Vec<&str> = path.split('/').map(|segment| if is_id(segment) { "#" } else { segment }).collect();
    let mut names: Vec<String> = query_of(target).into_iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    format!("{}?{}", path.join("/"), names.join("&"))
}

impl OldLog {
    fn read(file: &Path) -> Result<Self, Failure> {
        let mistaken = |why: String| Failure::mistaken(format!("{}: {why}", file.display()));
        let mut bytes = Vec::new();
        let read = File::open(file).and_then(|opened| opened.take(LARGEST + 1).read_to_end(&mut bytes));
        read.map_err(|error| mistaken(format!("it can't be read: {error}")))?;
        if bytes.len() as u64 > LARGEST {
            return Err(mistaken(format!("it is larger than {} MiB: name a part of it", LARGEST >> 20)));
        }
        let text = String::from_utf8_lossy(&bytes);
        let log = match text.trim_start().starts_with('{') {
            true => Self::of_archive(&text)
                .ok_or_else(|| mistaken("it is no HTTP archive: log.entries is missing".to_owned()))?,
            false => Self::of_lines(&text),
        };
        if log.requests.is_empty() {
            let help = "a line of an access log has the request in quotes, as in \"GET /users?page=2 HTTP/1.1\"";
            return Err(mistaken(format!("no request is in it: {help}")));
        }
        Ok(log)
    }

    /// Reads an access log in the common or the combined format.
    fn of_lines(text: &str) -> Self {
        let mut log = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match request_of(line) {
                Some((method, target)) => log.add(method, target),
                None => log.unread += 1,
            }
        }
        log
    }

    /// Reads an HTTP archive.
    fn of_archive(text: &str) -> Option<Self> {
        let archive: Value = serde_json::from_str(text).ok()?;
        let mut log = Self::default();
        for entry in archive.pointer("/log/entries")?.as_array()? {
            let text = |place: &str| entry.pointer(place).and_then(Value::as_str);
            let method = text("/request/method").and_then(|method| method.parse().ok());
            let url = text("/request/url").and_then(|url| after_scheme(url)?.split_once('/'));
            match (method, url) {
                (Some(method), Some((_, rest))) => {
                    log.add(method, format!("/{}", rest.split('#').next().unwrap_or_default()));
                }
                _ => log.unread += 1,
            }
        }
        Some(log)
    }

    fn add(&mut self, method: Method, target: String) {
        if self.requests.len() >= CLASSIFIED && !self.requests.contains_key(&(method.clone(), target.clone())) {
            self.left_out += 1;
            return;
        }
        *self.requests.entry((method, target)).or_default() += 1;
    }
}

/// Returns the method and the target of a line's request: the first text in quotes, as in `"GET /a?b=c HTTP/1.1"`.
fn request_of(line: &str) -> Option<(Method, String)> {
    let (_, rest) = line.split_once('"')?;
    let mut words = rest.split('"').next()?.split(' ');
    let (method, target, protocol) = (words.next()?, words.next()?, words.next()?);
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_whole = is_method && target.starts_with('/') && protocol.starts_with("HTTP/") && words.next().is_none();
    is_whole.then(|| method.parse().ok()).flatten().map(|method| (method, target.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_from_logs_and_archives() {
        let lines = "\
            10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] \"GET /users?page=2 HTTP/1.1\" 200 2326\n\
            10.0.0.1 - ann [10/Oct/2026:13:55:37 +0000] \"GET /users?page=2 HTTP/1.0\" 200 2326 \"-\" \"curl/8\"\n\
            10.0.0.1 - - [10/Oct/2026:13:55:38 +0000] \"POST /users HTTP/1.1\" 201 -\n\
            10.0.0.1 - - [10/Oct/2026:13:55:39 +0000] \"\\x16\\x03\\x01\" 400 -\n\nno request\n";
        let log = OldLog::of_lines(lines);
        assert_eq!(log.requests.len(), 2);
        assert_eq!(log.requests[&(Method::GET, "/users?page=2".to_owned())], 2);
        assert_eq!(log.unread, 2);
        let archive = r#"{"log":{"entries":[{"request":{"method":"GET","url":"https://a.test/users?page=3#x"}},{"request":{}}]}}"#;
        let log = OldLog::of_archive(archive).unwrap();
        assert_eq!((log.requests[&(Method::GET, "/users?page=3".to_owned())], log.unread), (1, 1));
        assert_eq!(OldLog::of_archive("{}"), None);
    }

    #[test]
    fn requests_of_one_kind_differ_in_values_only() {
        assert_eq!(kind("/users/17?page=2&size=3"), kind("/users/4?size=1&page=7"));
        assert_ne!(kind("/users?page=2"), kind("/users?page=2&size=3"));
        assert_ne!(kind("/users?page=2"), kind("/orders?page=2"));
        assert!(may_change("/auth/Logout?x=1") && !may_change("/users?next=/logout"));
    }
}
