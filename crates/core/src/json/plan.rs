//! The places that a scan looks for, as two trees of steps: a tree from the root of the body, and a tree from each
//! element.
//!
//! Pointers with the same first steps share these steps, so the scan compares a member's name only once with each name
//! that is wanted at its place.

use super::name::{Name, Wanted};
use super::pointer::{Pointer, PointerStep};
use super::shape::{ItemsObject, Shape};

/// A place in one of the trees, as an index into the nodes of its plan.
pub(super) type PlanPlace = usize;

/// The root of the tree for the body.
pub(super) const BODY: PlanPlace = 0;
/// The root of the tree for each element of the items array.
pub(super) const ELEMENT: PlanPlace = 1;

/// The use of a value that a scan finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueUse {
    /// The part of an element that is served.
    Item,
    /// The column at this index in the row of an element.
    Column(usize),
    /// The fact at this index of the body's facts.
    Fact(usize),
}

/// Both trees. A plan is made for each body, so its nodes are in flat vectors, linked by indexes.
pub(super) struct Plan<'a> {
    nodes: Vec<Node<'a>>,
    /// Each use, with the index of the next use of the same place.
    targets: Vec<(ValueUse, Option<usize>)>,
    items: Option<PlanPlace>,
    object: ItemsObject,
    direct: Option<Direct<'a>>,
}

/// The columns in the common case: each is a direct member of the elements, and the elements themselves are served.
/// This case has a fast path (`outline/elements.rs`).
pub(super) struct Direct<'a> {
    /// The name of each column.
    pub(super) names: Vec<&'a [u8]>,
    /// The filter for the names of the columns.
    pub(super) wanted: Wanted,
}

impl<'a> Direct<'a> {
    fn of(shape: &'a Shape) -> Option<Self> {
        let mut direct = Self { names: Vec::with_capacity(shape.columns.len()), wanted: Wanted::default() };
        for column in &shape.columns {
            let [PointerStep::Member(name)] = column.steps.as_slice() else { return None };
            // A body spells a name that contains a backslash with an escape, which the fast path doesn't decode.
            if name.contains('\\') {
                return None;
            }
            direct.names.push(name.as_bytes());
            direct.wanted.add(name);
        }
        shape.item.steps.is_empty().then_some(direct)
    }
}

/// A place, with the heads of two lists: the places one step below it, and the uses of its value.
#[derive(Default)]
struct Node<'a> {
    step: Option<&'a PointerStep>,
    first_child: Option<PlanPlace>,
    next_sibling: Option<PlanPlace>,
    first_target: Option<usize>,
    /// The filter for the names of the members that are wanted in an object at this place.
    wanted: Wanted,
}

impl<'a> Plan<'a> {
    /// Plans the scan of a page.
    pub(super) fn of_page(shape: &'a Shape) -> Self {
        let pointers = || [&shape.items, &shape.item].into_iter().chain(&shape.columns).chain(&shape.facts);
        let mut plan = Self::with_capacity(pointers().map(|pointer| pointer.steps.len()).sum(), pointers().count());
        plan.items = Some(plan.grow(BODY, &shape.items));
        plan.object = shape.object;
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

    /// Returns whether this is the place of the items array.
    #[inline]
    pub(super) fn is_items(&self, place: PlanPlace) -> bool {
        self.items == Some(place)
    }

    /// Returns the reading of an object at the place of the items array.
    #[inline]
    pub(super) fn items_object(&self) -> ItemsObject {
        self.object
    }

    /// Returns the columns if each is a direct member of the elements, and the elements themselves are served.
    /// Otherwise `None`.
    pub(super) fn direct(&self) -> Option<&Direct<'a>> {
        self.direct.as_ref()
    }

    /// Returns whether any place below this place is wanted.
    #[inline]
    pub(super) fn has_children(&self, place: PlanPlace) -> bool {
        self.nodes[place].first_child.is_some()
    }

    /// Returns whether the value at this place needn't be read: it has no use, or is only served.
    #[inline]
    pub(super) fn is_served(&self, place: PlanPlace) -> bool {
        self.targets(place).all(|target| target == ValueUse::Item)
    }

    /// Returns whether the value at this place is a column or a fact, and no place below it is wanted.
    #[inline]
    pub(super) fn is_leaf(&self, place: PlanPlace) -> bool {
        !self.has_children(place) && !self.is_items(place) && !self.is_served(place)
    }

    /// Returns the places one step below this place, with their steps.
    pub(super) fn children(&self, place: PlanPlace) -> impl Iterator<Item = (PlanPlace, &'a PointerStep)> {
        let mut next = self.nodes[place].first_child;
        std::iter::from_fn(move || {
            let child = next?;
            next = self.nodes[child].next_sibling;
            Some((child, self.nodes[child].step?))
        })
    }

    /// Returns the filter for the names of the members that are wanted at this place.
    #[inline]
    pub(super) fn wanted(&self, place: PlanPlace) -> &Wanted {
        &self.nodes[place].wanted
    }

    /// Returns the place of the member with this name; `None` if the member isn't wanted.
    #[inline]
    pub(super) fn member(&self, place: PlanPlace, name: Name<'_>) -> Option<PlanPlace> {
        let leads = |step: &PointerStep| matches!(step, PointerStep::Member(wanted) if name.is(wanted));
        self.children(place).find(|(_, step)| leads(step)).map(|(child, _)| child)
    }

    /// Returns the place of the array element at `index`; `None` if no pointer names that index.
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
        Self { nodes, targets: Vec::with_capacity(targets), items: None, object: ItemsObject::Refused, direct: None }
    }

    fn want(&mut self, root: PlanPlace, pointer: &'a Pointer, target: ValueUse) {
        let place = self.grow(root, pointer);
        let first = self.nodes[place].first_target.replace(self.targets.len());
        self.targets.push((target, first));
    }

    /// Returns the place that a pointer leads to from `root`. Adds the steps that are missing in the tree.
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
