//! What a client wants, as plain data.

use cursorgate::pagination::resolver::WhenUnproven;

/// How a client moves.
#[derive(Clone, Debug)]
pub(crate) enum Style {
    /// From the start to the end; `looks_back`: each page is asked for again from the next one.
    Forward { looks_back: bool },
    /// From the end to the start.
    Backward,
    /// So many pages forward, then back to the start.
    ThereAndBack { turn: u32 },
    /// Reads a page, deletes so many of a hundred of its rows, asks for the next.
    Worker { share: u32 },
    /// Each step chooses among next, previous, targets seen earlier, both ends, and bare offsets.
    Wander { choices: Vec<u32> },
}

/// What a client wants.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) style: Style,
    /// One after the other, for ever.
    pub(crate) limits: Vec<u32>,
    pub(crate) budget: u32,
    pub(crate) unproven: WhenUnproven,
    /// One page in so many begins with nothing learnt, as after a restart; 0: none.
    pub(crate) forgets: u32,
}
