//! `cursorgate walk --verify`: a walk held against direct listings before and after it, and beside it the walk that clients
//! of the upstream make today.

use std::fs;

use super::{
    super::{Failure, LOSSY, report, target::ListUrl},
    DirectSource, ItemWriter, WalkOptions, Walker, followed,
    progress::WalkProgress,
};
use crate::{
    gateway::runtime::clock,
    walk::{
        WalkedPage,
        comparison::{DirectListings, WalkCost, WalkVerdict, WalkedItem, WalkedList},
        report::{ReportedWalk, WalkReport},
    },
};

/// A walk whose items are kept.
struct KeptWalk<'d> {
    way: &'static str,
    walker: Walker<'d>,
    list: WalkedList,
}

impl<'d> KeptWalk<'d> {
    fn new(way: &'static str, walker: Walker<'d>) -> Self {
        Self { way, walker, list: WalkedList::default() }
    }

    /// Reads a page. Returns it, or none after the end.
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

/// Verifies the walk of a URL.
pub(super) fn run(options: &WalkOptions<'_>, url: &str, direct_url: &str) -> Result<(), Failure> {
    let arguments = options.arguments;
    let (own, direct) = (ListUrl::parse(url)?, ListUrl::parse(direct_url)?);
    let source = DirectSource::find(arguments, &direct)?;
    let mut writer = match &arguments.out {
        Some(path) => match ItemWriter::open(path, url)? {
            (_, Some(_)) => {
                let message =
                    format!("{}: a walk was interrupted, and --verify begins anew: remove it", path.display());
                return Err(Failure::failed(message));
            }
            (writer, None) => Some(writer),
        },
        None => None,
    };
    let progress = WalkProgress::new(1);
    let listed = || -> Result<WalkedList, Failure> {
        let walker = Walker::new(source.sender(&options.headers)?, source.pager(&direct), options.pace);
        let mut listing = KeptWalk::new("direct", walker);
        while let Some(page) = listing.turn()? {
            progress.page("direct", &page);
        }
        Ok(listing.list)
    };
    let measured = (|| {
        let before = listed()?;
        let walks = both(options, &own, &source, &direct, writer.as_mut(), &progress)?;
        Ok((before, walks, listed()?))
    })();
    progress.clear();
    let (before, walks, after) = match (measured, writer) {
        (Ok(measured), Some(writer)) => {
            writer.finish()?;
            measured
        }
        (Ok(measured), None) => measured,
        (Err(failure), Some(writer)) => {
            writer.discard()?;
            return Err(failure);
        }
        (Err(failure), None) => return Err(failure),
    };
    let listing = WalkCost {
        requests: before.cost.requests + after.cost.requests,
        bytes: before.cost.bytes + after.cost.bytes,
        elapsed: before.cost.elapsed + after.cost.elapsed,
    };
    let listings = DirectListings::new(before, after);
    let reported = |walk: &KeptWalk<'_>| {
        let compares_bytes = walk.walker.pager.keeps_items();
        let found = listings.compare(&walk.list, compares_bytes);
        let verdict = listings.verdict(&found);
        ReportedWalk { way: walk.way, found, verdict, cost: walk.list.cost, compares_bytes }
    };
    let report = WalkReport {
        url: url.to_owned(),
        direct: direct_url.to_owned(),
        at: clock::rfc3339(clock::unix_seconds()),
        walks: walks.iter().map(reported).collect(),
        changes: listings.changes(),
        listing,
    };
    report::output(&report.text())?;
    if let Some(path) = &arguments.report {
        let written = fs::write(path, report.page());
        written.map_err(|error| Failure::failed(format!("{} can't be written: {error}", path.display())))?;
    }
    match report.walks.first().map(|walk| walk.verdict) {
        Some(WalkVerdict::Lossless) => Ok(()),
        Some(WalkVerdict::Lossy) => Err(Failure { code: LOSSY, message: String::new() }),
        Some(WalkVerdict::Open) | None => Err(Failure::failed("")),
    }
}

/// Makes the walk, and beside it that by the dialect, a page of each in turn, so that both meet the same changes. A URL that
/// is the direct one is walked by its dialect alone.
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
            _ => options.arguments.id_place()?,
        };
        walks.insert(0, KeptWalk::new("by cursor", followed(options, own, id)?));
    }
    // Each walker notices circles.
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
