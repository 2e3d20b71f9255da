//! The way in which pages are asked for: the parameters of size and place, or tokens, each found by its effect; and the
//! ends of the list, with its cap, its total, its last page and the answer after it.

mod cap;
pub(super) mod ends;
mod facts;
pub(super) mod place;
pub(super) mod size;
pub(super) mod token;
