//! JSON as bytes: the places of the items, the sort keys and the facts of a page in an upstream's body.
//!
//! No code here builds a tree or copies an item. A scan ([`scan_page`]) returns byte ranges ([`Span`]), and all other
//! code works on those. The scan reads the places that it looks for, and checks the outline of everything else
//! (`outline.rs`), so that no part of an item can break out of its place. A [`Pointer`] names a place, [`scalar`] reads
//! one value, [`mod@write`] writes the gateway's own strings. Of duplicate members the last one counts, everywhere. A
//! [`Document`] is for the gateway's own descriptions.

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
#[expect(unsafe_code, reason = "what is compiled for an instruction set has to be called, and given its bytes")]
mod vector;
pub mod write;

pub use canonical::{CanonicalError, canonical};
pub use document::Document;
pub use edit::{Edit, Edits, add_edit, edited};
pub use members::{Member, elements, members};
pub use pointer::{Pointer, PointerError};
pub use scan::{JsonError, Limits, PageSpans, Shape, scan_facts, scan_page};

/// A half-open byte range of a body; bodies are at most 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The place of the first byte.
    pub start: u32,
    /// The place after the last byte.
    pub end: u32,
}

impl Span {
    /// The range of a missing member: no JSON value is empty.
    pub const ABSENT: Self = Self { start: 0, end: 0 };

    /// Returns whether this stands for a missing member.
    #[must_use]
    pub const fn is_absent(self) -> bool {
        self.start == self.end
    }

    /// Returns the bytes of this range in the body it was found in.
    #[must_use]
    pub fn of(self, body: &[u8]) -> &[u8] {
        &body[self.start as usize..self.end as usize]
    }
}
