//! `cursorgate learn`: finds out how a list pages, and writes its route.

use std::{fs::OpenOptions, io::Write as _, path::Path, sync::Arc};

use http::{HeaderName, HeaderValue};

use super::{Failure, arguments::LearnArguments, report};
use crate::{
    config::{self, Environment},
    gateway::{Snapshot, probe::ProbeSender, routes::upstream::Upstream},
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
    let sender = ProbeSender::new(compiled(&upstream)?, headers)?;
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
            format!(
                "\n{path} is written. Next:\n\n  export CURSORGATE_KEY=$(cursorgate keygen)\n  \
                 cursorgate check {path}\n  cursorgate run {path}\n"
            )
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

/// Loads a configuration as `check` does where secrets are not at hand.
fn load(text: &str) -> Result<Snapshot, String> {
    let (settings, mut diagnostics) = config::load_text("cursorgate.toml", text, &config::WithoutSecrets(&NoFiles));
    let built = settings.and_then(|settings| Snapshot::build(&settings, None, &mut diagnostics));
    match built {
        Some(snapshot) if !diagnostics.has_errors() => Ok(snapshot),
        _ => Err(diagnostics.render(false)),
    }
}

/// Compiles the upstream of a URL as a configuration would have it.
fn compiled(upstream: &WrittenUpstream) -> Result<Arc<Upstream>, Failure> {
    let tls = if upstream.tls { "tls = {}\n" } else { "" };
    let text = format!(
        "version = 1\n[upstreams.service]\npeers = [{:?}]\n{tls}[routes.all]\npath = \"/{{*rest}}\"\n\
         upstream = \"service\"\naction = \"forward\"\n",
        upstream.peer
    );
    let snapshot = load(&text).map_err(Failure::mistaken)?;
    snapshot.upstreams.first().cloned().ok_or_else(|| Failure::mistaken("the URL names no host"))
}

/// Reads the body of requests by POST.
pub(super) fn body(text: Option<&str>) -> Result<Option<serde_json::Value>, Failure> {
    let read =
        |text| serde_json::from_str(text).map_err(|error| Failure::mistaken(format!("--body is not JSON: {error}")));
    text.map(read).transpose()
}

/// Reads headers such as `X-Api-Key: abc`.
pub(super) fn headers(texts: &[String]) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    let read = |text: &String| {
        let (name, value) = text.split_once(':')?;
        let mut value = HeaderValue::from_str(value.trim()).ok()?;
        value.set_sensitive(true);
        Some((name.trim().parse::<HeaderName>().ok()?, value))
    };
    // The value may be a secret, so it is not repeated.
    let fault = || Failure::mistaken("--header takes a name and a value, such as 'X-Api-Key: abc'");
    texts.iter().map(|text| read(text).ok_or_else(fault)).collect()
}

/// The URL of a list in its parts.
#[derive(Debug, PartialEq, Eq)]
struct ListUrl {
    tls: bool,
    /// The authority as it was given.
    authority: String,
    /// `host:port`.
    peer: String,
    path: String,
    pairs: Vec<(String, String)>,
}

impl ListUrl {
    fn parse(url: &str) -> Result<Self, Failure> {
        let (tls, rest) = match url.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err(Failure::mistaken("the URL begins with http:// or https://")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.is_empty() || authority.contains('@') {
            let message = "the URL names a host, without a password: credentials go into --header 'Authorization: …'";
            return Err(Failure::mistaken(message));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let port = match (has_port, tls) {
            (true, _) => "",
            (false, true) => ":443",
            (false, false) => ":80",
        };
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            tls,
            authority: authority.to_owned(),
            peer: format!("{authority}{port}"),
            path: path.to_owned(),
            pairs: learn::query_of(&format!("?{query}")),
        })
    }
}

/// An environment without variables and files, of which the configuration needs none.
struct NoFiles;

impl Environment for NoFiles {
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }

    fn read(&self, _path: &Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_parts() {
        let url = ListUrl::parse("https://api.internal/v1/users?team=a%20b&limit=5#x").unwrap();
        assert!(url.tls);
        assert_eq!((url.peer.as_str(), url.path.as_str()), ("api.internal:443", "/v1/users"));
        let pairs = [("team", "a b"), ("limit", "5")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(url.pairs, pairs);
        assert_eq!(ListUrl::parse("http://[::1]:8000").unwrap().path, "/");
        for wrong in ["ftp://x/y", "/users", "http://user:secret@host/", "https:///x"] {
            let message = ListUrl::parse(wrong).unwrap_err().message;
            assert!(!message.contains("secret"), "{wrong}: {message}");
        }
    }

    #[test]
    fn headers_are_read_and_never_repeated() {
        let read = headers(&["X-Api-Key: a:b".to_owned()]).unwrap();
        assert_eq!((read[0].0.as_str(), read[0].1.to_str().unwrap()), ("x-api-key", "a:b"));
        assert!(!headers(&["my secret".to_owned()]).unwrap_err().message.contains("secret"));
    }
}
