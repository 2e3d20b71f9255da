//! A list that changes: the rows of each moment, and the changes between moments.

use std::{collections::HashSet, rc::Rc};

use crate::{
    dice::mix,
    keyed::{
        row::{Place, Row, RowPlan, Shape},
        values::Column,
    },
};

/// The rows of one moment, in the declared order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moment {
    rows: Vec<Rc<Row>>,
    /// The rows that are not hidden; `None` if the list hides no rows.
    seen: Option<Vec<Rc<Row>>>,
    /// The number of moments before this one.
    pub(crate) number: usize,
    /// The number of rows that had come to the list, or had moved within it, by this moment.
    pub(crate) arrivals: u64,
}

/// A moment of the list, shared by all records of it. Two records of one moment are the same pointer.
pub(crate) type State = Rc<Moment>;

impl Moment {
    /// Returns the rows that are not hidden. The promises are about these rows.
    pub(crate) fn rows(&self) -> &[Rc<Row>] {
        self.seen.as_ref().unwrap_or(&self.rows)
    }

    /// Returns all rows, including hidden ones, as offsets count them.
    pub(crate) fn raw(&self) -> &[Rc<Row>] {
        &self.rows
    }

    /// Returns whether a row with these keys and this id exists and is not hidden.
    pub(crate) fn holds(&self, place: Place) -> bool {
        self.rows().binary_search_by(|row| row.place.cmp(&place)).is_ok()
    }

    /// Returns whether two rows have the same id.
    pub(crate) fn has_twins(&self) -> bool {
        let mut ids: Vec<u32> = self.raw().iter().map(|row| row.plan.id).collect();
        ids.sort_unstable();
        ids.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// Returns the number of rows before a place, without hidden ones.
    pub(crate) fn count_before(&self, place: Place) -> usize {
        self.rows().partition_point(|row| row.place < place)
    }
}

/// A change. A number, taken modulo the number of rows, chooses a row, so a plan stays valid while it is shrunk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mutation {
    Insert(RowPlan),
    Delete(u32),
    /// Gives a row other keys.
    Rekey(u32, RowPlan),
    /// Changes a row, but not its keys.
    Edit(u32),
    /// Brings back a row that `Delete` removed, with its keys, and with its id if that is still free.
    Restore(u32),
    /// Gives the row that the client's cursor names the keys of another row: this number of rows after it, or before it
    /// if negative.
    MoveAnchor(i32),
    /// Inserts `count` rows: beside the given row, or with the keys of rows all over the list (`spread`).
    Flood {
        like: RowPlan,
        count: u32,
        spread: bool,
    },
    /// Deletes `count` neighbouring rows, from a chosen row on.
    Purge {
        from: u32,
        count: u32,
    },
    /// Inserts a row with the id of another row, and other keys.
    Twin(u32, RowPlan),
}

impl Mutation {
    /// Returns the largest number of rows that the change brings to the list or moves within it.
    pub(crate) fn arrivals(&self) -> usize {
        match self {
            Self::Flood { count, .. } => *count as usize,
            Self::Delete(_) | Self::Purge { .. } => 0,
            _ => 1,
        }
    }
}

/// The upstream's list: its current rows, the earlier versions of all rows, and counts of its changes.
pub(crate) struct World {
    shape: Rc<Shape>,
    /// The current rows.
    pub(crate) state: State,
    /// Every version of a row that ever existed, by its serial.
    pub(crate) registry: Vec<Rc<Row>>,
    /// The share of rows that are hidden: one row in this many; 0 for no row.
    hidden: u32,
    ids: HashSet<u32, std::hash::BuildHasherDefault<Spread>>,
    deleted: Vec<RowPlan>,
    pub(crate) mutations: u64,
    /// The number of rows that have come to the list, or have moved within it, so far. The first rows don't count.
    pub(crate) arrivals: u64,
    /// The number of ticks so far.
    pub(crate) now: usize,
    /// The ticks at which the moments began, by their numbers.
    pub(crate) beginnings: Vec<usize>,
    /// The place that the client's cursor names, for [`Mutation::MoveAnchor`].
    pub(crate) anchor: Option<Place>,
    /// The changes in words; `None` if no story is wanted.
    pub(crate) said: Option<Vec<String>>,
}

/// A fast hasher of ids. It has no protection against chosen ids, because the simulator draws the ids itself.
#[derive(Default)]
pub(crate) struct Spread(u64);

impl std::hash::Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl World {
    pub(crate) fn new(shape: &Rc<Shape>, rows: &[RowPlan], hidden: u32) -> Self {
        let mut world = Self {
            shape: Rc::clone(shape),
            state: State::default(),
            registry: Vec::with_capacity(rows.len() * 2),
            hidden,
            ids: HashSet::with_capacity_and_hasher(rows.len() * 2, Default::default()),
            deleted: Vec::new(),
            mutations: 0,
            arrivals: 0,
            now: 0,
            beginnings: vec![0],
            anchor: None,
            said: None,
        };
        let mut first: Vec<Rc<Row>> = rows.iter().map(|&plan| world.created(plan)).collect();
        first.sort_by_key(|row| row.place);
        Rc::make_mut(&mut world.state).rows = first;
        world.arrivals = 0;
        world.look();
        world
    }

    /// Returns the current rows without the `count` newest ones, as the first state of a replica that lags.
    pub(crate) fn without_newest(&self, count: u32) -> State {
        let newest = self.registry.len().saturating_sub(count as usize) as u32;
        let kept = |rows: &[Rc<Row>]| rows.iter().filter(|row| row.serial < newest).cloned().collect();
        Rc::new(Moment {
            rows: kept(&self.state.rows),
            seen: self.state.seen.as_deref().map(kept),
            ..Moment::default()
        })
    }

    /// Makes the changes of one tick, and begins a new moment.
    pub(crate) fn change(&mut self, mutations: &[Mutation]) {
        for &mutation in mutations {
            self.mutate(mutation);
        }
        self.look();
        self.begin_moment();
    }

    fn mutate(&mut self, mutation: Mutation) {
        self.mutations += 1;
        match mutation {
            Mutation::Insert(plan) => self.insert(plan),
            Mutation::Delete(choice) => {
                if let Some(row) = self.remove(choice) {
                    self.tell(|| format!("deletes {row}"));
                    self.deleted.push(row.plan);
                }
            }
            Mutation::Rekey(choice, plan) => {
                if let Some(row) = self.remove(choice) {
                    self.tell(|| format!("re-keys {row}"));
                    // The id stays, because this is the same row at another place.
                    self.insert(RowPlan { id: row.plan.id, ..plan });
                }
            }
            Mutation::Edit(choice) => {
                if let Some(row) = self.remove(choice) {
                    self.tell(|| format!("edits {row}"));
                    // The keys stay, because this is another version of the row at the same place.
                    self.insert(row.plan);
                }
            }
            Mutation::Restore(choice) => {
                if !self.deleted.is_empty() {
                    let plan = self.deleted.swap_remove(choice as usize % self.deleted.len());
                    self.insert(plan);
                }
            }
            Mutation::MoveAnchor(by) => self.move_anchor(by),
            Mutation::Flood { like, count, spread } => {
                self.mutations += u64::from(count.saturating_sub(1));
                self.flood(like, count, spread);
            }
            Mutation::Purge { from, count } => self.purge(from, count),
            Mutation::Twin(choice, plan) => {
                let rows = &self.state.rows;
                if let Some(id) = (!rows.is_empty()).then(|| rows[choice as usize % rows.len()].plan.id) {
                    // `created` would replace the taken id with a free one.
                    let row = self.version(RowPlan { id, ..plan });
                    // Two rows at one place would be one row to the promises.
                    if !self.state.holds(row.place) {
                        self.tell(|| format!("inserts {row}, whose id is taken"));
                        self.arrivals += 1;
                        self.put(row);
                    }
                }
            }
        }
    }

    /// Deletes the rows at these places, as far as they exist, and begins a new moment.
    pub(crate) fn delete(&mut self, places: impl Iterator<Item = Place>) {
        for place in places {
            if let Ok(index) = self.state.rows.binary_search_by(|row| row.place.cmp(&place)) {
                self.mutate(Mutation::Delete(index as u32));
            }
        }
        self.look();
        self.begin_moment();
    }

    /// Gives the new moment its number. If a record still shares the rows, they have not changed, and no new moment
    /// begins.
    fn begin_moment(&mut self) {
        // A state that a record shares was not changed since (`Rc::make_mut` would have copied it).
        if let Some(moment) = Rc::get_mut(&mut self.state) {
            (moment.number, moment.arrivals) = (self.beginnings.len(), self.arrivals);
            self.beginnings.push(self.now);
        }
    }

    fn move_anchor(&mut self, by: i32) {
        let Some(index) = self.anchor.and_then(|place| self.state.rows.iter().position(|row| row.place == place))
        else {
            return;
        };
        let to = (index as i64 + i64::from(by)).clamp(0, self.state.rows.len() as i64 - 1) as usize;
        let other = self.state.rows[to].plan;
        if let Some(row) = self.remove(index as u32) {
            self.tell(|| format!("moves the client's anchor {row}"));
            self.insert(RowPlan { id: row.plan.id, ..other });
        }
    }

    fn flood(&mut self, like: RowPlan, count: u32, spread: bool) {
        // Ranks and booleans have few ordinals: a greater ordinal has no value.
        let most = self.shape.strong.first().map_or(0, |column| i64::from(Column::most(column.look)) - 1);
        let keys: Vec<[Option<i64>; 2]> = self.state.rows.iter().map(|row| row.plan.keys).collect();
        let mut fresh: Vec<Rc<Row>> = (0..count)
            .map(|index| {
                let roll = mix(u64::from(like.id), u64::from(index));
                if spread && !keys.is_empty() {
                    let keys = keys[roll as usize % keys.len()];
                    return self.created(RowPlan { id: roll as u32 % 100_000, keys, ..like });
                }
                let [first, second] = like.keys;
                let keys = [first.map(|key| (key + i64::from(index / 3)).min(most)), second];
                self.created(RowPlan { id: like.id + index, keys, ..like })
            })
            .collect();
        self.tell(|| format!("inserts {count} rows"));
        fresh.sort_by_key(|row| row.place);
        let rows = &mut Rc::make_mut(&mut self.state).rows;
        rows.extend(fresh);
        rows.sort_by_key(|row| row.place);
    }

    fn purge(&mut self, from: u32, count: u32) {
        let rows = &mut Rc::make_mut(&mut self.state).rows;
        if rows.is_empty() {
            return;
        }
        let from = from as usize % rows.len();
        let to = (from + count as usize).min(rows.len());
        let gone: Vec<Rc<Row>> = rows.drain(from..to).collect();
        self.mutations += gone.len().saturating_sub(1) as u64;
        self.tell(|| format!("deletes {} rows from place {from} on", gone.len()));
        for row in gone {
            self.ids.remove(&row.plan.id);
        }
    }

    fn remove(&mut self, choice: u32) -> Option<Rc<Row>> {
        let rows = &mut Rc::make_mut(&mut self.state).rows;
        let row = (!rows.is_empty()).then(|| rows.remove(choice as usize % rows.len()))?;
        self.ids.remove(&row.plan.id);
        Some(row)
    }

    /// Inserts a row. If its id is taken, the row gets the next free id. Two rows never have the same place.
    fn insert(&mut self, plan: RowPlan) {
        let mut row = self.created(plan);
        // A twin may have the id and the keys of this row. The next free id then gives this row another place.
        while self.state.rows.binary_search_by(|other| other.place.cmp(&row.place)).is_ok() {
            row = self.created(row.plan);
        }
        self.tell(|| format!("inserts {row}"));
        self.put(row);
    }

    fn put(&mut self, row: Rc<Row>) {
        let rows = &mut Rc::make_mut(&mut self.state).rows;
        let at = rows.partition_point(|other| other.place < row.place);
        rows.insert(at, row);
    }

    fn created(&mut self, mut plan: RowPlan) -> Rc<Row> {
        while !self.ids.insert(plan.id) {
            plan.id += 1;
        }
        self.arrivals += 1;
        self.version(plan)
    }

    fn version(&mut self, plan: RowPlan) -> Rc<Row> {
        let row = Rc::new(Row::new(&self.shape, plan, self.registry.len() as u32));
        self.registry.push(Rc::clone(&row));
        row
    }

    /// Computes the rows that are not hidden.
    fn look(&mut self) {
        if self.hidden > 0 {
            let hidden = self.hidden;
            let moment = Rc::make_mut(&mut self.state);
            let shown = moment.rows.iter().filter(|row| !is_hidden(row, hidden)).cloned().collect();
            moment.seen = Some(shown);
        }
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(said) = &mut self.said {
            said.push(line());
        }
    }
}

/// Returns whether a row is hidden, if one row in `one_in` is. The id decides, so an edit doesn't reveal a hidden row.
pub(crate) fn is_hidden(row: &Row, one_in: u32) -> bool {
    one_in > 0 && mix(u64::from(row.plan.id), 77).is_multiple_of(u64::from(one_in))
}
