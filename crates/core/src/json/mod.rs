//! Bytes as they came: where the items, the sort keys and the facts of a page stand in an upstream's body.
//!
//! Nothing here builds a tree or copies an item. One scan ([`scan_page`]) gives byte ranges ([`Span`]), and everything
//! above works on those. It reads what it looks for, and of all else judges the outline (`outline.rs`): nothing in an
//! item can break out of its place. A [`Pointer`] says where to look, [`scalar`] reads the one value that stands there,
//! [`mod@write`] writes the gateway's own strings. Duplicate members are read as
//! their last, everywhere. A [`Document`] is for what the gateway writes of itself, its description.

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
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// What stands for a member that is not there: no JSON value is empty.
    pub const ABSENT: Self = Self { start: 0, end: 0 };

    /// Whether this stands for a missing member.
    #[must_use]
    pub const fn is_absent(self) -> bool {
        self.start == self.end
    }

    /// The bytes of this range in the body it was found in.
    #[must_use]
    pub fn of(self, body: &[u8]) -> &[u8] {
        &body[self.start as usize..self.end as usize]
    }
}
