//! Orders, and the sorts with which an upstream is asked for them.

use std::{borrow::Cow, sync::Arc};

use crate::upstream::{
    response::token::quoted,
    template::{
        body::{BodyTemplate, Values},
        text::{Parameter, QueryTemplate, TemplatePart, TemplateText, Variable, append_pair, decode, encode_literal},
    },
};
use cursorgate_config::{
    diagnostic::{Diagnostics, Location},
    settings::{DialectSort, Mode, SortTerm},
    sort_form::{SortForm, SortWords},
};
use cursorgate_core::{
    json::{Edits, Shape},
    pagination::{
        fetch::Listing,
        filter::Filters,
        order::{Direction, Nulls, Order},
    },
};

/// An order compiled for a dialect: the sort in requests, and the places of keys in answers.
#[derive(Clone, Debug)]
pub struct CompiledOrder {
    /// The order that answers are checked against.
    pub order: Arc<Order>,
    /// The sort in the query; empty if the order is assumed and isn't requested.
    pub query: String,
    /// The number of keys that requests ask for, counted from the first key. The id is the last key.
    pub asked: usize,
    /// `true` if the list can be requested in reverse.
    pub flips: bool,
    /// `true` if filters can show the items before an item.
    pub filters_back: bool,
    /// The filters that the endpoint has on keys; `None` unless pages of this order are found by keys.
    pub filters: Option<Arc<Filters>>,
    /// The mode by which pages of this order are found.
    pub mode: Mode,
    /// The query's sort for the flipped order; empty if it can't be requested. `by_id` and `by_id_flipped` are the
    /// sorts by only the id.
    pub flipped: String,
    pub by_id: String,
    pub by_id_flipped: String,
    /// The sorts in the body: as declared, flipped, by only the id, and by only the id flipped.
    pub edits: [Edits; 4],
    /// The places that are read from answers. The columns are the strong keys, then the id, then the token of an item
    /// unless the token is the id.
    pub shape: Shape,
}

impl CompiledOrder {
    /// Returns the sort of a listing as query pairs.
    pub fn sort(&self, listing: &Listing) -> &str {
        match (listing.by_id, listing.flipped) {
            (false, false) => &self.query,
            (false, true) => &self.flipped,
            (true, false) => &self.by_id,
            (true, true) => &self.by_id_flipped,
        }
    }

    /// Returns the edits that put the sort of a listing into a body.
    pub fn sort_edits(&self, listing: &Listing) -> &Edits {
        &self.edits[usize::from(listing.flipped) + 2 * usize::from(listing.by_id)]
    }
}

/// The reasons why the upstream can't be asked for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsortable {
    /// The values of this field can only be compared for equality, and another key follows the field, so no page could
    /// be proven.
    Opaque(String),
    /// The upstream sorts by at most this many keys.
    TooManyKeys(usize),
    /// The upstream's sort names no field: it has the declared order and its reverse.
    OneOrder,
    /// This field, the first key, has no filter, so no position in the order can be requested.
    Unplaced(String),
}

/// A key for the upstream's sort.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamKey<'a> {
    /// The upstream's name of the field.
    pub field: &'a str,
    pub direction: Direction,
    /// The position of null values of this key.
    pub nulls: Nulls,
}

/// The compiled `[sort]` of a dialect.
#[derive(Clone, Debug)]
pub struct SortTemplate {
    query: QueryTemplate,
    body: Option<BodyTemplate>,
    /// The separator between several keys in a string of a body; `None` if keys aren't joined.
    body_join: Option<String>,
    /// The encoded separator between several keys in a query; if `None`, each key has separate parameters.
    join: Option<String>,
    ascending: String,
    descending: String,
    nulls_first: String,
    nulls_last: String,
    max_keys: usize,
    /// `true` if the sort names no field and states one direction for all keys.
    whole: bool,
}

impl SortTemplate {
    /// Compiles `[sort]`. `at` is the location of the dialect's name in the route. Reports faults, and returns `None`
    /// if there are any.
    pub fn compile(sort: &DialectSort, at: Location, diagnostics: &mut Diagnostics) -> Option<Self> {
        let query = QueryTemplate::parse(&sort.query, Variable::SORTING, diagnostics)?;
        let body = match &sort.body {
            Some(body) => Some(BodyTemplate::compile(body, Variable::SORTING, &[Variable::Field], diagnostics)?),
            None => None,
        };
        let in_body = body.as_ref().map(BodyTemplate::variables).unwrap_or_default();
        let uses = |variable| query.variables().any(|used| used == variable) || in_body.contains(&variable);
        let whole = !uses(Variable::Field);
        let faults = faults(sort, at, &query, uses);
        if !faults.is_empty() {
            for (at, message, help) in faults {
                diagnostics.error(at, message, help);
            }
            return None;
        }
        // A body whose members can't be repeated or joined has space for one key.
        let repeats = body.as_ref().is_none_or(|body| body.repeats(sort.join.is_some()));
        let most = if repeats { usize::MAX } else { 1 };
        Some(Self {
            query,
            body,
            body_join: sort.join.clone(),
            join: sort.join.as_deref().map(encode_literal),
            ascending: sort.ascending.clone(),
            descending: sort.descending.clone(),
            nulls_first: sort.nulls_first.clone().unwrap_or_default(),
            nulls_last: sort.nulls_last.clone().unwrap_or_default(),
            max_keys: if whole { usize::MAX } else { sort.max_keys.unwrap_or(usize::MAX).min(most) },
            whole,
        })
    }

    /// Returns the decoded names of the sort's parameters.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.query.parameters.iter().map(Parameter::decoded_name) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Returns JSON Pointers to the sort's members in a body.
    pub fn places(&self) -> Vec<String> {
        self.body.as_ref().map(BodyTemplate::places).unwrap_or_default()
    }

    /// Returns the form for reading sorts in a client's query. `keys` has the fields' names, each with its upstream
    /// key, ascending. Keys are also recognized without the words for nulls. If field and direction share a value, a
    /// field without a direction is ascending, as in all upstreams of this kind: `sort=name`.
    pub fn form(&self, keys: &[(&str, UpstreamKey<'_>)]) -> SortForm {
        // A sort that names no field can't be read back, so its form has no keys.
        let keys = if self.whole { &[] } else { keys };
        let mut form = SortForm { join: self.join.as_deref().map(decode), keys: Vec::new() };
        for (name, key) in keys {
            for direction in [Direction::Ascending, Direction::Descending] {
                let key = UpstreamKey { direction, ..*key };
                let mut said = vec![self.words(key), self.words(UpstreamKey { nulls: Nulls::Unsaid, ..key })];
                if direction == Direction::Ascending {
                    said.extend(self.bare(key.field).map(|pair| vec![pair]));
                }
                // Without words for nulls, the two spellings are the same.
                said.dedup();
                let term = SortTerm { field: (*name).to_owned(), direction };
                form.keys.extend(said.into_iter().map(|pairs| SortWords { term: term.clone(), pairs }));
            }
        }
        form
    }

    /// Returns the decoded parameters that the sort has for one key.
    fn words(&self, key: UpstreamKey<'_>) -> Vec<(String, String)> {
        let said = self.query.parameters.iter().filter(|parameter| parameter.variables().next().is_some());
        said.filter_map(|parameter| parameter.render(&|variable| self.word(variable, key)))
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
                (decode(name), decode(value))
            })
            .collect()
    }

    /// Returns the parameter of a key that names only the field, `sort=name`; `None` unless one value contains both
    /// field and direction.
    fn bare(&self, field: &str) -> Option<(String, String)> {
        let mut said = self.query.parameters.iter().filter(|parameter| parameter.variables().next().is_some());
        let (parameter, None) = (said.next()?, said.next()) else { return None };
        let pieces = parameter.value.as_ref().map_or(&[][..], TemplateText::pieces);
        let holds = |variable| pieces.contains(&TemplatePart::Variable(variable));
        let shares = holds(Variable::Field) && holds(Variable::Direction);
        shares.then(|| (parameter.decoded_name(), field.to_owned()))
    }

    /// Returns whether the sort can put nulls at either end of the list.
    pub fn places_nulls(&self) -> bool {
        !self.nulls_first.is_empty() && !self.nulls_last.is_empty()
    }

    /// Returns whether the sort names no field: the upstream has one order, and the sort states its direction.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Returns how many of this number of keys can be requested. The rest of an order is assumed, and checked.
    pub fn asked(&self, keys: usize) -> usize {
        // The upstream would refuse more keys, or drop them in silence, so no more are requested. Test:
        // `keys_beyond_max_keys_are_not_requested`.
        keys.min(self.max_keys)
    }

    /// Returns the number of keys, of this many, for which the sort is written; at most 1 if the sort names no field.
    fn repeats(&self, keys: usize) -> usize {
        // For more keys, the same word for the direction would be repeated.
        if self.whole { keys.min(1) } else { self.asked(keys) }
    }

    /// Writes the query that asks for these keys, up to the number that the upstream accepts.
    pub fn render(&self, keys: &[UpstreamKey<'_>]) -> String {
        let keys = &keys[..self.repeats(keys.len())];
        let mut query = String::new();
        if let Some(join) = &self.join {
            for parameter in &self.query.parameters {
                append_pair(&mut query, &self.joined(parameter, keys, join));
            }
        } else {
            let (per_key, fixed): (Vec<&Parameter>, Vec<&Parameter>) =
                self.query.parameters.iter().partition(|parameter| parameter.variables().next().is_some());
            for key in keys {
                for pair in
                    per_key.iter().filter_map(|parameter| parameter.render(&|variable| self.word(variable, *key)))
                {
                    append_pair(&mut query, &pair);
                }
            }
            for pair in fixed.iter().filter_map(|parameter| parameter.render(&|_| None)) {
                append_pair(&mut query, &pair);
            }
        }
        query
    }

    /// Returns the body edits that ask for these keys, up to the number that the upstream accepts.
    pub fn edits(&self, keys: &[UpstreamKey<'_>]) -> Edits {
        let Some(body) = &self.body else { return Edits::new() };
        let words: Vec<_> = keys[..self.repeats(keys.len())]
            .iter()
            .map(|key| {
                // A member for nulls is left out if the route doesn't state where nulls are.
                move |variable| self.word(variable, *key).filter(|word| !word.is_empty() || variable != Variable::Nulls)
            })
            .collect();
        let quoted: Vec<_> = words
            .iter()
            .map(|word| move |variable| word(variable).map(|word| Cow::Owned(quoted(&word).into_bytes())))
            .collect();
        let values = words.iter().zip(&quoted).map(|(text, json)| Values { text, json });
        body.edits(&values.collect::<Vec<_>>(), self.body_join.as_deref())
    }

    /// Writes one parameter with the joined values of all keys: `sort=-created_at,id`.
    fn joined(&self, parameter: &Parameter, keys: &[UpstreamKey<'_>], join: &str) -> String {
        // A fixed value is the same for each key. Joined with itself, it would be a different value, so it is written
        // once.
        let repeated = if parameter.variables().next().is_some() { keys } else { &keys[..1.min(keys.len())] };
        let mut rendered = String::new();
        for key in repeated {
            let Some(pair) = parameter.render(&|variable| self.word(variable, *key)) else {
                continue;
            };
            if rendered.is_empty() {
                rendered = pair;
            } else {
                // A word may be empty and still keeps its place: `_order=-,`. Test:
                // `sort_parameters_are_written_in_each_grammar_of_an_upstream`.
                rendered.push_str(join);
                rendered.push_str(pair.split_once('=').map_or("", |(_, value)| value));
            }
        }
        rendered
    }

    fn word<'a>(&'a self, variable: Variable, key: UpstreamKey<'a>) -> Option<Cow<'a, str>> {
        let word = match variable {
            Variable::Field => key.field,
            Variable::Direction => match key.direction {
                Direction::Ascending => &self.ascending,
                Direction::Descending => &self.descending,
            },
            Variable::Nulls => match nulls_first(key.nulls, key.direction) {
                Some(true) => &self.nulls_first,
                Some(false) => &self.nulls_last,
                None => "",
            },
            _ => return None,
        };
        Some(Cow::Borrowed(word))
    }
}

/// Returns whether nulls come first; `None` if the route doesn't state the position or the key has no nulls.
fn nulls_first(nulls: Nulls, direction: Direction) -> Option<bool> {
    match nulls {
        Nulls::Unsaid | Nulls::None => None,
        Nulls::First => Some(true),
        Nulls::Last => Some(false),
        Nulls::Smallest => Some(direction == Direction::Ascending),
        Nulls::Largest => Some(direction == Direction::Descending),
    }
}

/// Returns the faults of a `[sort]`: location, message and help. `uses` returns whether a variable occurs in the sort.
fn faults(
    sort: &DialectSort,
    at: Location,
    query: &QueryTemplate,
    uses: impl Fn(Variable) -> bool,
) -> Vec<(Location, String, String)> {
    let mut faults = Vec::new();
    if !uses(Variable::Direction) {
        let help = "put {direction} where the upstream reads which way a key runs".to_owned();
        faults.push((sort.query.at, "the sort never names the direction of a key".to_owned(), help));
    }
    let whole = !uses(Variable::Field);
    if whole && (sort.join.is_some() || sort.max_keys.is_some()) {
        let help = "put {field} where the upstream reads which key it is; where it has one order, and takes only its \
                    direction, leave join and max_keys out"
            .to_owned();
        faults.push((sort.query.at, "the sort never names the key".to_owned(), help));
    }
    let says_nulls = sort.nulls_first.is_some() || sort.nulls_last.is_some();
    if uses(Variable::Nulls) && !says_nulls {
        let help = "set nulls_first and nulls_last, the words for {nulls}".to_owned();
        faults.push((sort.query.at, "{nulls} has no words".to_owned(), help));
    }
    if says_nulls && !uses(Variable::Nulls) {
        let help = "put {nulls} into sort.query, or leave nulls_first and nulls_last out".to_owned();
        faults.push((sort.query.at, "nulls_first and nulls_last are never used".to_owned(), help));
    }
    if sort.ascending == sort.descending {
        let help = "set ascending and descending as the upstream writes them".to_owned();
        faults.push((at, "both directions of the sort have the same word".to_owned(), help));
    }
    let named = |parameter: &Parameter| parameter.name.variables().next().is_some();
    if sort.join.is_some() && query.parameters.iter().any(named) {
        let help = "leave join out: then each key has a parameter of its own".to_owned();
        faults.push((sort.query.at, "values can't be joined where the name holds a variable".to_owned(), help));
    }
    if sort.max_keys == Some(0) {
        let help = "leave [sort] out where the upstream can't be asked for an order".to_owned();
        faults.push((at, "max_keys is at least 1".to_owned(), help));
    }
    faults
}
