//! The report for people: each finding in a line, and the evidence of those that aren't sure.

use std::fmt::Write as _;

use crate::findings::{Certainty, Learnt};
use cursorgate_config::diagnostic::is_hidden;

/// Returns the report. The findings are grouped by certainty, the surest first. The evidence of those that were shown
/// is left out unless `is_verbose` is true.
#[must_use]
pub fn report(learnt: &Learnt, url: &str, is_verbose: bool) -> String {
    let mut out = format!("{url}\n");
    for (certainty, heading) in [
        (Certainty::Shown, "Shown, by the effect of a request or by the data:"),
        (Certainty::Likely, "Likely; other explanations fit too:"),
        (Certainty::Open, "Not found out:"),
    ] {
        let has_evidence = is_verbose || certainty != Certainty::Shown;
        let findings: Vec<_> = learnt.findings.iter().filter(|finding| finding.certainty == certainty).collect();
        if findings.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{heading}");
        for finding in findings {
            let _ = writeln!(out, "  {:<18}  {}", finding.about, plain(&finding.found));
            if has_evidence {
                let _ = writeln!(out, "  {:<18}    {}", "", plain(&finding.evidence));
            }
        }
    }
    let dialect = match learnt.preset {
        Some(preset) => format!("the built-in dialect {preset} fits"),
        None => "no built-in dialect fits".to_owned(),
    };
    let _ = writeln!(out, "\n{} requests, none deeper than item {}; {dialect}.", learnt.requests, learnt.deepest);
    out
}

/// Removes control characters and hidden ones, with which an upstream could manipulate the terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !is_hidden(*letter)).collect()
}
