//! Why a procedure of a strategy ends before its end.

use super::{refusal::Refusal, upstream::Stop};

/// Why a procedure ends before its end.
#[derive(Debug)]
pub(super) enum Halt<T> {
    /// This turn is taken instead.
    Instead(T),
    /// The page ends here.
    Stop(Stop),
}

impl<T> From<Stop> for Halt<T> {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl<T> From<Refusal> for Halt<T> {
    fn from(refusal: Refusal) -> Self {
        Self::Stop(refusal.into())
    }
}
