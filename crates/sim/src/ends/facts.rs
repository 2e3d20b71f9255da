//! The statements of answers about the end of the list, right and wrong.

/// The number that an answer states as the size of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Total {
    /// The number of visible rows.
    Visible,
    /// The number of rows, with those that answers leave out.
    Rows,
    /// Five more than are visible.
    High,
    /// A million.
    Huge,
    /// Five fewer than are visible.
    Low,
    /// The number of items of the answer itself.
    Page,
    /// The number of rows, and 0 past the end.
    RowsOrZero,
    /// The number of visible rows, and 0 past the end.
    VisibleOrZero,
    /// The number of visible rows of the whole list, beside a filtered answer too. All other totals count the rows that
    /// pass the filter.
    List,
}

/// The statement of an answer whether more items follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flag {
    /// True if a visible row follows.
    Right,
    /// True if a row follows, visible or not.
    Rows,
    Always,
    Never,
    /// True if the answer has as many items as were requested.
    Full,
}

/// The answer to a request past the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Past {
    Empty,
    /// A status such as 404, which the dialect declares.
    Status,
    /// A status such as 404, which the dialect doesn't declare. A request that not only shows whether more items follow
    /// fails its page.
    Undeclared,
    /// The last page again, which the dialect doesn't declare.
    Repeat,
    /// The last page again, which the dialect declares.
    DeclaredRepeat,
    /// The first page again.
    First,
}

/// All statements of an upstream's answers about the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Facts {
    pub(crate) total: Option<Total>,
    pub(crate) flag: Option<Flag>,
    pub(crate) past: Past,
}

/// Statements with the name by which the table lists them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) facts: Facts,
}

impl Facts {
    /// No statement at all.
    pub(crate) const BARE: Self = Self { total: None, flag: None, past: Past::Empty };

    const fn total(total: Total) -> Self {
        Self { total: Some(total), ..Self::BARE }
    }

    const fn flag(flag: Flag) -> Self {
        Self { flag: Some(flag), ..Self::BARE }
    }

    const fn past(past: Past) -> Self {
        Self { past, ..Self::BARE }
    }
}

const fn named(name: &'static str, facts: Facts) -> Named {
    Named { name, facts }
}

/// The statements of upstreams that filter, or cut their answers.
pub(crate) const OTHER_FACTS: [Named; 13] = [
    named("bare", Facts::BARE),
    named("Tvis", Facts::total(Total::Visible)),
    named("Tlist", Facts::total(Total::List)),
    named("Trows", Facts::total(Total::Rows)),
    named("Thigh", Facts::total(Total::High)),
    named("Tlow", Facts::total(Total::Low)),
    named("Tpage", Facts::total(Total::Page)),
    named("flag", Facts::flag(Flag::Right)),
    named("frows", Facts::flag(Flag::Rows)),
    named("ftrue", Facts::flag(Flag::Always)),
    named("ffalse", Facts::flag(Flag::Never)),
    named("ffull", Facts::flag(Flag::Full)),
    named("Tvis+flag", Facts { total: Some(Total::Visible), flag: Some(Flag::Right), past: Past::Empty }),
];

/// The statements of the other upstreams.
pub(crate) const FACTS: [Named; 22] = [
    named("bare", Facts::BARE),
    named("Tvis", Facts::total(Total::Visible)),
    named("Trows", Facts::total(Total::Rows)),
    named("Thigh", Facts::total(Total::High)),
    named("Thuge", Facts::total(Total::Huge)),
    named("Tlow", Facts::total(Total::Low)),
    named("Tpage", Facts::total(Total::Page)),
    named("Tzero", Facts::total(Total::RowsOrZero)),
    named("Tvis0", Facts::total(Total::VisibleOrZero)),
    named("flag", Facts::flag(Flag::Right)),
    named("frows", Facts::flag(Flag::Rows)),
    named("ftrue", Facts::flag(Flag::Always)),
    named("ffalse", Facts::flag(Flag::Never)),
    named("ffull", Facts::flag(Flag::Full)),
    named("404", Facts::past(Past::Status)),
    named("404-unsaid", Facts::past(Past::Undeclared)),
    named("rep", Facts::past(Past::Repeat)),
    named("rep-said", Facts::past(Past::DeclaredRepeat)),
    named("first", Facts::past(Past::First)),
    named("Tvis+ftrue", Facts { total: Some(Total::Visible), flag: Some(Flag::Always), past: Past::Empty }),
    named("first+Thigh", Facts { total: Some(Total::High), flag: None, past: Past::First }),
    named("Tpage+flag", Facts { total: Some(Total::Page), flag: Some(Flag::Right), past: Past::Empty }),
];
