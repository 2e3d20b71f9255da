//! What a client speaks: which parameters it sends, and in which form it gets pages and problems. A route has one
//! convention of its own, and others that clients may choose: by `Prefer: envelope=NAME` (RFC 7240), or by the media type
//! in `Accept` (RFC 9110, section 12.5.1). Cursors know nothing of it: those of one convention lead on in another.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::EnvelopeTemplate;
use crate::downstream::{
    problem::{Code, Problem, shown},
    request::{
        params::Parameters,
        preference::{self, MediaRange, Preferences},
    },
};

/// The preference by which an envelope is asked for.
const ENVELOPE: &str = "envelope";

/// The media type that says nothing of an envelope.
const JSON: &str = "application/json";

/// What a client speaks.
#[derive(Debug)]
pub struct Convention {
    /// The envelope's name.
    pub name: String,
    /// What a query means.
    pub parameters: Parameters,
    /// What clients get.
    pub envelope: EnvelopeTemplate,
}

/// The conventions of a route: its own, and those that clients may choose.
#[derive(Debug)]
pub struct Conventions {
    own: Convention,
    others: Vec<Convention>,
}

/// The convention of a request.
#[derive(Debug)]
pub struct NegotiatedConvention<'a> {
    /// It; the route's own where another one was asked for that is not offered.
    pub convention: &'a Convention,
    /// What the client prefers.
    pub preferences: Preferences,
    /// Whether it was chosen by a preference, which the answer says.
    pub by_preference: bool,
    /// Why no page is served: what was asked for is not offered, and nothing else would do.
    pub refused: Option<Box<Problem>>,
}

impl Conventions {
    /// A route's own convention, and those that its clients may choose.
    #[must_use]
    pub fn new(own: Convention, others: Vec<Convention>) -> Self {
        Self { own, others }
    }

    /// The route's own.
    #[must_use]
    pub fn own(&self) -> &Convention {
        &self.own
    }

    /// All of them, the route's own first.
    pub fn all(&self) -> impl Iterator<Item = &Convention> {
        std::iter::once(&self.own).chain(&self.others)
    }

    /// The request headers that the answers vary by.
    pub fn varies_by(&self) -> impl Iterator<Item = HeaderName> + use<> {
        let chosen = !self.others.is_empty();
        let preferred = chosen || self.own.parameters.preferred_limit().is_some();
        let accept = chosen.then_some(http::header::ACCEPT);
        accept.into_iter().chain(preferred.then_some(preference::PREFER))
    }

    /// The convention of a request. `Prefer` is asked before `Accept`; a preference for what is not offered is ignored, as
    /// preferences are, unless the client says `handling=strict`. An `Accept` that names a JSON format, none that is
    /// offered, and nothing that would do instead, is refused; one without any JSON is ignored.
    #[must_use]
    pub fn choose(&self, headers: &HeaderMap) -> NegotiatedConvention<'_> {
        let mut chosen = NegotiatedConvention {
            convention: &self.own,
            preferences: Preferences::read(headers),
            by_preference: false,
            refused: None,
        };
        if self.others.is_empty() {
            return chosen;
        }
        if let Some(wanted) = chosen.preferences.value(ENVELOPE) {
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
        match self.accepted(&MediaRange::all(headers)) {
            Ok(accepted) => chosen.convention = accepted,
            Err(problem) => chosen.refused = Some(problem),
        }
        chosen
    }

    /// Takes out of a request's headers what is the gateway's to follow: the preferences of the chosen convention, and an
    /// `Accept` by media types of envelopes, which an upstream that never heard of them answers with 406.
    pub fn take_from(&self, headers: &mut HeaderMap, chosen: &Convention) {
        if headers.contains_key(preference::PREFER) {
            let names: Vec<&str> = std::iter::once(ENVELOPE).chain(chosen.parameters.preferred_limit()).collect();
            preference::remove(headers, &names);
        }
        let mut own_types = self.all().map(|convention| &convention.envelope.media_type().essence);
        if own_types.any(|essence| essence != JSON) {
            let is_own = |range: &MediaRange| {
                let mut all = self.all().map(|convention| &convention.envelope.media_type().essence);
                range.essence != JSON && all.any(|essence| *essence == range.essence)
            };
            if MediaRange::all(headers).iter().any(is_own) {
                headers.remove(http::header::ACCEPT);
            }
        }
    }

    /// The convention that is wanted most: of equals the one that is named most exactly, then the one that stands first.
    fn accepted(&self, ranges: &[MediaRange]) -> Result<&Convention, Box<Problem>> {
        let mut best: Option<((u16, Exactness), &Convention)> = None;
        for convention in self.all() {
            let Some(rank) = rank(convention.envelope.media_type(), ranges) else { continue };
            if best.is_none_or(|(known, _)| rank > known) {
                best = Some((rank, convention));
            }
        }
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

/// How exactly a range names a media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Exactness {
    Anything,
    OfType,
    Named,
    WithParameters(usize),
}

/// How much a media type is wanted, and how exactly it was named: by the most exact of the ranges that cover it. None
/// where none does, or it is not wanted.
fn rank(offered: &MediaRange, ranges: &[MediaRange]) -> Option<(u16, Exactness)> {
    let covering = ranges.iter().filter_map(|range| Some((exactness(offered, range)?, range.weight)));
    let (exactness, weight) = covering.max_by_key(|&(exactness, weight)| (exactness, weight))?;
    (weight > 0).then_some((weight, exactness))
}

/// How exactly a range names a media type; none where it does not cover it. A profile is a wish that may be ignored (RFC
/// 6906; JSON:API 1.1, content negotiation); every other parameter has to be the media type's own.
fn exactness(offered: &MediaRange, range: &MediaRange) -> Option<Exactness> {
    let is_of_type = |kind: &str| offered.essence.strip_prefix(kind).is_some_and(|rest| rest.starts_with('/'));
    match range.essence.as_str() {
        "*/*" => Some(Exactness::Anything),
        essence if essence.strip_suffix("/*").is_some_and(is_of_type) => Some(Exactness::OfType),
        essence if essence == offered.essence => {
            let asked = range.parameters.iter().filter(|(name, _)| name != "profile");
            let mut count = 0;
            for (name, value) in asked {
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
    /// `Preference-Applied` (RFC 7240, section 3): the envelope, where a preference chose it, and `applied`.
    #[must_use]
    pub fn preference_applied(&self, applied: Option<&str>) -> Option<HeaderValue> {
        let envelope = self.by_preference.then(|| format!("{ENVELOPE}={}", self.convention.name));
        let all: Vec<&str> = envelope.as_deref().into_iter().chain(applied).collect();
        (!all.is_empty()).then(|| HeaderValue::from_str(&all.join(", ")).ok()).flatten()
    }
}
