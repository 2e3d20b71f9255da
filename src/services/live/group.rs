//! Groups: all subscribers of one page, for which the page is polled once. A group ends with its last subscriber, or
//! when its page ends.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use super::{
    history::{LivePageEnd, LiveState},
    message::LiveMessage,
    page::PageVaries,
    window::{GroupKey, LiveWindow},
};
use crate::services::{caller::Caller, inner::InnerGateway, webhooks::Events};

pub(super) struct LiveGroups {
    pub(super) inner: Arc<InnerGateway>,
    /// Raises events for changes; `None` without webhooks.
    pub(super) events: Option<Events>,
    /// Groups with the same key differ by headers that `Vary` of their answers names.
    table: Mutex<HashMap<GroupKey, Vec<Arc<LiveGroup>>>>,
    next: AtomicU64,
}

/// The subscribers of one page.
pub(super) struct LiveGroup {
    pub(super) window: LiveWindow,
    /// The client whose request began the group. Others are compared with its headers.
    founder: Arc<Caller>,
    members: Mutex<GroupMembers>,
    pub(super) state: watch::Sender<Arc<LiveState>>,
}

struct GroupMembers {
    /// The members by number. The first one's credentials are used next.
    callers: VecDeque<(u64, Arc<Caller>)>,
    /// The poller ends when this sender is dropped, with the last member.
    goes_on: Option<watch::Sender<()>>,
}

/// The subscription of one client.
pub(super) struct Subscription {
    groups: Arc<LiveGroups>,
    group: Arc<LiveGroup>,
    number: u64,
    states: watch::Receiver<Arc<LiveState>>,
    /// The id of the page that the client has.
    has: Option<String>,
    /// True if the client has been told that the last request failed.
    is_warned: bool,
}

/// The next event of a subscription.
pub(super) enum LiveEvent {
    Messages(Vec<Arc<LiveMessage>>),
    End(LivePageEnd),
}

impl LiveGroups {
    /// Creates an empty table of groups.
    pub(super) fn new(inner: Arc<InnerGateway>, events: Option<Events>) -> Arc<Self> {
        Arc::new(Self { inner, events, table: Mutex::default(), next: AtomicU64::new(0) })
    }

    /// Joins the group of a page, or begins a new one. The receiver is for the poller of a new group: its sender is
    /// dropped with the last member.
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
                    members: Mutex::new(GroupMembers { callers, goes_on: Some(goes_on) }),
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

    /// Removes a group from the table, so that no client joins it any more.
    pub(super) fn remove(&self, group: &Arc<LiveGroup>) {
        remove(&mut self.table(), group);
    }

    fn leave(&self, group: &Arc<LiveGroup>, number: u64) {
        // Locked to the end, so that no client joins a group while its last member leaves it.
        let mut table = self.table();
        let mut members = group.members();
        // The credentials of a client are not used after it has left.
        // Test: `clients_share_a_page_only_if_it_is_theirs`.
        members.callers.retain(|(known, _)| *known != number);
        if members.callers.is_empty() {
            members.goes_on = None;
            remove(&mut table, group);
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<GroupKey, Vec<Arc<LiveGroup>>>> {
        // No code panics while it holds the lock.
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
    /// Returns the connected client whose credentials the next request has. Clients take turns.
    pub(super) fn caller(&self) -> Option<Arc<Caller>> {
        let mut members = self.members();
        let (number, caller) = members.callers.pop_front()?;
        members.callers.push_back((number, Arc::clone(&caller)));
        Some(caller)
    }

    /// Returns all members.
    pub(super) fn callers(&self) -> Vec<Arc<Caller>> {
        self.members().callers.iter().map(|(_, caller)| Arc::clone(caller)).collect()
    }

    /// Returns whether all members get the same page, by this `Vary`.
    pub(super) fn serves_all(&self, varies: &PageVaries) -> bool {
        self.members().callers.iter().all(|(_, caller)| self.agrees(varies, caller))
    }

    /// Returns whether a client with the same key gets the page of this group, by the `Vary` of its answers. Before the
    /// first answer every client does.
    pub(super) fn serves(&self, caller: &Arc<Caller>) -> bool {
        let state = Arc::clone(&self.state.borrow());
        state.shown.as_ref().is_none_or(|shown| self.agrees(&shown.page.varies, caller))
    }

    fn agrees(&self, varies: &PageVaries, caller: &Arc<Caller>) -> bool {
        // With `Vary: *` the client that began the group stays alone in it.
        // Test: `a_page_that_differs_by_a_header_is_not_shared`.
        Arc::ptr_eq(&self.founder, caller) || varies.agree(&self.founder.headers, &caller.headers)
    }

    fn members(&self) -> MutexGuard<'_, GroupMembers> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    pub(super) fn group(&self) -> &Arc<LiveGroup> {
        &self.group
    }

    /// Sets the id of the page that the client has.
    pub(super) fn resume(mut self, has: Option<String>) -> Self {
        self.has = has;
        self
    }

    /// Waits for the first answer.
    ///
    /// # Errors
    ///
    /// Returns the reason that the page is no longer polled.
    pub(super) async fn begin(&mut self) -> Result<(), LivePageEnd> {
        let known = self.states.wait_for(|state| state.shown.is_some() || state.end.is_some()).await;
        // The wait does not fail: the group has the sender, and this value has the group.
        known.map_or(Ok(()), |state| state.end.clone().map_or(Ok(()), Err))
    }

    /// Waits for the next event. Cancel-safe: no event is lost if the wait is given up.
    pub(super) async fn next(&mut self) -> LiveEvent {
        // Each iteration waits for another state.
        loop {
            let state = Arc::clone(&self.states.borrow_and_update());
            if let Some(shown) = &state.shown {
                // A slow reader skips the states in between. Test: `a_slow_reader_gets_the_page_in_place_of_a_backlog`.
                let mut messages = shown.since(self.has.as_deref());
                self.has = Some(shown.page.id.clone());
                // A client that comes while requests fail gets the error too; any page or patch shows that they succeed
                // again. Test: `errors_are_sent_once_and_refused_credentials_end_a_stream`.
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
                // This does not happen: the group has the sender, and this value has the group.
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
