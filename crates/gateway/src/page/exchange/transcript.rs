//! The transcript of a page: its fetches and their answers. The independent checker verifies that the page's claims
//! follow from the transcript. The checker checks the pages of explained requests. In debug builds, it also checks all
//! other pages whose answers have at most [`CHECKED_BYTES`].

use cursorgate_core::pagination::{
    answer::Answer,
    checker::{self, ClaimFault},
    fetch::Fetch,
    page::{Level, Page},
    resolver::PageRequest,
};

/// The largest total size of a page's answers that a debug build copies for the checker, in bytes. A page with larger
/// answers isn't checked.
const CHECKED_BYTES: usize = 1 << 20;

/// The request for a page to the core, with the page's fetches and their answers.
#[derive(Debug)]
pub(super) struct Transcript {
    request: PageRequest,
    exchanges: Vec<(Fetch, Answer)>,
}

/// The checker's argument for a page, or the claim that doesn't follow from the answers.
pub(super) type CheckerVerdict = Result<Vec<String>, ClaimFault>;

impl Transcript {
    pub(super) fn new(request: &PageRequest) -> Self {
        Self { request: request.clone(), exchanges: Vec::new() }
    }

    pub(super) fn add<'a>(&mut self, exchanges: impl Iterator<Item = (&'a Fetch, &'a Answer)>) {
        self.exchanges.extend(exchanges.map(|(fetch, answer)| (fetch.clone(), answer.clone())));
    }

    /// Checks a page on a blocking thread, because the checker compares each item with the items of all answers.
    /// Returns `None` if the checker panics.
    pub(super) async fn check(self, page: &Page) -> Option<CheckerVerdict> {
        let page = page.clone();
        let Self { request, exchanges } = self;
        tokio::task::spawn_blocking(move || checker::check(&request, &exchanges, &page)).await.ok()
    }
}

/// The check of pages in debug builds, except pages with large answers. A claim that doesn't follow is logged as an
/// error, or as a warning if the checker's rules don't cover it. End-to-end tests fail if their gateway has logged an
/// error. The value is `None` in release builds, and for pages with large answers.
#[derive(Debug)]
pub(super) struct DebugCheck(Option<Box<Transcript>>);

impl DebugCheck {
    /// Begins the transcript of a page in a debug build. A release build doesn't check pages.
    pub(super) fn begin(request: &PageRequest) -> Self {
        Self(cfg!(debug_assertions).then(|| Box::new(Transcript::new(request))))
    }

    /// Adds the answers to fetches. If a page's answers exceed [`CHECKED_BYTES`], the page isn't checked.
    pub(super) fn add(&mut self, fetches: &[Fetch], answers: &[Answer]) {
        let Some(transcript) = &mut self.0 else { return };
        transcript.add(fetches.iter().zip(answers));
        let bytes: usize = transcript.exchanges.iter().map(|(_, answer)| answer.body().len()).sum();
        if bytes > CHECKED_BYTES {
            self.0 = None;
        }
    }

    /// Checks the page, and logs a claim that doesn't follow from the answers.
    pub(super) async fn served(self, page: &Page) {
        let Some(transcript) = self.0 else { return };
        let Some(Err(fault)) = Box::pin(transcript.check(page)).await else { return };
        match (&fault, page.level()) {
            // Such a page may be correct: for pages of two answers that agree, the core has more arguments than the
            // checker. The claim is therefore only a warning.
            (ClaimFault::Whole(_) | ClaimFault::Ends(_), Level::Checked) => {
                tracing::warn!(claim = %fault, "a checked page does not follow from its answers by the checker's rules");
            }
            _ => tracing::error!(claim = %fault, "a page does not follow from its answers"),
        }
    }
}
