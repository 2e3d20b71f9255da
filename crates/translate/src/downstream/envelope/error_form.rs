//! The envelope of errors: a configured JSON skeleton, compiled for a route.

use http::{HeaderValue, StatusCode};

use crate::downstream::{
    problem::{Code, Problem},
    render::{
        facts::{RenderedValue, Slot, ValueSource},
        output::Output,
        skeleton::Skeleton,
    },
};
use cursorgate_config::{
    diagnostic::{Diagnostics, Location, nearest},
    settings::ErrorSettings,
};
use cursorgate_core::pagination::page::Page;

/// A compiled error envelope.
#[derive(Debug)]
pub struct ErrorForm {
    body: Skeleton,
    content_type: HeaderValue,
    /// The values of `{type}` by code or status; a code takes precedence.
    types: Vec<(ProblemSelector, String)>,
}

/// The problems to which a value of `{type}` applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProblemSelector {
    Code(Code),
    Status(u16),
}

impl ProblemSelector {
    fn read(text: &str) -> Option<Self> {
        let code = Code::ALL.iter().copied().find(|code| code.as_str() == text).map(Self::Code);
        code.or_else(|| {
            let status = StatusCode::from_bytes(text.as_bytes()).ok()?;
            (status.is_client_error() || status.is_server_error()).then_some(Self::Status(status.as_u16()))
        })
    }
}

impl ErrorForm {
    /// Compiles an error envelope for a collection; `at` is the place of its name. Reports all faults, and returns
    /// `None` if there are any.
    pub fn compile(
        settings: &ErrorSettings,
        at: Location,
        collection: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let body = Skeleton::compile_error(&settings.body, collection, diagnostics);
        let content_type = content_type(&settings.content_type, at, diagnostics);
        let mut types = Some(Vec::with_capacity(settings.types.len()));
        for (of, said) in &settings.types {
            match (ProblemSelector::read(&of.value), &mut types) {
                (Some(of), Some(types)) => types.push((of, said.value.clone())),
                // After a fault, the other entries are still checked.
                (Some(_), None) => {}
                (None, _) => {
                    types = None;
                    let near = nearest(&of.value, Code::ALL.iter().map(|code| code.as_str()));
                    let meant = near.map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
                    let help = format!("{meant}write a problem's code, as `cursor_expired`, or a status, as `\"410\"`");
                    diagnostics.error(of.at, format!("there is no problem `{}`", of.value), help);
                }
            }
        }
        Some(Self { body: body?, content_type: content_type?, types: types? })
    }

    /// Appends the error body to `out`. `problem_type` is the value of `{type}` if the envelope configures no type for
    /// the problem's code or status.
    pub fn render(&self, problem: &Problem, problem_type: Option<&str>, request_id: &str, out: &mut Vec<u8>) {
        let of = |of: ProblemSelector| self.types.iter().find(|(known, _)| *known == of).map(|(_, said)| said.as_str());
        let own = of(ProblemSelector::Code(problem.code)).or_else(|| of(ProblemSelector::Status(problem.status)));
        let mut output = Output::from(std::mem::take(out));
        let reason = problem.code.as_str().to_ascii_uppercase();
        let problem_type = own.or(problem_type);
        self.body.render(&ProblemSource { problem, problem_type, reason: &reason, request_id }, &mut output);
        *out = output.bytes;
    }

    /// Returns the content type of error bodies.
    #[must_use]
    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }
}

/// A problem as a [`ValueSource`].
struct ProblemSource<'a> {
    problem: &'a Problem,
    problem_type: Option<&'a str>,
    /// The code in upper case, for `{reason}`.
    reason: &'a str,
    request_id: &'a str,
}

impl ProblemSource<'_> {
    fn value(&self, slot: Slot) -> Option<RenderedValue<'_>> {
        let problem = self.problem;
        match slot {
            Slot::Status => Some(RenderedValue::Number(problem.status.into())),
            Slot::Code => Some(RenderedValue::Text(problem.code.as_str())),
            Slot::Reason => Some(RenderedValue::Text(self.reason)),
            Slot::Title => Some(RenderedValue::Text(problem.code.title())),
            Slot::Phrase => Some(RenderedValue::Text(problem.phrase())),
            Slot::Detail => Some(RenderedValue::Text(&problem.detail)),
            Slot::RequestId => Some(RenderedValue::Text(self.request_id)),
            Slot::Retryable => Some(RenderedValue::Boolean(problem.code.retryable())),
            Slot::Type => self.problem_type.map(RenderedValue::Text),
            Slot::Parameter => problem.parameter.as_deref().map(RenderedValue::Text),
            Slot::Restart => problem.restart.as_deref().map(RenderedValue::Text),
            Slot::Nearest => problem.nearest.as_deref().map(RenderedValue::Text),
            Slot::MaxLimit => problem.max_limit.map(|limit| RenderedValue::Number(limit.into())),
            _ => None,
        }
    }
}

impl ValueSource for ProblemSource<'_> {
    fn knows(&self, slot: Slot, _item: usize) -> bool {
        self.value(slot).is_some()
    }

    fn tell(&self, slot: Slot, _item: usize, write: &mut dyn FnMut(RenderedValue<'_>)) {
        if let Some(value) = self.value(slot) {
            write(value);
        }
    }

    fn push_cursor(&self, _item: usize, _out: &mut Vec<u8>) -> bool {
        false
    }

    fn page(&self) -> Option<&Page> {
        None
    }
}

/// Parses a content type; reports a fault and returns `None` if it is invalid. The reader of the configuration has
/// already rejected invalid types, so only settings that were built in another way have this fault.
pub fn content_type(text: &str, at: Location, diagnostics: &mut Diagnostics) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(text).ok().filter(|_| text.contains('/'));
    if value.is_none() {
        let message = format!("\"{text}\" is not a content type");
        diagnostics.error(at, message, "write a media type, as \"application/json\"");
    }
    value
}
