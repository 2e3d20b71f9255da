//! Rendering: JSON skeletons with placeholders, compiled once and written for each page.

pub mod content;
pub mod facts;
pub mod output;
pub mod placeholder;
pub mod skeleton;
