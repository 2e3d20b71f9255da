//! Lists that are sorted otherwise than their order says: without regard to case, by a language, by ranks, with nulls on
//! the other side, by instants that are spelt in many ways. Nothing but the answers tells.
//!
//! Whatever a page shows is held to its level: an `exact` page holds all that stands between the place that was asked for
//! and its own last row, or the end, in the order in which the upstream really sorts; so does every page of a list at rest
//! whose ties hold still. Where a list changes while its pages are read, the rows that would contradict the order may come
//! and go unseen: how many pages that deceives has a bound. The core may say less, or refuse: how often it does in each world is counted and has a bound.

use std::{collections::BTreeMap, fmt, sync::Arc};

use cursorgate_core::{
    json::Span,
    pagination::{
        answer::{Answer, Total},
        fetch::Fetch,
        mark::{Mark, Marker},
        order::{Direction, Kind, Nulls, Order, SortKey, Ties},
        page::{Level, Page},
        paging::{Family, Learnt, Paging, Sizes},
        position::{Hint, Item, MarkedItem, Marks, Position, Target},
        refusal::Refusal,
        resolver::{PageRequest, Step, resolve},
        window::Slice,
    },
};

use crate::{
    dice::{Dice, mix},
    run::number_from,
};

/// By what the upstream really sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Truth {
    /// Without regard to case, as MySQL and SQL Server do unless they are told otherwise.
    Caseless,
    /// By a language: case, accents and what is no letter count for nothing.
    Language,
    /// By the ranks of words that the order does not know.
    Ranks,
    /// Nulls stand on the other side.
    NullsElsewhere,
    /// Date-times with and without fractions, in several zones, by their instants.
    Instants,
    /// Date-times and other texts in one column, by their bytes.
    Mixed,
}

/// What the order says of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Nothing,
    Text,
    Opaque,
}

/// How rows of equal keys come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tied {
    ById,
    Shuffled,
}

#[derive(Clone, Debug)]
struct World {
    truth: Truth,
    said: Said,
    tied: Tied,
    family: Family,
    cap: u32,
    totals: bool,
    flips: bool,
    /// One chance in a hundred that a row comes or goes with each answer.
    changes: u32,
}

/// A row: where the upstream has it, and the raw key and id that it shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    class: i64,
    id: u64,
    key: String,
}

const TRUTHS: [Truth; 6] =
    [Truth::Caseless, Truth::Language, Truth::Ranks, Truth::NullsElsewhere, Truth::Instants, Truth::Mixed];
const SAID: [Said; 3] = [Said::Nothing, Said::Text, Said::Opaque];
const RANKS: [&str; 5] = ["low", "medium", "high", "urgent", "blocking"];

impl World {
    fn draw(dice: &mut Dice) -> Self {
        let truth = dice.pick(&TRUTHS);
        Self {
            truth,
            said: if truth == Truth::Instants { Said::Nothing } else { dice.pick(&SAID) },
            tied: dice.pick(&[Tied::ById, Tied::ById, Tied::Shuffled]),
            family: dice.pick(&[Family::Offset, Family::Page]),
            cap: dice.pick(&[12, 40, 100, 200]),
            totals: dice.chance(60),
            flips: dice.chance(30),
            changes: dice.pick(&[0, 0, 5, 40]),
        }
    }

    /// A row with one of the spellings of its class.
    fn row(&self, dice: &mut Dice, id: u64) -> Row {
        let (class, key) = match self.truth {
            Truth::Caseless | Truth::Language => {
                let class = dice.below(60);
                (class, format!("\"{}\"", spelt(dice, &word(class), self.truth)))
            }
            Truth::Ranks => {
                let class = dice.below(RANKS.len() as u32);
                (class, format!("\"{}\"", RANKS[class as usize]))
            }
            Truth::NullsElsewhere if dice.chance(20) => return Row { class: -1, id, key: "null".into() },
            Truth::NullsElsewhere => {
                let class = dice.below(40);
                (class, format!("\"{}\"", word(class)))
            }
            Truth::Instants => {
                let class = dice.below(400);
                (class, instant(dice, class))
            }
            Truth::Mixed => {
                let class = dice.below(40);
                let key = if class < 10 {
                    format!("\"2026-01-{:02}T10:00:00Z\"", class + 1)
                } else {
                    format!("\"{}\"", word(class))
                };
                (class, key)
            }
        };
        Row { class: class.into(), id, key }
    }

    fn order(&self) -> Order {
        let key = |name: &str, kind, nulls| SortKey {
            name: name.into(),
            direction: Direction::Ascending,
            kind,
            nulls,
            grain: None,
        };
        let kind = match self.said {
            Said::Nothing => Kind::Inferred,
            Said::Text => Kind::Text,
            Said::Opaque => Kind::Opaque,
        };
        let nulls = if self.truth == Truth::NullsElsewhere { Nulls::Last } else { Nulls::None };
        let ties = if self.tied == Tied::ById { Ties::Ordered } else { Ties::Unordered };
        Order {
            strong: vec![key("name", kind, nulls)],
            id: key("id", Kind::Inferred, Nulls::None),
            ties,
            declared: true,
        }
    }

    /// Whether clients go on from items too, whose cursors have no hint and are searched for. Where a list is sorted by ranks
    /// or with nulls on the other side, each answer of a search is in order by itself, and only together they are not.
    fn is_searchable(&self) -> bool {
        !matches!(self.truth, Truth::Ranks | Truth::NullsElsewhere)
    }

    /// Whether a page of a list at rest must be right whatever its level is.
    fn is_still(&self) -> bool {
        self.changes == 0 && self.tied == Tied::ById
    }
}

/// Words that sort as their classes do.
fn word(class: u32) -> String {
    let letter = |place: u32| char::from(b'a' + (place % 26) as u8);
    [letter(class / 4), 'e', letter(7 * (class % 4)), 'r'].iter().collect()
}

/// A word in one of the spellings that are equal to the upstream.
fn spelt(dice: &mut Dice, word: &str, truth: Truth) -> String {
    let mut out = String::new();
    for letter in word.chars() {
        match (letter, truth) {
            ('e', Truth::Language) => out.push(dice.pick(&['e', 'é', 'E', 'ê'])),
            _ if dice.chance(25) => out.extend(letter.to_uppercase()),
            _ => out.push(letter),
        }
    }
    if truth == Truth::Language && dice.chance(15) {
        out.push('-');
    }
    out
}

/// An instant, a tenth of a second from the next, as serializers write it that leave out zeros.
fn instant(dice: &mut Dice, class: u32) -> String {
    let (seconds, tenth) = (class / 10, class % 10);
    let fraction = match (tenth, dice.below(3)) {
        (0, 0) => String::new(),
        (0, 1) => ".000".to_owned(),
        (_, 2) => format!(".{tenth}00000"),
        _ => format!(".{tenth}"),
    };
    let (hour, zone) = dice.pick(&[(10, "Z"), (12, "+02:00"), (10, "+00:00"), (5, "-05:00")]);
    format!("\"2026-01-15T{hour:02}:00:{seconds:02}{fraction}{zone}\"")
}

/// A list at work, and what its answers showed since the last page.
struct Upstream {
    world: World,
    dice: Dice,
    rows: Vec<Row>,
    next_id: u64,
    queries: u64,
    shown: Vec<Vec<Row>>,
    story: Vec<String>,
}

impl Upstream {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let world = World::draw(&mut dice);
        let count = dice.pick(&[0, 1, 3, 20, 60, 150]);
        let mut this =
            Self { world, dice, rows: Vec::new(), next_id: 0, queries: 0, shown: Vec::new(), story: Vec::new() };
        (0..count).for_each(|_| this.insert());
        this
    }

    fn insert(&mut self) {
        // Ids are no numbers of the sequence in which rows come.
        self.next_id += 1;
        let id = mix(self.next_id, 1) % 90_000 * 1_000 + self.next_id;
        let row = self.world.row(&mut self.dice, id);
        let at = self.rows.partition_point(|other| (other.class, other.id) < (row.class, row.id));
        self.rows.insert(at, row);
    }

    fn change(&mut self) {
        if !self.dice.chance(self.world.changes) {
            return;
        }
        if self.rows.is_empty() || self.dice.chance(50) {
            self.insert();
        } else {
            let at = self.dice.below(self.rows.len() as u32) as usize;
            self.rows.remove(at);
        }
    }

    fn answer(&mut self, fetch: &Fetch) -> Answer {
        self.change();
        self.queries += 1;
        let Fetch::Slice(slice, listing) = fetch else { panic!("{fetch:?}") };
        let mut rows = self.rows.clone();
        if self.world.tied == Tied::Shuffled {
            let turn = self.queries;
            rows.sort_by_key(|row| (row.class, mix(row.id, turn)));
        }
        if listing.flipped {
            rows.reverse();
        }
        let size = slice.size().0.min(self.world.cap);
        let begins = match slice {
            Slice::Offset { from, .. } => from.0,
            Slice::Page { number, .. } => number.0.saturating_mul(u64::from(size)),
        };
        let mut answer = Answer::default();
        for row in rows.iter().skip(begins as usize).take(size as usize) {
            let mut push = |text: &str| {
                let start = answer.body.len() as u32;
                answer.body.extend_from_slice(text.as_bytes());
                Span { start, end: answer.body.len() as u32 }
            };
            let spans = [push(&row.key), push(&row.id.to_string())];
            answer.items.push(Span { start: spans[0].start, end: spans[1].end });
            answer.keys.extend(spans);
        }
        answer.total = self.world.totals.then_some(Total { value: rows.len() as u64, exact: true });
        self.story.push(format!("    {fetch:?}: {:?}", String::from_utf8_lossy(&answer.body)));
        self.shown.push(self.rows.clone());
        answer
    }

    fn page(&mut self, target: &Target, limit: u32, learnt: Learnt) -> Result<Page, Refusal> {
        self.shown.clear();
        self.story.push(format!("  {limit} at {target:?}"));
        let paging = Paging::new(self.world.family, Sizes::Free { least: 1, most: Some(self.world.cap) });
        let marker = Marker::new(|bytes| Mark::of(bytes.iter().fold(7, |sum, byte| mix(sum, u64::from(*byte)))));
        let request = PageRequest {
            flips: self.world.flips,
            learnt,
            ..PageRequest::new(target.clone(), limit, Arc::new(self.world.order()), Arc::new(paging), marker)
        };
        let mut step = resolve(request);
        loop {
            step = match step {
                Step::Fetch(fetches, pending) => {
                    let answers = fetches.iter().map(|fetch| self.answer(fetch)).collect();
                    pending.resume(answers)
                }
                Step::Serve(page) => return Ok(*page),
                Step::Refuse(refusal) => return Err(refusal),
            };
        }
    }
}

/// Where a page begins: how the upstream has it.
#[derive(Clone, Debug)]
enum Bound {
    Start,
    End,
    After(Row),
    Before(Row),
}

/// What is wrong with a page.
fn fault(upstream: &Upstream, page: &Page, rows: &[Row], bound: &Bound) -> Option<String> {
    let by_id = upstream.world.tied == Tied::ById;
    let place = |row: &Row| (row.class, if by_id { row.id } else { 0 });
    let mut ids: Vec<u64> = rows.iter().map(|row| row.id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Some("an id twice".into());
    }
    let one_state = upstream.shown.windows(2).all(|pair| pair[0] == pair[1]);
    if page.level != Level::Exact
        && !(upstream.world.is_still() || (by_id && one_state && page.level == Level::Checked))
    {
        return None;
    }
    let sorted =
        |pair: &[Row]| if by_id { place(&pair[0]) < place(&pair[1]) } else { place(&pair[0]) <= place(&pair[1]) };
    if !rows.windows(2).all(sorted) {
        return Some("out of order".into());
    }
    let forward = matches!(bound, Bound::Start | Bound::After(_));
    let ahead = if forward { &page.next } else { &page.previous };
    let (mut low, mut high) = (None, None);
    match bound {
        Bound::After(row) => low = Some(place(row)),
        Bound::Before(row) => high = Some(place(row)),
        Bound::Start | Bound::End => {}
    }
    match (forward, rows.first(), rows.last(), ahead) {
        (_, _, _, None) => {}
        (true, _, Some(last), Some(_)) => high = Some(place(last)),
        (false, Some(first), _, Some(_)) => low = Some(place(first)),
        _ => return Some("nothing, and more is promised".into()),
    }
    let beyond = |row: &Row| {
        // Within a run that comes in any order nothing says on which side of another a row is.
        let (at, strict) = (place(row), by_id);
        let after = low.is_none_or(|low| if strict && forward { at > low } else { at >= low });
        let before = high.is_none_or(|high| if strict && !forward { at < high } else { at <= high });
        !(after && before)
    };
    if let Some(row) = rows.iter().find(|row| beyond(row)) {
        return Some(format!("{row:?} is not between {low:?} and {high:?}"));
    }
    let first = upstream.shown.first()?;
    let between = |row: &&Row| {
        let at = place(row);
        let inside =
            if by_id && forward { high.is_none_or(|high| at <= high) } else { high.is_none_or(|high| at < high) };
        let inside_low =
            if by_id && !forward { low.is_none_or(|low| at >= low) } else { low.is_none_or(|low| at > low) };
        inside && inside_low
    };
    let stayed = |row: &&Row| upstream.shown.iter().all(|state| state.contains(row));
    let missed = first.iter().filter(between).filter(stayed).find(|row| !rows.contains(row));
    missed.map(|row| format!("{row:?} is left out, of {low:?} to {high:?}"))
}

/// A page that is not what it says, of a list that changed.
const DECEIVED: &str = "deceived";

/// At most one page of so many may be deceived; 20 of a million are.
const MOST_DECEIVED: u64 = 20_000;

/// What came of many walks.
#[derive(Default)]
struct Report {
    /// By truth, by what was said, and whether the list was at rest and its ties in order: pages by level, and refusals.
    counts: BTreeMap<(Truth, Said, bool), BTreeMap<&'static str, u64>>,
    violations: Vec<String>,
}

impl Report {
    fn count(&mut self, world: &World, what: &'static str) {
        let key = (world.truth, world.said, world.is_still());
        *self.counts.entry(key).or_default().entry(what).or_default() += 1;
    }

    fn of(&self, truth: Truth, said: Said, still: bool, what: &str) -> u64 {
        self.counts.get(&(truth, said, still)).and_then(|counts| counts.get(what)).copied().unwrap_or(0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((truth, said, still), counts) in &self.counts {
            let what = if *still { "at rest" } else { "changing or shuffled" };
            writeln!(out, "{truth:?}, said {said:?}, {what}: {counts:?}")?;
        }
        self.violations.iter().take(3).try_for_each(|violation| writeln!(out, "\n{violation}"))
    }
}

fn refused(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Unsorted(_) => "unsorted",
        Refusal::PositionLost { .. } => "position lost",
        Refusal::TieRun { .. } => "tie run",
        Refusal::BudgetExceeded => "budget",
        _ => "other refusal",
    }
}

/// One walk, now and then from an item instead of from a page's own end.
fn walk(seed: u64, report: &mut Report) {
    let mut upstream = Upstream::new(seed);
    let world = upstream.world.clone();
    let limit = upstream.dice.pick(&[1, 2, 7, 20]);
    let backward = upstream.dice.chance(30);
    let (position, mut bound) = if backward { (Position::End, Bound::End) } else { (Position::Start, Bound::Start) };
    let mut target = Target { position, hint: Hint::default() };
    let mut learnt = Learnt::default();
    let mut known: BTreeMap<u64, Row> = BTreeMap::new();
    for _ in 0..60 {
        let page = upstream.page(&target, limit, learnt);
        for state in &upstream.shown {
            known.extend(state.iter().map(|row| (row.id, row.clone())));
        }
        let page = match page {
            Ok(page) => page,
            // Nothing but a hint leads far into a list whose values don't compare.
            Err(Refusal::PositionLost { .. }) if target.hint == Hint::default() => {
                return report.count(&world, "item not found");
            }
            Err(refusal) => return report.count(&world, refused(&refusal)),
        };
        learnt = page.learnt;
        let row = |index: usize| {
            let place = page.items[index];
            let answer = &page.answers[place.answer as usize];
            let id = answer.keys[place.item as usize * 2 + 1].of(&answer.body);
            known[&std::str::from_utf8(id).unwrap().parse().unwrap()].clone()
        };
        let rows: Vec<Row> = (0..page.items.len()).map(row).collect();
        report.count(
            &world,
            match page.level {
                Level::Exact => "exact",
                Level::Checked => "checked",
                Level::Anchored => "anchored",
                Level::Positional => "positional",
            },
        );
        if let Some(what) = fault(&upstream, &page, &rows, &bound) {
            if world.changes > 0 {
                // What came or went hid that the order is another one: no two answers show it.
                return report.count(&world, DECEIVED);
            }
            let story = upstream.story.join("\n");
            report.violations.push(format!("seed {seed}, {world:?}: {what}, at {:?}, {bound:?}\n{story}", page.level));
            return;
        }
        if world.is_searchable() && upstream.dice.chance(10) && !rows.is_empty() {
            let (last, forward) = (upstream.dice.chance(50), upstream.dice.chance(50));
            let Some((first_item, last_item)) = &page.edges else { continue };
            let (item, row) = if last { (last_item, &rows[rows.len() - 1]) } else { (first_item, &rows[0]) };
            target = Target { position: beside(item, forward), hint: Hint::default() };
            bound = if forward { Bound::After(row.clone()) } else { Bound::Before(row.clone()) };
            continue;
        }
        let (ahead, edge) = if backward { (&page.previous, rows.first()) } else { (&page.next, rows.last()) };
        let Some(ahead) = ahead else { return };
        target = ahead.clone();
        bound = match (&target.position, edge) {
            (Position::Start, _) => Bound::Start,
            (Position::End, _) => Bound::End,
            (_, Some(row)) if backward => Bound::Before(row.clone()),
            (_, Some(row)) => Bound::After(row.clone()),
            (_, None) => bound,
        };
    }
}

/// The place beside an item, as its own cursor leads there.
fn beside(item: &Item, forward: bool) -> Position {
    match (item, forward) {
        (Item::Keyed(anchor), true) => Position::After(anchor.clone()),
        (Item::Keyed(anchor), false) => Position::Before(anchor.clone()),
        (Item::Marked(MarkedItem { item, around, .. }), _) => {
            let Marks { mut before, mut after } = around.clone();
            if forward {
                before.push(*item);
                Position::AfterMarks(Marks { before, after })
            } else {
                after.insert(0, *item);
                Position::BeforeMarks(Marks { before, after })
            }
        }
    }
}

/// Walks so many lists, asserts what no page may do, and how often the core must find a way.
pub(crate) fn walk_many(walks: u64) {
    let mut report = Report::default();
    match number_from("MISDECLARED") {
        Some(seed) => walk(seed, &mut report),
        None => (0..walks).for_each(|seed| walk(seed, &mut report)),
    }
    println!("{report}");
    assert!(report.violations.is_empty(), "{} pages are not what they say", report.violations.len());
    let sum =
        |truth, said, still, words: &[&str]| words.iter().map(|word| report.of(truth, said, still, word)).sum::<u64>();
    let all = |what: &str| report.counts.values().filter_map(|counts| counts.get(what)).sum::<u64>();
    let (pages, deceived) = (all("exact") + all("checked") + all("anchored"), all(DECEIVED));
    println!("{deceived} of {pages} pages were deceived");
    assert!(deceived * MOST_DECEIVED <= pages, "{deceived} of {pages} pages were deceived");
    let refusals = ["unsorted", "position lost", "tie run", "budget", "other refusal"];
    for truth in TRUTHS {
        for said in SAID.into_iter().filter(|said| truth != Truth::Instants || *said == Said::Nothing) {
            for still in [true, false] {
                let met =
                    sum(truth, said, still, &["exact", "checked", "anchored"]) + sum(truth, said, still, &refusals);
                assert!(met * 200 > walks, "{truth:?} {said:?} {still}: met {met} times");
            }
            // At rest, a list whose key is said to be opaque, or of which nothing is said, is read to its end.
            let refused = sum(truth, said, true, &refusals);
            assert!(
                said == Said::Text || truth == Truth::NullsElsewhere || refused == 0,
                "{truth:?} {said:?}: {refused}"
            );
        }
    }
    for truth in [Truth::Caseless, Truth::Language, Truth::Ranks] {
        let exact = report.of(truth, Said::Opaque, true, "exact");
        assert!(exact > 0 && sum(truth, Said::Opaque, true, &["anchored"]) == 0, "{truth:?}: {exact}");
        assert_eq!(report.of(truth, Said::Opaque, false, "positional"), 0);
    }
    assert_eq!(sum(Truth::Instants, Said::Nothing, true, &["anchored", "unsorted"]), 0);
}
