//! The way to request pages: the parameters of size and place, or tokens, each found by its effect. Also the cap, the
//! total, and the end of the list with its last page and the answer after it.

mod cap;
pub(super) mod doubt;
pub(super) mod dropped;
pub(super) mod ends;
mod evidence;
mod facts;
mod fixed;
pub(super) mod given;
pub(super) mod place;
pub(super) mod size;
pub(super) mod token;
