//! What a list request asks for: limit, place, order and filters, read from its query.

mod place;

pub use super::filters::Filters;
use super::{
    filters,
    problem::{Code, Problem, shown},
    query::{self, Pair, ReservedNames},
    sort,
};
use crate::{
    config::{
        diagnostic::{Diagnostics, Location},
        mode::Places,
        settings::{LegacyPolicy, LegacySettings, ListSettings, Mode, OverMax, Role, SortTerm, Unmarked},
    },
    pagination::order::Direction,
};
pub use place::{LinkTo, Place};

/// Which parameters a route takes, and what they mean; compiled once.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// The client's own parameters.
    roles: Vec<(Role, String)>,
    /// The parameters with which the dialect pages.
    paging: ReservedNames,
    /// The parameters with which the dialect sorts.
    sorting: ReservedNames,
    /// What appears in no link, log or context.
    private: ReservedNames,
    ignored: Vec<String>,
    sortable: Vec<String>,
    id_direction: Direction,
    default_limit: u32,
    max_limit: u32,
    over_max: OverMax,
    zero_limit_is_default: bool,
    empty_cursor_is_first_page: bool,
    /// Items can be named by their ids.
    seeks: bool,
    legacy: LegacySettings,
}

/// Which generation of clients a request is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// It pages as the envelope says.
    Cursor,
    /// It holds paging parameters of the dialect that are not the client's own.
    Legacy {
        /// The first paging parameter that is not the client's own, as the client wrote it, decoded.
        parameter: String,
        /// All parameters of the request that the dialect pages with, decoded, in order, under the dialect's names; also
        /// the client's own limit, where the dialect calls its size the same.
        pairs: Vec<(String, String)>,
    },
    /// It holds no paging parameter at all.
    Unmarked,
}

/// What a client wants of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// Which generation of clients it is from.
    pub kind: RequestKind,
    /// How many items, at least 1.
    pub limit: u32,
    /// The limit as the client wrote it, decoded, for links.
    pub limit_written: Option<String>,
    /// Where.
    pub place: Place,
    /// The strong keys that the client wants the list sorted by, without the id; none where it doesn't say.
    pub sort: Option<Vec<SortTerm>>,
    /// Which way the id runs: of the client's sort, else of the route's order.
    pub id_direction: Direction,
    /// The sort as the client wrote it, decoded, for links.
    pub sort_written: Option<String>,
    /// Everything else.
    pub filters: Filters,
    /// The query of the `self` link: the target's, encoded for links, without private parameters.
    pub self_query: String,
}

/// A query, taken apart.
#[derive(Default)]
struct Sifted<'q> {
    /// The client's own parameters.
    own: Vec<(Role, Pair<'q>)>,
    /// What [`RequestKind::Legacy`] gives.
    paging: Vec<(String, String)>,
    /// The first of them that is not the client's own, as the client wrote it.
    legacy: Option<String>,
    /// A parameter with which the dialect sorts, as the client wrote it.
    dialect_sort: Option<String>,
    filters: Vec<Pair<'q>>,
}

impl Parameters {
    /// Compiles what a route takes. `paging_names` and `sort_names` are the decoded parameters with which its dialect
    /// pages and sorts; without any of the latter there is no sorting. A name of the client's that is one of them is the
    /// client's own, if it is the limit or the sort; for any other role it is a fault, because old requests could not be
    /// told from new ones.
    pub fn compile(
        list: &ListSettings,
        paging_names: &[String],
        sort_names: &[String],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut named: Vec<(Role, &str, Location)> = Vec::new();
        let renamed = &list.parameters.renamed;
        let kept = list.envelope.parameters.iter().filter(|(role, _)| renamed.iter().all(|(other, _)| other != role));
        for (role, name) in kept.chain(renamed) {
            named.push((*role, &name.value, name.at));
        }
        let mut sound = true;
        let mut fault = |at: Location, message: String, help: &str| {
            sound = false;
            diagnostics.error(at, message, help);
        };
        for (index, &(role, name, at)) in named.iter().enumerate() {
            if name.is_empty() {
                fault(at, "a parameter needs a name".to_owned(), "write the name of a query parameter");
            }
            if named[..index].iter().any(|&(_, other, _)| other == name) {
                fault(at, format!("`{name}` stands for two roles"), "each role needs a parameter of its own");
            }
            let taken = |names: &[String]| names.iter().any(|other| other == name);
            // An upstream's own token is told from a cursor of ours by its signature.
            let by_token = Places::of(&list.dialect) == Some(Places::Tokens);
            let may_share = role == Role::Limit || (role == Role::Cursor && by_token);
            if (taken(paging_names) && !may_share) || (taken(sort_names) && role != Role::Sort) {
                let message = format!("`{name}` is a parameter of the dialect `{}` as well", list.dialect.name);
                fault(at, message, "old requests could not be told from new ones: choose another name");
            }
        }
        let seeks = list.mode.value == Mode::Seek;
        let leads_on = |role| matches!(role, Role::Cursor | Role::After) || (seeks && role == Role::AfterId);
        if !named.iter().any(|&(role, ..)| leads_on(role)) {
            let message = format!("the envelope `{}` has no parameter to go on with", list.envelope.name);
            let help = match named.iter().any(|&(role, ..)| role == Role::AfterId) {
                true => "ids are taken in mode = \"seek\" alone: choose that, or name a parameter for `cursor`",
                false => "among its `parameters`, name one for `cursor`",
            };
            fault(list.envelope.at, message, help);
        }
        if !sound {
            return None;
        }
        Some(Self {
            roles: named.into_iter().map(|(role, name, _)| (role, name.to_owned())).collect(),
            paging: ReservedNames::new(paging_names),
            sorting: ReservedNames::new(sort_names),
            private: ReservedNames::new(&list.parameters.private),
            ignored: list.parameters.ignored.clone(),
            sortable: list
                .sortable
                .iter()
                .filter(|_| !sort_names.is_empty())
                .map(|field| field.value.clone())
                .collect(),
            id_direction: list.id_direction,
            default_limit: list.page_size.default,
            max_limit: list.page_size.max,
            over_max: list.page_size.over_max.unwrap_or(list.envelope.over_max),
            zero_limit_is_default: list.envelope.zero_limit_is_default,
            empty_cursor_is_first_page: list.envelope.empty_cursor_is_first_page,
            seeks,
            legacy: list.legacy.clone(),
        })
    }

    /// Whether page cursors can be sent at all; else items are named by their ids alone.
    #[must_use]
    pub fn takes_cursors(&self) -> bool {
        self.name(Role::Cursor).or_else(|| self.name(Role::After)).is_some()
    }

    /// What the client calls a parameter.
    #[must_use]
    pub fn name(&self, role: Role) -> Option<&str> {
        self.roles.iter().find(|(own, _)| *own == role).map(|(_, name)| name.as_str())
    }

    /// Reads a query.
    ///
    /// Of a request that the gateway does not page itself (a legacy one that passes through or is refused as a whole)
    /// limit and sort are read as far as they can be, and are no fault: they are the upstream's.
    ///
    /// # Errors
    ///
    /// What the client did wrong, naming the parameter.
    pub fn read(&self, query: Option<&str>) -> Result<ListRequest, Box<Problem>> {
        let text = query.unwrap_or_default();
        let sifted = self.sift(text);
        let place = self.place(&sifted)?;
        let filters = self.write_filters(&sifted);
        let self_query = filters::public_query(text, &self.private);
        let paged = |role| role != Role::Sort;
        let kind = if let Some(parameter) = &sifted.legacy {
            RequestKind::Legacy { parameter: parameter.clone(), pairs: sifted.paging.clone() }
        } else if sifted.own.iter().any(|&(role, _)| paged(role)) {
            RequestKind::Cursor
        } else {
            RequestKind::Unmarked
        };
        let read = self.limit(&sifted).and_then(|limit| Ok((limit, self.sort(&sifted)?)));
        let ((limit, limit_written), sort) = match read {
            Ok(read) => read,
            Err(problem) if self.pages_itself(&kind) => return Err(problem),
            Err(_) => (self.limit(&sifted).unwrap_or((self.default_limit, None)), None),
        };
        let (sort_written, sort) = sort.unzip();
        let id_direction = sort.as_ref().map_or(self.id_direction, |sort| sort.id_direction);
        let sort = sort.map(|sort| sort.strong);
        Ok(ListRequest { kind, limit, limit_written, place, sort, id_direction, sort_written, filters, self_query })
    }

    /// The query of the link to the first page with the filters, sort and limit of a query; what can't be read of sort
    /// and limit is left out. For `restart` where [`Self::read`] fails.
    #[must_use]
    pub fn restart_query(&self, query: Option<&str>) -> String {
        let sifted = self.sift(query.unwrap_or_default());
        let sort = self.sort(&sifted).ok().flatten().map(|(written, _)| written);
        let limit = self.limit(&sifted).ok().and_then(|(_, written)| written);
        let filters = self.write_filters(&sifted).links;
        self.write_link(filters, sort.as_deref(), limit.as_deref(), None)
    }

    /// The query of a link: filters, sort and limit as they came, and last what says where it leads; nothing does for the
    /// first page.
    #[must_use]
    pub fn link_query(&self, request: &ListRequest, to: Option<LinkTo<'_>>) -> String {
        let filters = request.filters.links.clone();
        self.write_link(filters, request.sort_written.as_deref(), request.limit_written.as_deref(), to)
    }

    fn write_filters(&self, sifted: &Sifted<'_>) -> Filters {
        Filters::write(&sifted.filters, &self.private, &self.ignored)
    }

    fn write_link(&self, filters: String, sort: Option<&str>, limit: Option<&str>, to: Option<LinkTo<'_>>) -> String {
        let mut link = filters;
        // Where requests without any paging parameter are legacy ones, a link to the first page must not look like one.
        let marked = self.default_limit.to_string();
        let unmarked_is_legacy = self.legacy.policy.is_some() && self.legacy.unmarked == Unmarked::Legacy;
        let says_nothing_else = to == Some(LinkTo::Last) || (to.is_none() && unmarked_is_legacy);
        let limit = limit.or_else(|| says_nothing_else.then_some(marked.as_str()));
        let backward = to.is_some_and(LinkTo::is_backward);
        let limit_role = match backward && self.name(Role::LimitBackward).is_some() {
            true => Role::LimitBackward,
            false => Role::Limit,
        };
        let (place_role, place) = match to {
            Some(LinkTo::Cursor { token, backward }) => match (self.name(Role::Cursor), backward) {
                (Some(_), _) => (Role::Cursor, Some(token)),
                (None, false) => (Role::After, Some(token)),
                (None, true) => (Role::Before, Some(token)),
            },
            Some(LinkTo::Id { id, backward: false }) => (Role::AfterId, Some(id)),
            Some(LinkTo::Id { id, backward: true }) => (Role::BeforeId, Some(id)),
            Some(LinkTo::Last) | None => (Role::Cursor, None),
        };
        for (role, value) in [(Role::Sort, sort), (limit_role, limit), (place_role, place)] {
            if let (Some(name), Some(value)) = (self.name(role), value) {
                query::push_written(&mut link, name, value);
            }
        }
        link
    }

    /// Whether what is wrong with limit or sort is the gateway's to say.
    fn pages_itself(&self, kind: &RequestKind) -> bool {
        match kind {
            RequestKind::Cursor => true,
            RequestKind::Unmarked if self.legacy.unmarked == Unmarked::New || self.legacy.policy.is_none() => true,
            RequestKind::Unmarked | RequestKind::Legacy { .. } => self.legacy.policy == Some(LegacyPolicy::Translate),
        }
    }

    fn sift<'q>(&self, query: &'q str) -> Sifted<'q> {
        let mut sifted = Sifted::default();
        for pair in query::pairs(query) {
            let name = pair.name();
            let own = self.roles.iter().find(|(_, own)| own.as_bytes() == &*name);
            let pages = self.paging.find(&name);
            if let Some(dialect_name) = pages {
                if own.is_none() && sifted.legacy.is_none() {
                    sifted.legacy = Some(String::from_utf8_lossy(&name).into_owned());
                }
                let value = String::from_utf8_lossy(&pair.value()).into_owned();
                sifted.paging.push((dialect_name.to_owned(), value));
            }
            if let Some((role, _)) = own {
                sifted.own.push((*role, pair));
            } else if pages.is_none() {
                if self.sorting.find(&name).is_some() {
                    let written = || String::from_utf8_lossy(&name).into_owned();
                    sifted.dialect_sort.get_or_insert_with(written);
                } else {
                    sifted.filters.push(pair);
                }
            }
        }
        sifted
    }

    /// The one value of a parameter, decoded; the same value twice is tolerated.
    fn value(&self, sifted: &Sifted<'_>, role: Role, code: Code) -> Result<Option<String>, Box<Problem>> {
        let mut values = sifted.own.iter().filter(|&&(own, _)| own == role).map(|(_, pair)| pair);
        let Some(first) = values.next() else { return Ok(None) };
        let name = self.name(role).unwrap_or_default();
        if values.any(|other| other.value() != first.value()) {
            let detail = format!("`{name}` is given twice, with different values: give it once");
            return Err(Box::new(Problem::new(Code::ParameterConflict, detail).with_parameter(name)));
        }
        match first.text() {
            Some(text) => Ok(Some(text)),
            None => {
                let detail = format!(
                    "`{name}` can't be decoded: after each `%` come two hexadecimal digits, and the whole is UTF-8"
                );
                Err(Box::new(Problem::new(code, detail).with_parameter(name)))
            }
        }
    }

    /// The limit that counts, and as it was written.
    fn limit(&self, sifted: &Sifted<'_>) -> Result<(u32, Option<String>), Box<Problem>> {
        for role in [Role::Limit, Role::LimitBackward] {
            if let Some(written) = self.value(sifted, role, Code::LimitInvalid)? {
                return self.read_limit(self.name(role).unwrap_or_default(), written);
            }
        }
        Ok((self.default_limit, None))
    }

    fn read_limit(&self, name: &str, written: String) -> Result<(u32, Option<String>), Box<Problem>> {
        let max = self.max_limit;
        let refuse = |code: Code, detail: String| {
            let mut problem = Problem::new(code, detail).with_parameter(name);
            problem.max_limit = Some(max);
            Err(Box::new(problem))
        };
        if written.is_empty() || !written.bytes().all(|byte| byte.is_ascii_digit()) {
            let detail = format!("`{name}` is `{}`: write a whole number from 1 to {max}", shown(&written));
            return refuse(Code::LimitInvalid, detail);
        }
        // Digits alone fail to be read only where they are too many: that is above any largest limit.
        let limit = match written.parse().unwrap_or(u32::MAX) {
            0 if self.zero_limit_is_default => self.default_limit,
            0 => {
                let detail = format!("`{name}` is 0: a page has at least one item, and at most {max}");
                return refuse(Code::LimitInvalid, detail);
            }
            limit if limit <= max => limit,
            _ if self.over_max == OverMax::Clamp => max,
            _ => {
                let detail = format!("`{name}` is {}: a page has at most {max} items", shown(&written));
                return refuse(Code::LimitTooLarge, detail);
            }
        };
        Ok((limit, Some(written)))
    }

    /// The client's sort, as written and as meant.
    fn sort(&self, sifted: &Sifted<'_>) -> Result<Option<(String, sort::ClientSort)>, Box<Problem>> {
        let own = self.name(Role::Sort);
        if let Some(dialect_name) = &sifted.dialect_sort {
            let dialect_name = shown(dialect_name);
            let detail = match own {
                Some(own) => format!("`{dialect_name}` is not taken here: this list is sorted by `{own}`"),
                None => format!("`{dialect_name}` is not taken here"),
            };
            let allowed: &[String] = if own.is_some() { &self.sortable } else { &[] };
            return Err(sort::invalid(&detail, &dialect_name, allowed));
        }
        let Some(name) = own else { return Ok(None) };
        let Some(written) = self.value(sifted, Role::Sort, Code::SortInvalid)? else {
            return Ok(None);
        };
        let sort = sort::parse(&written, name, &self.sortable)?;
        Ok(Some((written, sort)))
    }
}

#[cfg(test)]
mod tests;
