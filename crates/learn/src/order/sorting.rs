//! The parameters that sort, found by their effect. Several names are tried in one request, with a field by which the
//! list is not sorted; then spellings of the direction; then two keys.

use std::rc::Rc;

use serde_json::Value;

use crate::{
    findings::{Certainty, Learnt, ListField, ListOrder, NullsAt, SortGrammar},
    order::documented::DocumentedSort,
    order::{self, ValueOrder, upstream_name},
    paging::ends::Sample,
    prober::Base,
    prober::answer::{SeenAnswer, step_into},
    prober::session::{ProbeHalt, ProbeSlot, Session, Setting},
};

/// Parameters that take a field. `order` is missing, because it often takes a direction; [`PARTICULAR`] tries it alone.
const NAMES: [&str; 12] = [
    "sort",
    "ordering",
    "order_by",
    "sort_by",
    "sortBy",
    "orderBy",
    "_sort",
    "$orderby",
    "orderby",
    "sortby",
    "sortField",
    "sort_field",
];

/// Parameters that take a direction, in addition to a parameter that takes a field.
const DIRECTIONS: [&str; 11] = [
    "order",
    "direction",
    "dir",
    "sort_order",
    "sortOrder",
    "sort_dir",
    "sortDir",
    "_order",
    "sortDirection",
    "sort_direction",
    "order_dir",
];

/// The spellings of a field and its direction in one value, with the words for ascending and descending.
const WORDS: [(&str, &str, &str); 7] = [
    ("{direction}{field}", "", "-"),
    ("{field}:{direction}", "asc", "desc"),
    ("{field},{direction}", "asc", "desc"),
    ("{field} {direction}", "asc", "desc"),
    ("{field}.{direction}", "asc", "desc"),
    ("{field}_{direction}", "asc", "desc"),
    ("{field}|{direction}", "asc", "desc"),
];

/// Whole grammars that are tried one by one.
const PARTICULAR: [(&str, &str, &str); 4] = [
    ("order={field}.{direction}", "asc", "desc"),
    ("$sort[{field}]={direction}", "1", "-1"),
    ("order={direction}{field}", "", "-"),
    ("sort[{field}]={direction}", "asc", "desc"),
];

/// The number of requests that are left for later steps.
const KEPT: usize = 8;

/// The largest number of fields that are tried because of their usual names, in addition to the fields of the order.
const FIELDS: usize = 3;

/// The largest number of fields that are tried because the document names them.
const DESCRIBED: usize = 6;

/// The number of items that are requested to examine their order.
const LOOKED_AT: u32 = 50;

/// Finds the parameters that sort, and the fields by which they sort.
pub(crate) async fn find(
    session: &Session,
    learnt: &mut Learnt,
    base: &Base,
    sample: &Sample,
) -> Result<(), ProbeHalt> {
    // Few rows may be sorted by chance, and lists that are read by POST have no such parameters, so neither is
    // examined.
    if session.target.body.is_some() || sample.rows.len() < 6 {
        return Ok(());
    }
    let documented = DocumentedSort::of(session.documented());
    let mut subjects: Vec<Subject> = subject(learnt, sample, &documented).into_iter().collect();
    subjects.extend(by_id(learnt, sample, &documented));
    subjects.dedup_by(|later, earlier| later.pointer == earlier.pointer);
    let mut found = None;
    for subject in &subjects {
        let trial = Trial { session, subject, documented: &documented, sized: sized(learnt), first: first(learnt) };
        found = trial.find(learnt, base).await?;
        if found.is_some() {
            break;
        }
    }
    let names: Vec<&str> = subjects.iter().map(|subject| subject.name.as_str()).collect();
    let (Some(mut form), Some(subject)) = (found, subjects.first()) else {
        let evidence =
            format!("none of {} parameters sorted by {}", NAMES.len() + PARTICULAR.len(), names.join(" or "));
        learnt.note(Certainty::Open, "sort", "none found", evidence);
        return Ok(());
    };
    let trial = Trial { session, subject, documented: &documented, sized: sized(learnt), first: first(learnt) };
    try_fields(&trial, learnt, sample, &mut form).await?;
    try_keys(&trial, learnt, sample, &mut form).await?;
    let found = format!("{}, descending {:?}", form.query, form.descending);
    let keys = match (&form.join, form.one_key) {
        (_, true) => "one key at a time".to_owned(),
        (Some(join), _) => format!("several keys, joined by {join:?}"),
        (None, _) => "several keys, a parameter for each".to_owned(),
    };
    let evidence = format!("sorted by {}; {keys}", form.fields.join(", "));
    learnt.note(Certainty::Shown, "sort", found, evidence);
    choose_order(learnt, &form);
    if !settle_given(learnt, &form) {
        return Ok(());
    }
    learnt.sort = Some(form);
    Ok(())
}

/// Removes a sort of the given URL from the parameters of every request, if the route asks for its order by itself.
/// Otherwise returns `false`: the parameter would be sent twice. Test: `a_sort_of_the_url_is_sent_once`.
fn settle_given(learnt: &mut Learnt, form: &SortGrammar) -> bool {
    let names: Vec<&str> = form.query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    let is_given = |name: &String| names.iter().any(|known| known == name);
    if !learnt.fixed.iter().any(|(name, _)| is_given(name)) {
        return true;
    }
    let sorts = |name: &str| form.fields.iter().any(|own| own == name);
    let keys = learnt.order.iter().flat_map(|order| &order.keys);
    let is_asked = learnt.order.as_ref().is_some_and(|order| order.keys.is_empty() || !form.one_key);
    if is_asked && sorts("id") && keys.into_iter().all(|(field, _)| sorts(&field.name)) {
        learnt.fixed.retain(|(name, _)| !is_given(name));
        return true;
    }
    learnt.sortable.clear();
    learnt.withdraw("sort");
    let evidence = "the sort of the URL is in every request: it can't be asked for by the keys that were tried";
    learnt.note(Certainty::Open, "sort", "that of the URL", evidence);
    false
}

/// A field by which the list should be sorted when parameters are tried.
struct Subject {
    name: String,
    pointer: String,
    /// `Some(true)` if the list is already sorted by the field in descending order, `Some(false)` if in ascending
    /// order; `None` if the list isn't sorted by it. In a sorted list, only the other direction shows an effect.
    runs: Option<bool>,
}

impl Subject {
    fn of(pointer: &str, documented: &DocumentedSort, runs: Option<bool>) -> Self {
        let name = word(documented, pointer);
        Self { name, pointer: pointer.to_owned(), runs }
    }

    /// Returns whether the list is already sorted by the field in ascending order.
    fn is_ascending(&self) -> bool {
        self.runs == Some(false)
    }
}

/// Returns the word for a field in the parameters that sort: the document's word, or else the field's own name.
fn word(documented: &DocumentedSort, pointer: &str) -> String {
    documented.word(pointer).map_or_else(|| upstream_name(pointer), str::to_owned)
}

/// The attempts to sort by a subject.
struct Trial<'a> {
    session: &'a Session,
    subject: &'a Subject,
    documented: &'a DocumentedSort,
    sized: Option<Setting>,
    first: Option<Setting>,
}

impl Trial<'_> {
    /// Finds the parameters that sort by the subject. Returns `None` if no known grammar does, or if too few requests
    /// are left.
    async fn find(&self, learnt: &Learnt, base: &Base) -> Result<Option<SortGrammar>, ProbeHalt> {
        if self.session.left() <= KEPT + 4 {
            return Ok(None);
        }
        if let Some(form) = self.described(learnt).await? {
            return Ok(Some(form));
        }
        let (bare, signed) = (|names: &[&'static str]| self.bare(names), |names: &[&'static str]| self.signed(names));
        if !self.subject.is_ascending() && self.holds(learnt, &bare(&NAMES), false).await? {
            let name = self.among(learnt, &NAMES, bare, false).await?;
            return self.direction(learnt, name).await;
        }
        if self.subject.is_ascending() && self.holds(learnt, &signed(&NAMES), true).await? {
            let name = self.among(learnt, &NAMES, signed, true).await?;
            return Ok(Some(form(&format!("{name}={{direction}}{{field}}"), "", "-")));
        }
        for (template, up, down) in suggested(base).into_iter().chain(PARTICULAR) {
            if self.session.left() <= KEPT + 4 {
                break;
            }
            let form = form(template, up, down);
            if self.shows(learnt, &form).await? {
                return Ok(Some(form));
            }
        }
        Ok(None)
    }

    /// Tries the sort parameters that the document describes. Returns the first grammar that sorts by the subject;
    /// `None` if none does.
    async fn described(&self, learnt: &Learnt) -> Result<Option<SortGrammar>, ProbeHalt> {
        for form in &self.documented.forms {
            if self.shows(learnt, form).await? {
                return Ok(Some(form.clone()));
            }
        }
        for name in &self.documented.names {
            let signed = form(&format!("{name}={{direction}}{{field}}"), "", "-");
            let found = match self.subject.is_ascending() {
                true => self.shows(learnt, &signed).await?.then_some(signed),
                false if self.holds(learnt, &self.bare(&[name]), false).await? => self.direction(learnt, name).await?,
                false => None,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Returns whether a grammar sorts the list by the subject, in a direction in which the list isn't already sorted.
    async fn shows(&self, learnt: &Learnt, form: &SortGrammar) -> Result<bool, ProbeHalt> {
        let descending = self.subject.runs != Some(true);
        self.holds(learnt, &settings(form, &[(&self.subject.name, descending)]), descending).await
    }

    fn signed(&self, names: &[&str]) -> Vec<Setting> {
        names.iter().map(|name| (self.session.slot(name), format!("-{}", self.subject.name))).collect()
    }

    async fn ask(&self, sort: &[Setting]) -> Result<Rc<SeenAnswer>, ProbeHalt> {
        let settings: Vec<Setting> = self.sized.iter().chain(&self.first).chain(sort).cloned().collect();
        self.session.ask(&settings).await
    }

    fn bare(&self, names: &[&str]) -> Vec<Setting> {
        names.iter().map(|name| (self.session.slot(name), self.subject.name.clone())).collect()
    }

    /// Returns whether settings sort by the subject in this direction.
    async fn holds(&self, learnt: &Learnt, sort: &[Setting], descending: bool) -> Result<bool, ProbeHalt> {
        let seen = self.ask(sort).await?;
        Ok(runs(learnt, &seen, &self.subject.pointer).is_some_and(|run| run.descending == descending))
    }

    /// Returns the one name among several that sorts, found by bisection. All names together must be known to sort.
    async fn among<'n>(
        &self,
        learnt: &Learnt,
        names: &[&'n str],
        settings: impl Fn(&[&'n str]) -> Vec<Setting>,
        descending: bool,
    ) -> Result<&'n str, ProbeHalt> {
        let mut names = names.to_vec();
        // Each iteration removes at least one name. The most usual names come first, so they are split off in a small
        // group.
        while names.len() > 1 {
            let others = names.split_off(if names.len() > 6 { 2 } else { names.len() / 2 });
            if !self.holds(learnt, &settings(&names), descending).await? {
                names = others;
            }
        }
        Ok(names.first().copied().unwrap_or_default())
    }

    /// Finds the spelling of a descending field, for a parameter that takes a field; `None` if no spelling has an
    /// effect.
    async fn direction(&self, learnt: &Learnt, name: &str) -> Result<Option<SortGrammar>, ProbeHalt> {
        let (values, others): (Vec<_>, Vec<_>) = WORDS.into_iter().enumerate().partition(|(at, _)| *at == 0);
        let mut waiting = values;
        let companions: Vec<&'static str> = DIRECTIONS.into_iter().filter(|own| *own != name).collect();
        let beside = |names: &[&str]| {
            let mut settings = self.bare(&[name]);
            settings.extend(names.iter().map(|own| (self.session.slot(own), "desc".to_owned())));
            settings
        };
        waiting.extend(others);
        for (at, (template, up, down)) in waiting {
            // After the most usual spelling, all parameters that take a direction are tried in one request.
            if at == 1 && self.holds(learnt, &beside(&companions), true).await? {
                let own = self.among(learnt, &companions, beside, true).await?;
                return Ok(Some(form(&format!("{name}={{field}}&{own}={{direction}}"), "asc", "desc")));
            }
            let form = form(&format!("{name}={template}"), up, down);
            if self.session.left() > KEPT
                && self.holds(learnt, &settings(&form, &[(&self.subject.name, true)]), true).await?
            {
                return Ok(Some(form));
            }
        }
        Ok(None)
    }
}

pub(super) fn form(query: &str, ascending: &str, descending: &str) -> SortGrammar {
    let (query, ascending, descending) = (query.to_owned(), ascending.to_owned(), descending.to_owned());
    // Some upstreams read only the first key, so a grammar has one key until two were tried.
    SortGrammar { query, ascending, descending, join: None, one_key: true, fields: Vec::new(), id: None }
}

/// Returns the parameters that sort by these fields. `true` means that the field is descending.
pub(crate) fn settings(form: &SortGrammar, terms: &[(&str, bool)]) -> Vec<Setting> {
    let mut found: Vec<Setting> = Vec::new();
    for (field, descending) in terms {
        let word = if *descending { &form.descending } else { &form.ascending };
        for pair in form.query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let written = |text: &str| text.replace("{field}", field).replace("{direction}", word);
            let setting = (ProbeSlot::Query(written(name)), written(value));
            let known = found.iter_mut().find(|(slot, _)| *slot == setting.0);
            match (known, &form.join) {
                (Some((_, value)), Some(join)) => *value = format!("{value}{join}{}", setting.1),
                _ => found.push(setting),
            }
        }
    }
    found
}

/// Returns the direction and the comparison by which a field sorts the items of an answer; `None` if the items aren't
/// sorted by it, or if its value changes only once.
fn runs(learnt: &Learnt, seen: &SeenAnswer, pointer: &str) -> Option<order::ColumnRun> {
    let rows = learnt.shape.elements(seen)?;
    order::run(rows, pointer, &order::whole(rows)).filter(|run| run.changes >= 2)
}

/// Chooses the field to sort by: one with at least five values, by which the list is not already in ascending order.
/// Returns `None` if there is no such field.
fn subject(learnt: &Learnt, sample: &Sample, documented: &DocumentedSort) -> Option<Subject> {
    let rows = &sample.rows[..sample.first_stretch.min(sample.rows.len())];
    let whole = order::whole(rows);
    let distinct = |pointer: &String| {
        let values = rows.iter().filter_map(|row| step_into(row, pointer)).filter(|value| !value.is_null());
        values.map(Value::to_string).collect::<std::collections::BTreeSet<_>>().len()
    };
    // Upstreams sort nulls to different ends, so a field without nulls is preferred.
    let has_nulls = |pointer: &String| rows.iter().any(|row| step_into(row, pointer).is_none_or(Value::is_null));
    let fields = learnt.shape.fields(rows);
    let fit = fields.iter().filter(|pointer| {
        let runs = order::run(rows, pointer, &whole);
        // An ascending sort by the field must have an effect.
        distinct(pointer) >= 5 && runs.is_none_or(|run| run.descending)
    });
    let best = fit.max_by_key(|pointer| {
        let is_usual = order::is_named_like_an_order(pointer);
        let is_text = rows.iter().any(|row| step_into(row, pointer).is_some_and(|value| !value.is_boolean()));
        let is_described = documented.word(pointer).is_some();
        (
            is_described,
            !has_nulls(pointer),
            learnt.shape.id.as_ref() == Some(*pointer),
            is_usual,
            is_text,
            distinct(pointer).min(20),
        )
    })?;
    Some(Subject::of(best, documented, order::run(rows, best, &whole).map(|run| run.descending)))
}

/// Returns the id as the field to sort by, because some upstreams sort only by the id; `None` if the list has no id.
fn by_id(learnt: &Learnt, sample: &Sample, documented: &DocumentedSort) -> Option<Subject> {
    let pointer = learnt.shape.id.clone().filter(|id| !id.is_empty())?;
    let rows = &sample.rows[..sample.first_stretch.min(sample.rows.len())];
    let run = order::run(rows, &pointer, &order::whole(rows));
    Some(Subject::of(&pointer, documented, run.map(|run| run.descending)))
}

/// Returns the usual grammars. If the first answer reveals a framework, its grammar comes first.
fn suggested(base: &Base) -> Vec<(&'static str, &'static str, &'static str)> {
    let text = base.seen.json.as_ref().map(Value::to_string).unwrap_or_default();
    let mut usual = vec![("sort={direction}{field}", "", "-"), ("ordering={direction}{field}", "", "-")];
    // Answers of Spring Data have these members, so its grammar comes first.
    if text.contains("totalElements") || text.contains("_embedded") {
        usual.insert(0, ("sort={field},{direction}", "asc", "desc"));
    }
    if text.contains("@odata") {
        usual.insert(0, ("$orderby={field} {direction}", "asc", "desc"));
    }
    usual.push(("sort={field}:{direction}", "asc", "desc"));
    usual.push(("_sort={field}&_order={direction}", "asc", "desc"));
    usual
}

fn sized(learnt: &Learnt) -> Option<Setting> {
    let form = learnt.size.as_ref()?;
    let size = match form.choices.last() {
        Some(most) => *most,
        None => form.max.unwrap_or(LOOKED_AT).min(LOOKED_AT),
    };
    Some((form.slot.clone(), size.to_string()))
}

fn first(learnt: &Learnt) -> Option<Setting> {
    use crate::findings::PlaceForm;
    match &learnt.place {
        Some(PlaceForm::Page { slot, first } | PlaceForm::Offset { slot, first }) => {
            Some((slot.clone(), first.to_string()))
        }
        _ => None,
    }
}

/// Tries the fields of the order, the id, and a few others. Adds the fields by which the upstream sorts to the grammar.
async fn try_fields(
    trial: &Trial<'_>,
    learnt: &mut Learnt,
    sample: &Sample,
    form: &mut SortGrammar,
) -> Result<(), ProbeHalt> {
    let rows = &sample.rows;
    let of_order: Vec<String> = learnt
        .order
        .iter()
        .flat_map(|order| &order.keys)
        .map(|(field, _)| format!("{}{}", learnt.shape.item, field.pointer))
        .collect();
    let id = learnt.shape.id.clone().filter(|id| !id.is_empty());
    let mut pointers: Vec<String> = of_order.iter().cloned().chain(id).collect();
    if !pointers.contains(&trial.subject.pointer) {
        pointers.push(trial.subject.pointer.clone());
    }
    let is_usual = |pointer: &String| order::is_named_like_an_order(pointer) && !pointers.contains(pointer);
    let (described, others): (Vec<String>, Vec<String>) =
        learnt.shape.fields(rows).into_iter().partition(|pointer| trial.documented.word(pointer).is_some());
    let described = described.into_iter().filter(|pointer| !pointers.contains(pointer)).take(DESCRIBED);
    let further: Vec<String> = described.chain(others.into_iter().filter(is_usual).take(FIELDS)).collect();
    pointers.extend(further);
    for pointer in pointers {
        let is_of_order = of_order.contains(&pointer);
        // The route needs the fields of the order and the id, so these fields are tried up to the last request.
        if trial.session.left() <= KEPT && !is_of_order && learnt.shape.id.as_ref() != Some(&pointer) {
            continue;
        }
        let name = word(trial.documented, &pointer);
        // Both directions are tried, because a list that ignores the parameter may already be sorted in one of them.
        // Test: `a_sort_parameter_without_effect_is_not_learnt`.
        let (mut both, mut nulls) = (Vec::new(), [None, None]);
        for descending in [true, false] {
            let seen = trial.ask(&settings(form, &[(&name, descending)])).await?;
            let found = runs(learnt, &seen, &pointer);
            let elements = learnt.shape.elements(&seen).unwrap_or_default();
            nulls[usize::from(descending)] =
                elements.first().map(|row| step_into(row, &pointer).is_none_or(Value::is_null));
            let begins_null = nulls[usize::from(descending)] == Some(true);
            match found.filter(|run| run.descending == descending) {
                Some(run) => both.push(run),
                // A first page that has only nulls shows no direction, and does not contradict one, so it is accepted.
                None if begins_null => {}
                None => break,
            }
            if !is_of_order && both.len() == 1 && pointer != trial.subject.pointer && !has_nulls(rows, &pointer) {
                // The parameter is known to work. For another field one direction is enough, unless the list is already
                // sorted in that direction.
                let own = order::run(rows, &pointer, &order::whole(rows));
                // Numbers in strings with equally many digits don't show whether the upstream sorts them as text, and few
                // names don't show a language. Test: `ids_that_are_sorted_as_text_are_no_numbers`.
                let is_enough = both[0].is_told || trial.session.left() <= KEPT;
                if is_enough && own.is_none_or(|own| own.descending != descending) {
                    both.push(both[0].clone());
                    break;
                }
            }
        }
        let Some(mut run) = both.into_iter().reduce(wider) else { continue };
        // The first values by this sort may look alike by bytes and by a language, where others of the list don't. Test:
        // `a_sort_without_regard_to_case_is_none_by_bytes`.
        if run.comparison == ValueOrder::Bytes && !run.is_told && !order::compare_alike(rows, &pointer) {
            run.comparison = ValueOrder::Language;
        }
        let at = nulls_at(nulls, has_nulls(rows, &pointer));
        let field = ListField { nulls: at, upstream: name, ..order::field(learnt, &pointer, &run) };
        note_field(learnt, form, field, &pointer);
    }
    Ok(())
}

/// Combines the runs of a field in an ascending and in a descending answer: returns the run whose comparison explains
/// both.
fn wider(left: order::ColumnRun, right: order::ColumnRun) -> order::ColumnRun {
    match (&left.comparison, &right.comparison) {
        (ValueOrder::NumberOrBytes, _) => return right,
        (_, ValueOrder::NumberOrBytes) => return left,
        _ => {}
    }
    if left.comparison == ValueOrder::Language || !left.is_told && right.is_told {
        left_or(left, right)
    } else {
        right_or(left, right)
    }
}

fn left_or(left: order::ColumnRun, right: order::ColumnRun) -> order::ColumnRun {
    if left.comparison == ValueOrder::Language && right.comparison == ValueOrder::Bytes && right.is_told {
        right
    } else {
        left
    }
}

fn right_or(left: order::ColumnRun, right: order::ColumnRun) -> order::ColumnRun {
    if right.comparison == ValueOrder::Language && left.comparison != ValueOrder::Bytes { right } else { left }
}

fn has_nulls(rows: &[Value], pointer: &str) -> bool {
    rows.iter().any(|row| step_into(row, pointer).is_none_or(Value::is_null))
}

/// Returns the place of nulls; `None` if the sample has none (`any` is false), or if the place isn't known. `begins` is
/// whether the first item is null, in ascending order and in descending order.
fn nulls_at(begins: [Option<bool>; 2], any: bool) -> Option<NullsAt> {
    if !any {
        return None;
    }
    match begins {
        [Some(true), Some(true)] => Some(NullsAt::First),
        [Some(true), Some(false)] => Some(NullsAt::Smallest),
        [Some(false), Some(true)] => Some(NullsAt::Largest),
        [Some(false), Some(false)] => Some(NullsAt::Last),
        _ => None,
    }
}

/// Adds a field to the grammar and to the sortable fields. If the order contains the field, corrects its description
/// there. Leaves out ranks, and ids that are sorted by a language.
fn note_field(learnt: &mut Learnt, form: &mut SortGrammar, field: ListField, pointer: &str) {
    let is_id = learnt.shape.id.as_deref() == Some(pointer);
    if matches!(field.comparison, ValueOrder::Rank(_)) || is_id && field.comparison == ValueOrder::Language {
        return;
    }
    let of_order =
        learnt.order.iter_mut().flat_map(|order| &mut order.keys).find(|(own, _)| own.pointer == field.pointer);
    if let Some((own, _)) = of_order {
        // A language claims less than bytes, so it is chosen, as in `order::run`.
        if own.comparison == ValueOrder::Bytes && field.comparison == ValueOrder::Language {
            own.comparison = ValueOrder::Language;
        }
        own.nulls = field.nulls.or(own.nulls);
        own.upstream.clone_from(&field.upstream);
    }
    // Pages are sorted by the id as the parameter sorts it, whatever the list's own order is. Test:
    // `ids_that_are_sorted_as_text_are_no_numbers`.
    if let Some(order) = learnt.order.as_mut().filter(|_| is_id && field.comparison == ValueOrder::Bytes)
        && let Some(own) = order.id_comparison.clone().filter(|own| *own != ValueOrder::Uuid)
    {
        order.id_comparison = Some(ValueOrder::Bytes);
        if order.keys.is_empty() && own == ValueOrder::NumberInString {
            learnt.withdraw("order");
            let evidence = format!(
                "the list's own order is {}, but its sort by the id is by bytes, and pages by cursor ask for that: \
                 without \"id\" in sortable, and with fields.id.type = \"number-in-string\", they have the list's own",
                own.name()
            );
            learnt.note(Certainty::Shown, "order", "the id, asked for, by bytes", evidence);
        }
    }
    let name = if is_id { "id".to_owned() } else { field.name.clone() };
    if !form.fields.contains(&name) {
        form.fields.push(name);
        form.id = if is_id { Some(field.upstream.clone()) } else { form.id.take() };
        if !is_id {
            learnt.sortable.push(field);
        }
    }
}

/// Tries two keys at once: a field with equal values, and the id. The id gets the direction that it doesn't have within
/// ties by itself.
async fn try_keys(
    trial: &Trial<'_>,
    learnt: &Learnt,
    sample: &Sample,
    form: &mut SortGrammar,
) -> Result<(), ProbeHalt> {
    let Some(id) = learnt.shape.id.clone().filter(|_| form.fields.iter().any(|name| name == "id")) else {
        return Ok(());
    };
    let id_name = word(trial.documented, &id);
    let tied = |pointer: &str| {
        let values: Vec<String> =
            sample.rows.iter().filter_map(|row| step_into(row, pointer)).map(Value::to_string).collect();
        let distinct = values.iter().collect::<std::collections::BTreeSet<_>>().len();
        (2..values.len().saturating_sub(2)).contains(&distinct)
    };
    let fields = learnt.sortable.iter().map(|field| format!("{}{}", learnt.shape.item, field.pointer));
    let candidates: Vec<String> = fields.filter(|pointer| tied(pointer)).take(2).collect();
    for pointer in candidates {
        let name = word(trial.documented, &pointer);
        let alone = trial.ask(&settings(form, &[(&name, false)])).await?;
        let Some(by_itself) = ties_run(learnt, &alone, &pointer, &id) else { continue };
        let descending = by_itself != Some(true);
        // Values can't be joined where the name of the parameter has the field. Test:
        // `a_sort_whose_parameter_has_the_field_joins_no_keys`.
        let names_field = form.query.split('&').any(|pair| pair.split('=').next().is_some_and(|own| own.contains('{')));
        for join in [Some(","), None].into_iter().filter(|join| join.is_none() || !names_field) {
            let own = SortGrammar { join: join.map(str::to_owned), one_key: false, ..form.clone() };
            let seen = trial.ask(&settings(&own, &[(&name, false), (&id_name, descending)])).await?;
            if ties_run(learnt, &seen, &pointer, &id) == Some(Some(descending)) {
                *form = own;
                return Ok(());
            }
        }
        return Ok(());
    }
    Ok(())
}

/// Returns whether the ids within ties are descending. `Some(None)` means that the ids are not sorted. `None` means
/// that there are too few ties, or that the answer is not sorted by the field, in ascending order as it was asked.
fn ties_run(learnt: &Learnt, seen: &SeenAnswer, pointer: &str, id: &str) -> Option<Option<bool>> {
    let rows = learnt.shape.elements(seen)?;
    // If only the last key counts, the ids alone can sort the answer by the field too, in the other direction. Test:
    // `a_field_and_an_order_in_two_parameters_are_learnt`.
    order::run(rows, pointer, &order::whole(rows)).filter(|run| !run.descending)?;
    let ties = order::split(rows, pointer, &order::whole(rows));
    // Two ids are always sorted in one direction, so at least three are needed.
    if ties.iter().map(ExactSizeIterator::len).sum::<usize>() < 3 {
        return None;
    }
    Some(order::run(rows, id, &ties).map(|run| run.descending))
}

/// Chooses the order by the id, if the list's own order is not known and the upstream can sort by the id.
fn choose_order(learnt: &mut Learnt, form: &SortGrammar) {
    if learnt.order.is_none() && form.fields.iter().any(|name| name == "id") {
        learnt.order = Some(ListOrder::default());
        let evidence = "the list's own order is not known, and it can be sorted by the id";
        learnt.note(Certainty::Shown, "order", "the id, asked for", evidence);
    }
}
