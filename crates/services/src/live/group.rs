//! Groups: all subscribers of one page, for which a single poller requests the page. A group ends when its last
//! subscriber leaves, or when its page ends.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use http::HeaderValue;
use tokio::sync::watch;

use super::{
    detector::Detectors,
    history::{LivePageEnd, LiveState},
    message::LiveMessage,
    page::PageVaries,
    window::{GroupKey, LiveWindow},
};
use crate::{caller::Caller, inner::InnerGateway, webhooks::Events};

pub(super) struct LiveGroups {
    pub(super) inner: Arc<InnerGateway>,
    /// The events that report changes of pages; `None` without webhooks.
    pub(super) events: Option<Events>,
    pub(super) detectors: Arc<Detectors>,
    /// The groups by the key of their page. Groups with the same key differ in headers that the `Vary` of their answers
    /// names.
    table: Mutex<HashMap<GroupKey, Vec<Arc<LiveGroup>>>>,
    /// The number of the next subscription.
    next: AtomicU64,
}

/// The subscribers of one page, which share a poller.
pub(super) struct LiveGroup {
    pub(super) window: LiveWindow,
    /// The client whose request began the group. The headers of other clients are compared with this client's headers.
    founder: Arc<Caller>,
    members: Mutex<GroupMembers>,
    pub(super) state: watch::Sender<Arc<LiveState>>,
}

struct GroupMembers {
    /// The members with the numbers of their subscriptions. The next request has the first member's credentials.
    callers: VecDeque<(u64, Arc<Caller>)>,
    /// The refusals of members whose credentials aren't accepted any more, until their subscriptions end.
    refused: HashMap<u64, LivePageEnd>,
    /// The poller ends when this sender is dropped, which happens when the last member leaves; `None` after that.
    goes_on: Option<watch::Sender<()>>,
}

/// The subscription of one client. Dropping the value leaves the group.
pub(super) struct Subscription {
    groups: Arc<LiveGroups>,
    group: Arc<LiveGroup>,
    number: u64,
    states: watch::Receiver<Arc<LiveState>>,
    /// The id of the page that the client has; `None` before its first page.
    has: Option<String>,
    /// True if the client has got the error of the last failed request.
    is_warned: bool,
}

/// An event that a subscription waits for.
pub(super) enum LiveEvent {
    Messages(Vec<Arc<LiveMessage>>),
    End(LivePageEnd),
}

impl LiveGroups {
    /// Creates the table of groups, without a group.
    pub(super) fn new(inner: Arc<InnerGateway>, events: Option<Events>) -> Arc<Self> {
        Arc::new(Self { inner, events, detectors: Arc::default(), table: Mutex::default(), next: AtomicU64::new(0) })
    }

    /// Joins the group of a page, or begins a new group. For a new group, also returns the receiver for its poller,
    /// whose sender is dropped when the last member leaves.
    pub(super) fn join(
        self: &Arc<Self>,
        window: &LiveWindow,
        caller: &Arc<Caller>,
    ) -> (Subscription, Option<watch::Receiver<()>>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut table = self.table();
        let groups = table.entry(window.key).or_default();
        let found = groups.iter().find(|group| group.serves(caller) && group.state.borrow().end.is_none());
        let (group, wanted) = match found {
            Some(group) => {
                group.members().callers.push_back((number, Arc::clone(caller)));
                (Arc::clone(group), None)
            }
            None => {
                let (goes_on, wanted) = watch::channel(());
                let callers = VecDeque::from([(number, Arc::clone(caller))]);
                let group = Arc::new(LiveGroup {
                    window: window.clone(),
                    founder: Arc::clone(caller),
                    members: Mutex::new(GroupMembers { callers, refused: HashMap::new(), goes_on: Some(goes_on) }),
                    state: watch::Sender::new(Arc::default()),
                });
                groups.push(Arc::clone(&group));
                (group, Some(wanted))
            }
        };
        drop(table);
        let states = group.state.subscribe();
        (Subscription { groups: Arc::clone(self), group, number, states, has: None, is_warned: false }, wanted)
    }

    /// Removes a group from the table. After that, no client can join the group.
    pub(super) fn remove(&self, group: &Arc<LiveGroup>) {
        remove(&mut self.table(), group);
    }

    /// Returns all groups.
    pub(super) fn all(&self) -> Vec<Arc<LiveGroup>> {
        self.table().values().flatten().map(Arc::clone).collect()
    }

    fn leave(&self, group: &Arc<LiveGroup>, number: u64) {
        // The table stays locked to the end, so no client can join a group while its last member leaves.
        let mut table = self.table();
        let mut members = group.members();
        // The credentials of a client must not be used after the client has left.
        // Test: `clients_share_a_live_page_only_with_equal_credentials_and_hosts`.
        members.callers.retain(|(known, _)| *known != number);
        members.refused.remove(&number);
        if members.callers.is_empty() {
            members.goes_on = None;
            remove(&mut table, group);
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<GroupKey, Vec<Arc<LiveGroup>>>> {
        // No code panics while it holds the lock, so a poisoned lock can be taken.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(table: &mut HashMap<GroupKey, Vec<Arc<LiveGroup>>>, group: &Arc<LiveGroup>) {
    if let Some(groups) = table.get_mut(&group.window.key) {
        groups.retain(|known| !Arc::ptr_eq(known, group));
        if groups.is_empty() {
            table.remove(&group.window.key);
        }
    }
}

impl LiveGroup {
    /// Returns the member whose credentials the next request has. The members take turns, so each token of a client with
    /// several tokens is shown to the upstream. Returns `None` if there are no members.
    pub(super) fn caller(&self) -> Option<Arc<Caller>> {
        let mut members = self.members();
        let (number, caller) = members.callers.pop_front()?;
        members.callers.push_back((number, Arc::clone(&caller)));
        Some(caller)
    }

    /// Ends the subscriptions with the credentials of `caller`, which the upstream doesn't accept. Returns false if no
    /// other credentials are left. The group then ends as a whole.
    pub(super) fn refuse(&self, caller: &Caller, end: &LivePageEnd) -> bool {
        let credentials = |caller: &Caller| -> Vec<HeaderValue> {
            let covered = self.window.covered.iter();
            covered.flat_map(|name| caller.headers.get_all(name)).cloned().collect()
        };
        let refused = credentials(caller);
        let mut members = self.members();
        if members.callers.iter().all(|(_, other)| credentials(other) == refused) {
            return false;
        }
        let GroupMembers { callers, refused: ended, .. } = &mut *members;
        callers.retain(|(number, other)| {
            let is_left = credentials(other) != refused;
            if !is_left {
                ended.insert(*number, end.clone());
            }
            is_left
        });
        drop(members);
        self.state.send_modify(|_| {});
        true
    }

    /// Returns the clients of all members.
    pub(super) fn callers(&self) -> Vec<Arc<Caller>> {
        self.members().callers.iter().map(|(_, caller)| Arc::clone(caller)).collect()
    }

    /// Returns whether all members get the same page if the page varies by these headers.
    pub(super) fn serves_all(&self, varies: &PageVaries) -> bool {
        self.members().callers.iter().all(|(_, caller)| self.agrees(varies, caller))
    }

    /// Returns whether a client with the same key gets the page of this group, according to the `Vary` of the group's
    /// answers. Before the first answer, every client does.
    pub(super) fn serves(&self, caller: &Arc<Caller>) -> bool {
        let state = Arc::clone(&self.state.borrow());
        state.shown.as_ref().is_none_or(|shown| self.agrees(&shown.page.varies, caller))
    }

    fn agrees(&self, varies: &PageVaries, caller: &Arc<Caller>) -> bool {
        // With `Vary: *` only the client that began the group stays in it.
        // Test: `a_page_that_differs_by_a_header_is_not_shared`.
        Arc::ptr_eq(&self.founder, caller) || varies.agree(&self.founder.headers, &caller.headers, &self.window.covered)
    }

    fn members(&self) -> MutexGuard<'_, GroupMembers> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    pub(super) fn group(&self) -> &Arc<LiveGroup> {
        &self.group
    }

    /// Sets the id of the page that the client has, so the next event begins from that page.
    pub(super) fn resume(mut self, has: Option<String>) -> Self {
        self.has = has;
        self
    }

    /// Waits until the group has got its first answer.
    ///
    /// # Errors
    ///
    /// Returns the reason that the page is no longer polled.
    pub(super) async fn begin(&mut self) -> Result<(), LivePageEnd> {
        // Each iteration waits for a new state.
        loop {
            let state = Arc::clone(&self.states.borrow_and_update());
            match self.refusal().or_else(|| state.end.clone()) {
                Some(end) => return Err(end),
                None if state.shown.is_some() => return Ok(()),
                None => {}
            }
            if self.states.changed().await.is_err() {
                // This doesn't happen, because this value keeps the group alive, and the group owns the sender.
                return Ok(());
            }
        }
    }

    /// Returns the refusal of this client's credentials; `None` if they haven't been refused.
    fn refusal(&self) -> Option<LivePageEnd> {
        self.group.members().refused.get(&self.number).cloned()
    }

    /// Waits for the next event. This method is cancel-safe: no event is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> LiveEvent {
        // Each iteration waits for a new state.
        loop {
            let state = Arc::clone(&self.states.borrow_and_update());
            if let Some(end) = self.refusal() {
                return LiveEvent::End(end);
            }
            if let Some(shown) = &state.shown {
                // A client that reads slowly skips the states in between.
                // Test: `a_slow_reader_gets_the_page_in_place_of_a_backlog`.
                let mut messages = shown.since(self.has.as_deref());
                self.has = Some(shown.page.id.clone());
                // A client that subscribes while requests fail also gets the error. Any page or patch shows that
                // requests succeed again, so the message of recovery is sent only if there is no other message.
                // Test: `errors_are_sent_once_and_refused_credentials_end_a_stream`.
                match &state.trouble {
                    Some(trouble) if !self.is_warned => messages.push(Arc::clone(trouble)),
                    None if self.is_warned && messages.is_empty() => messages.push(Arc::clone(&shown.recovery)),
                    _ => {}
                }
                self.is_warned = state.trouble.is_some();
                if !messages.is_empty() {
                    return LiveEvent::Messages(messages);
                }
            }
            if let Some(end) = &state.end {
                return LiveEvent::End(end.clone());
            }
            if self.states.changed().await.is_err() {
                // This doesn't happen, because this value keeps the group alive, and the group owns the sender.
                return std::future::pending().await;
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.groups.leave(&self.group, self.number);
    }
}
