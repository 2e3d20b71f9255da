//! `cursorgate explain`: explains how a request is treated. Only with `--live` is a request sent to an upstream.

use std::{fmt::Write as _, path::Path};

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure,
    arguments::{ExplainArguments, ExplainFormat},
    check::summary::{self, Detail},
    report, target,
};
use cursorgate_config::{self as config, Environment, ProcessEnvironment, WithoutSecrets, settings::Settings};
use cursorgate_gateway::{
    Snapshot,
    explain::{AskedRequest, ExplainedPage, RequestExplanation, RequestFate, document, explain, permit},
    page::exchange::watched::{PlannedFetch, WatchedPage},
    runtime::clock,
};

/// The header that contains a permit, in its usual spelling.
const PERMIT_HEADER: &str = "Cursorgate-Explain";

/// The width of the labels at the beginnings of lines, in characters.
const WIDTH: usize = 11;

/// Prints the explanation of a request. Fails if the gateway would refuse the request.
pub(super) fn run(arguments: &ExplainArguments) -> Result<(), Failure> {
    let path = arguments.config();
    let environment = ProcessEnvironment::default();
    let (settings, snapshot, has_keys) = load(&path, &environment, arguments.live)?;
    let request = asked(arguments, has_keys)?;
    if arguments.sign {
        return sign(arguments, &settings, &snapshot, &request);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let explained = runtime.block_on(explain(&snapshot, request));
    let detail = match arguments.format {
        ExplainFormat::Text if !arguments.verbose => Detail::Short,
        _ => Detail::All,
    };
    let described = explained.route.as_ref().map(|(name, _)| summary::of_route(&settings, &snapshot, name, detail));
    let described = described.unwrap_or_default();
    report::output(&match arguments.format {
        ExplainFormat::Text => text(arguments, &explained, &described),
        ExplainFormat::Json => format!("{:#}\n", document(arguments, &explained, &described)),
    })?;
    match &explained.fate {
        RequestFate::Refused(_) => Err(Failure::failed("")),
        RequestFate::Paged(page) if page.requests.is_err() => Err(Failure::failed("")),
        RequestFate::Paged(page) if page.watched.as_ref().is_some_and(|watched| watched.page.is_err()) => {
            Err(Failure::failed(""))
        }
        _ => Ok(()),
    }
}

/// Prints the header with a permit for the route and the path of this request.
fn sign(
    arguments: &ExplainArguments,
    settings: &Settings,
    snapshot: &Snapshot,
    request: &AskedRequest,
) -> Result<(), Failure> {
    if !request.has_keys {
        return Err(Failure::mistaken(
            "the secrets of the configuration are not available: one of them signs a permit",
        ));
    }
    let until = clock::unix_seconds() + 60 * arguments.minutes;
    let permit = permit(settings, snapshot, request, until).map_err(Failure::mistaken)?;
    report::output(&format!("{PERMIT_HEADER}: {permit}\n"))
}

/// Loads the configuration. Returns its settings, its snapshot, and whether its secrets are available. Without secrets,
/// everything but cursors can be explained, and no request can be sent.
fn load(path: &Path, environment: &dyn Environment, is_live: bool) -> Result<(Settings, Snapshot, bool), Failure> {
    let built = |environment: &dyn Environment| {
        let (settings, mut diagnostics) = config::load(path, environment);
        let built = settings.and_then(|settings| {
            let snapshot = Snapshot::build(&settings, None, &mut diagnostics)?;
            Some((settings, snapshot))
        });
        (built.filter(|_| !diagnostics.has_errors()), diagnostics)
    };
    let (whole, diagnostics) = built(environment);
    if let Some((settings, snapshot)) = whole {
        return Ok((settings, snapshot, true));
    }
    // Requests to an upstream need its real credentials, so `--live` isn't possible without secrets.
    match built(&WithoutSecrets(environment)).0.filter(|_| !is_live) {
        Some((settings, snapshot)) => Ok((settings, snapshot, false)),
        None => {
            report::diagnostics(&diagnostics);
            Err(Failure::mistaken(report::counts(&diagnostics)))
        }
    }
}

fn asked(arguments: &ExplainArguments, has_keys: bool) -> Result<AskedRequest, Failure> {
    let method = Method::from_bytes(arguments.method().as_bytes());
    let method = method.map_err(|_| Failure::mistaken(format!("{:?} is not a method", arguments.method())))?;
    let (scheme, authority, target) = if arguments.url().starts_with('/') {
        ("http", None, arguments.url().to_owned())
    } else {
        let url = target::ListUrl::parse(arguments.url());
        let url = url.map_err(|fault| Failure::mistaken(format!("{}; a path begins with /", fault.message)))?;
        (if url.tls { "https" } else { "http" }, Some(url.authority.clone()), url.target())
    };
    let body = target::body(arguments.body.as_deref())?.and_then(|_| arguments.body.clone());
    // A request by POST needs a body: an empty object if no body is given.
    let body = (method == Method::POST).then(|| body.unwrap_or_else(|| "{}".to_owned()).into_bytes());
    let headers = target::headers(&arguments.header)?;
    Ok(AskedRequest { method, scheme, authority, target, headers, body, has_keys, is_live: arguments.live })
}

fn line(out: &mut String, word: &str, text: &str) {
    let _ = writeln!(out, "  {word:<WIDTH$}  {text}");
}

fn text(arguments: &ExplainArguments, explained: &RequestExplanation, described: &str) -> String {
    let mut out = format!("{} {}\n", arguments.method(), arguments.url());
    if let Some((name, why)) = &explained.route {
        line(&mut out, "route", &format!("{name}: {why}"));
    }
    for (name, why) in &explained.others {
        line(&mut out, "not", &format!("{name}: {why}"));
    }
    match &explained.fate {
        RequestFate::Refused(why) => line(&mut out, "refused", why),
        RequestFate::Forwarded { upstream, target, why } => {
            line(&mut out, "forwarded", &format!("to {upstream}, as {target}: {why}"));
            if arguments.live {
                line(&mut out, "live", "nothing was sent: the request is not for a page");
            }
        }
        RequestFate::Paged(page) => paged(&mut out, page),
    }
    if !described.is_empty() {
        let _ = write!(out, "\n{described}");
    }
    out
}

fn paged(out: &mut String, page: &ExplainedPage) {
    line(out, "envelope", &format!("{}, {}", page.opened.envelope, page.opened.content_type));
    line(out, "place", &format!("{}, {}", page.opened.place, report::count(page.opened.limit as usize, "item")));
    if !page.opened.filters.is_empty() {
        line(out, "filters", &page.opened.filters);
    }
    if !page.opened.sort.is_empty() {
        line(out, "sort", &page.opened.sort);
    }
    if let Some(cursor) = &page.opened.cursor {
        for (at, text) in cursor.to_string().lines().enumerate() {
            line(out, if at == 0 { "cursor" } else { "" }, text.trim_end());
        }
    }
    match &page.requests {
        Err(why) => line(out, "refused", why),
        Ok(requests) => {
            for request in requests {
                line(out, "asks", &format!("{}: {}", page.opened.peers.join(", "), written(request)));
                details(out, request);
            }
            if !page.opened.added.is_empty() {
                line(out, "adds", &format!("{} (values are not shown)", page.opened.added.join(", ")));
            }
            if page.watched.is_none() {
                line(out, "then", "the answers decide which requests follow, within the cost below");
            }
        }
    }
    if let Some(watched) = &page.watched {
        watch(out, watched);
    }
}

fn written(request: &PlannedFetch) -> String {
    format!("{} {} ({})", request.method, request.target, request.purpose)
}

fn details(out: &mut String, request: &PlannedFetch) {
    for (name, value) in &request.headers {
        line(out, "", &format!("{name}: {value}"));
    }
    if let Some(body) = &request.body {
        line(out, "", body);
    }
}

/// Writes the requests of a page, the facts in their answers, and the proof of the page.
fn watch(out: &mut String, watched: &WatchedPage) {
    out.push('\n');
    for (at, fetch) in watched.fetches.iter().enumerate() {
        line(out, &format!("request {}", at + 1), &format!("step {}: {}", fetch.step, written(&fetch.planned)));
        let milliseconds = fetch.elapsed.as_secs_f64() * 1000.0;
        match &fetch.answer {
            Err(why) => line(out, "answer", &format!("{why}; {milliseconds:.1} ms")),
            Ok(answer) => {
                let mut text = format!("{}, {}", answer.standing, report::count(answer.items, "item"));
                if let Some((first, last)) = &answer.edges {
                    let _ = write!(text, " ({first} to {last})");
                }
                if let Some(total) = answer.total {
                    let _ = write!(text, ", a total of {total}");
                }
                match answer.more {
                    Some(true) => text.push_str(", says that more follows"),
                    Some(false) => text.push_str(", says that nothing follows"),
                    None => {}
                }
                let _ = write!(text, "; {}, {} bytes, {milliseconds:.1} ms", answer.status, answer.bytes);
                line(out, "answer", &text);
            }
        }
    }
    match &watched.page {
        Err(why) => line(out, "refused", why),
        Ok(page) => {
            let proof = if page.is_proven { "" } else { ", flagged as unproven" };
            let next = if page.has_next { "a next page" } else { "no next page" };
            let previous = if page.has_previous { "a previous one" } else { "no previous one" };
            let items = report::count(page.items, "item");
            line(out, "page", &format!("{items}, {}{proof}; {next}, {previous}", page.level));
            if let Some(why) = &page.doubted_end {
                line(out, "end", &format!("not proven: {why}"));
            }
            match &page.verdict {
                None => line(out, "checker", "has no result: there was no memory for the answers, or the check failed"),
                Some(Ok(argument)) => {
                    for text in argument {
                        line(out, "proof", text);
                    }
                    line(out, "checker", "follows the page's claims from the answers");
                }
                Some(Err(fault)) => line(out, "checker", &format!("does not follow: {fault}")),
            }
        }
    }
}

/// Returns the explanation as JSON.
fn document(arguments: &ExplainArguments, explained: &RequestExplanation, described: &str) -> Value {
    let named = |(name, why): &(String, String)| json!({ "name": name, "why": why });
    let lines = described.lines().skip(1).filter_map(|text| text.trim().split_once("  "));
    let lines: Vec<Value> = lines.map(|(word, text)| json!({ "about": word, "text": text.trim() })).collect();
    json!({
        "method": arguments.method(),
        "url": arguments.url(),
        "route": explained.route.as_ref().map(named),
        "others": explained.others.iter().map(named).collect::<Vec<_>>(),
        "described": lines,
        "treatment": match &explained.fate {
            RequestFate::Refused(why) => json!({ "action": "refuse", "why": why }),
            RequestFate::Forwarded { upstream, target, why } => {
                json!({ "action": "forward", "upstream": upstream, "target": target, "why": why })
            }
            RequestFate::Paged(page) => document::of_page(&page.opened, &page.requests, page.watched.as_ref()),
        },
    })
}
