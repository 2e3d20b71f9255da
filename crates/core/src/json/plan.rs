//! The places that a scan looks for, as two trees of steps: one from the root of the body, one from each element.
//!
//! Pointers that begin alike share their first steps, so that a member's name is compared once with each name that is
//! wanted at its place.

use super::name::{Name, Wanted};
use super::pointer::{Pointer, PointerStep};
use super::scan::Shape;

/// A place in one of the trees, as an index into its plan.
pub(super) type PlanPlace = usize;

/// The body itself.
pub(super) const BODY: PlanPlace = 0;
/// An element of the items array.
pub(super) const ELEMENT: PlanPlace = 1;

/// The use of a value's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueUse {
    /// The part of an element that is served.
    Item,
    /// The column of this number, in an element.
    Column(usize),
    /// The fact of this number, in the body.
    Fact(usize),
}

/// Both trees. They are chained through flat vectors, because a plan is made for each body.
pub(super) struct Plan<'a> {
    nodes: Vec<Node<'a>>,
    /// Each target, and the next one at the same place.
    targets: Vec<(ValueUse, Option<usize>)>,
    items: Option<PlanPlace>,
    direct: Option<Direct<'a>>,
}

/// Columns that are direct members of each element, if the element itself is served: the common case, which has a fast
/// path (`outline/elements.rs`).
pub(super) struct Direct<'a> {
    /// The name of each column.
    pub(super) names: Vec<&'a [u8]>,
    /// The filter for the names of wanted members.
    pub(super) wanted: Wanted,
}

impl<'a> Direct<'a> {
    fn of(shape: &'a Shape) -> Option<Self> {
        let mut direct = Self { names: Vec::with_capacity(shape.columns.len()), wanted: Wanted::default() };
        for column in &shape.columns {
            let [PointerStep::Member(name)] = column.steps.as_slice() else { return None };
            // In a body, a name with a backslash is spelled with an escape.
            if name.contains('\\') {
                return None;
            }
            direct.names.push(name.as_bytes());
            direct.wanted.add(name);
        }
        shape.item.steps.is_empty().then_some(direct)
    }
}

/// A place, with the heads of two lists: the places one step further, and the uses of its value.
#[derive(Default)]
struct Node<'a> {
    step: Option<&'a PointerStep>,
    first_child: Option<PlanPlace>,
    next_sibling: Option<PlanPlace>,
    first_target: Option<usize>,
    /// The filter for the names of members that are wanted here.
    wanted: Wanted,
}

impl<'a> Plan<'a> {
    /// Plans the scan of a page.
    pub(super) fn of_page(shape: &'a Shape) -> Self {
        let pointers = || [&shape.items, &shape.item].into_iter().chain(&shape.columns).chain(&shape.facts);
        let mut plan = Self::with_capacity(pointers().map(|pointer| pointer.steps.len()).sum(), pointers().count());
        plan.items = Some(plan.grow(BODY, &shape.items));
        plan.direct = Direct::of(shape);
        plan.want(ELEMENT, &shape.item, ValueUse::Item);
        for (number, column) in shape.columns.iter().enumerate() {
            plan.want(ELEMENT, column, ValueUse::Column(number));
        }
        for (number, fact) in shape.facts.iter().enumerate() {
            plan.want(BODY, fact, ValueUse::Fact(number));
        }
        plan
    }

    /// Plans the search for facts in a value.
    pub(super) fn of_facts(facts: &'a [Pointer]) -> Self {
        let mut plan = Self::with_capacity(facts.iter().map(|pointer| pointer.steps.len()).sum(), facts.len());
        for (number, fact) in facts.iter().enumerate() {
            plan.want(BODY, fact, ValueUse::Fact(number));
        }
        plan
    }

    /// Returns whether the items array is expected here.
    #[inline]
    pub(super) fn is_items(&self, place: PlanPlace) -> bool {
        self.items == Some(place)
    }

    /// Returns the columns if they are direct members of each element and the element itself is served.
    pub(super) fn direct(&self) -> Option<&Direct<'a>> {
        self.direct.as_ref()
    }

    /// Returns whether a place below this one is wanted.
    #[inline]
    pub(super) fn has_children(&self, place: PlanPlace) -> bool {
        self.nodes[place].first_child.is_some()
    }

    /// Returns whether the value here has no use, except that it may be served as it came.
    #[inline]
    pub(super) fn is_served(&self, place: PlanPlace) -> bool {
        self.targets(place).all(|target| target == ValueUse::Item)
    }

    /// Returns whether the value here is only read, and no place below it is wanted.
    #[inline]
    pub(super) fn is_leaf(&self, place: PlanPlace) -> bool {
        !self.has_children(place) && !self.is_items(place) && !self.is_served(place)
    }

    /// Returns the places one step further.
    pub(super) fn children(&self, place: PlanPlace) -> impl Iterator<Item = (PlanPlace, &'a PointerStep)> {
        let mut next = self.nodes[place].first_child;
        std::iter::from_fn(move || {
            let child = next?;
            next = self.nodes[child].next_sibling;
            Some((child, self.nodes[child].step?))
        })
    }

    /// Returns the filter for the names of members that are wanted here.
    #[inline]
    pub(super) fn wanted(&self, place: PlanPlace) -> &Wanted {
        &self.nodes[place].wanted
    }

    /// Returns the place that a member of the object here leads to.
    #[inline]
    pub(super) fn member(&self, place: PlanPlace, name: Name<'_>) -> Option<PlanPlace> {
        let leads = |step: &PointerStep| matches!(step, PointerStep::Member(wanted) if name.is(wanted));
        self.children(place).find(|(_, step)| leads(step)).map(|(child, _)| child)
    }

    /// Returns the place that an element of the array here leads to by its number.
    pub(super) fn element(&self, place: PlanPlace, index: usize) -> Option<PlanPlace> {
        self.children(place).find(|(_, step)| step.index() == Some(index)).map(|(child, _)| child)
    }

    /// Returns the uses of the value at this place.
    #[inline]
    pub(super) fn targets(&self, place: PlanPlace) -> impl Iterator<Item = ValueUse> {
        let mut next = self.nodes[place].first_target;
        std::iter::from_fn(move || {
            let (target, following) = self.targets[next?];
            next = following;
            Some(target)
        })
    }

    fn with_capacity(steps: usize, targets: usize) -> Self {
        let mut nodes = Vec::with_capacity(steps + 2);
        nodes.extend([Node::default(), Node::default()]);
        Self { nodes, targets: Vec::with_capacity(targets), items: None, direct: None }
    }

    fn want(&mut self, root: PlanPlace, pointer: &'a Pointer, target: ValueUse) {
        let place = self.grow(root, pointer);
        let first = self.nodes[place].first_target.replace(self.targets.len());
        self.targets.push((target, first));
    }

    /// Returns the place that a pointer leads to, and adds the steps that are not there yet.
    fn grow(&mut self, root: PlanPlace, pointer: &'a Pointer) -> PlanPlace {
        let mut place = root;
        for step in &pointer.steps {
            let known = self.children(place).find(|(_, known)| *known == step).map(|(child, _)| child);
            place = known.unwrap_or_else(|| {
                let child = self.nodes.len();
                if let PointerStep::Member(name) = step {
                    self.nodes[place].wanted.add(name);
                }
                let next_sibling = self.nodes[place].first_child.replace(child);
                self.nodes.push(Node { step: Some(step), next_sibling, ..Node::default() });
                child
            });
        }
        place
    }
}
