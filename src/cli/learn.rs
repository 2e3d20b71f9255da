//! `cursorgate learn`: finds out how a list pages, and writes its route.

mod document;
mod recorded;

use std::{fmt::Write as _, path::Path, rc::Rc};

use http::{HeaderName, HeaderValue, Method};

use super::{
    Failure,
    arguments::{LearnArguments, LiveArguments},
    check, report,
    target::{ListUrl, body, headers, load},
};
use cursorgate_config::ProcessEnvironment;
use cursorgate_gateway::probe::ProbeSender;
use cursorgate_learn::{
    self as learn, Certainty, Learnt, ProbeFault, ProbeLimits, ProbeOutcome, ProbeRequest, ProbeTarget, ProberStep,
    WrittenUpstream, recording::Recording,
};

/// The largest page that a configuration is written with, in items. If the upstream's answers are small, such a page
/// would need several requests, or more than allowed, so smaller ones are tried.
const LARGEST_PAGE: u32 = 100;

/// Learns a list and prints the findings. Writes the configuration if the arguments name a file for it.
pub(super) fn run(arguments: &LearnArguments) -> Result<(), Failure> {
    let url = ListUrl::parse(&arguments.url)?;
    for path in arguments.out.iter().chain(&arguments.types) {
        report::absent(path)?;
    }
    let upstream = WrittenUpstream { peer: url.peer.clone(), tls: url.tls };
    let headers = headers(&arguments.header)?;
    let body = body(arguments.body.as_deref())?;
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let documented = arguments.openapi.as_ref().map(|path| document::read(path, &method, &url.path)).transpose()?;
    let mut target = ProbeTarget {
        path: url.path.clone(),
        fixed: url.pairs.clone(),
        body,
        headers: headers.iter().map(|(name, _)| name.clone()).collect(),
        accept: written(&arguments.header, "accept"),
        // With a `Host` of the caller, the upstream answers under this name and not under its address. Test:
        // `learned_files_answer_old_clients_as_before`.
        host: written(&arguments.header, "host").unwrap_or_else(|| url.authority.clone()),
        public_host: arguments.recorded.is_empty().then(|| format!("127.0.0.1:{}", learn::gateway_port(&url.peer))),
        recorded: Vec::new(),
        documented: documented.map(Rc::new),
    };
    let mut source = source(arguments, &url, headers, &mut target)?;
    let usual = ProbeLimits::default();
    let limits = ProbeLimits {
        requests: arguments.requests.unwrap_or(usual.requests),
        delay: arguments.delay.map_or(usual.delay, std::time::Duration::from_millis),
        depth: arguments.depth.unwrap_or(usual.depth),
    };
    let mut step = learn::begin(target.clone(), limits);
    // The loop ends, because the prober makes at most `limits.requests` requests.
    let learnt = loop {
        match step {
            ProberStep::Send(request, prober) => step = prober.resume(source.answer(&request)),
            ProberStep::Done(learnt) => {
                break learnt.map_err(|fault| Failure::failed(format!("{}: {fault}", arguments.url)))?;
            }
        }
    };
    let mut text = learn::report::report(&learnt, &arguments.url, arguments.verbose);
    if learnt.place.is_none() {
        report::output(&text)?;
        return Err(Failure::failed(
            "no route is written: the way to the next page was not found: give the URL with the parameters of a page, \
             or --openapi; if every answer is the whole list, write a route with dialect = \"whole-list\"",
        ));
    }
    let most = fitting(&learnt, &target, &url.path, &upstream)?;
    let first = target.body.as_ref().map(|given| learn::first_body(&learnt, given));
    let typed = match &arguments.types {
        Some(path) => types(&learnt, &target, &url, path)?,
        None => String::new(),
    };
    text.push_str(&match &arguments.out {
        Some(path) => {
            // The file has the parameters of the URL, which can be credentials. Test: `a_key_in_the_url_is_warned_of`.
            let types = arguments.types.as_deref().map(|types| named_in(path, types)).transpose()?;
            let written = learn::configuration(&learnt, &target, &url.path, &upstream, most, types.as_deref());
            report::create(path, &written, arguments.url.contains('?'))?;
            format!(
                "\n{} is written. {typed}{}{}",
                path.display(),
                guesses(&learnt),
                next_commands(arguments, first, &url, path)
            )
        }
        None if arguments.types.is_some() => format!(
            "\n{typed}The route of the list names it: openapi = {{ file = \"…\", operation = \"{}\" }}\n",
            learn::types_operation(&target, &url.path)
        ),
        None => "\n--out FILE writes a configuration of this, --types FILE the types of its items.\n".to_owned(),
    });
    report::output(&text)?;
    match &arguments.out {
        Some(path) if arguments.recorded.is_empty() => confirm(arguments, path),
        _ => Ok(()),
    }
}

/// Writes the types of the items, and returns a sentence about them.
fn types(learnt: &Learnt, target: &ProbeTarget, url: &ListUrl, path: &Path) -> Result<String, Failure> {
    report::create(path, &learn::types_document(learnt, target, &url.path), false)?;
    Ok(format!("{} has the types of {}. ", path.display(), report::count(learnt.items.count, "item")))
}

/// Returns the name of a file as a configuration at `out` has it. The configuration is read in its own folder.
fn named_in(out: &Path, file: &Path) -> Result<String, Failure> {
    let named = match file.file_name() {
        Some(name) if file.parent() == out.parent() => name.into(),
        _ => std::path::absolute(file)?,
    };
    let fault = || Failure::mistaken(format!("--types {}: a configuration can name only UTF-8", file.display()));
    named.to_str().map(str::to_owned).ok_or_else(fault)
}

/// Checks the written file against the service. Fails if old clients would see a difference, or if pages don't work as
/// the file says.
fn confirm(arguments: &LearnArguments, path: &Path) -> Result<(), Failure> {
    let live = LiveArguments {
        sample: Vec::new(),
        live: true,
        header: arguments.header.clone(),
        body: arguments.body.clone(),
        delay: arguments.delay,
        old_clients: None,
    };
    check::live(path, &ProcessEnvironment::default(), &live)
}

/// Returns the value of the header with this name among the arguments; `None` if there is none, or if its value is read
/// from the environment or a file and may be a secret.
fn written(arguments: &[String], wanted: &str) -> Option<String> {
    let pairs = arguments.iter().filter_map(|text| text.split_once(':'));
    let mut values = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim());
    values.find(|value| !value.contains("env:") && !value.contains("file:")).map(str::to_owned)
}

/// Returns the sentence about findings that are only likely; empty if no finding is only likely.
fn guesses(learnt: &Learnt) -> String {
    // Pages of a list with other items each time can't be joined. Items in another order may only be ties.
    let unstable =
        learnt.findings.iter().find(|finding| finding.about == "stability" && finding.found == "other items");
    if let Some(found) = unstable {
        return format!(
            "WARNING: two answers to the same request have {}. Give the list an order before you serve pages of it. ",
            found.found
        );
    }
    let likely = learnt.findings.iter().filter(|finding| finding.certainty == Certainty::Likely);
    let subjects: Vec<&str> = likely.map(|finding| finding.about).collect();
    if subjects.is_empty() {
        return String::new();
    }
    format!("Likely, and not shown by a request: {}. Compare these lines with the service. ", subjects.join(", "))
}

/// Returns the commands that can be run after the file is written. `first` is the body of the first request for a page;
/// `None` if the list is read by GET.
fn next_commands(arguments: &LearnArguments, first: Option<serde_json::Value>, url: &ListUrl, path: &Path) -> String {
    let path = path.display();
    let is_live = arguments.recorded.is_empty();
    // With a recording the service might not be reachable, so commands that send requests to it are left out.
    let live = if is_live { "--live " } else { "" };
    let port = learn::gateway_port(&url.peer);
    // Another program may have the port, such as another gateway. Test: `the_printed_commands_name_a_free_port`.
    let (port, elsewhere, address) = match free_from(port) {
        free if free == port => (port, String::new(), String::new()),
        free => {
            let address = format!("CURSORGATE_PUBLIC_URL=http://127.0.0.1:{free} ");
            (free, format!(" --listen 127.0.0.1:{free}"), address)
        }
    };
    let admin = learn::admin_port(&url.peer);
    let admin = match free_from(admin) {
        free if free == admin => String::new(),
        free => format!(" --admin 127.0.0.1:{free}"),
    };
    let Printed { options, curl_options, variables } = printed(&arguments.header);
    let body = arguments.body.as_deref().map(|body| format!(" --body {}", quoted(body))).unwrap_or_default();
    let of_live = if is_live { format!("{options}{body}") } else { String::new() };
    let mut next = format!(
        "Next:\n\n{variables}{}  \
         cursorgate check {live}{path}{of_live}\n  {address}cursorgate run {path}{elsewhere}{admin}\n",
        super::init::key_command()
    );
    let list = format!("http://127.0.0.1:{port}{}", url.path);
    // `walk` sends only GET requests, so the first page alone is printed for a list that is read by POST. Test:
    // `the_printed_first_page_of_a_search_is_a_page`.
    if let Some(body) = first.map(|body| quoted(&body.to_string())) {
        let _ = writeln!(next, "  curl '{list}' --header 'Content-Type: application/json'{curl_options} --data {body}");
    } else if is_live {
        let scheme = if url.tls { "https" } else { "http" };
        let list = format!("{list}?cursor=start&limit=20");
        let direct = format!("{scheme}://{}{}", url.authority, url.target());
        let _ = writeln!(next, "  cursorgate walk '{list}' --verify '{direct}' --config {path}{options}");
    }
    if !is_live {
        next.push_str(
            "\nNothing was sent. `cursorgate check --live` asks the service itself, once that is possible.\n",
        );
    }
    next
}

/// Returns the first port from `first` on at which no program listens on this machine, or `first` if none is free.
fn free_from(first: u16) -> u16 {
    let mut ports = first..first.saturating_add(100);
    ports.find(|port| std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, *port)).is_ok()).unwrap_or(first)
}

/// The headers of the requests, as the printed commands repeat them.
#[derive(Debug, PartialEq, Eq)]
struct Printed {
    /// The options of a command, with a space before each.
    options: String,
    /// The same options for curl, whose references are the shell's.
    curl_options: String,
    /// Commands that set variables, each on a line of its own.
    variables: String,
}

/// Repeats headers in printed commands. No credential is printed: a value that isn't a reference becomes one to a
/// variable of the environment. Test: `printed_commands_repeat_headers_and_no_credential`.
fn printed(headers: &[String]) -> Printed {
    let mut printed = Printed { options: String::new(), curl_options: String::new(), variables: String::new() };
    for (name, value) in headers.iter().filter_map(|text| text.split_once(':')) {
        let (name, value) = (name.trim(), value.trim());
        let is_reference =
            ["env:", "file:"].iter().any(|kind| value.starts_with(kind) || value.contains(&format!("{{{kind}")));
        let is_harmless = learn::is_harmless(name) && !value.contains('\'');
        let shown = if is_reference || is_harmless {
            value.to_owned()
        } else {
            let variable: String = name.chars().map(|letter| if letter == '-' { '_' } else { letter }).collect();
            let variable = variable.to_ascii_uppercase();
            let _ = writeln!(printed.variables, "  export {variable}='…'  # the value of the header {name}");
            format!("env:{variable}")
        };
        let _ = write!(printed.options, " --header '{name}: {shown}'");
        let _ = match is_harmless && !is_reference {
            true => write!(printed.curl_options, " --header '{name}: {shown}'"),
            false => write!(printed.curl_options, " --header \"{name}: {}\"", in_shell(&shown)),
        };
    }
    printed
}

/// Writes a value for the shell within double quotes: references become its expansions.
fn in_shell(value: &str) -> String {
    let is_whole = value.starts_with("env:") || value.starts_with("file:");
    let value = if is_whole { format!("{{{value}}}") } else { value.to_owned() };
    let mut parts = value.split('{');
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (reference, rest) = part.split_once('}').unwrap_or((part, ""));
        let _ = match reference.split_once(':') {
            Some(("file", path)) => write!(written, "$(cat {path}){rest}"),
            _ => write!(written, "${{{}}}{rest}", reference.trim_start_matches("env:")),
        };
    }
    written
}

/// Quotes a text for the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The source of answers: the live service, or a recording.
enum AnswerSource {
    Live(Box<ProbeSender>),
    Recorded(Recording),
}

impl AnswerSource {
    fn answer(&mut self, request: &ProbeRequest) -> ProbeOutcome {
        match self {
            Self::Live(sender) => sender.send(request).map_err(ProbeFault::Unreachable),
            Self::Recorded(recording) => recording.answer(request),
        }
    }
}

/// Returns the source that the arguments name. For a recording, sets the parameters and the headers of the recorded
/// requests in `target`.
fn source(
    arguments: &LearnArguments,
    url: &ListUrl,
    headers: Vec<(HeaderName, HeaderValue)>,
    target: &mut ProbeTarget,
) -> Result<AnswerSource, Failure> {
    if arguments.recorded.is_empty() {
        return Ok(AnswerSource::Live(Box::new(ProbeSender::new(url.upstream()?, headers, None)?)));
    }
    let recording = recorded::read(&arguments.recorded, &arguments.url)?;
    let method = if target.body.is_some() { Method::POST } else { Method::GET };
    let first = recording.first(&method, &url.path, &url.pairs);
    target.fixed = first.map_err(|fault| Failure::failed(format!("{}: {fault}", arguments.url)))?;
    target.recorded = recording.parameters(&method, &url.path);
    target.headers = recording.credentials(&method, &url.path);
    Ok(AnswerSource::Recorded(recording))
}

/// Returns the largest page size with which `check` has no warning about the configuration; if it warns about each, the
/// largest size that it accepts.
fn fitting(learnt: &Learnt, target: &ProbeTarget, path: &str, upstream: &WrittenUpstream) -> Result<u32, Failure> {
    let written = |most| learn::configuration(learnt, target, path, upstream, most, None);
    let is_free_of_warnings = |most| {
        load(&written(most))
            .is_ok_and(|(_, diagnostics)| !diagnostics.iter().any(|fault| fault.help.contains("page_size.max")))
    };
    if let Some(most) = largest(is_free_of_warnings).or_else(|| largest(|most| load(&written(most)).is_ok())) {
        return Ok(most);
    }
    if let Err(faults) = load(&written(1)) {
        report::note(&faults);
    }
    Err(Failure::failed("no route is written: the result is not a valid configuration, which is a fault of cursorgate"))
}

/// Returns the largest page size, at most [`LARGEST_PAGE`], that is good; `None` if 1 isn't. Smaller sizes than a good
/// one are good, because a page of fewer items takes no more requests.
fn largest(is_good: impl Fn(u32) -> bool) -> Option<u32> {
    if is_good(LARGEST_PAGE) {
        return Some(LARGEST_PAGE);
    }
    let (mut good, mut bad) = (0, LARGEST_PAGE);
    // Each iteration halves the interval, so the loop ends.
    while bad - good > 1 {
        let middle = good.midpoint(bad);
        if is_good(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    (good > 0).then_some(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_commands_name_a_free_port() {
        let taken = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let free = free_from(port);
        assert!(free > port && std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, free)).is_ok());
    }

    #[test]
    fn the_largest_good_page_size_is_found() {
        for good in 0..=LARGEST_PAGE {
            assert_eq!(largest(|size| size <= good), (good > 0).then_some(good));
        }
    }

    #[test]
    fn printed_commands_repeat_headers_and_no_credential() {
        let headers = [
            "Authorization: Bearer {env:TOKEN}",
            "X-Api-Key: file:/run/key",
            "Accept: application/json",
            "X-Tenant-Id: a'secret",
        ];
        let printed = printed(&headers.map(str::to_owned));
        assert_eq!(
            printed.options,
            " --header 'Authorization: Bearer {env:TOKEN}' --header 'X-Api-Key: file:/run/key' --header 'Accept: \
             application/json' --header 'X-Tenant-Id: env:X_TENANT_ID'"
        );
        assert_eq!(
            printed.curl_options,
            " --header \"Authorization: Bearer ${TOKEN}\" --header \"X-Api-Key: $(cat /run/key)\" --header 'Accept: \
             application/json' --header \"X-Tenant-Id: ${X_TENANT_ID}\""
        );
        assert_eq!(printed.variables, "  export X_TENANT_ID='…'  # the value of the header X-Tenant-Id\n");
    }
}
