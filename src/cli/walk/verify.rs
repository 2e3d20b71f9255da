//! `cursorgate walk --verify`: compares a walk with direct readings of the list before and after it. Also compares a
//! walk by the upstream's own paging, as its clients make today.

use std::{fs, path::Path};

use super::{
    super::{Failure, LOSSY, report, target::ListUrl},
    DirectSource, ItemWriter, WalkOptions, Walker, followed,
    progress::WalkProgress,
};
use cursorgate_gateway::runtime::clock;
use cursorgate_tools::walk::{
    WalkedPage,
    comparison::{DirectListings, WalkCost, WalkVerdict, WalkedItem, WalkedList},
    ending::EndReview,
    report::{ReportedEnd, ReportedWalk, WalkReport},
};

/// A walk whose items are kept for the comparison.
struct KeptWalk<'d> {
    way: &'static str,
    walker: Walker<'d>,
    list: WalkedList,
}

impl<'d> KeptWalk<'d> {
    fn new(way: &'static str, walker: Walker<'d>) -> Self {
        Self { way, walker, list: WalkedList::default() }
    }

    /// Reads a page; `None` after the last one.
    fn turn(&mut self) -> Result<Option<WalkedPage>, Failure> {
        let failed = |fault| Failure::failed(format!("{}: {fault}", self.way));
        let page = self.walker.next_page().map_err(failed)?;
        if let Some(page) = &page {
            self.list.items.extend(WalkedItem::all(&page.answer));
        }
        self.list.cost = self.walker.cost;
        Ok(page)
    }
}

/// Walks, and the direct readings of the list before and after them.
struct Measured<'d> {
    before: KeptWalk<'d>,
    walks: Vec<KeptWalk<'d>>,
    after: KeptWalk<'d>,
}

/// Verifies the walk of a URL. Fails if items of the walk are lost, repeated, altered or out of order, or if that could
/// not be judged.
pub(super) fn run(options: &WalkOptions<'_>, url: &str, direct_url: &str) -> Result<(), Failure> {
    let arguments = options.arguments;
    let (own, direct) = (ListUrl::parse(url)?, ListUrl::parse(direct_url)?);
    let source = DirectSource::find(arguments, &direct)?;
    let mut writer = arguments.out.as_deref().map(|path| new_file(path, url)).transpose()?;
    let progress = WalkProgress::new(1);
    let measured = measure(options, &own, &source, &direct, writer.as_mut(), &progress);
    progress.clear();
    if let Some(writer) = writer {
        // `--verify` starts from the beginning each time, so no state is kept.
        if measured.is_ok() { writer.finish() } else { writer.discard() }?;
    }
    let report = reported(url, direct_url, measured?);
    report::output(&report.text())?;
    if let Some(path) = &arguments.report {
        let written = fs::write(path, report.page());
        written.map_err(|error| Failure::failed(format!("{} can't be written: {error}", path.display())))?;
    }
    // Only the first walk decides. If the walk by the dialect loses items, the verified walk hasn't failed.
    match report.walks.first().map(|walk| walk.verdict) {
        Some(WalkVerdict::Lossless) => Ok(()),
        Some(WalkVerdict::Lossy) => Err(Failure { code: LOSSY, message: String::new() }),
        Some(WalkVerdict::Open) | None => Err(Failure::failed("")),
    }
}

/// Opens a new file for the items of a walk. Fails if the file belongs to an interrupted walk.
fn new_file(path: &Path, url: &str) -> Result<ItemWriter, Failure> {
    match ItemWriter::open(path, url)? {
        (writer, None) => Ok(writer),
        (_, Some(_)) => {
            let why = "a walk was interrupted, and --verify begins anew: remove it";
            Err(Failure::failed(format!("{}: {why}", path.display())))
        }
    }
}

/// Reads the list directly, makes the walks, and reads the list directly again. An item that is unchanged in both
/// readings was in the list all the time, so a walk without it has lost it.
fn measure<'s>(
    options: &WalkOptions<'_>,
    own: &ListUrl,
    source: &'s DirectSource,
    direct: &ListUrl,
    writer: Option<&mut ItemWriter>,
    progress: &WalkProgress,
) -> Result<Measured<'s>, Failure> {
    let listed = || -> Result<KeptWalk<'s>, Failure> {
        let walker = Walker::new(source.sender(&options.headers)?, source.listing(direct), options.pace);
        let mut listing = KeptWalk::new("direct", walker);
        while let Some(page) = listing.turn()? {
            progress.page("direct", &page);
        }
        Ok(listing)
    };
    let before = listed()?;
    let walks = both(options, own, source, direct, writer, progress)?;
    Ok(Measured { before, walks, after: listed()? })
}

/// Compares the walks with the direct readings.
fn reported(url: &str, direct: &str, Measured { before, walks, after }: Measured<'_>) -> WalkReport {
    let (one, other) = (before.list.cost, after.list.cost);
    let listing = WalkCost {
        requests: one.requests + other.requests,
        bytes: one.bytes + other.bytes,
        elapsed: one.elapsed + other.elapsed,
    };
    let (before, first) = (before.list, before.walker.pager);
    let (after, second) = (after.list, after.walker.pager);
    let listings = DirectListings::new(before, after);
    let changes = listings.changes();
    let moved = (changes.came + changes.left) as u64;
    let mut end = ReportedEnd::default();
    let [first, second] = [first, second].map(|pager| pager.end_review(moved, None));
    let rows = first.rows.filter(|rows| second.rows == Some(*rows));
    end.add("direct", first);
    end.add("direct", second);
    // As for the verdict, only the first walk counts.
    if let Some(walk) = walks.first() {
        end.add(walk.way, walk.walker.pager.end_review(moved, rows));
        end.add("direct", EndReview::of_unlisted(listings.unlisted(&walk.list)));
    }
    let compared = |walk: &KeptWalk<'_>| {
        let compares_bytes = walk.walker.pager.keeps_items();
        let found = listings.compare(&walk.list, compares_bytes);
        // An end that is in doubt isn't judged: nothing was compared with the items after it.
        let verdict = match listings.verdict(&found) {
            WalkVerdict::Lossless if !end.doubts.is_empty() => WalkVerdict::Open,
            verdict => verdict,
        };
        ReportedWalk { way: walk.way, found, verdict, cost: walk.list.cost, compares_bytes }
    };
    WalkReport {
        url: url.to_owned(),
        direct: direct.to_owned(),
        at: clock::rfc3339(clock::unix_seconds()),
        walks: walks.iter().map(compared).collect(),
        changes,
        listing,
        end,
    }
}

/// Walks the URL by cursor and the direct URL by the dialect, one page of each in turn, so both walks see the same
/// changes. If both URLs are equal, only the walk by the dialect is made.
fn both<'s>(
    options: &WalkOptions<'_>,
    own: &ListUrl,
    source: &'s DirectSource,
    direct: &ListUrl,
    mut writer: Option<&mut ItemWriter>,
    progress: &WalkProgress,
) -> Result<Vec<KeptWalk<'s>>, Failure> {
    let by_dialect = Walker::new(source.sender(&options.headers)?, source.pager(direct), options.pace);
    let mut walks = vec![KeptWalk::new(source.way(), by_dialect)];
    if own != direct {
        let id = match (&options.arguments.id, source.id()) {
            (None, Some(id)) => id,
            _ => options.arguments.id_place().map_err(Failure::mistaken)?,
        };
        walks.insert(0, KeptWalk::new("by cursor", followed(options, own, id)?));
    }
    // Each walker stops at circular links, so the loop ends unless the list grows faster than it is read.
    loop {
        let mut ended = 0;
        for (at, walk) in walks.iter_mut().enumerate() {
            let Some(page) = walk.turn()? else {
                ended += 1;
                continue;
            };
            if at == 0 {
                progress.page("walk", &page);
                if let Some(writer) = &mut writer {
                    writer.write(&page.answer)?;
                }
            }
        }
        if ended == walks.len() {
            break;
        }
    }
    Ok(walks)
}
