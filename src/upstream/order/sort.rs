//! An order as the upstream is asked for it.

use std::{borrow::Cow, sync::Arc};

use crate::{
    config::{
        diagnostic::{Diagnostics, Location},
        settings::{DialectSort, Mode, SortTerm},
        sort_form::{SortForm, SortWords},
    },
    json::{Edits, Shape},
    pagination::{
        fetch::Listing,
        filter::Filters,
        order::{Direction, Nulls, Order},
    },
    upstream::{
        response::token::quoted,
        template::{
            body::{BodyTemplate, Values},
            text::{
                Parameter, QueryTemplate, TemplatePart, TemplateText, Variable, append_pair, decode, encode_literal,
            },
        },
    },
};

/// An order, compiled for one dialect: what is asked, and which places of an answer are read.
#[derive(Clone, Debug)]
pub struct CompiledOrder {
    /// The order that answers are held to.
    pub order: Arc<Order>,
    /// The sort as it goes into the query; empty where the order is believed and not asked for.
    pub query: String,
    /// How many keys are asked for, from the first on; the id counts as the last.
    pub asked: usize,
    /// The list can be asked for from its last item to its first.
    pub flips: bool,
    /// What the endpoint can filter by, where pages of this order are found by their keys.
    pub filters: Option<Arc<Filters>>,
    /// Whether pages of this order are found by places, by filters, or by tokens.
    pub mode: Mode,
    /// The other sorts, as they go into the query; empty where they can't be asked for.
    pub(crate) flipped: String,
    pub(crate) by_id: String,
    pub(crate) by_id_flipped: String,
    /// The sorts as the body says them: as declared, flipped, by the id, and by the id flipped.
    pub(crate) edits: [Edits; 4],
    /// The columns are the strong keys, then the id; behind them what continues the list from an item, where that is
    /// something else.
    pub(crate) shape: Shape,
}

impl CompiledOrder {
    /// The sort for a form of the list.
    pub(crate) fn sort(&self, listing: &Listing) -> &str {
        match (listing.by_id, listing.flipped) {
            (false, false) => &self.query,
            (false, true) => &self.flipped,
            (true, false) => &self.by_id,
            (true, true) => &self.by_id_flipped,
        }
    }

    /// The same as the body says it.
    pub(crate) fn sort_edits(&self, listing: &Listing) -> &Edits {
        &self.edits[usize::from(listing.flipped) + 2 * usize::from(listing.by_id)]
    }
}

/// Why the upstream can't be asked for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsortable {
    /// The values of this field can only be told apart, and another key stands behind it: no page could be proven.
    Opaque(String),
    /// It sorts by so many keys at most.
    TooManyKeys(usize),
    /// Its sort names no field: it has the declared order, one way or the other, and no other.
    OneOrder,
    /// No place in such an order can be asked for: its first key, this one, can't be filtered by.
    Unplaced(String),
}

/// One key as the upstream's sort is told of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpstreamKey<'a> {
    /// What the upstream calls it.
    pub(crate) field: &'a str,
    /// Which way it runs.
    pub(crate) direction: Direction,
    /// Where its nulls stand.
    pub(crate) nulls: Nulls,
}

/// How an upstream is asked for an order.
#[derive(Clone, Debug)]
pub(crate) struct SortTemplate {
    query: QueryTemplate,
    body: Option<BodyTemplate>,
    /// Between the values of several keys in a body.
    body_join: Option<String>,
    /// Between the values of several keys; none: each key has parameters of its own.
    join: Option<String>,
    ascending: String,
    descending: String,
    nulls_first: String,
    nulls_last: String,
    max_keys: usize,
    /// It names no field, and says the direction of all keys at once.
    whole: bool,
}

impl SortTemplate {
    /// Compiles `[sort]`. `at` is where the route names the dialect.
    pub(crate) fn compile(sort: &DialectSort, at: Location, diagnostics: &mut Diagnostics) -> Option<Self> {
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

    /// The decoded names of its parameters.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.query.parameters.iter().map(Parameter::decoded_name) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// JSON Pointers to what it says in a body.
    pub(crate) fn places(&self) -> Vec<String> {
        self.body.as_ref().map(BodyTemplate::places).unwrap_or_default()
    }

    /// How these keys, by their names and ascending, are said in a query. Where nulls have words, a key is also known
    /// without them; where field and direction share a value, a field alone is ascending, as all upstreams of this form
    /// have it.
    pub(crate) fn form(&self, keys: &[(&str, UpstreamKey<'_>)]) -> SortForm {
        // What names no field can't be read back as an order of some.
        let keys = if self.whole { &[] } else { keys };
        let mut form = SortForm { join: self.join.as_deref().map(decode), keys: Vec::new() };
        for (name, key) in keys {
            for direction in [Direction::Ascending, Direction::Descending] {
                let key = UpstreamKey { direction, ..*key };
                let mut said = vec![self.words(key), self.words(UpstreamKey { nulls: Nulls::Unsaid, ..key })];
                if direction == Direction::Ascending {
                    said.extend(self.bare(key.field).map(|pair| vec![pair]));
                }
                said.dedup();
                let term = SortTerm { field: (*name).to_owned(), direction };
                form.keys.extend(said.into_iter().map(|pairs| SortWords { term: term.clone(), pairs }));
            }
        }
        form
    }

    /// The decoded parameters that say one key.
    fn words(&self, key: UpstreamKey<'_>) -> Vec<(String, String)> {
        let said = self.query.parameters.iter().filter(|parameter| parameter.variables().next().is_some());
        said.filter_map(|parameter| parameter.render(&|variable| self.word(variable, key)))
            .map(|pair| pair.split_once('=').map_or_else(|| (decode(&pair), String::new()), decoded_pair))
            .collect()
    }

    /// A key by its field alone, where one value says both field and direction.
    fn bare(&self, field: &str) -> Option<(String, String)> {
        let mut said = self.query.parameters.iter().filter(|parameter| parameter.variables().next().is_some());
        let (parameter, None) = (said.next()?, said.next()) else { return None };
        let pieces = parameter.value.as_ref().map_or(&[][..], TemplateText::pieces);
        let holds = |variable| pieces.contains(&TemplatePart::Variable(variable));
        let shares = holds(Variable::Field) && holds(Variable::Direction);
        shares.then(|| (parameter.decoded_name(), field.to_owned()))
    }

    /// Whether nulls can be asked for at either end.
    pub(crate) fn places_nulls(&self) -> bool {
        !self.nulls_first.is_empty() && !self.nulls_last.is_empty()
    }

    /// Whether it names no field: the upstream has one order, and is told its direction.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// How many of so many keys can be asked for.
    pub(crate) fn asked(&self, keys: usize) -> usize {
        keys.min(self.max_keys)
    }

    /// How often it is said for so many keys.
    fn repeats(&self, keys: usize) -> usize {
        if self.whole { keys.min(1) } else { self.asked(keys) }
    }

    /// The query that asks for these keys, or for as many of them as it can.
    pub(crate) fn render(&self, keys: &[UpstreamKey<'_>]) -> String {
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

    /// What the body says to ask for these keys, or for as many of them as it can.
    pub(crate) fn edits(&self, keys: &[UpstreamKey<'_>]) -> Edits {
        let Some(body) = &self.body else { return Edits::new() };
        let words: Vec<_> = keys[..self.repeats(keys.len())]
            .iter()
            .map(|key| {
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

    /// One parameter with the values of all keys.
    fn joined(&self, parameter: &Parameter, keys: &[UpstreamKey<'_>], join: &str) -> String {
        let repeated = if parameter.variables().next().is_some() { keys } else { &keys[..1.min(keys.len())] };
        let mut rendered = String::new();
        for key in repeated {
            let Some(pair) = parameter.render(&|variable| self.word(variable, *key)) else {
                continue;
            };
            if rendered.is_empty() {
                rendered = pair;
            } else {
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

fn decoded_pair((name, value): (&str, &str)) -> (String, String) {
    (decode(name), decode(value))
}

/// Whether nulls come first; nothing where the route doesn't say, or where there are none.
fn nulls_first(nulls: Nulls, direction: Direction) -> Option<bool> {
    match nulls {
        Nulls::Unsaid | Nulls::None => None,
        Nulls::First => Some(true),
        Nulls::Last => Some(false),
        Nulls::Smallest => Some(direction == Direction::Ascending),
        Nulls::Largest => Some(direction == Direction::Descending),
    }
}

/// The faults of a `[sort]`: where each is, what it is, and what helps. `uses` says whether a variable occurs.
fn faults(
    sort: &DialectSort,
    at: Location,
    query: &QueryTemplate,
    uses: impl Fn(Variable) -> bool,
) -> Vec<(Location, String, String)> {
    let mut faults = Vec::new();
    if !uses(Variable::Direction) {
        let help = "put {direction} where the upstream reads which way a key runs".to_owned();
        faults.push((sort.query.at, "the sort never says which way a key runs".to_owned(), help));
    }
    let whole = !uses(Variable::Field);
    if whole && (sort.join.is_some() || sort.max_keys.is_some()) {
        let help =
            "put {field} where the upstream reads which key it is; where it has one order, and is told its direction \
                    alone, leave join and max_keys out"
                .to_owned();
        faults.push((sort.query.at, "the sort never says which key it is".to_owned(), help));
    }
    let says_nulls = sort.nulls_first.is_some() || sort.nulls_last.is_some();
    if uses(Variable::Nulls) && !says_nulls {
        let help = "say nulls_first and nulls_last, the words for {nulls}".to_owned();
        faults.push((sort.query.at, "{nulls} has no words".to_owned(), help));
    }
    if says_nulls && !uses(Variable::Nulls) {
        let help = "put {nulls} into sort.query, or leave nulls_first and nulls_last out".to_owned();
        faults.push((sort.query.at, "nulls_first and nulls_last are never said".to_owned(), help));
    }
    if sort.ascending == sort.descending {
        let help = "say ascending and descending as the upstream writes them".to_owned();
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
