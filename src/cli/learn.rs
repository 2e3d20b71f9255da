//! `cursorgate learn`: finds out how a list pages, and writes its route.

use std::{fmt::Write as _, fs::OpenOptions, io::Write as _, path::Path};

use super::{
    Failure,
    arguments::LearnArguments,
    report,
    target::{ListUrl, body, headers, load},
};
use crate::{
    gateway::probe::ProbeSender,
    learn::{self, Learnt, ProbeLimits, ProbeTarget, ProberStep, WrittenUpstream},
};

/// The largest pages that are tried for a configuration: fewer items need fewer requests of a small answer.
const PAGE_SIZES: [u32; 9] = [100, 60, 50, 30, 20, 10, 5, 2, 1];

/// Learns a list, prints what was found, and writes the configuration if a file is named for it.
pub(super) fn run(arguments: &LearnArguments) -> Result<(), Failure> {
    let url = ListUrl::parse(&arguments.url)?;
    let upstream = WrittenUpstream { peer: url.peer.clone(), tls: url.tls };
    let headers = headers(&arguments.header)?;
    let body = body(arguments.body.as_deref())?;
    let target = ProbeTarget {
        path: url.path.clone(),
        fixed: url.pairs.clone(),
        body,
        headers: headers.iter().map(|(name, _)| name.clone()).collect(),
        host: url.authority.clone(),
    };
    let usual = ProbeLimits::default();
    let limits = ProbeLimits {
        requests: arguments.requests.unwrap_or(usual.requests),
        delay: arguments.delay.map_or(usual.delay, std::time::Duration::from_millis),
        depth: arguments.depth.unwrap_or(usual.depth),
    };
    let sender = ProbeSender::new(url.upstream()?, headers)?;
    let mut step = learn::begin(target.clone(), limits);
    // At most `limits.requests` times.
    let learnt = loop {
        match step {
            ProberStep::Send(request, prober) => step = prober.resume(sender.send(&request)),
            ProberStep::Done(learnt) => {
                break learnt.map_err(|fault| Failure::failed(format!("{}: {fault}", arguments.url)))?;
            }
        }
    };
    let mut text = learn::report::report(&learnt, &arguments.url);
    if learnt.place.is_none() {
        report::output(&text)?;
        return Err(Failure::failed("no route is written: the way to the next page was not found"));
    }
    let written = fitting(&learnt, &target, &url.path, &upstream)?;
    text.push_str(&match &arguments.out {
        Some(path) => {
            write(path, &written)?;
            let path = path.display();
            let mut next = format!(
                "\n{path} is written. Next:\n\n  export CURSORGATE_KEY=$(cursorgate keygen)\n  \
                 cursorgate check --live {path}\n  cursorgate run {path}\n"
            );
            // A walk sends GET alone.
            if arguments.body.is_none() {
                let (list, direct) = (format!("http://127.0.0.1:8080{}?limit=20", url.path), &arguments.url);
                let _ = writeln!(next, "  cursorgate walk '{list}' --verify '{direct}' --config {path}");
            }
            next
        }
        None => "\n--out FILE writes a configuration of this.\n".to_owned(),
    });
    report::output(&text)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::failed(format!("{} can't be written: {error}", path.display())))
}

/// Returns the configuration with the largest pages that `check` accepts.
fn fitting(learnt: &Learnt, target: &ProbeTarget, path: &str, upstream: &WrittenUpstream) -> Result<String, Failure> {
    let mut faults = String::new();
    for most in PAGE_SIZES {
        let text = learn::configuration(learnt, target, path, upstream, most);
        match load(&text) {
            Ok(_) => return Ok(text),
            Err(fault) => faults = fault,
        }
    }
    report::note(&faults);
    Err(Failure::failed(
        "no route is written: what was learnt makes no valid configuration, which is a fault of cursorgate",
    ))
}
