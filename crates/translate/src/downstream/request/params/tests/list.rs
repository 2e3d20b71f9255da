//! The settings of a list, for tests of parameters.

use super::super::*;
use super::strings;
use cursorgate_config::{
    diagnostic::Located,
    settings::{
        DialectRequest, DialectResponse, DialectSettings, EmptyCursor, EnvelopeSettings, ParameterSettings, ZeroLimit,
    },
};

pub(super) const NOWHERE: Location = Location { source: 0, start: 0, end: 0 };

pub(in crate::downstream::request::params) fn located<T>(value: T) -> Located<T> {
    Located { value, at: NOWHERE }
}

/// Returns the settings of a list whose envelope has the parameters `envelope`, some of which the route renames by
/// `renamed`.
pub(in crate::downstream::request::params) fn list(
    envelope: &[(Role, &str)],
    renamed: &[(Role, &str)],
) -> ListSettings {
    let roles = |names: &[(Role, &str)]| names.iter().map(|&(role, name)| (role, located(name.to_owned()))).collect();
    ListSettings {
        dialect: DialectSettings {
            name: "page-limit".to_owned(),
            request: DialectRequest::new(located("page={page}&limit={size}".to_owned())),
            response: DialectResponse::new(located("/data".to_owned())),
            ..DialectSettings::default()
        },
        envelope: EnvelopeSettings {
            name: "mine".to_owned(),
            parameters: roles(envelope),
            over_max: OverMax::Reject,
            zero_limit: ZeroLimit::Default,
            empty_cursor: EmptyCursor::FirstPage,
            ..EnvelopeSettings::default()
        },
        collection: "users".to_owned(),
        declared: true,
        sortable: vec![located("email".to_owned())],
        principal: Vec::new(),
        parameters: ParameterSettings {
            renamed: roles(renamed),
            private: strings(&["token"]),
            ..ParameterSettings::default()
        },
        ..ListSettings::default()
    }
}
