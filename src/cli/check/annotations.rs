//! Diagnostics for other programs: as JSON, and as annotations of GitHub Actions.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::report;
use cursorgate_config::{
    Diagnostics,
    diagnostic::{Diagnostic, Severity},
    settings::{Action, Settings},
};
use cursorgate_gateway::Snapshot;
use cursorgate_translate::downstream::response::level_word;

/// Returns a JSON object with all diagnostics. The object also has the routes if the configuration could be compiled.
pub(super) fn json(diagnostics: &Diagnostics, built: Option<&(Settings, Snapshot)>) -> String {
    let (errors, warnings) = diagnostics.counts();
    let faults = all(diagnostics);
    let mut report = json!({ "errors": errors, "warnings": warnings, "diagnostics": faults });
    if let Some((settings, snapshot)) = built {
        report["routes"] = routes(settings, snapshot);
    }
    format!("{report:#}\n")
}

/// Returns all diagnostics as JSON objects.
pub(super) fn all(diagnostics: &Diagnostics) -> Vec<Value> {
    diagnostics.iter().map(|fault| described(diagnostics, fault)).collect()
}

fn described(diagnostics: &Diagnostics, fault: &Diagnostic) -> Value {
    let (file, line, column) = diagnostics.place(fault.at);
    let end_column = diagnostics.end_column(fault.at);
    json!({
        "severity": word(fault.severity),
        "message": fault.message,
        "help": fault.help,
        "file": file,
        "line": line,
        "column": column,
        "end_column": end_column,
    })
}

fn routes(settings: &Settings, snapshot: &Snapshot) -> Value {
    let routes = settings.routes.iter().zip(&snapshot.routes).map(|(route, compiled)| {
        let action = match (&route.list, route.observe) {
            (None, _) => Action::Forward,
            (Some(_), Some(_)) => Action::Observe,
            (Some(_), None) => Action::Paginate,
        };
        let mut described = json!({
            "name": route.name.value,
            "hosts": route.hosts,
            "path": route.path.value,
            "upstream": settings.upstreams[route.upstream].name,
            "action": action.word(),
        });
        let serving = compiled.list.as_ref().or_else(|| compiled.observed.as_ref().map(|observed| &observed.list));
        if let (Some(list), Some(serving)) = (&route.list, serving) {
            let promise = serving.dialect.guarantee(serving.dialect.default_sorted(), list);
            described["dialect"] = list.dialect.name.as_str().into();
            described["mode"] = promise.mode.word().into();
            described["level"] = level_word(promise.level).into();
        }
        described
    });
    routes.collect()
}

/// Returns a workflow command for each diagnostic, followed by a line with the counts.
pub(super) fn github(diagnostics: &Diagnostics) -> String {
    let mut text = commands(diagnostics);
    let (errors, warnings) = diagnostics.counts();
    let _ = writeln!(text, "{}, {}", report::count(errors, "error"), report::count(warnings, "warning"));
    text
}

/// Returns a workflow command for each diagnostic. GitHub shows the diagnostic next to its line.
pub(super) fn commands(diagnostics: &Diagnostics) -> String {
    let mut text = String::new();
    for fault in diagnostics.iter() {
        let (file, line, column) = diagnostics.place(fault.at);
        let end_column = diagnostics.end_column(fault.at);
        let separator = if fault.help.is_empty() { "" } else { ": " };
        // A line end in a message would begin another command, so it is escaped. Test:
        // `annotations_are_escaped_and_end_with_their_line`.
        let message = data(&format!("{}{separator}{}", fault.message, fault.help));
        let _ = writeln!(
            text,
            "::{} file={},line={line},col={column},endColumn={end_column},title=cursorgate check::{message}",
            word(fault.severity),
            property(file),
        );
    }
    text
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Escapes the text of a workflow command.
fn data(text: &str) -> String {
    // `%` is escaped first, because the other escapes begin with it.
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
fn property(text: &str) -> String {
    // `,` and `:` separate properties, so they are escaped. Test: `annotations_are_escaped_and_end_with_their_line`.
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cursorgate_config::diagnostic::Location;

    fn reported() -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("routes/a,b.toml".into(), "é = 1\nb = [\n 2,\n]\n".into());
        let at = |start, end| Location { source, start, end };
        diagnostics.error(at(0, 2), "100% wrong", "write\nit so");
        diagnostics.warning(at(11, 18), "odd", "");
        diagnostics
    }

    #[test]
    fn annotations_are_escaped_and_end_with_their_line() {
        assert_eq!(
            github(&reported()),
            "::error file=routes/a%2Cb.toml,line=1,col=1,endColumn=2,title=cursorgate check::100%25 wrong: write%0Ait so\n\
             ::warning file=routes/a%2Cb.toml,line=2,col=5,endColumn=6,title=cursorgate check::odd\n\
             1 error, 1 warning\n"
        );
    }

    #[test]
    fn a_report_in_json_has_the_place_and_the_help_of_each_diagnostic() {
        let report: Value = serde_json::from_str(&json(&reported(), None)).expect("JSON");
        assert_eq!((&report["errors"], &report["warnings"]), (&json!(1), &json!(1)));
        let second = json!({
            "severity": "warning", "message": "odd", "help": "", "file": "routes/a,b.toml",
            "line": 2, "column": 5, "end_column": 6,
        });
        assert_eq!(report["diagnostics"][1], second);
        assert_eq!(report["routes"], Value::Null);
    }
}
