//! The values of placeholders in a page.

use std::cell::RefCell;

use super::{members, page_facts::Facts};
use crate::downstream::render::facts::{RenderedValue, Slot, ValueSource};
use cursorgate_core::pagination::page::Page;

/// The members that `{item.fields}` leaves out, because some conventions put them beside the fields.
const RESERVED: [&str; 2] = ["id", "type"];

/// The facts and items of a page as a [`ValueSource`].
pub struct PageSource<'a> {
    facts: &'a Facts<'a>,
    page: &'a Page,
    /// The index of the item whose cursor was made last, and this cursor; the cursor is empty if the item has none.
    made: RefCell<(Option<usize>, Vec<u8>)>,
}

impl<'a> PageSource<'a> {
    pub fn new(facts: &'a Facts<'a>, page: &'a Page) -> Self {
        Self { facts, page, made: RefCell::default() }
    }

    /// Makes the cursor of an item and keeps it for [`ValueSource::push_cursor`]. Returns whether the item has one.
    fn has_cursor(&self, item: usize) -> bool {
        let mut made = self.made.borrow_mut();
        let (of, bytes) = &mut *made;
        // The condition of a part and its value need the same cursor, which is kept because signing is costly.
        if *of == Some(item) {
            return !bytes.is_empty();
        }
        bytes.clear();
        *of = Some(item);
        self.facts.item_cursors.is_some_and(|cursors| cursors.push(item, bytes))
    }

    /// Returns the value of a placeholder of the page; `None` if it is unknown or belongs to an item.
    fn value(&self, slot: Slot) -> Option<RenderedValue<'a>> {
        let facts = self.facts;
        let links = facts.links;
        // A lower bound isn't a total: only `{total_at_least}` has it. Test: `a_body_has_exactly_the_known_facts`.
        let exact = facts.total.filter(|total| total.exact);
        let link = |url: &'a Option<String>| url.as_deref().map(RenderedValue::Inert);
        match slot {
            Slot::Count => Some(RenderedValue::Number(self.page.items.len() as u64)),
            Slot::Limit => Some(RenderedValue::Number(facts.limit.into())),
            Slot::Path => Some(RenderedValue::Text(facts.path)),
            Slot::Level => Some(RenderedValue::Text(facts.level)),
            Slot::Now => facts.now.map(RenderedValue::Text),
            Slot::HasNext => Some(RenderedValue::Boolean(facts.has_next)),
            Slot::HasPrev => Some(RenderedValue::Boolean(facts.has_prev)),
            Slot::HasMore => Some(RenderedValue::Boolean(facts.has_more)),
            Slot::Total => exact.map(|total| RenderedValue::Number(total.value)),
            Slot::TotalAtLeast => facts.total.map(|total| RenderedValue::Number(total.value)),
            Slot::Page => facts.page.map(RenderedValue::Number),
            Slot::Pages => facts.pages.map(RenderedValue::Number),
            Slot::NextCursor => facts.next_cursor.map(RenderedValue::Inert),
            Slot::PrevCursor => facts.prev_cursor.map(RenderedValue::Inert),
            Slot::StartCursor => facts.start_cursor.map(RenderedValue::Inert),
            Slot::EndCursor => facts.end_cursor.map(RenderedValue::Inert),
            Slot::LinkSelf => link(&links.self_),
            Slot::LinkFirst => link(&links.first),
            Slot::LinkPrev => link(&links.prev),
            Slot::LinkNext => link(&links.next),
            Slot::LinkLast => link(&links.last),
            Slot::Request(number) => facts.request.get(usize::from(number)).copied().flatten().map(RenderedValue::Json),
            _ => None,
        }
    }

    /// Returns the id of an item as the JSON that the upstream sent; `None` if the item has no id.
    fn id(&self, item: usize) -> Option<&'a [u8]> {
        let place = self.page.items.get(item)?;
        let answer = self.page.answers.get(place.answer as usize)?;
        Some(answer.id(place.item as usize)).filter(|id| !id.is_empty())
    }
}

impl ValueSource for PageSource<'_> {
    fn knows(&self, slot: Slot, item: usize) -> bool {
        match slot {
            Slot::Item => true,
            // Numbers, strings and arrays have no members. Test: `a_body_has_exactly_the_known_facts`.
            Slot::ItemFields => self.page.item(item).starts_with(b"{"),
            Slot::ItemId => self.id(item).is_some(),
            Slot::ItemReserved => push_reserved(&mut Vec::new(), self.page.item(item), self.id(item)),
            Slot::ItemCursor => self.has_cursor(item),
            _ => self.value(slot).is_some(),
        }
    }

    fn tell(&self, slot: Slot, item: usize, write: &mut dyn FnMut(RenderedValue<'_>)) {
        match slot {
            Slot::Item => write(RenderedValue::Json(self.page.item(item))),
            Slot::ItemFields if self.knows(slot, item) => {
                let object = self.page.item(item);
                let mut fields = Vec::with_capacity(object.len());
                members::push_without(&mut fields, object, &RESERVED);
                write(RenderedValue::Json(&fields));
            }
            Slot::ItemReserved => {
                let mut reserved = Vec::new();
                if push_reserved(&mut reserved, self.page.item(item), self.id(item)) {
                    write(RenderedValue::Json(&reserved));
                }
            }
            Slot::ItemId => {
                if let Some(id) = self.id(item) {
                    write(RenderedValue::Json(id));
                }
            }
            _ => {
                if let Some(value) = self.value(slot) {
                    write(value);
                }
            }
        }
    }

    fn push_cursor(&self, item: usize, out: &mut Vec<u8>) -> bool {
        let made = self.made.borrow();
        match &*made {
            (Some(of), bytes) if *of == item => {
                out.extend_from_slice(bytes);
                !bytes.is_empty()
            }
            _ => self.facts.item_cursors.is_some_and(|cursors| cursors.push(item, out)),
        }
    }

    fn page(&self) -> Option<&Page> {
        Some(self.page)
    }
}

/// Appends an object with the members that `{item.fields}` leaves out, except for those whose value is the item's id.
/// Returns `false` and appends nothing if no member is left.
fn push_reserved(out: &mut Vec<u8>, item: &[u8], id: Option<&[u8]>) -> bool {
    item.starts_with(b"{") && members::push_only(out, item, &RESERVED, id)
}
