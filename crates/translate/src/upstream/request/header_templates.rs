//! The headers that a dialect adds to requests.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};

use super::headers::is_ours;
use crate::upstream::template::text::{TemplatePart, TemplateText, Variable};
use cursorgate_config::diagnostic::{Diagnostics, Located};

/// The compiled headers of a dialect: their names, and their values, which may contain variables.
#[derive(Clone, Debug, Default)]
pub struct HeaderTemplates {
    headers: Vec<(HeaderName, TemplateText)>,
}

impl HeaderTemplates {
    /// Compiles headers whose values may contain only the variables in `allowed`. Reports all faults, and returns
    /// `None` if there are any.
    pub fn compile(
        headers: &[(Located<String>, Located<String>)],
        allowed: &[Variable],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let headers: Vec<Option<(HeaderName, TemplateText)>> =
            headers.iter().map(|(name, value)| compile_one(name, value, allowed, diagnostics)).collect();
        Some(Self { headers: headers.into_iter().collect::<Option<_>>()? })
    }

    /// Returns the variables in all values.
    pub fn variables(&self) -> impl Iterator<Item = Variable> + '_ {
        self.headers.iter().flat_map(|(_, text)| text.variables())
    }

    /// Writes the headers whose variables all have a value; returns `None` if a written value is invalid in a header.
    pub fn render<'v>(
        &self,
        value: &dyn Fn(Variable) -> Option<Cow<'v, str>>,
    ) -> Option<Vec<(HeaderName, HeaderValue)>> {
        // The first page has no token, so its request leaves out a header with a token.
        let known = self.headers.iter().filter_map(|(name, text)| Some((name, text.render(value)?)));
        known.map(|(name, text)| Some((name.clone(), HeaderValue::from_str(&text).ok()?))).collect()
    }
}

fn compile_one(
    name: &Located<String>,
    value: &Located<String>,
    allowed: &[Variable],
    diagnostics: &mut Diagnostics,
) -> Option<(HeaderName, TemplateText)> {
    // The name is unwrapped last, so the faults of name and value are reported together.
    let compiled_name = compile_name(name, diagnostics);
    let text = TemplateText::parse(&value.value, value, allowed, diagnostics)?;
    let sendable = |piece: &TemplatePart| match piece {
        TemplatePart::Literal(literal) => HeaderValue::from_str(literal).is_ok(),
        TemplatePart::Variable(_) => true,
    };
    if !text.pieces().iter().all(sendable) {
        let message = format!("{:?} can't be in a header", value.value);
        diagnostics.error(value.at, message, "a header's value is one line without control characters");
        return None;
    }
    Some((compiled_name?, text))
}

fn compile_name(source: &Located<String>, diagnostics: &mut Diagnostics) -> Option<HeaderName> {
    let Ok(name) = HeaderName::from_bytes(source.value.as_bytes()) else {
        let message = format!("{:?} is not a header name", source.value);
        diagnostics.error(source.at, message, "a name is letters, digits and hyphens, as Range-Unit");
        return None;
    };
    // The gateway would replace the dialect's value without notice, or the value would frame the request wrongly, so
    // the header is refused.
    if is_ours(&name) {
        let help = "the gateway sets this header itself: leave it out";
        diagnostics.error(source.at, format!("a dialect can't set {}", source.value), help);
        return None;
    }
    Some(name)
}
