//! The port between a page that is being read and the upstream: a mailbox for fetches and their answers.
//!
//! The strategies are straight-line `async` functions that wait only in [`Port::fetch`], which posts the fetches and
//! suspends the page until their answers are in the mailbox. [`resolver`](super::resolver) polls the page once per
//! step, with a waker that does nothing. There is no executor, no clock and no IO.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{answer::Answer, fetch::Fetch, page::Page, refusal::Refusal};

/// A handle of the mailbox. The page and the [`Task`] that polls it have a handle each.
#[derive(Clone, Debug, Default)]
pub(super) struct Port(Arc<Mutex<Mail>>);

/// The content of the mailbox.
#[derive(Debug, Default)]
enum Mail {
    #[default]
    Empty,
    Questions(Vec<Fetch>),
    Answers(Vec<Answer>),
}

impl Port {
    /// Posts fetches and waits for their answers. Returns one answer for each fetch, in the same order.
    pub(super) async fn fetch(&self, fetches: Vec<Fetch>) -> Vec<Answer> {
        debug_assert!(!fetches.is_empty(), "a page that waits has asked for something");
        let before = self.replace(Mail::Questions(fetches));
        debug_assert!(matches!(before, Mail::Empty), "one question is open at a time");
        poll_fn(|_| match self.replace(Mail::Empty) {
            Mail::Answers(answers) => Poll::Ready(answers),
            questions => {
                self.replace(questions);
                Poll::Pending
            }
        })
        .await
    }

    fn replace(&self, mail: Mail) -> Mail {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *slot, mail)
    }
}

/// The result of reading a page: the page to serve, or a refusal.
pub(super) type PageResult = Result<Box<Page>, Refusal>;

/// A page that is being read, and is suspended until its answers arrive.
pub(super) struct Task {
    reading: Pin<Box<dyn Future<Output = PageResult> + Send>>,
    port: Port,
    /// The number of fetches whose answers the page awaits.
    asked: usize,
}

/// The state of a page after a poll: it needs answers, or it has ended.
pub(super) enum TaskState {
    Ask(Vec<Fetch>, Task),
    End(PageResult),
}

impl Task {
    /// Begins to read a page, up to its first fetches or its end.
    pub(super) fn begin<F>(read: impl FnOnce(Port) -> F) -> TaskState
    where
        F: Future<Output = PageResult> + Send + 'static,
    {
        let port = Port::default();
        Self { reading: Box::pin(read(port.clone())), port, asked: 0 }.poll()
    }

    /// Reads on with the answers to the last fetches, up to the next fetches or the end.
    pub(super) fn resume(self, answers: Vec<Answer>) -> TaskState {
        debug_assert_eq!(answers.len(), self.asked, "one answer for each fetch");
        let before = self.port.replace(Mail::Answers(answers));
        debug_assert!(matches!(before, Mail::Empty), "the questions were taken out");
        self.poll()
    }

    fn poll(mut self) -> TaskState {
        match self.reading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => TaskState::End(outcome),
            Poll::Pending => match self.port.replace(Mail::Empty) {
                Mail::Questions(fetches) => {
                    self.asked = fetches.len();
                    TaskState::Ask(fetches, self)
                }
                Mail::Empty | Mail::Answers(_) => {
                    debug_assert!(false, "a page awaits nothing but answers to its questions");
                    // No waker would ever resume such a page. A release build refuses the page, so the request doesn't
                    // hang.
                    TaskState::End(Err(Refusal::BudgetExceeded))
                }
            },
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Task").field("asked", &self.asked).finish_non_exhaustive()
    }
}
