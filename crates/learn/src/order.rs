//! The order of a list, found in its rows: the fields whose values are sorted, their direction and comparison, and the
//! order of items that are equal by these fields.

pub(super) mod documented;
pub(super) mod ranges;
pub(super) mod sorting;

use std::{borrow::Cow, cmp::Ordering, collections::BTreeSet, ops::Range};

use icu_normalizer::DecomposingNormalizerBorrowed;
use serde_json::Value;

use crate::{
    findings::{Certainty, Learnt, ListField, ListOrder, NullsAt},
    paging::ends::Sample,
    prober::answer::step_into,
    shape::names::{ORDERING, last_step},
};

/// The largest number of strong keys in an order.
const KEYS: usize = 3;

/// The smallest number of changes of value at which a sorted column doesn't count as a coincidence.
const CHANGES: usize = 3;

/// The smallest number of changes of value at which an order counts as shown.
const MANY: usize = 20;

/// In a sort by a collation, one of this many pairs of neighbours may be out of order, because the exact rules of the
/// collation are not known here.
const LANGUAGE_EXCEPTIONS: usize = 50;

/// The largest number of values in a rank.
const RANKS: usize = 20;

/// The comparison by which a field's values are sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueOrder {
    /// JSON numbers.
    Number,
    /// Strings, compared as numbers.
    NumberInString,
    /// Strings, compared as dates or times.
    Datetime,
    /// Booleans, false before true.
    Boolean,
    /// UUIDs, compared without regard to case.
    Uuid,
    /// Strings, compared as numbers or by their bytes: both comparisons sort the seen values in the same way.
    NumberOrBytes,
    /// Strings, compared by their bytes.
    Bytes,
    /// Strings, compared without regard to case or by the rules of a language. The gateway can't compare such values.
    Language,
    /// Strings, in the order of this list of values.
    Rank(Vec<String>),
}

impl ValueOrder {
    /// Returns the comparison in words, for reports.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Number => "as numbers".into(),
            Self::NumberInString => "as numbers in strings".into(),
            Self::Datetime => "as times".into(),
            Self::Boolean => "false before true".into(),
            Self::Uuid => "as UUIDs".into(),
            Self::NumberOrBytes => "as numbers in strings or by bytes, which these values don't tell apart".into(),
            Self::Bytes => "by bytes".into(),
            Self::Language => "by a language or without regard to case".into(),
            Self::Rank(ranks) => format!("by rank: {}", ranks.join(", ")).into(),
        }
    }

    fn compare(&self, left: &Value, right: &Value) -> Option<Ordering> {
        let texts = || Some((left.as_str()?, right.as_str()?));
        match self {
            // As floats, some different integers beyond 2^53 would be equal, so integers are compared as such.
            Self::Number => match (left.as_i64(), right.as_i64()) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
            },
            Self::Boolean => Some(left.as_bool()?.cmp(&right.as_bool()?)),
            Self::NumberInString => {
                let (left, right) = texts()?;
                left.parse::<f64>().ok()?.partial_cmp(&right.parse::<f64>().ok()?)
            }
            Self::Datetime => texts().and_then(|(left, right)| Some(instant(left)?.cmp(&instant(right)?))),
            // The digits of a UUID have no case (RFC 9562, section 4), so they are compared in lower case.
            Self::Uuid => texts().map(|(left, right)| left.to_ascii_lowercase().cmp(&right.to_ascii_lowercase())),
            Self::Bytes | Self::NumberOrBytes => texts().map(|(left, right)| left.cmp(right)),
            Self::Language => texts().map(|(left, right)| folded(left).cmp(&folded(right))),
            Self::Rank(ranks) => texts().and_then(|(left, right)| {
                let rank = |text: &str| ranks.iter().position(|rank| rank == text);
                Some(rank(left)?.cmp(&rank(right)?))
            }),
        }
    }
}

/// Parses a time of RFC 3339, or a date as its midnight in UTC. Returns nanoseconds since 1970; `None` for other
/// strings.
fn instant(text: &str) -> Option<i64> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok().and_then(|time| time.timestamp_nanos_opt());
    time.or_else(|| {
        let day = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_nanos_opt()
    })
}

/// Returns the form of a string that most collations compare first: its letters and digits, in lower case and without
/// accents.
fn folded(text: &str) -> String {
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(text);
    decomposed.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A column that is sorted within groups of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnRun {
    pub(super) comparison: ValueOrder,
    pub(super) descending: bool,
    /// The number of pairs of neighbours that differ.
    pub(super) changes: usize,
    pub(super) nulls: Option<NullsAt>,
    /// True if the rows exclude all other comparisons.
    pub(super) is_told: bool,
}

/// Returns all rows as one group.
pub(super) fn whole(rows: &[Value]) -> Vec<Range<usize>> {
    std::iter::once(0..rows.len()).collect()
}

/// Returns the direction and the comparison by which a column is sorted within groups; `None` if it is not sorted, or
/// never changes.
pub(super) fn run(rows: &[Value], pointer: &str, groups: &[Range<usize>]) -> Option<ColumnRun> {
    let column: Vec<&Value> = rows.iter().map(|row| step_into(row, pointer).unwrap_or(&Value::Null)).collect();
    let (stretches, nulls) = without_nulls(&column, groups)?;
    let values: Vec<&Value> = stretches.iter().flat_map(|stretch| column[stretch.clone()].iter().copied()).collect();
    let candidates = candidates(&values, &column, &stretches);
    let all = |comparison: &ValueOrder| tendency(comparison, &column, &stretches);
    let found = candidates.iter().find_map(|comparison| Some((comparison, all(comparison)?)));
    let (comparison, (descending, changes)) = found?;
    let mut comparison = comparison.clone();
    let mut is_told = true;
    // Numbers with equally many digits are sorted in the same way as numbers and by their bytes. Test:
    // `ids_that_may_be_numbers_or_text_get_no_type`.
    if comparison == ValueOrder::NumberInString && all(&ValueOrder::Bytes).is_some_and(|(other, _)| other == descending)
    {
        (comparison, is_told) = (ValueOrder::NumberOrBytes, false);
    }
    if comparison == ValueOrder::Bytes && all(&ValueOrder::Language).is_some_and(|(other, _)| other == descending) {
        is_told = false;
        // If the rows can be sorted by bytes or by a language, the language is chosen: a false claim of an order by
        // bytes would lead to wrong pages. Test: `an_order_that_is_not_by_bytes_is_never_learnt_as_an_order_by_bytes`.
        if !compares_alike(&values) {
            comparison = ValueOrder::Language;
        }
    }
    Some(ColumnRun { comparison, descending, changes, nulls, is_told })
}

/// Returns the groups without their nulls, and whether nulls are first or last in the groups. Returns `None` if nulls
/// are between values, or first in one group and last in another.
fn without_nulls(column: &[&Value], groups: &[Range<usize>]) -> Option<(Vec<Range<usize>>, Option<NullsAt>)> {
    let mut found = None;
    let mut stretches = Vec::with_capacity(groups.len());
    for group in groups {
        let values = &column[group.clone()];
        let nulls = values.iter().filter(|value| value.is_null()).count();
        let is_mixed = nulls > 0 && nulls < values.len();
        let first = values.iter().take(nulls).all(|value| value.is_null());
        let last = values.iter().rev().take(nulls).all(|value| value.is_null());
        let stretch = if first { group.start + nulls..group.end } else { group.start..group.end - nulls };
        // A group with nulls only doesn't show whether nulls are first or last, so it is skipped.
        if is_mixed {
            let at = if first { NullsAt::First } else { NullsAt::Last };
            if !first && !last || found.is_some_and(|known| known != at) {
                return None;
            }
            found = Some(at);
        }
        if stretch.len() > 1 {
            stretches.push(stretch);
        }
    }
    Some((stretches, found))
}

/// Returns the comparisons that the values may follow, the most specific first.
fn candidates(values: &[&Value], column: &[&Value], stretches: &[Range<usize>]) -> Vec<ValueOrder> {
    let all = |is: fn(&Value) -> bool| !values.is_empty() && values.iter().all(|value| is(value));
    if all(Value::is_number) {
        return vec![ValueOrder::Number];
    }
    if all(Value::is_boolean) {
        return vec![ValueOrder::Boolean];
    }
    if !all(Value::is_string) {
        return Vec::new();
    }
    let text = |is: fn(&str) -> bool| values.iter().all(|value| value.as_str().is_some_and(is));
    let mut found = Vec::new();
    if text(|text| instant(text).is_some()) {
        found.push(ValueOrder::Datetime);
    }
    // A string such as `1e5` parses as a number, but is probably a code, so it doesn't count as a number.
    if text(|text| text.parse::<f64>().is_ok_and(f64::is_finite) && !text.contains(['e', 'E', '+'])) {
        found.push(ValueOrder::NumberInString);
    }
    if text(|text| text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])) {
        found.push(ValueOrder::Uuid);
    }
    found.push(ValueOrder::Bytes);
    // If all comparisons sort these values alike, a sort by a language is also one by bytes, so it isn't a separate
    // candidate.
    found.extend(Some(ValueOrder::Language).filter(|_| !compares_alike(values)));
    found.extend(rank(column, stretches));
    found
}

/// Returns a rank if a column has few different values, which occur in blocks and in the same order in every group.
fn rank(column: &[&Value], stretches: &[Range<usize>]) -> Option<ValueOrder> {
    let mut ranks: Vec<String> = Vec::new();
    for stretch in stretches {
        let mut last = None;
        for value in &column[stretch.clone()] {
            let text = value.as_str()?;
            let place = ranks.iter().position(|rank| rank == text);
            let place = match place {
                Some(place) => place,
                None if ranks.len() < RANKS => {
                    ranks.push(text.to_owned());
                    ranks.len() - 1
                }
                None => return None,
            };
            if last.is_some_and(|last| place < last) {
                return None;
            }
            last = Some(place);
        }
    }
    // If each value occurred only once or twice, any list of names would be a rank, so a rank has at least three rows
    // for each value on average.
    let rows: usize = stretches.iter().map(Range::len).sum();
    (ranks.len() > 2 && rows >= ranks.len() * 3).then_some(ValueOrder::Rank(ranks))
}

/// Returns whether a column is descending, and the number of its neighbouring pairs that differ. Returns `None` if the
/// column is not sorted, if all its values are equal, or if two values can't be compared.
fn tendency(comparison: &ValueOrder, column: &[&Value], stretches: &[Range<usize>]) -> Option<(bool, usize)> {
    let mut counts = [Neighbours::default(); 2];
    for stretch in stretches {
        for pair in column[stretch.clone()].windows(2) {
            let way = match comparison.compare(pair[0], pair[1])? {
                Ordering::Less => 0,
                Ordering::Greater => 1,
                Ordering::Equal => continue,
            };
            counts[way].all += 1;
            if *comparison == ValueOrder::Language && is_fine(pair[0], pair[1]) {
                counts[way].fine += 1;
            }
        }
    }
    let descending = counts[1].all > counts[0].all;
    let (along, against) = if descending { (counts[1], counts[0]) } else { (counts[0], counts[1]) };
    // Only pairs whose order depends on the language may be exceptions.
    let are_exceptions = against.all == against.fine && against.all <= along.all / LANGUAGE_EXCEPTIONS;
    (along.all > 0 && (against.all == 0 || are_exceptions)).then_some((descending, along.all + against.all))
}

/// The pairs of neighbours that run in one direction. `all` is their number, and `fine` is the number of pairs among
/// them whose order depends on the language.
#[derive(Clone, Copy, Default)]
struct Neighbours {
    all: usize,
    fine: usize,
}

/// Returns whether the order of two strings may depend on the language: both begin with the same letter or digit, apart
/// from case and accents, or one of them begins with a character that isn't ASCII.
fn is_fine(left: &Value, right: &Value) -> bool {
    let texts = [left, right].map(|value| value.as_str().unwrap_or_default());
    let [left, right] = texts.map(folded);
    // Every language sorts digits alike, so a difference between two digits is no question of language. Test:
    // `numbered_names_are_in_no_order_of_a_language`.
    let differs = left.chars().zip(right.chars()).find(|(left, right)| left != right);
    if differs.is_some_and(|(left, right)| left.is_ascii_digit() && right.is_ascii_digit()) {
        return false;
    }
    let is_same = left.chars().next() == right.chars().next();
    is_same || texts.iter().any(|text| !text.starts_with(|letter: char| letter.is_ascii()))
}

/// Returns whether all comparisons certainly sort these strings in the same way: the strings have characters of the
/// same class at each position, or all their characters are digits and letters of one case.
fn compares_alike(values: &[&Value]) -> bool {
    let class = |letter: char| match letter {
        '0'..='9' => '0',
        'a'..='z' => 'a',
        'A'..='Z' => 'A',
        other => other,
    };
    let mask = |value: &&&Value| value.as_str().unwrap_or_default().chars().map(class).collect::<String>();
    let masks: BTreeSet<String> = values.iter().map(|value| mask(&value)).collect();
    let of_one_class = |classes: &str| masks.iter().all(|mask| mask.chars().all(|letter| classes.contains(letter)));
    masks.len() == 1 || of_one_class("0a") || of_one_class("0A")
}

/// Returns whether all comparisons certainly sort the strings of a column in the same way.
pub(super) fn compare_alike(rows: &[Value], pointer: &str) -> bool {
    compares_alike(&rows.iter().filter_map(|row| step_into(row, pointer)).collect::<Vec<_>>())
}

/// Splits groups into runs of neighbours with equal values. Runs of one row are left out.
pub(super) fn split(rows: &[Value], pointer: &str, groups: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for group in groups {
        let mut start = group.start;
        for at in group.start + 1..=group.end {
            let is_same = at < group.end && step_into(&rows[at], pointer) == step_into(&rows[start], pointer);
            if !is_same {
                if at - start > 1 {
                    found.push(start..at);
                }
                start = at;
            }
        }
    }
    found
}

/// An order that explains the rows.
#[derive(Clone, Debug)]
struct Explanation {
    keys: Vec<(String, ColumnRun)>,
    /// The order of the ids within ties; `None` if they are not sorted.
    id: Option<ColumnRun>,
    /// The number of rows that are equal to a neighbour by all keys.
    ties: usize,
    /// The number of rows in the longest run of such rows.
    longest: usize,
}

impl Explanation {
    /// Returns a score that is largest for the best explanation. In this order of importance, the best explanation
    /// orders ties, has few keys, has a first key with a name like `created_at`, and the values of that key change
    /// often.
    fn merit(&self) -> (bool, std::cmp::Reverse<usize>, bool, usize) {
        let is_complete = self.ties == 0 || self.id.is_some();
        let named = self.keys.first().is_some_and(|(pointer, _)| is_named_like_an_order(pointer));
        let changes = self.keys.first().map_or(0, |(_, run)| run.changes);
        (is_complete, std::cmp::Reverse(self.keys.len()), named, changes)
    }
}

pub(super) fn is_named_like_an_order(pointer: &str) -> bool {
    let name = last_step(pointer);
    ORDERING.iter().any(|part| if *part == "at" { name.ends_with(part) } else { name.contains(part) })
}

/// Finds the order of the sample's rows, and adds a finding on it.
pub(super) fn find(learnt: &mut Learnt, sample: &Sample) {
    let rows = &sample.rows;
    if rows.len() < CHANGES + 1 {
        let evidence = format!("{} items are too few to tell", rows.len());
        learnt.note(Certainty::Open, "order", "not known", evidence);
        return;
    }
    let id = learnt.shape.id.clone();
    let whole = whole(rows);
    let by_id = id.as_ref().and_then(|id| run(rows, id, &whole)).filter(|run| sorts_ids(&run.comparison));
    // An order by the id has no ties, so it is preferred to other fields that are also sorted.
    if let Some(own) = &by_id {
        learnt.order = Some(order_of(learnt, &[], by_id.as_ref()));
        let way = if own.descending { "descending" } else { "ascending" };
        let others = others(learnt, rows, &whole);
        let evidence = format!("{} items run {way} by it, {}{others}", rows.len(), own.comparison.name());
        learnt.note(certainty_of(own, others.is_empty()), "order", format!("the id, {way}"), evidence);
        return;
    }
    let fields: Vec<String> =
        learnt.shape.fields(rows).into_iter().filter(|field| Some(field) != id.as_ref()).collect();
    match explain(rows, &fields, id.as_deref()) {
        Some(explanation) => note(learnt, &explanation, rows.len()),
        None => {
            let evidence = format!("no field of {} items runs one way", rows.len());
            learnt.note(Certainty::Open, "order", "none found", evidence);
        }
    }
}

fn certainty_of(run: &ColumnRun, is_alone: bool) -> Certainty {
    if run.is_told && is_alone && run.changes >= MANY { Certainty::Shown } else { Certainty::Likely }
}

/// Returns whether ids with this comparison can be a key: the gateway compares ids by their bytes or as numbers.
fn sorts_ids(comparison: &ValueOrder) -> bool {
    !matches!(comparison, ValueOrder::Language | ValueOrder::Rank(_) | ValueOrder::Boolean)
}

/// Returns a note that names up to three other fields by which the rows are also sorted, such as `created_at`; empty
/// if there are none. With such fields, the rows don't show by which field the upstream sorts.
fn others(learnt: &Learnt, rows: &[Value], whole: &[Range<usize>]) -> String {
    let fields = learnt.shape.fields(rows).into_iter().filter(|field| is_named_like_an_order(field));
    let running = fields.filter(|field| run(rows, field, whole).is_some_and(|run| run.changes > rows.len() / 4));
    let names: Vec<String> = running.take(3).collect();
    if names.is_empty() { String::new() } else { format!("; {} runs one way too", names.join(", ")) }
}

fn explain(rows: &[Value], fields: &[String], id: Option<&str>) -> Option<Explanation> {
    let mut best: Option<Explanation> = None;
    let mut open = vec![(Vec::new(), whole(rows))];
    // Each round adds a key to the explanations with ties.
    for _ in 0..KEYS {
        let mut further = Vec::new();
        for (keys, groups) in open {
            for field in
                fields.iter().filter(|field| keys.iter().all(|(known, _): &(String, ColumnRun)| known != *field))
            {
                let Some(found) = run(rows, field, &groups) else { continue };
                let is_first = keys.is_empty();
                // A rank or a flag changes only a few times in a list. It counts if ids are sorted within each of its
                // values. Test: `an_order_by_rank_is_recognised`.
                let rank_then_more = matches!(found.comparison, ValueOrder::Rank(_) | ValueOrder::Boolean);
                if is_first && found.changes < CHANGES && !(rank_then_more && found.changes > 0) {
                    continue;
                }
                let (is_opaque, mut keys) = (found.comparison == ValueOrder::Language, keys.clone());
                keys.push((field.clone(), found));
                let groups = split(rows, field, &groups);
                let ties = groups.iter().map(Range::len).sum();
                let of_id = id.and_then(|id| run(rows, id, &groups)).filter(|run| sorts_ids(&run.comparison));
                let longest = groups.iter().map(Range::len).max().unwrap_or_default();
                let explanation = Explanation { keys: keys.clone(), id: of_id, ties, longest };
                let is_accident = explanation.keys[0].1.changes < CHANGES && explanation.id.is_none();
                if !is_accident && best.as_ref().is_none_or(|best| explanation.merit() > best.merit()) {
                    best = Some(explanation);
                }
                // No other key can follow a key whose values the gateway can't compare, so its explanation gets no
                // further keys.
                if ties > 0 && !is_opaque && further.len() < 24 {
                    further.push((keys, groups));
                }
            }
        }
        open = further;
    }
    best
}

/// Returns the field at a pointer, named after its last step.
pub(super) fn field(learnt: &Learnt, pointer: &str, run: &ColumnRun) -> ListField {
    let inner = pointer.strip_prefix(learnt.shape.item.as_str()).unwrap_or(pointer);
    let steps: Vec<&str> = inner.split('/').skip(1).collect();
    let name = steps.last().copied().unwrap_or_default().replace("~1", "/").replace("~0", "~");
    // In an order, `id` is the id of the list. Another member with that name gets the name of its whole path.
    let name = if name == "id" && learnt.shape.id.as_deref() != Some(pointer) { steps.join("_") } else { name };
    let (pointer, upstream) = (inner.to_owned(), upstream_name(pointer));
    ListField { name, pointer, upstream, comparison: run.comparison.clone(), nulls: run.nulls }
}

/// Returns the usual name of a field in requests: the last step of its pointer.
pub(super) fn upstream_name(pointer: &str) -> String {
    pointer.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~")
}

/// Replaces an order whose tie runs are about as long as an answer or longer, unless these runs can be read: by a sort
/// that ends with the id, or by range filters. A route with this order would refuse pages in the middle of a run, or
/// claim more than it can prove. If the upstream sorts by the id, the order by the id replaces it; otherwise the list
/// gets no order.
pub(super) fn settle_ties(learnt: &mut Learnt) {
    let Some(order) = learnt.order.as_ref().filter(|order| !order.keys.is_empty()) else { return };
    let widest = learnt.size.as_ref().and_then(|form| form.max).unwrap_or(learnt.default_size);
    let longest = order.longest_tie;
    if longest + longest / 8 < usize::try_from(widest).unwrap_or(usize::MAX) || learnt.ranges.is_some() {
        return;
    }
    let signed = |name: &str, down: bool| if down { format!("-{name}") } else { name.to_owned() };
    let mut terms: Vec<String> = order.keys.iter().map(|(field, down)| signed(&field.name, *down)).collect();
    terms.push(signed("id", order.id_descending));
    let sorts = |name: &str| learnt.sort.as_ref().is_some_and(|form| form.fields.iter().any(|own| own == name));
    let is_asked = learnt.sort.as_ref().is_some_and(|form| !form.one_key);
    if is_asked && sorts("id") && order.keys.iter().all(|(field, _)| sorts(&field.name)) {
        return;
    }
    let evidence = format!("{longest} items are equal by order = {terms:?}, and an answer has at most {widest}");
    if sorts("id") {
        learnt.order = Some(ListOrder::default());
        learnt.note(Certainty::Shown, "ties", "too many; the id is asked for", evidence);
    } else {
        learnt.order = None;
        let advice = "the route finds pages by the items around them; where the service sorts equal items by the id, that \
                      order with ties = \"ordered\" proves more";
        learnt.note(Certainty::Open, "ties", "too many for an order", format!("{evidence}: {advice}"));
    }
}

/// Removes the order, the sorts and the range filters of a list without ids. An order ends with the id, and without one
/// the route would refuse every page. Test: `a_list_whose_ids_repeat_gets_no_order`.
pub(super) fn settle_ids(learnt: &mut Learnt) {
    if learnt.shape.id.is_some() || learnt.order.is_none() && learnt.sort.is_none() && learnt.ranges.is_none() {
        return;
    }
    (learnt.order, learnt.sort, learnt.ranges) = (None, None, None);
    learnt.sortable.clear();
    learnt.withdraw("order");
    let evidence = "an order ends with an id that differs in all items, and there is none: so neither an order nor sorts \
                    nor range filters are written, and the route finds pages by the items around them";
    learnt.note(Certainty::Open, "order", "none that can be used", evidence);
}

fn order_of(learnt: &Learnt, keys: &[(String, ColumnRun)], id: Option<&ColumnRun>) -> ListOrder {
    let keys = keys.iter().map(|(pointer, run)| (field(learnt, pointer, run), run.descending)).collect();
    let id_comparison = id.map(|run| run.comparison.clone());
    ListOrder { keys, id_descending: id.is_some_and(|run| run.descending), id_comparison, ..ListOrder::default() }
}

fn note(learnt: &mut Learnt, explanation: &Explanation, rows: usize) {
    let mut order = order_of(learnt, &explanation.keys, explanation.id.as_ref());
    order.longest_tie = explanation.longest;
    order.ordered_ties = if explanation.id.is_some() { explanation.ties } else { 0 };
    let names: Vec<String> = order
        .keys
        .iter()
        .map(|(field, down)| if *down { format!("-{}", field.name) } else { field.name.clone() })
        .collect();
    let first = &explanation.keys[0].1;
    let ties = match (explanation.ties, &explanation.id) {
        (0, _) => "no two are equal".to_owned(),
        (ties, Some(id)) => {
            format!(
                "{ties} are equal to a neighbour, by ids {}",
                if id.descending { "descending" } else { "ascending" }
            )
        }
        (ties, None) => format!("{ties} are equal to a neighbour, in no order of their ids"),
    };
    let mut comparisons = Vec::new();
    for (field, (_, run)) in order.keys.iter().zip(&explanation.keys) {
        let told = match (&run.comparison, run.is_told) {
            (ValueOrder::Language, false) => ", which the data don't tell from bytes",
            (_, false) => ", as by every other comparison of such values",
            _ => "",
        };
        comparisons.push(format!("{} {}{told}", field.0.name, run.comparison.name()));
    }
    let evidence = format!("{rows} items, {} changes; {}; {ties}", first.changes, comparisons.join("; "));
    learnt.note(certainty_of(first, true), "order", names.join(", "), evidence);
    learnt.order = Some(order);
}
