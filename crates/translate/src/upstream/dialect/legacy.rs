//! Legacy requests: paging parameters, translated back through the dialect's query templates.

use thiserror::Error;

use crate::upstream::{
    request::query::RequestTemplate,
    template::{
        body::BodyTemplate,
        text::{QueryTemplate, TemplatePart, TemplateText, Variable, decode},
    },
};
use cursorgate_config::diagnostic::{Diagnostics, Location};
use cursorgate_core::pagination::paging::{Paging, Sizes};

/// The slice that a legacy request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyWindow {
    /// The number of items before the slice.
    pub offset: u64,
    /// The number of items that the request states, within the upstream's bounds, or else the upstream's default. If
    /// both are unknown, a request by page number has the route's default, and a request by offset has `None`.
    pub size: Option<u32>,
    /// The page number, counted from the dialect's `first_page` as clients write it; `None` for requests by offset.
    pub page: Option<u64>,
}

/// A fault in the paging parameters of a legacy request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{parameter} {detail}")]
pub struct LegacyFault {
    /// The dialect's name of the parameter, decoded.
    pub parameter: String,
    /// The fault, as the rest of a sentence that begins with the parameter's name: `must be a whole number`.
    pub detail: String,
    /// `true` if two values contradict each other although each is valid by itself.
    pub conflict: bool,
}

/// The paging parameters of a dialect, and the numbers by which their values become a [`LegacyWindow`].
#[derive(Clone, Debug)]
pub struct LegacyReader {
    parameters: Vec<PagingParameter>,
    names: Vec<String>,
    first_page: u64,
    first_item: u64,
    paging: Paging,
    /// `true` if the dialect's own requests have a page number, even if its pages are requested by offset too.
    counts_pages: bool,
    /// The upstream's default size; `None` if the dialect doesn't state it.
    default_size: Option<u32>,
    /// The route's default size, which a request by page number gets if the upstream's default is unknown.
    assumed_size: u32,
}

/// A query parameter with a paging variable, or a body member with one. The name of a member is its JSON Pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PagingParameter {
    name: String,
    /// The literals and variables of the value; literals are decoded.
    value: Vec<TemplatePart>,
}

/// The values of a request's paging parameters. Each has the variable, its number, and the parameter's name.
#[derive(Default)]
struct LegacyValues {
    values: Vec<(Variable, u64, String)>,
}

impl LegacyReader {
    /// Compiles a reader from the request template. `at` is the location of the dialect's name in the route.
    /// `assumed_size` replaces an upstream's default size that the dialect doesn't state. Reports a parameter with two
    /// meanings, and returns `None` if there is one.
    pub fn compile(
        request: &RequestTemplate,
        paging: &Paging,
        default_size: Option<u32>,
        assumed_size: u32,
        at: Location,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut parameters: Vec<PagingParameter> = Vec::new();
        for known in std::iter::once(&request.query).chain(&request.also).flat_map(paging_parameters) {
            match parameters.iter().find(|other| other.name == known.name) {
                None => parameters.push(known),
                Some(other) if *other == known => {}
                Some(_) => {
                    let message = format!("{} means one thing in `query` and another in `also`", known.name);
                    diagnostics.error(at, message, "give each parameter one meaning in all query templates");
                    return None;
                }
            }
        }
        let names = parameters.iter().map(|known| known.name.clone()).collect();
        // Members of bodies are named by their pointers. Query parameters with such names remain free for filters.
        let members = request.body.as_ref().map(BodyTemplate::members).unwrap_or_default();
        parameters.extend(members.into_iter().map(|(name, value)| PagingParameter { name, value }));
        let paging = paging.clone();
        let (first_page, first_item) = (request.first_page, request.first_item);
        let counts_pages = request.variables().any(|variable| variable == Variable::Page);
        Some(Self { parameters, names, first_page, first_item, paging, counts_pages, default_size, assumed_size })
    }

    /// Returns the decoded names of all paging parameters of queries.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the names of paging parameters of queries, and the pointers to members of bodies, that state only the
    /// size of a page.
    pub fn size_names(&self) -> Vec<String> {
        let states_size =
            |known: &&PagingParameter| matches!(known.value[..], [TemplatePart::Variable(Variable::Size)]);
        self.parameters.iter().filter(states_size).map(|known| known.name.clone()).collect()
    }

    /// Returns the window of these decoded pairs, which have the dialect's own names; `None` if no pair is a paging
    /// parameter.
    pub fn window(&self, pairs: &[(String, String)]) -> Result<Option<LegacyWindow>, LegacyFault> {
        let said = self.said(pairs)?;
        let Some((_, _, any)) = said.values.first() else {
            return Ok(None);
        };
        let first = said.of(Variable::Page);
        let place =
            [Variable::Offset, Variable::End, Variable::Last].into_iter().find_map(|variable| said.of(variable));
        if let (Some((_, name)), Some((_, other))) = (first, place) {
            return Err(conflict(name, format!("and {other} name two places: send one of them")));
        }
        // A request that states only a size asks for the first page. Test:
        // `page_numbers_of_legacy_requests_become_offsets`.
        let by_page = first.is_some() || (place.is_none() && self.counts_pages);
        let window = if by_page { self.by_page(&said, first)? } else { self.by_offset(&said)? };
        // No list has so many items, so a larger offset is a fault. Sums below this bound don't overflow.
        if window.offset > i64::MAX.unsigned_abs() {
            let name = first.or(place).map_or(any.as_str(), |(_, name)| name);
            return Err(fault(name, "is beyond every list".to_owned()));
        }
        Ok(Some(window))
    }

    /// Returns the pairs without the tokens of the upstream, which name no offset.
    pub fn without_tokens(&self, pairs: &[(String, String)]) -> Vec<(String, String)> {
        let is_token = |piece: &TemplatePart| matches!(piece, TemplatePart::Variable(variable) if variable.is_token());
        let holds_token =
            |name: &str| self.parameters.iter().any(|known| known.name == name && known.value.iter().any(is_token));
        pairs.iter().filter(|(name, _)| !holds_token(name)).cloned().collect()
    }

    /// Returns whether these pairs state a size, directly or by the end of a range.
    pub fn says_size(&self, pairs: &[(String, String)]) -> bool {
        let sizes = [Variable::Size, Variable::End, Variable::Last];
        self.said(pairs).is_ok_and(|said| sizes.into_iter().any(|size| said.of(size).is_some()))
    }

    /// Returns the upstream's default size; `None` if the dialect doesn't state it.
    pub fn default_size(&self) -> Option<u32> {
        self.default_size
    }

    fn by_page(&self, said: &LegacyValues, page: Option<(u64, &str)>) -> Result<LegacyWindow, LegacyFault> {
        let number = match page {
            Some((page, name)) => match page.checked_sub(self.first_page) {
                Some(number) => number,
                None => return Err(fault(name, format!("must be a whole number, at least {}", self.first_page))),
            },
            None => 0,
        };
        let asked = self.size(said)?;
        // A page number becomes an offset only with a size, so the route's default replaces an unknown one.
        let size = asked.or(self.default_size).unwrap_or(self.assumed_size);
        let offset = number.saturating_mul(u64::from(size));
        Ok(LegacyWindow { offset, size: Some(size), page: Some(number.saturating_add(self.first_page)) })
    }

    fn by_offset(&self, said: &LegacyValues) -> Result<LegacyWindow, LegacyFault> {
        let from = said.of(Variable::Offset);
        let offset = match from.map(|(item, name)| (item.checked_sub(self.first_item), name)) {
            Some((Some(offset), _)) => offset,
            Some((None, name)) => {
                return Err(fault(name, format!("must be a whole number, at least {}", self.first_item)));
            }
            None => 0,
        };
        let last = said.of(Variable::Last).map(|(last, name)| (last.saturating_add(1), name));
        // The end is counted from the same item as the offset. Test:
        // `items_that_are_counted_from_1_are_offsets_from_0`.
        let end = said.of(Variable::End).or(last).map(|(end, name)| (end.saturating_sub(self.first_item), name));
        let size = match end {
            Some((end, name)) if end <= offset => {
                return Err(fault(name, "lies before the first item asked for".to_owned()));
            }
            Some((end, _)) => Some(self.kept(end - offset)),
            None => self.size(said)?.or(self.default_size),
        };
        Ok(LegacyWindow { offset, size, page: None })
    }

    /// Returns the size that a request states, within the upstream's bounds; `None` if it states none.
    fn size(&self, said: &LegacyValues) -> Result<Option<u32>, LegacyFault> {
        match said.of(Variable::Size) {
            Some((0, name)) => Err(fault(name, "must be a whole number, at least 1".to_owned())),
            Some((size, _)) => Ok(Some(self.kept(size))),
            None => Ok(None),
        }
    }

    /// Clamps a size to the bounds of an upstream that accepts any size between them.
    fn kept(&self, size: u64) -> u32 {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        match self.paging.sizes() {
            Sizes::Free { least, most } => size.clamp(*least, most.unwrap_or(u32::MAX).max(*least)),
            Sizes::Listed(_) | Sizes::Fixed(_) => size,
        }
    }

    fn said(&self, pairs: &[(String, String)]) -> Result<LegacyValues, LegacyFault> {
        let mut said = LegacyValues::default();
        for (name, value) in pairs {
            let Some(known) = self.parameters.iter().find(|known| known.name == *name) else {
                continue;
            };
            let is_token =
                |piece: &TemplatePart| matches!(piece, TemplatePart::Variable(variable) if variable.is_token());
            // A token can't be translated into an offset, so it is a fault. Test:
            // `a_legacy_request_by_token_has_no_offset`.
            if known.value.iter().any(is_token) {
                return Err(fault(name, "is a value of the upstream, and names no place in the list".to_owned()));
            }
            let Some(read) = read_back(&known.value, value) else {
                return Err(fault(name, "must be a whole number".to_owned()));
            };
            for (variable, number) in read {
                match said.of(variable) {
                    Some((other, _)) if other != number => {
                        return Err(conflict(name, "has two different values".to_owned()));
                    }
                    // The same value twice isn't a contradiction, so it is accepted. Test:
                    // `page_numbers_of_legacy_requests_become_offsets`.
                    Some(_) => {}
                    None => said.values.push((variable, number, name.clone())),
                }
            }
        }
        Ok(said)
    }
}

impl LegacyValues {
    /// Returns the value of a variable and the name of its parameter; `None` if no parameter has the variable.
    fn of(&self, variable: Variable) -> Option<(u64, &str)> {
        self.values.iter().find(|(known, _, _)| *known == variable).map(|(_, value, name)| (*value, name.as_str()))
    }
}

fn paging_parameters(query: &QueryTemplate) -> Vec<PagingParameter> {
    query
        .parameters
        .iter()
        .filter(|parameter| parameter.variables().next().is_some())
        .map(|parameter| {
            let decoded = |piece: &TemplatePart| match piece {
                TemplatePart::Literal(literal) => TemplatePart::Literal(decode(literal)),
                TemplatePart::Variable(_) => piece.clone(),
            };
            let value = parameter.value.iter().flat_map(TemplateText::pieces).map(decoded).collect();
            PagingParameter { name: parameter.decoded_name(), value }
        })
        .collect()
}

/// Reads the numbers of the variables in a value by its template; returns `None` if the value doesn't match the
/// template.
fn read_back(pieces: &[TemplatePart], value: &str) -> Option<Vec<(Variable, u64)>> {
    let mut rest = value;
    let mut read = Vec::new();
    for piece in pieces {
        match piece {
            TemplatePart::Literal(literal) => rest = rest.strip_prefix(literal.as_str())?,
            TemplatePart::Variable(variable) => {
                // Only digits are accepted: no sign and no blank. Test: `faults_name_the_parameter`.
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                read.push((*variable, rest[..digits].parse().ok()?));
                rest = &rest[digits..];
            }
        }
    }
    rest.is_empty().then_some(read)
}

fn fault(parameter: &str, detail: String) -> LegacyFault {
    LegacyFault { parameter: parameter.to_owned(), detail, conflict: false }
}

fn conflict(parameter: &str, detail: String) -> LegacyFault {
    LegacyFault { parameter: parameter.to_owned(), detail, conflict: true }
}

#[cfg(test)]
mod tests;
