//! `cursorgate check --live`: requests a few pages of each upstream, and compares its lists with the configuration.

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc, time::Duration};

use super::{
    super::{Failure, arguments::LiveArguments, report, target},
    client_host, old_log,
    unchanged::{self, ProvenRoute, Prover, SamplePath, parameters_of},
};
use cursorgate_config::{
    Diagnostics, preset_of_file,
    settings::{RouteSettings, Settings},
};
use cursorgate_gateway::{Snapshot, probe::ProbeSender, replay::Replayer};
use cursorgate_learn::{
    ProbeFault, ProbeLimits, ProbeTarget, ProberStep,
    live::{self, ConfiguredList, LiveReport},
};
use cursorgate_translate::upstream::Dialect;

/// Checks each list against its upstream. Adds a diagnostic for each fault, and returns the report with a line for each
/// route with a list.
pub(super) fn ask(
    settings: &Settings,
    snapshot: &Snapshot,
    arguments: &LiveArguments,
    diagnostics: &mut Diagnostics,
) -> Result<String, Failure> {
    let mut text = String::from("\nlive\n");
    let usual = ProbeLimits::default();
    let delay = arguments.delay.map_or(usual.delay, Duration::from_millis);
    let headers = target::headers(&arguments.header)?;
    let body = target::body(arguments.body.as_deref())?;
    let replayer = Replayer::start(settings).map_err(|error| unchanged::unready(&error))?;
    let prover = Prover { settings, snapshot, replayer, headers, delay };
    let is_of = |path: &str, route: &RouteSettings| {
        let host = client_host::of(route, &settings.server);
        route.list.is_some() && parameters_of(route, snapshot, host.as_deref(), path).is_some()
    };
    if let Some(path) = arguments.sample.iter().find(|path| !settings.routes.iter().any(|route| is_of(path, route))) {
        return Err(Failure::mistaken(format!("--sample {path}: no list of the configuration has this path")));
    }
    // The paths of a log are those of real clients.
    let mut samples = arguments.sample.clone();
    if let Some(log) = &arguments.old_clients {
        samples.extend(old_log::paths(log)?);
    }
    let mut weighed = BTreeSet::new();
    for (route, compiled) in settings.routes.iter().zip(&snapshot.routes) {
        let Some(list) = &route.list else { continue };
        let name = &route.name.value;
        let client_host = client_host::of(route, &settings.server);
        let Some(sample) = SamplePath::of(route, snapshot, client_host.as_deref(), &samples) else {
            let path = &route.path.value;
            let _ = writeln!(
                text,
                "  {name:<14}  not asked, and old clients not compared: --sample takes a path for {path}"
            );
            continue;
        };
        let Some(dialect) = Dialect::compile(list, &mut Diagnostics::default()) else { continue };
        let (dialect, sample) = (&dialect, &sample);
        let of = ProvenRoute { route, list, dialect, compiled, sample, client_host: client_host.as_deref() };
        // Every other request would be refused too.
        if !prover.takes_host(of, diagnostics) {
            let _ = writeln!(text, "  {name:<14}  not asked: the service refuses the Host of the gateway's clients");
            continue;
        }
        if weighed.insert(route.upstream) {
            prover.weigh_host(of, diagnostics);
        }
        let Some(report) = review(of, client_host.clone(), arguments)? else { continue };
        let answers =
            report.ended.is_none() && !report.faults.iter().any(|fault| fault.message.contains("gives no answer"));
        let proof = answers.then(|| prover.prove(of, body.as_ref(), diagnostics));
        let looks = match (report.faults.len(), &report.ended) {
            (0, None) => "looks as configured".to_owned(),
            (0, Some(why)) => format!("no difference from the configuration was seen, and {why}"),
            (faults, _) => report::count(faults, "difference"),
        };
        let _ = writeln!(text, "  {name:<14}  {looks}; {}", report::count(report.requests, "request"));
        if let Some(proof) = proof {
            let _ = writeln!(text, "  {:<14}  {}", "", proof.described());
        }
        for fault in report.faults {
            let help = preset_of_file(diagnostics.file(fault.at)).map(|base| own_dialect(name, base, &fault.help));
            diagnostics.error(fault.at, format!("{name}: {}", fault.message), help.unwrap_or(fault.help));
        }
    }
    Ok(text)
}

/// Returns the help for a fault in a built-in dialect. A built-in dialect can't be changed, so a dialect of the
/// configuration has to extend it.
fn own_dialect(route: &str, base: &str, help: &str) -> String {
    format!(
        "{help}, in a dialect of your own: [dialects.{route}] with extends = \"{base}\"; the route names it, dialect = \"{route}\""
    )
}

/// Checks a list against its upstream. Returns `None` if its dialect doesn't compile, which has been reported.
///
/// Requests have the `Host` that the gateway sends for a client at `client_host`.
fn review(
    of: ProvenRoute<'_>,
    client_host: Option<String>,
    arguments: &LiveArguments,
) -> Result<Option<LiveReport>, Failure> {
    let ProvenRoute { route, list, compiled, sample, .. } = of;
    let Some(dialect) = Dialect::compile(list, &mut Diagnostics::default()) else { return Ok(None) };
    let headers = target::headers(&arguments.header)?;
    let upstream = Arc::clone(&compiled.upstream);
    // The sender adds the base path, so it is removed here.
    let asked = compiled.target(&sample.path, &sample.parameters, "");
    let path = asked.strip_prefix(upstream.base_path.as_str()).unwrap_or(&asked).to_owned();
    let pairs = cursorgate_learn::query_of(&format!("?{}", list.dialect.request.query.value));
    let given = target::body(arguments.body.as_deref())?;
    let body = dialect.sends_bodies().then(|| given.unwrap_or_else(|| serde_json::json!({})));
    let probed = ProbeTarget {
        recorded: Vec::new(),
        documented: None,
        path: path.clone(),
        fixed: pairs.into_iter().filter(|(_, value)| !value.contains('{')).collect(),
        body,
        headers: headers.iter().map(|(name, _)| name.clone()).collect(),
        accept: None,
        host: upstream.host_for(client_host.as_deref()).to_str().unwrap_or_default().to_owned(),
        public_host: None,
    };
    let usual = ProbeLimits::default();
    let limits = ProbeLimits { delay: arguments.delay.map_or(usual.delay, Duration::from_millis), ..usual };
    let sender = ProbeSender::new(upstream, headers, client_host)?;
    let configured = ConfiguredList { settings: list.clone(), dialect, path, at: route.name.at };
    let mut step = live::begin(configured, probed, limits);
    // The loop ends, because the review makes at most `limits.requests` requests.
    loop {
        match step {
            ProberStep::Send(request, prober) => {
                step = prober.resume(sender.send(&request).map_err(ProbeFault::Unreachable));
            }
            ProberStep::Done(report) => return Ok(Some(report)),
        }
    }
}
