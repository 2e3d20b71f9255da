//! A model of a legacy API: asked as the core asks, it answers as such APIs do.

use cursorgate::{
    json::Span,
    pagination::{
        answer::{Answer, Standing, Total},
        paging::{EndEvidence, Family, Paging, Sizes},
        window::Fetch,
    },
};

use crate::{
    broken::Lie,
    dice::mix,
    world::{Mutation, Place, State, World},
};

/// When the upstream counts, relative to the slice it gives; the collection may change in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    Before,
    Together,
    After,
}

/// What it says of the size of the collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Nothing,
    Exactly,
    AtLeast,
}

/// Where its word on whether there is more comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    Nothing,
    Slice,
    Count,
}

/// What it answers past its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    Empty,
    Status,
    /// The last page once more; by page only.
    Repeat,
}

/// What it repeats of the offset or page and the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echoes {
    Nothing,
    /// What it used.
    Used,
    /// What it was asked for, whatever it used.
    Asked,
}

/// How an upstream behaves.
#[derive(Clone, Debug)]
pub(crate) struct Traits {
    pub(crate) family: Family,
    /// Which sizes the dialect says can be asked for.
    pub(crate) sizes: Sizes,
    /// The cap that it really has, declared or not.
    pub(crate) cap: u32,
    pub(crate) counts: Counts,
    pub(crate) total: Says,
    pub(crate) more: More,
    pub(crate) past: Past,
    pub(crate) end: EndEvidence,
    pub(crate) echoes: Echoes,
    /// Deeper it gives its past-the-end status.
    pub(crate) ceiling: Option<u64>,
    /// The dialect knows the ceiling.
    pub(crate) ceiling_declared: bool,
    /// One answer in so many is a past-the-end status for no reason; 0: none.
    pub(crate) outages: u32,
    /// Answers may show an earlier state than the one before.
    pub(crate) lags: bool,
    /// Fetches of one step are answered in any order.
    pub(crate) reorders: bool,
    /// Decides tie orders, lags and outages.
    pub(crate) salt: u64,
    pub(crate) lie: Option<Lie>,
}

impl Traits {
    pub(crate) fn paging(&self) -> Paging {
        Paging {
            family: self.family,
            sizes: self.sizes.clone(),
            max_depth: self.ceiling.filter(|_| self.ceiling_declared),
            end: self.end,
            repeats_last_page: self.past == Past::Repeat,
        }
    }

    /// The cap as far as the dialect says it.
    pub(crate) fn declared_cap(&self) -> Option<u32> {
        match &self.sizes {
            Sizes::Free { most, .. } => *most,
            Sizes::Listed(sizes) => sizes.last().copied(),
            Sizes::Fixed(size) => Some(*size),
        }
    }

    fn forbids(&self, fetch: Fetch) -> Option<String> {
        let size = fetch.size().0;
        let allowed = match &self.sizes {
            Sizes::Free { least, most } => size >= *least && most.is_none_or(|most| size <= most),
            Sizes::Listed(sizes) => sizes.contains(&size),
            Sizes::Fixed(fixed) => size == *fixed,
        };
        if !allowed {
            return Some(format!("asked for a size of {size}, where the dialect says {:?}", self.sizes));
        }
        let depth = fetch.begins().0 + u64::from(size);
        let ceiling = self.ceiling.filter(|_| self.ceiling_declared)?;
        (depth > ceiling).then(|| format!("asked as deep as {depth}, where the dialect says {ceiling}"))
    }
}

/// The slice that an answer gives, as the upstream reckons it.
struct Slice {
    from: usize,
    size: usize,
    reached: usize,
    length: usize,
    counted: usize,
}

/// What one answer showed, in truth.
#[derive(Debug)]
pub(crate) struct Showing {
    /// The state that the slice was cut from.
    pub(crate) state: State,
    pub(crate) items: u32,
    /// The least and the greatest place in it.
    pub(crate) places: Option<(Place, Place)>,
    /// It was asked from the very start, and begins there.
    pub(crate) from_start: bool,
    /// Nothing comes after it in its state.
    pub(crate) to_end: bool,
}

/// An upstream at work, and a record of what it showed.
pub(crate) struct Upstream {
    pub(crate) traits: Traits,
    pub(crate) world: World,
    /// What happens at each tick of the clock.
    plan: Vec<Vec<Mutation>>,
    ticks: usize,
    queries: u64,
    earlier: Vec<State>,
    /// What the answers showed, since the record was begun.
    pub(crate) shown: Vec<Showing>,
    /// All states there were since then, with those that lag.
    pub(crate) passed: Vec<State>,
    /// What the core asked for against its dialect.
    pub(crate) fault: Option<String>,
    /// What happened, in words, where somebody reads.
    pub(crate) story: Option<Vec<String>>,
}

impl Upstream {
    pub(crate) fn new(traits: &Traits, world: World, plan: &[Vec<Mutation>]) -> Self {
        Self {
            traits: traits.clone(),
            world,
            plan: plan.to_vec(),
            ticks: 0,
            queries: 0,
            earlier: Vec::new(),
            shown: Vec::new(),
            passed: Vec::new(),
            fault: None,
            story: None,
        }
    }

    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(line());
        }
    }

    /// Begins the record of one client request.
    pub(crate) fn begin_record(&mut self) {
        self.shown.clear();
        self.passed.clear();
        self.passed.push(State::clone(&self.world.state));
    }

    /// Time goes on: what is planned for this tick happens.
    pub(crate) fn tick(&mut self) {
        let due = self.plan.get_mut(self.ticks).map(std::mem::take).unwrap_or_default();
        let now = self.ticks;
        self.ticks += 1;
        for mutation in due {
            let said = self.world.mutate(mutation);
            self.tell(|| format!("      (tick {now}) somebody {said}"));
            self.passed.push(State::clone(&self.world.state));
        }
    }

    /// Answers the fetches of one step.
    pub(crate) fn answer(&mut self, fetches: &[Fetch]) -> Vec<Answer> {
        let backwards = self.traits.reorders && mix(self.traits.salt, self.queries) % 2 == 1;
        let mut answers: Vec<(usize, Answer)> = Vec::with_capacity(fetches.len());
        for turn in 0..fetches.len() {
            let index = if backwards { fetches.len() - 1 - turn } else { turn };
            let answer = self.ask(fetches[index]);
            answers.push((index, answer));
        }
        answers.sort_by_key(|&(index, _)| index);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    fn ask(&mut self, fetch: Fetch) -> Answer {
        if self.fault.is_none() {
            self.fault = self.traits.forbids(fetch);
        }
        self.queries += 1;
        let roll = mix(self.traits.salt, self.queries);
        let traits = self.traits.clone();
        if traits.counts == Counts::Before {
            let counted = self.world.state.len();
            self.tick();
            return self.slice(fetch, Some(counted), roll);
        }
        let together = (traits.counts == Counts::Together).then(|| self.world.state.len());
        self.slice(fetch, together, roll)
    }

    /// Cuts the slice; counts after it, where nothing was counted before.
    fn slice(&mut self, fetch: Fetch, counted: Option<usize>, roll: u64) -> Answer {
        let state = self.state_shown(roll);
        let listed = self.world.listed(&state, self.queries, self.traits.salt);
        let length = listed.len();
        let size = self.honoured(fetch.size().0) as usize;
        let mut from = match fetch {
            Fetch::Slice { from, .. } => usize::try_from(from.0).unwrap_or(usize::MAX),
            Fetch::Page { number, .. } => usize::try_from(number.0).unwrap_or(usize::MAX).saturating_mul(size),
        };
        let mut status = self.is_too_deep(fetch) || self.is_out(roll);
        if from >= length && from > 0 {
            match self.traits.past {
                Past::Repeat if length > 0 => from = (length - 1) / size * size,
                Past::Status => status = true,
                Past::Empty | Past::Repeat => {}
            }
        }
        let wanted = if status { 0..0 } else { from.min(length)..from.saturating_add(size).min(length) };
        let mut cut = listed[wanted].to_vec();
        if self.traits.lie == Some(Lie::HidesRows) {
            cut.retain(|row| row.plan.id % 5 != 0);
        }
        let reached = from.saturating_add(cut.len());
        let places = cut.iter().map(|row| row.place);
        self.shown.push(Showing {
            state,
            items: cut.len() as u32,
            places: places.clone().min().zip(places.max()),
            from_start: from == 0 && !status,
            to_end: reached >= length && !status,
        });
        let counted = counted.unwrap_or_else(|| {
            self.tick();
            self.world.state.len()
        });
        let mut answer = render(&cut, roll);
        if status {
            answer.standing = Standing::PastEnd;
            if self.traits.lie == Some(Lie::StatusIsEnd) {
                (answer.standing, answer.more) = (Standing::Listed, Some(false));
            }
        } else {
            self.annotate(&mut answer, fetch, &Slice { from, size, reached, length, counted });
        }
        self.tell(|| {
            let serials: Vec<u32> = cut.iter().map(|row| row.serial).collect();
            let Answer { standing, total, more, .. } = &answer;
            format!(
                "    asks {fetch:?}: {standing:?}, {} items from {from} of {length} (versions {serials:?}), \
                 total {total:?}, more {more:?}",
                serials.len()
            )
        });
        self.tick();
        answer
    }

    /// The state that an answer shows: an earlier one now and then, where the upstream lags.
    fn state_shown(&mut self, roll: u64) -> State {
        let now = State::clone(&self.world.state);
        if !self.traits.lags {
            return now;
        }
        self.earlier.push(State::clone(&now));
        if roll % 4 != 1 {
            return now;
        }
        let before = State::clone(&self.earlier[roll as usize / 4 % self.earlier.len()]);
        self.passed.push(State::clone(&before));
        before
    }

    fn is_too_deep(&self, fetch: Fetch) -> bool {
        let depth = fetch.begins().0.saturating_add(u64::from(fetch.size().0));
        self.traits.ceiling.is_some_and(|ceiling| depth > ceiling)
    }

    fn is_out(&self, roll: u64) -> bool {
        self.traits.outages > 0 && (roll >> 20).is_multiple_of(u64::from(self.traits.outages))
    }

    /// What a list says of itself.
    fn annotate(&self, answer: &mut Answer, fetch: Fetch, slice: &Slice) {
        let &Slice { from, size, reached, length, counted } = slice;
        answer.more = match self.traits.more {
            More::Nothing => None,
            More::Slice => Some(reached < length),
            More::Count => Some(reached < counted),
        };
        let bound = counted.min(reached + 1) as u64;
        answer.total = match self.traits.total {
            Says::Nothing => None,
            Says::Exactly => Some(Total { value: counted as u64, exact: true }),
            Says::AtLeast => {
                let exact = counted <= reached || self.traits.lie == Some(Lie::BoundIsTotal);
                Some(Total { value: bound, exact })
            }
        };
        let used = match self.traits.echoes {
            Echoes::Nothing => return,
            Echoes::Used => true,
            Echoes::Asked => false,
        };
        answer.size = Some(if used { size as u32 } else { fetch.size().0 });
        match fetch {
            Fetch::Slice { .. } => answer.offset = Some(from as u64),
            Fetch::Page { number, .. } => answer.page = Some(if used { (from / size) as u64 } else { number.0 }),
        }
    }

    /// The size that the upstream really uses.
    fn honoured(&self, asked: u32) -> u32 {
        let cap = match self.traits.lie {
            Some(Lie::CapShrinks) if self.queries > 2 => (self.traits.cap / 2).max(2),
            _ => self.traits.cap,
        };
        asked.min(cap).max(1)
    }
}

/// Writes rows as a JSON array.
fn render(rows: &[std::rc::Rc<crate::world::Row>], roll: u64) -> Answer {
    let mut answer = Answer {
        body: Vec::with_capacity(rows.len() * 64 + 2),
        items: Vec::with_capacity(rows.len()),
        keys: Vec::with_capacity(rows.len() * 3),
        standing: Standing::Listed,
        total: None,
        more: None,
        offset: None,
        page: None,
        size: None,
    };
    answer.body.push(b'[');
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            answer.body.push(b',');
        }
        if (roll >> (index % 64)) & 7 == 0 {
            answer.body.extend_from_slice(b"\n ");
        }
        let start = answer.body.len() as u32;
        answer.body.extend_from_slice(&row.bytes);
        answer.items.push(Span { start, end: answer.body.len() as u32 });
        answer.keys.extend(row.spans.iter().map(|span| Span { start: start + span.start, end: start + span.end }));
    }
    answer.body.push(b']');
    answer
}
