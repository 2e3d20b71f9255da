//! The settings of a list, for tests of parameters.

use super::super::*;
use super::strings;
use crate::{
    config::{
        diagnostic::Located,
        settings::{
            Budgets, CursorSettings, DialectRequest, DialectResponse, DialectSettings, DialectSize, EnvelopeSettings,
            Mode, NewClients, PageSizeSettings, ParameterSettings, WhenEndUnproven,
        },
        tree::Tree,
    },
    pagination::resolver::{ShortPages, Totals, Verify, WhenUnproven},
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
            at: NOWHERE,
            description: None,
            documentation: None,
            request: DialectRequest::new(located("page={page}&limit={size}".to_owned())),
            size: DialectSize::default(),
            response: DialectResponse::new(located("/data".to_owned())),
            sort: None,
            filter: None,
            item: None,
            count: None,
        },
        envelope: EnvelopeSettings {
            name: "mine".to_owned(),
            at: NOWHERE,
            description: None,
            documentation: None,
            content_type: "application/json".to_owned(),
            parameters: roles(envelope),
            over_max: OverMax::Reject,
            zero_limit_is_default: true,
            empty_cursor_is_first_page: true,
            headers: Vec::new(),
            body: located(Tree::Null),
            error: None,
        },
        envelopes: Vec::new(),
        inner: None,
        collection: "users".to_owned(),
        declared: true,
        order: Vec::new(),
        id_direction: Direction::Ascending,
        id: None,
        ties: None,
        fields: Vec::new(),
        sortable: vec![located("email".to_owned())],
        filterable: Vec::new(),
        mode: located(Mode::Auto),
        verify: Verify::Always,
        unproven: WhenUnproven::Refuse,
        unproven_end: WhenEndUnproven::Flag,
        short_pages: ShortPages::Refuse,
        page_size: PageSizeSettings { default: 20, max: 100, over_max: None, at: NOWHERE },
        total: Totals::Upstream,
        principal: Vec::new(),
        impersonal: Vec::new(),
        cursor: CursorSettings::default(),
        parameters: ParameterSettings {
            renamed: roles(renamed),
            private: strings(&["token"]),
            ignored: Vec::new(),
            filters: Vec::new(),
            query: Vec::new(),
        },
        page_cache: None,
        legacy: LegacySettings::default(),
        new_clients: NewClients::default(),
        budgets: Budgets::default(),
    }
}
