//! `cursorgate walk`: reads lists to their ends, and compares a walk with direct readings.

mod direct;
mod output;
mod progress;
mod verify;
mod walker;

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use http::{HeaderName, HeaderValue};

use super::{
    Failure,
    arguments::WalkArguments,
    target::{self, ListUrl},
};
use cursorgate_core::json::Pointer;
use cursorgate_gateway::probe::ProbeSender;
use cursorgate_tools::walk::{Follower, Pager};
use direct::DirectSource;
use output::{ItemWriter, WalkState};
use progress::WalkProgress;
use walker::{WalkPace, Walker};

/// The options that apply to all walks of a command.
struct WalkOptions<'a> {
    arguments: &'a WalkArguments,
    headers: Vec<(HeaderName, HeaderValue)>,
    pace: WalkPace,
}

/// Walks all lists, several at a time in threads. With `--verify`, walks one list and verifies the walk.
pub(super) fn run(arguments: &WalkArguments) -> Result<(), Failure> {
    let pace = WalkPace { delay: Duration::from_millis(arguments.delay), retries: arguments.retries };
    let options = WalkOptions { arguments, headers: target::headers(&arguments.header)?, pace };
    let urls = &arguments.urls;
    if let Some(direct) = &arguments.verify {
        let [url] = &urls[..] else { return Err(Failure::mistaken("--verify takes one URL")) };
        return verify::run(&options, url, direct);
    }
    // Arguments are checked and files are opened before the first request, so a mistake causes no requests.
    let lists = urls.iter().map(|url| WalkedUrl::parse(arguments, url)).collect::<Result<Vec<_>, Failure>>()?;
    let writers = ItemWriter::open_all(urls, arguments.out.as_deref())?;
    let progress = WalkProgress::new(urls.len());
    let waiting: VecDeque<_> = lists.into_iter().zip(writers).collect();
    let (waiting, faults) = (Mutex::new(waiting), Mutex::new(Vec::new()));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    thread::scope(|scope| {
        for _ in 0..arguments.parallel.min(urls.len()) {
            scope.spawn(|| {
                while let Some((list, (writer, state))) = next() {
                    if let Err(failure) = walk(&options, &list, writer, state, &progress) {
                        let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
                        faults.push(format!("{}: {}", list.text, failure.message));
                    }
                }
            });
        }
    });
    progress.clear();
    let faults = faults.into_inner().unwrap_or_else(PoisonError::into_inner);
    if faults.is_empty() { Ok(()) } else { Err(Failure::failed(faults.join("\ncursorgate: "))) }
}

/// A list that is walked.
struct WalkedUrl<'a> {
    text: &'a str,
    url: ListUrl,
    /// The source of a list that is read directly from its upstream; `None` for a list that is read by links and
    /// cursors.
    source: Option<DirectSource>,
    /// The place of the id in an item.
    id: Pointer,
}

impl<'a> WalkedUrl<'a> {
    fn parse(arguments: &WalkArguments, text: &'a str) -> Result<Self, Failure> {
        let (url, id) = (ListUrl::parse(text)?, arguments.id_place().map_err(Failure::mistaken)?);
        let source = arguments.is_direct().then(|| DirectSource::find(arguments, &url)).transpose()?;
        Ok(Self { text, url, source, id })
    }
}

/// Walks a list, from its start or from the place at which an earlier walk was interrupted.
fn walk(
    options: &WalkOptions<'_>,
    list: &WalkedUrl<'_>,
    mut writer: ItemWriter,
    state: Option<WalkState>,
    progress: &WalkProgress,
) -> Result<(), Failure> {
    let url = list.text;
    let mut walker = match &list.source {
        Some(source) => Walker::new(source.sender(&options.headers)?, source.pager(&list.url), options.pace),
        None => followed(options, &list.url, list.id.clone())?,
    };
    let mut state = state.unwrap_or_else(|| WalkState::new(url));
    walker.go_on(&state);
    // The walker stops at circular links, so the loop ends unless the list grows faster than it is read.
    loop {
        let page = match walker.next_page() {
            Ok(Some(page)) => page,
            Ok(None) => break,
            // The file is removed, because another walk may need its name. Test:
            // `several_lists_are_walked_with_secrets_from_elsewhere_and_at_the_upstreams_pace`.
            Err(fault) if state.pages == 0 => {
                writer.discard()?;
                return Err(Failure::failed(fault));
            }
            Err(fault) => {
                let help = if writer.keeps_state() { "; the same command goes on from there" } else { "" };
                return Err(Failure::failed(format!("after {} items: {fault}{help}", state.items)));
            }
        };
        let is_read = writer.write(&page.answer)?;
        state.note(&page, &walker);
        writer.keep(&state)?;
        progress.page(url, &page);
        if !is_read {
            break;
        }
    }
    progress.end(url, state.items, state.pages, &walker.cost);
    writer.finish()
}

/// Creates a walk of the list at a URL by its links and cursors.
fn followed<'d>(options: &WalkOptions<'_>, url: &ListUrl, id: Pointer) -> Result<Walker<'d>, Failure> {
    let sender = ProbeSender::new(url.upstream()?, options.headers.clone(), None)?;
    Ok(Walker::new(sender, Pager::Links(Box::new(Follower::new(url.target(), id))), options.pace))
}
