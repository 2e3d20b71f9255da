//! The sort of a request, from all parameters that can set an order.

use crate::downstream::{
    problem::{Code, Problem, shown},
    request::{
        query::{Pair, ReservedNames},
        sort::{self, ClientSort, SortPair},
    },
};
use cursorgate_config::sort_form::SortForm;

/// The pairs that clients of many APIs send.
const PAIRS: [SortPair; 2] =
    [SortPair { fields: "sort_by", directions: "order_by" }, SortPair { fields: "sortField", directions: "sortOrder" }];

/// The largest number of sort parameters in a request. A request with more is refused.
const MOST: usize = 32;

/// The sort parameters of a route, compiled.
#[derive(Clone, Debug, Default)]
pub(super) struct Sorting {
    /// The client's own sort parameter in the query; `None` if the query has no such parameter.
    pub(super) own: Option<String>,
    /// The fields that may be named; empty if the list has one order.
    pub(super) sortable: Vec<String>,
    /// The dialect's sort parameters, in every spelling that the upstream might accept.
    pub(super) reserved: ReservedNames,
    /// The form in which the dialect's sort parameters are read back.
    pub(super) form: SortForm,
    /// The pairs whose names have no other role, if the list can be sorted.
    pairs: Vec<SortPair>,
}

/// A sort as the client wrote it (decoded names and values), and its meaning.
pub(super) type RequestedSort = (Vec<(String, String)>, ClientSort);

/// The sort parameters of a request: names and values, decoded.
type SortParameters = [(String, String)];

impl Sorting {
    /// Creates the sorting of a route. `taken` are the names of parameters with other roles.
    pub(super) fn new(
        own: Option<String>,
        sortable: Vec<String>,
        reserved: ReservedNames,
        form: SortForm,
        taken: &[&str],
    ) -> Self {
        let is_free = |name: &str| !taken.contains(&name);
        // If `order_by` is the client's own sort parameter, it isn't a list of directions, so the pair isn't read.
        let is_own = |name: &str| own.as_deref() == Some(name);
        let is_read = |pair: &&SortPair| {
            !sortable.is_empty() && is_free(pair.fields) && is_free(pair.directions) && !is_own(pair.directions)
        };
        let pairs = PAIRS.iter().filter(is_read).copied().collect();
        Self { own, sortable, reserved, form, pairs }
    }

    /// Returns whether clients can set an order by `sort_by` and `order_by`.
    pub(super) fn takes_pair(&self) -> bool {
        self.pairs.contains(&PAIRS[0])
    }

    /// Returns whether a decoded name is a sort parameter.
    pub(super) fn covers(&self, name: &[u8]) -> bool {
        let is = |known: &str| known.as_bytes() == name;
        self.own.as_deref().is_some_and(is)
            || self.pairs.iter().any(|pair| is(pair.fields) || is(pair.directions))
            || self.reserved.find(name).is_some()
    }

    /// Reads the sort parameters of a query, in their order; returns `None` if there aren't any.
    ///
    /// # Errors
    ///
    /// Returns `sort_invalid` with the allowed fields, or `parameter_conflict` if parameters contradict each other.
    pub(super) fn read(&self, pairs: &[Pair<'_>]) -> Result<Option<RequestedSort>, Box<Problem>> {
        let Some(first) = pairs.first() else { return Ok(None) };
        let mut said = Vec::with_capacity(pairs.len().min(MOST));
        for pair in pairs {
            let name = String::from_utf8_lossy(&pair.name()).into_owned();
            let Some(value) = pair.text() else {
                let detail = format!(
                    "`{}` can't be decoded: after each `%` come two hexadecimal digits, and the whole is UTF-8",
                    shown(&name)
                );
                return Err(sort::invalid(&detail, &shown(&name), &self.sortable));
            };
            said.push((name, value));
            // Each parameter is compared with all others, so their number needs a bound. Test:
            // `an_order_is_kept_as_it_was_written`.
            if said.len() > MOST {
                let name = String::from_utf8_lossy(&first.name()).into_owned();
                return Err(self.refuse("this order has too many parameters", &shown(&name)));
            }
        }
        let sort = self.understand(&said)?;
        let mut written: Vec<(String, String)> = Vec::with_capacity(said.len());
        for pair in said {
            // Equal parameters are kept if each key has parameters of its own: two keys may have the same direction.
            if self.form.join.is_none() || !written.contains(&pair) {
                written.push(pair);
            }
        }
        Ok(Some((written, sort)))
    }

    /// Reads the sort of a body, in any grammar of one value. `pairs` are the sort parameters of the query, which must
    /// be empty: a request has only one sort.
    pub(super) fn read_body(&self, written: &str, place: &str, pairs: &[Pair<'_>]) -> Result<ClientSort, Box<Problem>> {
        if let Some(pair) = pairs.first() {
            let name = String::from_utf8_lossy(&pair.name()).into_owned();
            let name = shown(&name);
            let detail = format!("`{place}` and `{name}` both set the order: give one of them");
            return Err(conflict(detail, &name));
        }
        sort::parse(written, place, &self.sortable)
    }

    /// Reads the meaning of a sort: as the client's own parameter, or else as a pair such as `sort_by` and `order_by`, or
    /// else as the upstream's own parameters.
    fn understand(&self, said: &SortParameters) -> Result<ClientSort, Box<Problem>> {
        let is_own = |name: &str| self.own.as_deref() == Some(name);
        let has = |pair: &SortPair, name: &str| name == pair.fields || name == pair.directions;
        let is_pair = |name: &str| self.pairs.iter().any(|pair| has(pair, name));
        let known = |name: &str| self.form.keys.iter().any(|key| key.pairs.iter().any(|(own, _)| own == name));
        let all = |is: &dyn Fn(&str) -> bool| said.iter().all(|(name, _)| is(name));
        // A fault is reported only after the upstream's own parameters have been tried: `sort=email,desc` may be one of
        // these. Test: `sorts_in_all_grammars_parse_to_the_same_order`.
        let mut fault = None;
        if all(&is_own)
            && let Some((name, value)) = single(said)
        {
            match sort::parse(value, name, &self.sortable) {
                Ok(sort) => return Ok(sort),
                Err(problem) => fault = Some(problem),
            }
        }
        // If `sort_by` is the client's own parameter, it has been read above, so it isn't read again.
        let pair = self.pairs.iter().find(|pair| all(&|name| has(pair, name)));
        if let Some(pair) = pair.filter(|_| !all(&is_own)) {
            match self.read_pair(*pair, said) {
                Ok(sort) => return Ok(sort),
                Err(problem) => fault = fault.or(Some(problem)),
            }
        }
        let pairs: Vec<(&str, &str)> = said.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if all(&known)
            && let Some(terms) = sort::read_back(&self.form, &pairs)
        {
            return sort::settle_terms(&terms, &said[0].0, &self.sortable);
        }
        // The upstream may read `Ordering` as `ordering`, but the dialect doesn't write this name, so it is refused.
        // Test: `contradicting_and_unreadable_orders_are_refused`.
        let strange = said.iter().find(|(name, _)| !is_own(name) && !is_pair(name) && !known(name));
        if let Some((name, _)) = strange {
            return Err(self.not_taken(name));
        }
        if let Some(name) = twice(said) {
            let detail = format!("`{name}` is given twice, with different values: give it once");
            return Err(conflict(detail, name));
        }
        if let Some(problem) = fault {
            return Err(problem);
        }
        // Two ways of writing an order are refused even if they agree. Test:
        // `contradicting_and_unreadable_orders_are_refused`.
        if !all(&known) {
            let (one, other) = (&said[0].0, said.iter().map(|(name, _)| name).find(|name| **name != said[0].0));
            let other = other.unwrap_or(one);
            let detail = format!("`{one}` and `{other}` both set the order: give one of them");
            return Err(conflict(detail, other));
        }
        let names: Vec<String> = pairs.iter().map(|(name, value)| format!("`{name}={}`", shown(value))).collect();
        Err(self.refuse(&format!("{} is not an order of this list", names.join(" with ")), &said[0].0))
    }

    /// Reads a pair such as `sort_by` and `order_by`. Without `order_by`, `sort_by` accepts every grammar; with it, only
    /// fields.
    fn read_pair(&self, pair: SortPair, said: &SortParameters) -> Result<ClientSort, Box<Problem>> {
        let (fields_name, directions_name) = (pair.fields, pair.directions);
        let of = |name: &'static str| {
            let values: Vec<(String, String)> = said.iter().filter(|(own, _)| own == name).cloned().collect();
            match values.first().cloned() {
                Some(_) if single(&values).is_none() => {
                    Err(conflict(format!("`{name}` is given twice, with different values: give it once"), name))
                }
                first => Ok(first.map(|(_, value)| value)),
            }
        };
        match (of(fields_name)?, of(directions_name)?) {
            (Some(fields), None) => sort::parse(&fields, fields_name, &self.sortable),
            (Some(fields), Some(directions)) => sort::parse_pair(pair, &fields, &directions, &self.sortable),
            (None, _) => {
                let detail = format!("`{directions_name}` sets directions without fields: add `{fields_name}`");
                Err(self.refuse(&detail, directions_name))
            }
        }
    }

    /// Returns the problem for a parameter that an upstream would read as its sort, but that this route doesn't take.
    fn not_taken(&self, name: &str) -> Box<Problem> {
        let name = shown(name);
        let detail = match &self.own {
            Some(own) => format!("`{name}` is not a parameter of this list, which is sorted by `{own}`"),
            None => format!("`{name}` is not a parameter of this list"),
        };
        self.refuse(&detail, &name)
    }

    /// Returns `sort_invalid` with the allowed fields.
    pub(super) fn refuse(&self, detail: &str, parameter: &str) -> Box<Problem> {
        sort::invalid(detail, parameter, &self.sortable)
    }
}

/// Returns the name and value of the parameters if all of them are equal; otherwise `None`.
fn single(said: &SortParameters) -> Option<(&str, &str)> {
    let (name, value) = said.first()?;
    said.iter().all(|(other, same)| other == name && same == value).then_some((name, value))
}

/// Returns the first name that has two different values; `None` if no name has.
fn twice(said: &SortParameters) -> Option<&str> {
    let differs = |name: &str, value: &str| said.iter().any(|(other, differing)| other == name && differing != value);
    said.iter().find(|(name, value)| differs(name, value)).map(|(name, _)| name.as_str())
}

fn conflict(detail: String, name: &str) -> Box<Problem> {
    Box::new(Problem::new(Code::ParameterConflict, detail).with_parameter(name))
}

#[cfg(test)]
mod tests;
