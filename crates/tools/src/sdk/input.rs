//! Parameters in the requests of generated clients.

use super::spec::SpecValue;
use cursorgate_config::settings::Role;
use cursorgate_core::json::Pointer;
use cursorgate_translate::downstream::Convention;

/// The place of a parameter in requests: the query, the body, or the `Prefer` header.
#[derive(Clone, Debug)]
pub(super) enum SdkInput {
    Query(String),
    Body(Pointer),
    Preference(String),
}

impl SdkInput {
    /// Returns the parameter for a role; `None` if the convention has none.
    pub(super) fn of(convention: &Convention, role: Role) -> Option<Self> {
        let parameters = &convention.parameters;
        let preferred = parameters.preferred_limit().filter(|_| role == Role::Limit);
        match parameters.name(role) {
            Some(name) if name.starts_with('/') => Pointer::parse(name).ok().map(Self::Body),
            Some(name) => Some(Self::Query(name.to_owned())),
            None => preferred.map(|name| Self::Preference(name.to_owned())),
        }
    }

    pub(super) fn spec(&self) -> SpecValue {
        let (place, name) = match self {
            Self::Query(name) => ("query", SpecValue::texts([name.as_str()])),
            Self::Body(place) => ("body", SpecValue::place(Some(place))),
            Self::Preference(name) => ("prefer", SpecValue::texts([name.as_str()])),
        };
        SpecValue::Record(vec![("place", SpecValue::text(place)), ("name", name)])
    }

    /// Returns whether a request of the list can contain the parameter. A POST request (`post`) can contain every
    /// parameter. A GET request has no body, so it can't contain a parameter of the body.
    pub(super) fn fits(&self, post: bool) -> bool {
        post || !matches!(self, Self::Body(_))
    }
}
