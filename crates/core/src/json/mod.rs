//! JSON as bytes: the places of a page's items, sort keys and facts in an upstream's body.
//!
//! The code for pages builds no tree and copies no item. A scan ([`scan_page`]) returns byte ranges ([`Span`]), and all
//! other code works with these. The scan reads the values at the wanted places and checks the outline of everything
//! else (`outline.rs`), so an item can't break out of its place. A [`Pointer`] names a place, [`scalar`] reads a single
//! value, [`mod@write`] writes the gateway's own strings. If a member comes twice, the last value counts; only
//! `canonical` refuses such objects. A [`Document`] is a tree for JSON that the gateway itself writes.

mod blocks;
mod canonical;
pub mod document;
mod edit;
mod members;
mod name;
mod outline;
mod plan;
pub mod pointer;
mod reader;
pub mod scalar;
pub mod scan;
mod strings;
mod tokens;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[expect(
    unsafe_code,
    reason = "functions that are compiled for an instruction set have to be called, and given their bytes"
)]
mod vector;
pub mod write;

pub use canonical::{CanonicalError, canonical};
pub use document::Document;
pub use edit::{Edit, Edits, add_edit, edited};
pub use members::{Member, elements, members};
pub use pointer::{Pointer, PointerError};
pub use scan::{ItemsObject, JsonError, Limits, PageSpans, Shape, scan_facts, scan_page};

/// A half-open byte range of a body. Bodies are at most 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The offset of the first byte.
    pub start: u32,
    /// The offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The range of a missing member. It is empty, which the range of a JSON value never is.
    pub const ABSENT: Self = Self { start: 0, end: 0 };

    /// Returns whether this is the range of a missing member.
    #[must_use]
    pub const fn is_absent(self) -> bool {
        self.start == self.end
    }

    /// Returns the bytes of this range. `body` must be the body in which the range was found.
    #[must_use]
    pub fn of(self, body: &[u8]) -> &[u8] {
        &body[self.start as usize..self.end as usize]
    }
}
