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
mod shape;
mod span;
mod strings;
mod tokens;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[expect(
    unsafe_code,
    reason = "functions that are compiled for an instruction set have to be called, and given their bytes"
)]
mod vector;
mod window;
pub mod write;

pub use canonical::{CanonicalError, canonical};
pub use document::Document;
pub use edit::{Edit, Edits, add_edit, edited};
pub use members::{Member, elements, members};
pub use pointer::{Pointer, PointerError};
pub use scan::{scan_facts, scan_page};
pub use shape::{ItemsObject, JsonError, Limits, PageSpans, Shape};
pub use span::Span;
