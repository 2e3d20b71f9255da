//! Conventions: the parameters that a client sends and the form of its pages and problems. A route has its own
//! convention, and other conventions that clients may choose by `Prefer: envelope=NAME` (RFC 7240) or by the media type
//! in `Accept` (RFC 9110, section 12.5.1). Cursors don't depend on the convention: a cursor from one is valid in
//! another.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::EnvelopeTemplate;
use crate::downstream::{
    problem::{Code, Problem, shown},
    request::{
        body::RequestBody,
        params::Parameters,
        preference::{self, MediaRange, Preferences},
    },
};
use cursorgate_core::pagination::resolver::Totals;

/// The preference (`Prefer`) that selects an envelope by its name.
const ENVELOPE: &str = "envelope";

/// The media type of plain JSON, which upstreams also answer with.
const JSON: &str = "application/json";

/// The parameters that a client sends, and the envelope that it gets.
#[derive(Debug)]
pub struct Convention {
    /// The name of the envelope.
    pub name: String,
    /// The parameters that clients send for paging and sorting.
    pub parameters: Parameters,
    /// The envelope of pages and problems.
    pub envelope: EnvelopeTemplate,
    /// The source of the total in pages of this convention.
    pub total: Totals,
}

impl Convention {
    /// Returns whether the envelope contains item cursors.
    #[must_use]
    pub fn names_items(&self) -> bool {
        let needs = self.envelope.needs();
        needs.item_cursors || needs.edge_cursors
    }
}

/// The conventions of a route.
#[derive(Debug)]
pub struct Conventions {
    own: Convention,
    others: Vec<Convention>,
    /// The conventions of services, which no client can choose.
    inner: Vec<Convention>,
    /// `true` if the preference for an envelope marks a request as a new client's (`new_clients.by`).
    marks_by_preference: bool,
}

/// The convention for a request, as its `Prefer` and `Accept` choose it.
#[derive(Debug)]
pub struct NegotiatedConvention<'a> {
    /// The chosen convention; the route's own if the client chose none that the route offers.
    pub convention: &'a Convention,
    /// The preferences of the client.
    pub preferences: Preferences,
    /// `true` if a preference chose the convention. The response then confirms the choice.
    pub by_preference: bool,
    /// The problem if the client accepts no media type that the route offers, or strictly prefers an envelope that the
    /// route doesn't offer; `None` otherwise.
    pub refused: Option<Box<Problem>>,
}

impl Conventions {
    /// Creates the conventions of a route: its own, others that clients can choose, and those of services.
    #[must_use]
    pub fn new(own: Convention, others: Vec<Convention>, inner: Vec<Convention>) -> Self {
        Self { own, others, inner, marks_by_preference: false }
    }

    /// Makes the preference for an envelope mark a request as a new client's, if `marks` is `true`.
    #[must_use]
    pub fn marking_by_preference(self, marks: bool) -> Self {
        Self { marks_by_preference: marks, ..self }
    }

    /// Returns whether the preference for an envelope marks a request. If so, all answers vary by `Prefer`.
    #[must_use]
    pub fn marks_by_preference(&self) -> bool {
        self.marks_by_preference
    }

    /// Returns whether a request with these headers, query and body is marked as a new client's.
    #[must_use]
    pub fn is_marked(&self, headers: &HeaderMap, query: Option<&str>, body: Option<&RequestBody>) -> bool {
        let by_value = self.all().any(|convention| convention.parameters.is_marked(query, body));
        by_value || (self.marks_by_preference && self.choose(headers).by_preference)
    }

    /// Returns the route's own convention.
    #[must_use]
    pub fn own(&self) -> &Convention {
        &self.own
    }

    /// Returns the convention of a service by its name, for an inner request; `None` if no service has such a
    /// convention.
    #[must_use]
    pub fn choose_inner(&self, name: &str) -> Option<NegotiatedConvention<'_>> {
        let convention = self.inner.iter().find(|convention| convention.name == name)?;
        Some(NegotiatedConvention {
            convention,
            preferences: Preferences::default(),
            by_preference: false,
            refused: None,
        })
    }

    /// Returns the convention with this name, whether for clients or for services; `None` if the route has no such
    /// convention.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Convention> {
        self.all().chain(&self.inner).find(|convention| convention.name == name)
    }

    /// Returns all conventions that clients can choose, the route's own first.
    pub fn all(&self) -> impl Iterator<Item = &Convention> {
        std::iter::once(&self.own).chain(&self.others)
    }

    /// Returns the request headers that responses vary by, for `Vary`.
    pub fn varies_by(&self) -> impl Iterator<Item = HeaderName> + use<> {
        let chosen = !self.others.is_empty();
        // If a preference sets the limit, one URL has several pages, so responses vary by `Prefer`.
        let preferred = chosen || self.marks_by_preference || self.own.parameters.preferred_limit().is_some();
        let accept = chosen.then_some(http::header::ACCEPT);
        accept.into_iter().chain(preferred.then_some(preference::PREFER))
    }

    /// Chooses the convention of a request. A route with only its own convention ignores the client's choice. Otherwise
    /// `Prefer` takes precedence over `Accept`. A preferred envelope that the route doesn't offer is ignored, or
    /// refused if the client sends `handling=strict`. An `Accept` that matches no envelope is refused if it has a JSON
    /// media type, and ignored otherwise.
    #[must_use]
    pub fn choose(&self, headers: &HeaderMap) -> NegotiatedConvention<'_> {
        let mut chosen = NegotiatedConvention {
            convention: &self.own,
            preferences: Preferences::read(headers),
            by_preference: false,
            refused: None,
        };
        let has_choice = !self.others.is_empty();
        if let Some(wanted) = chosen.preferences.value(ENVELOPE).filter(|_| has_choice || self.marks_by_preference) {
            if let Some(named) = self.all().find(|convention| convention.name == wanted) {
                chosen.convention = named;
                chosen.by_preference = true;
                return chosen;
            }
            if chosen.preferences.is_strict() {
                chosen.refused = Some(self.refusal(&format!("there is no envelope `{}` here", shown(wanted))));
                return chosen;
            }
        }
        // A route with one envelope doesn't refuse a client because of its `Accept`. Test:
        // `a_route_without_a_choice_ignores_prefer_and_accept`.
        if !has_choice {
            return chosen;
        }
        match self.accepted(&MediaRange::all(headers)) {
            // A type in `Accept` isn't a preference, so `Preference-Applied` doesn't name the envelope.
            Ok(accepted) => chosen.convention = accepted,
            Err(problem) => chosen.refused = Some(problem),
        }
        chosen
    }

    /// Removes request headers that the gateway handles itself: the preferences for the envelope and for the limit, and
    /// an `Accept` that names an envelope's media type other than `application/json`. An upstream might answer 406 to a
    /// media type that it doesn't know.
    pub fn take_from(&self, headers: &mut HeaderMap, chosen: &Convention) {
        if headers.contains_key(preference::PREFER) {
            // Preferences such as `count=exact` are for the upstream, so only the gateway's own are removed. Test:
            // `preferences_are_followed_once`.
            let names: Vec<&str> = std::iter::once(ENVELOPE).chain(chosen.parameters.preferred_limit()).collect();
            preference::remove(headers, &names);
        }
        let mut own_types = self.all().map(|convention| &convention.envelope.media_type().essence);
        if own_types.any(|essence| essence != JSON) {
            let is_own = |range: &MediaRange| {
                let mut all = self.all().map(|convention| &convention.envelope.media_type().essence);
                // Upstreams answer with plain JSON themselves, so a range for it is passed on.
                range.essence != JSON && all.any(|essence| *essence == range.essence)
            };
            if MediaRange::all(headers).iter().any(is_own) {
                headers.remove(http::header::ACCEPT);
            }
        }
    }

    /// Returns the convention whose media type has the greatest weight in `ranges`. If several have this weight, the
    /// most exact range decides, and then the order of the conventions. Without a match, returns the route's own
    /// convention, or a problem if a range is a JSON type.
    fn accepted(&self, ranges: &[MediaRange]) -> Result<&Convention, Box<Problem>> {
        let mut best: Option<((u16, Exactness), &Convention)> = None;
        for convention in self.all() {
            let Some(rank) = rank(convention.envelope.media_type(), ranges) else { continue };
            if best.is_none_or(|(known, _)| rank > known) {
                best = Some((rank, convention));
            }
        }
        // A client that accepts only `text/html` gets the route's own envelope, so only JSON types cause a refusal.
        // Test: `a_client_chooses_by_media_type_or_by_preference`.
        let is_json = |range: &MediaRange| range.weight > 0 && range.essence.ends_with("json");
        match best {
            Some((_, convention)) => Ok(convention),
            None if ranges.iter().any(is_json) => {
                Err(self.refusal("none of the media types in `Accept` is offered here"))
            }
            None => Ok(&self.own),
        }
    }

    fn refusal(&self, said: &str) -> Box<Problem> {
        let offered = |convention: &Convention| {
            let content_type = convention.envelope.content_type().to_str().unwrap_or_default().to_owned();
            format!("{} ({content_type})", convention.name)
        };
        let offered: Vec<String> = self.all().map(offered).collect();
        let mut problem = Problem::new(Code::EnvelopeUnknown, format!("{said}: there are {}", offered.join(", ")));
        problem.allowed = self.all().map(|convention| convention.name.clone()).collect();
        Box::new(problem)
    }
}

/// The exactness with which a range names a media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exactness {
    Anything,
    OfType,
    Named,
    WithParameters(usize),
}

/// Returns the weight of a media type and the exactness of the most exact range that covers it; `None` if no range
/// covers it or its weight is 0.
fn rank(offered: &MediaRange, ranges: &[MediaRange]) -> Option<(u16, Exactness)> {
    let covering = ranges.iter().filter_map(|range| Some((exactness(offered, range)?, range.weight)));
    // The most exact range decides, even if another range has a greater weight (RFC 9110, section 12.5.1). Test:
    // `a_client_chooses_by_media_type_or_by_preference`.
    let (exactness, weight) = covering.max_by_key(|&(exactness, weight)| (exactness, weight))?;
    (weight > 0).then_some((weight, exactness))
}

/// Returns the exactness with which a range names a media type; `None` if the range doesn't cover the type. A profile
/// is optional (RFC 6906; JSON:API 1.1, content negotiation). All other parameters must equal those of the media type.
fn exactness(offered: &MediaRange, range: &MediaRange) -> Option<Exactness> {
    let is_of_type = |kind: &str| offered.essence.strip_prefix(kind).is_some_and(|rest| rest.starts_with('/'));
    match range.essence.as_str() {
        "*/*" => Some(Exactness::Anything),
        essence if essence.strip_suffix("/*").is_some_and(is_of_type) => Some(Exactness::OfType),
        essence if essence == offered.essence => {
            let asked = range.parameters.iter().filter(|(name, _)| name != "profile");
            let mut count = 0;
            for (name, value) in asked {
                // JSON:API requires 406 if other parameters modify its type, so such a range doesn't match. Test:
                // `a_client_chooses_by_media_type_or_by_preference`.
                let own = offered.parameters.iter().find(|(known, _)| known == name)?;
                if !own.1.eq_ignore_ascii_case(value) {
                    return None;
                }
                count += 1;
            }
            Some(if count == 0 { Exactness::Named } else { Exactness::WithParameters(count) })
        }
        _ => None,
    }
}

impl NegotiatedConvention<'_> {
    /// Returns `Preference-Applied` (RFC 7240, section 3): the envelope, if a preference chose it, and `applied`;
    /// `None` without either.
    #[must_use]
    pub fn preference_applied(&self, applied: Option<&str>) -> Option<HeaderValue> {
        let envelope = self.by_preference.then(|| format!("{ENVELOPE}={}", self.convention.name));
        let all: Vec<&str> = envelope.as_deref().into_iter().chain(applied).collect();
        (!all.is_empty()).then(|| HeaderValue::from_str(&all.join(", ")).ok()).flatten()
    }
}
