//! Descriptions of answers whose meaning differs from their status: past the end, gone, or a failure.

use super::{PlaceCompiler, ResponseView};
use cursorgate_config::{
    diagnostic::Located,
    settings::DialectMatch,
    tree::{LocatedTree, Tree},
};
use cursorgate_core::json::scalar::{self, ScalarKind};

/// A description of answers. An answer matches if all conditions hold.
#[derive(Clone, Debug)]
pub struct Match {
    status: Option<u16>,
    body: Vec<Equality>,
    /// A fact that must be present and not null, because many APIs send `"error": null` on success; `None` without this
    /// condition.
    present: Option<usize>,
}

impl Match {
    /// Compiles a list of matches. Reports the faults of all matches, and returns `None` if there are any.
    pub fn compile_all(sources: &[DialectMatch], places: &mut PlaceCompiler<'_>) -> Option<Vec<Self>> {
        let compiled: Vec<Option<Self>> = sources.iter().map(|source| Self::compile(source, places)).collect();
        compiled.into_iter().collect()
    }

    fn compile(source: &DialectMatch, places: &mut PlaceCompiler<'_>) -> Option<Self> {
        if source.status.is_none() && source.body.is_empty() && source.present.is_none() {
            let help = "name a status, members of the body, or members that must be present";
            places.diagnostics.error(source.at, "an empty match would match every answer", help);
            return None;
        }
        if let Some(status) = source.status.filter(|status| !(200..=599).contains(status)) {
            let help = "the status of an answer is 200 to 599";
            places.diagnostics.error(source.at, format!("no answer has status {status}"), help);
            return None;
        }
        let body = Equality::compile_all(&source.body, places);
        let present = match &source.present {
            Some(place) => places.fact(place).map(Some),
            None => Some(None),
        };
        Some(Self { status: source.status, body: body?, present: present? })
    }

    /// Returns whether the body of an answer with this status must be read for the match.
    pub fn looks_into(&self, status: u16) -> bool {
        self.status.is_none_or(|wanted| wanted == status) && (!self.body.is_empty() || self.present.is_some())
    }

    /// Returns whether an answer matches.
    pub fn holds(&self, status: u16, response: ResponseView<'_>) -> bool {
        self.status.is_none_or(|wanted| wanted == status)
            && self.body.iter().all(|equality| equality.holds(response))
            && self.present.is_none_or(|fact| scalar::kind(response.fact(fact)) != ScalarKind::Null)
    }
}

/// A condition: a fact in the body must have this value.
#[derive(Clone, Debug)]
pub struct Equality {
    fact: usize,
    value: ExpectedScalar,
}

#[derive(Clone, Debug)]
enum ExpectedScalar {
    Null,
    Boolean(bool),
    Number(String),
    Text(String),
}

impl Equality {
    /// Compiles a table of pointers and expected values. Reports faults, and returns `None` if there are any.
    pub fn compile_all(
        sources: &[(Located<String>, LocatedTree)],
        places: &mut PlaceCompiler<'_>,
    ) -> Option<Vec<Self>> {
        let compiled: Vec<Option<Self>> =
            sources.iter().map(|(place, value)| Self::compile(place, value, places)).collect();
        compiled.into_iter().collect()
    }

    fn compile(place: &Located<String>, value: &LocatedTree, places: &mut PlaceCompiler<'_>) -> Option<Self> {
        let fact = places.fact(place);
        let value = match &value.value {
            Tree::Null => ExpectedScalar::Null,
            Tree::Boolean(boolean) => ExpectedScalar::Boolean(*boolean),
            Tree::Number(number) => ExpectedScalar::Number(number.clone()),
            Tree::Text(text) => ExpectedScalar::Text(text.clone()),
            Tree::Array(_) | Tree::Object(_) => {
                let help = "compare with a string, a number, true or false; point deeper for a value inside";
                places.diagnostics.error(value.at, "only single values can be compared", help);
                return None;
            }
        };
        Some(Self { fact: fact?, value })
    }

    /// Returns whether the fact is present and has the value.
    pub fn holds(&self, response: ResponseView<'_>) -> bool {
        let raw = response.fact(self.fact);
        match &self.value {
            // A missing member isn't null. Test: `matches_compare_by_value`.
            ExpectedScalar::Null => raw == b"null",
            ExpectedScalar::Boolean(boolean) => scalar::boolean(raw) == Some(*boolean),
            ExpectedScalar::Text(text) => scalar::text(raw).is_some_and(|found| *found == *text.as_bytes()),
            ExpectedScalar::Number(number) => {
                let count = scalar::unsigned(number.as_bytes());
                // `7` equals `7.0`; numbers that aren't whole must be written in the same way. Test:
                // `matches_compare_by_value`.
                raw == number.as_bytes()
                    || (scalar::kind(raw) == ScalarKind::Number && count.is_some() && count == scalar::unsigned(raw))
            }
        }
    }
}
