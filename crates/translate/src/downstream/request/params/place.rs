//! The position of a request, from the client's parameters.

use super::{Parameters, ParsedQuery};
use crate::downstream::problem::{Code, Problem, shown};
use cursorgate_config::settings::Role;

/// The position that a request names. Cursors are as the client sent them: decoded, but not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedPosition {
    /// The first page.
    First,
    /// The last page: a backward limit without a position.
    Last,
    /// The position of a page cursor.
    Cursor(String),
    /// After the item of an item cursor, or the position of a forward page cursor.
    After(String),
    /// Before the item of an item cursor, or the position of a backward page cursor.
    Before(String),
    /// After the item with this id.
    AfterId(String),
    /// Before the item with this id.
    BeforeId(String),
}

/// The target of a link, other than the first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkTo<'a> {
    /// The position of a page cursor.
    Cursor {
        /// The cursor as clients send it.
        token: &'a str,
        /// `true` if the page is read backward.
        backward: bool,
    },
    /// The position next to the item with an id.
    Id {
        /// The id of the item, decoded.
        id: &'a str,
        /// `true` if the page is before the item, `false` if it is after the item.
        backward: bool,
    },
    /// The last page, by a backward limit without a position.
    Last,
}

impl LinkTo<'_> {
    pub(super) const fn is_backward(self) -> bool {
        match self {
            Self::Cursor { backward, .. } | Self::Id { backward, .. } => backward,
            Self::Last => true,
        }
    }
}

/// The parameter that sets the position: its role, name and value.
type PlaceParameter<'p> = (Role, &'p str, String);

impl Parameters {
    /// Returns the position of a request. Only one parameter may set the position, and a limit must not have the
    /// opposite direction.
    pub(super) fn place(&self, sifted: &ParsedQuery<'_>) -> Result<RequestedPosition, Box<Problem>> {
        let said = self.said(sifted)?;
        let is_given = |role| sifted.gives(role);
        let (forward, backward) = (self.name(Role::Limit), self.name(Role::LimitBackward));
        if let (Some(forward), Some(backward), true, true) =
            (forward, backward, is_given(Role::Limit), is_given(Role::LimitBackward))
        {
            let detail = format!("`{forward}` and `{backward}` read in two directions: give one of them");
            return refuse(Code::ParameterConflict, detail, backward);
        }
        let Some((role, name, value)) = said else {
            // `end` reads backward, unless the limit reads forward.
            let is_forward = sifted.starts || (backward.is_some() && is_given(Role::Limit));
            let is_last = is_given(Role::LimitBackward) || (sifted.ends && !is_forward);
            let is_first = sifted.starts || sifted.ends;
            if let Some(legacy) = sifted.legacy.as_ref().filter(|_| is_first) {
                let roles = [Role::Cursor, Role::After, Role::AfterId, Role::Before, Role::BeforeId];
                return both_say(roles.into_iter().find_map(|role| self.name(role)).unwrap_or_default(), legacy);
            }
            if !is_last {
                return Ok(RequestedPosition::First);
            }
            // `last` without a position means the last page, and a page number means another page, so they are refused
            // together. Test: `contradicting_positions_are_refused`.
            return match &sifted.legacy {
                Some(legacy) => both_say(backward.unwrap_or_default(), legacy),
                None => Ok(RequestedPosition::Last),
            };
        };
        // If a request has a cursor and a page number, either could be meant, so the request is refused. Test:
        // `a_request_with_two_different_positions_is_refused`.
        if let Some(legacy) = &sifted.legacy {
            return both_say(name, legacy);
        }
        self.check_direction(role, name, &is_given)?;
        match role {
            Role::AfterId | Role::BeforeId => self.item(role, name, value),
            _ if !value.is_empty() => Ok(match role {
                Role::After => RequestedPosition::After(value),
                Role::Before => RequestedPosition::Before(value),
                _ => RequestedPosition::Cursor(value),
            }),
            // In AIP-158, an empty token means the first page. Test:
            // `a_request_with_two_different_positions_is_refused`.
            _ if self.empty_cursor_is_first_page => Ok(RequestedPosition::First),
            // A client may send an empty cursor after the last page. The first page would begin its walk again, so the
            // cursor is refused.
            _ => {
                let detail = format!(
                    "`{name}` is empty: a list that has ended has no cursor; for the first page send `{}`",
                    self.first
                );
                refuse(Code::CursorInvalid, detail, name)
            }
        }
    }

    /// Returns the parameter that sets the position; `None` for a request without such a parameter. Refuses two of
    /// them.
    fn said(&self, sifted: &ParsedQuery<'_>) -> Result<Option<PlaceParameter<'_>>, Box<Problem>> {
        const ROLES: [Role; 5] = [Role::Cursor, Role::After, Role::AfterId, Role::Before, Role::BeforeId];
        let mut said: Option<PlaceParameter<'_>> = None;
        // Forward roles are first, so `before` and `after` are a range in whichever order the client sends them. Test:
        // `contradicting_positions_are_refused`.
        for role in ROLES {
            let code = match role {
                Role::AfterId | Role::BeforeId => Code::ParameterInvalid,
                _ => Code::CursorInvalid,
            };
            let Some(value) = self.value(sifted, role, code)? else { continue };
            let name = self.name(role).unwrap_or_default();
            let forward = |role| matches!(role, Role::After | Role::AfterId);
            match &said {
                None => said = Some((role, name, value)),
                Some((earlier, other, _)) if forward(*earlier) && !forward(role) => {
                    let detail =
                        format!("`{other}` and `{name}` together ask for a range: give one of them, and a limit");
                    return refuse(Code::RangeUnsupported, detail, name);
                }
                Some((_, other, _)) => {
                    let detail = format!("`{other}` and `{name}` both give the place of the page: give one of them");
                    return refuse(Code::ParameterConflict, detail, name);
                }
            }
        }
        Ok(said)
    }

    /// Refuses a limit against the direction of the position, if the convention has a limit for each direction, such as
    /// `first` and `last` of Relay. Example: `first` with `before` asks for a range, from the start of the list to an
    /// item. A page cursor has its own direction, so it is refused with a backward limit.
    fn check_direction(&self, role: Role, name: &str, is_given: &dyn Fn(Role) -> bool) -> Result<(), Box<Problem>> {
        let (forward, Some(backward)) = (self.name(Role::Limit), self.name(Role::LimitBackward)) else {
            return Ok(());
        };
        let range = |limit: &str| {
            let detail = format!("`{limit}` with `{name}` asks for a range, counted from its other end");
            refuse(Code::RangeUnsupported, detail, name)
        };
        match role {
            Role::Cursor if is_given(Role::LimitBackward) => {
                let detail = format!("`{name}` sets the direction itself: leave out `{backward}`");
                refuse(Code::ParameterConflict, detail, backward)
            }
            Role::After | Role::AfterId if is_given(Role::LimitBackward) => range(backward),
            Role::Before | Role::BeforeId if is_given(Role::Limit) => range(forward.unwrap_or_default()),
            _ => Ok(()),
        }
    }

    /// Returns the position next to the item with an id. Refuses every id if the list doesn't have the mode `seek`.
    /// Refuses an empty id, `.` and `..`: the item is looked up at a path with its id, and none of these can be a
    /// segment of a path.
    fn item(&self, role: Role, name: &str, id: String) -> Result<RequestedPosition, Box<Problem>> {
        if !self.seeks {
            let detail =
                format!("`{name}` is not supported: places in this list can't be given by the ids of its items");
            return refuse(Code::ParameterInvalid, detail, name);
        }
        if matches!(id.as_str(), "" | "." | "..") {
            let detail = format!("`{name}` is `{}`: write the id of an item", shown(&id));
            return refuse(Code::ParameterInvalid, detail, name);
        }
        Ok(if role == Role::AfterId { RequestedPosition::AfterId(id) } else { RequestedPosition::BeforeId(id) })
    }
}

fn both_say<T>(name: &str, legacy: &str) -> Result<T, Box<Problem>> {
    let legacy = shown(legacy);
    let detail = format!("`{name}` and `{legacy}` both give the place of the page: leave out `{legacy}`");
    refuse(Code::ParameterConflict, detail, &legacy)
}

fn refuse<T>(code: Code, detail: String, name: &str) -> Result<T, Box<Problem>> {
    Err(Box::new(Problem::new(code, detail).with_parameter(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::downstream::request::params::tests::parameters;

    /// Returns parameters with the roles of a Relay connection.
    fn relay() -> Parameters {
        let roles =
            [(Role::Limit, "first"), (Role::LimitBackward, "last"), (Role::After, "after"), (Role::Before, "before")];
        Parameters { roles: roles.map(|(role, name)| (role, name.to_owned())).to_vec(), ..parameters() }
    }

    /// Returns parameters with one limit, and with ids of items as positions.
    fn by_id() -> Parameters {
        let roles = [(Role::Limit, "limit"), (Role::AfterId, "starting_after"), (Role::BeforeId, "ending_before")];
        Parameters { seeks: true, roles: roles.map(|(role, name)| (role, name.to_owned())).to_vec(), ..parameters() }
    }

    fn all() -> Parameters {
        let mut all = by_id();
        all.roles.extend(
            [(Role::Cursor, "cursor"), (Role::After, "after"), (Role::Before, "before")]
                .map(|(role, name)| (role, name.to_owned())),
        );
        all
    }

    fn place(parameters: &Parameters, query: &str) -> RequestedPosition {
        parameters.read(Some(query)).unwrap().place
    }

    #[test]
    fn one_parameter_sets_the_position() {
        let text = str::to_owned;
        for (parameters, query, expected) in [
            (relay(), "", RequestedPosition::First),
            (relay(), "first=3", RequestedPosition::First),
            (relay(), "last=3", RequestedPosition::Last),
            (relay(), "after=a&first=3", RequestedPosition::After(text("a"))),
            (relay(), "before=a&last=3", RequestedPosition::Before(text("a"))),
            (relay(), "before=a", RequestedPosition::Before(text("a"))),
            (by_id(), "starting_after=7", RequestedPosition::AfterId(text("7"))),
            (by_id(), "ending_before=7&limit=2", RequestedPosition::BeforeId(text("7"))),
            (by_id(), "starting_after=...&limit=2", RequestedPosition::AfterId(text("..."))),
            (by_id(), "starting_after=a%2Fb", RequestedPosition::AfterId(text("a/b"))),
            (all(), "cursor=a", RequestedPosition::Cursor(text("a"))),
            (all(), "before=a&limit=2", RequestedPosition::Before(text("a"))),
        ] {
            assert_eq!(place(&parameters, query), expected, "{query}");
        }
        assert_eq!(relay().read(Some("last=3")).unwrap().limit, 3);
    }

    #[test]
    fn contradicting_positions_are_refused() {
        let elsewhere = Parameters { seeks: false, ..all() };
        for (parameters, query, code, parameter) in [
            (relay(), "before=b&after=a", Code::RangeUnsupported, "before"),
            (relay(), "after=a&last=3", Code::RangeUnsupported, "after"),
            (relay(), "before=a&first=3", Code::RangeUnsupported, "before"),
            (relay(), "first=1&last=1", Code::ParameterConflict, "last"),
            (relay(), "last=1&page=2", Code::ParameterConflict, "page"),
            (relay(), "after=a&page=3", Code::ParameterConflict, "page"),
            (relay(), "after=", Code::CursorInvalid, "after"),
            (relay(), "last=0", Code::LimitInvalid, "last"),
            (all(), "cursor=a&after=a", Code::ParameterConflict, "after"),
            (all(), "cursor=a&before=a", Code::ParameterConflict, "before"),
            (all(), "cursor=a&ending_before=a", Code::ParameterConflict, "ending_before"),
            (all(), "starting_after=a&after=a", Code::ParameterConflict, "starting_after"),
            (all(), "starting_after=a&before=a", Code::RangeUnsupported, "before"),
            (all(), "starting_after=a&ending_before=a", Code::RangeUnsupported, "ending_before"),
            (all(), "before=a&ending_before=a", Code::ParameterConflict, "ending_before"),
            (all(), "starting_after=1&starting_after=2", Code::ParameterConflict, "starting_after"),
            (all(), "starting_after=1&page=2", Code::ParameterConflict, "page"),
            (by_id(), "starting_after=", Code::ParameterInvalid, "starting_after"),
            (by_id(), "starting_after=.", Code::ParameterInvalid, "starting_after"),
            (by_id(), "ending_before=%2E.", Code::ParameterInvalid, "ending_before"),
            (by_id(), "ending_before=%ff", Code::ParameterInvalid, "ending_before"),
            (elsewhere, "starting_after=7", Code::ParameterInvalid, "starting_after"),
        ] {
            let problem = parameters.read(Some(query)).unwrap_err();
            assert_eq!((problem.code, problem.parameter.as_deref()), (code, Some(parameter)), "{query}");
        }
    }

    #[test]
    fn links_use_the_clients_own_parameters() {
        const TOKEN: LinkTo<'_> = LinkTo::Cursor { token: "t", backward: false };
        const BACK: LinkTo<'_> = LinkTo::Cursor { token: "t", backward: true };
        for (parameters, query, to, link) in [
            (relay(), "first=3&a=1", Some(TOKEN), "a=1&first=3&after=t"),
            (relay(), "first=3&a=1", Some(BACK), "a=1&last=3&before=t"),
            (relay(), "last=3&before=x", Some(TOKEN), "first=3&after=t"),
            (relay(), "", Some(BACK), "before=t"),
            (relay(), "last=3", None, "first=3"),
            (relay(), "", Some(LinkTo::Last), "last=20"),
            (by_id(), "limit=3", Some(LinkTo::Id { id: "a/b&", backward: false }), "limit=3&starting_after=a%2Fb%26"),
            (by_id(), "limit=3", Some(LinkTo::Id { id: "7", backward: true }), "limit=3&ending_before=7"),
            (all(), "limit=3", Some(BACK), "limit=3&cursor=t"),
        ] {
            let read = parameters.read(Some(query)).unwrap();
            assert_eq!(parameters.link_query(&read, to), link, "{query} {to:?}");
        }
        assert!(relay().takes_cursors() && !by_id().takes_cursors());
    }
}
