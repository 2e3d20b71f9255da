//! `cursorgate check`: explains a configuration, or reports its mistakes.

mod annotations;
mod client_host;
mod durations;
mod exchanges;
mod links;
mod live;
mod old_clients;
mod old_log;
mod page_cache;
mod passes;
mod review;
mod services;
pub(super) mod summary;
mod unchanged;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use super::{
    Failure,
    arguments::{CheckArguments, CheckFormat, LiveArguments},
    report,
};
use cursorgate_config::{
    self as config, Diagnostics, Environment, ProcessEnvironment, WithoutSecrets, diagnostic::Severity,
    settings::Settings,
};
use cursorgate_gateway::Snapshot;
use summary::{Detail, ShownRoutes};

/// The result of checking a configuration: its settings with the snapshot, which are `None` if they have errors, and
/// all diagnostics.
struct CheckedConfiguration {
    built: Option<(Settings, Snapshot)>,
    diagnostics: Diagnostics,
}

/// Prints the diagnostics of a configuration in this format, and describes its routes if they can be compiled. As text,
/// the routes are described even if only secrets are missing. Fails if there are errors.
pub(super) fn run(
    path: &Path,
    environment: ProcessEnvironment,
    CheckArguments { without_secrets, warnings_as_errors, accept, format, route, quiet, verbose }: CheckArguments,
    live: &LiveArguments,
) -> Result<(), Failure> {
    let mut checked = if without_secrets { without_secrets_of(path, &environment) } else { whole(path, &environment) };
    let mut asked = String::new();
    if let Some((settings, snapshot)) = &checked.built {
        let diagnostics = &mut checked.diagnostics;
        passes::review(settings, snapshot, diagnostics);
        review::orders(settings, snapshot, diagnostics);
        if let Some(log) = &live.old_clients {
            asked.push_str(&old_log::review(settings, snapshot, log, live, diagnostics)?);
        }
        if live.live {
            asked.push_str(&live::ask(settings, snapshot, live, diagnostics)?);
        }
    }
    match format {
        CheckFormat::Text => {
            let shown = match route.as_slice() {
                _ if quiet => ShownRoutes::None,
                [] => ShownRoutes::All(if verbose { Detail::All } else { Detail::Short }),
                names => ShownRoutes::Named(names),
            };
            text(path, &environment, &checked, &asked, shown)?;
        }
        CheckFormat::Json => report::output(&annotations::json(&checked.diagnostics, checked.built.as_ref()))?,
        CheckFormat::Github => report::output(&annotations::github(&checked.diagnostics))?,
    }
    let (errors, warnings) = checked.diagnostics.counts();
    match (errors, warnings) {
        (0, 0) => Ok(()),
        (0, _) if !warnings_as_errors => Ok(()),
        (0, _) => match unaccepted(&checked.diagnostics, &accept) {
            0 => Ok(()),
            left => Err(Failure::mistaken(format!("{} (--warnings-as-errors)", report::count(left, "warning")))),
        },
        _ => Err(Failure::mistaken(report::counts(&checked.diagnostics))),
    }
}

/// Returns the number of warnings that contain none of the accepted texts.
fn unaccepted(diagnostics: &Diagnostics, accepted: &[String]) -> usize {
    let is_accepted = |message: &str| accepted.iter().any(|text| message.contains(text.as_str()));
    let warnings = diagnostics.iter().filter(|fault| fault.severity == Severity::Warning);
    warnings.filter(|fault| !is_accepted(&fault.message)).count()
}

/// Checks a configuration against its upstreams, as with `--live`. Prints the differences, and fails if there are any.
pub(super) fn live(path: &Path, environment: &dyn Environment, arguments: &LiveArguments) -> Result<(), Failure> {
    let CheckedConfiguration { built, mut diagnostics } = without_secrets_of(path, environment);
    let Some((settings, snapshot)) = built else {
        report::diagnostics(&diagnostics);
        return Err(Failure::mistaken(report::counts(&diagnostics)));
    };
    // The warnings are for the reader of `check`.
    diagnostics.drop_warnings();
    let asked = live::ask(&settings, &snapshot, arguments, &mut diagnostics)?;
    report::output(&asked)?;
    report::diagnostics(&diagnostics);
    match diagnostics.has_errors() {
        true => Err(Failure::failed(format!("{} is written, and differs from the service", path.display()))),
        false => Ok(()),
    }
}

/// Tests dialects against the contracts in these files.
pub(super) fn exchanges(
    files: &[PathBuf],
    configuration: Option<&Path>,
    environment: ProcessEnvironment,
    format: CheckFormat,
) -> Result<(), Failure> {
    exchanges::run(files, configuration, &environment, format)
}

/// Checks a configuration with its secrets, as `run` would read it.
fn whole(path: &Path, environment: &dyn Environment) -> CheckedConfiguration {
    let (settings, mut diagnostics) = config::load(path, environment);
    let built = settings.and_then(|settings| {
        let snapshot = Snapshot::build(&settings, None, &mut diagnostics)?;
        Some((settings, snapshot))
    });
    CheckedConfiguration { built, diagnostics }
}

/// Checks a configuration whose secrets aren't available.
fn without_secrets_of(path: &Path, environment: &dyn Environment) -> CheckedConfiguration {
    let (settings, mut diagnostics) = config::load(path, &WithoutSecrets(environment));
    let built = settings.and_then(|settings| {
        // The files of certificates aren't available either, so the snapshot is compiled without them.
        let snapshot = Snapshot::build(&settings.without_certificates(), None, &mut diagnostics)?;
        Some((settings, snapshot))
    });
    CheckedConfiguration { built, diagnostics }
}

/// Prints the diagnostics and the description of all routes. `asked` has the results of `--live`.
fn text(
    path: &Path,
    environment: &dyn Environment,
    checked: &CheckedConfiguration,
    asked: &str,
    shown: ShownRoutes<'_>,
) -> Result<(), Failure> {
    report::diagnostics(&checked.diagnostics);
    if let Some((settings, snapshot)) = &checked.built {
        let mut text = summary::described(settings, snapshot, shown)?;
        if matches!(shown, ShownRoutes::All(_)) {
            text.push_str(&services::described(snapshot));
        }
        let routes = report::count(settings.routes.len(), "route");
        let (errors, warnings) = checked.diagnostics.counts();
        let (errors, warnings) = (report::count(errors, "error"), report::count(warnings, "warning"));
        text.push_str(asked);
        let blank = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{blank}{routes}, {warnings}, {errors}");
        return report::output(&text);
    }
    // The author of a route may have no access to the keys, so the description is printed without them. Test:
    // `check_describes_routes_without_their_keys`.
    match without_secrets_of(path, environment).built {
        Some((settings, snapshot)) => report::output(&summary::described(&settings, &snapshot, shown)?),
        None => Ok(()),
    }
}
