//! Single flight: concurrent look-ups of one key share the result of the first request, which is the leader.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// The look-ups in flight, by key.
#[derive(Debug)]
pub struct SingleFlight<K, T> {
    /// For each key, a receiver of the leader's result. It gets an error if the leader ends without a result.
    under_way: Mutex<HashMap<K, watch::Receiver<Option<Arc<T>>>>>,
}

impl<K, T> Default for SingleFlight<K, T> {
    fn default() -> Self {
        Self { under_way: Mutex::default() }
    }
}

/// The result of a look-up, and whether this request made it.
#[derive(Debug)]
pub enum LookUpResult<T> {
    /// This request performed the look-up.
    Asked(Arc<T>),
    /// A concurrent request performed the look-up.
    Shared(Arc<T>),
}

/// The guard of the request that performs the look-up. Dropping it (after success, failure or cancellation) removes the
/// entry, and a waiting request can take over.
struct Leader<'a, K: Clone + Eq + Hash, T> {
    flights: &'a SingleFlight<K, T>,
    key: K,
    tell: watch::Sender<Option<Arc<T>>>,
}

impl<K: Clone + Eq + Hash, T> Drop for Leader<'_, K, T> {
    fn drop(&mut self) {
        // The entry is removed before the sender is dropped, which wakes the waiters: one of them then takes the lead.
        // Test: `a_waiter_takes_over_from_a_leader_that_leaves_or_fails`.
        self.flights.locked().remove(&self.key);
    }
}

impl<K: Clone + Eq + Hash, T> SingleFlight<K, T> {
    /// Returns the result of `work`, or the result of a concurrent request with the same key. A failure isn't shared,
    /// because its cause may be the other request's own deadline. If the other request fails or is cancelled, one of
    /// the waiting requests performs the look-up itself.
    ///
    /// # Errors
    ///
    /// Returns the error of `work`, if this request performed it.
    pub async fn join<E>(&self, key: K, work: impl Future<Output = Result<T, E>>) -> Result<LookUpResult<T>, E> {
        let lead = loop {
            let mut told = match self.take(&key) {
                Ok(lead) => break lead,
                Err(told) => told,
            };
            if let Ok(found) = told.wait_for(Option::is_some).await
                && let Some(found) = &*found
            {
                return Ok(LookUpResult::Shared(Arc::clone(found)));
            }
        };
        let found = Arc::new(work.await?);
        // The result reaches the requests that wait, and isn't kept for later requests. Test:
        // `a_later_look_up_is_made_anew`.
        lead.tell.send_replace(Some(Arc::clone(&found)));
        Ok(LookUpResult::Asked(found))
    }

    /// Returns whether a look-up of this key is in flight.
    pub fn is_under_way(&self, key: &K) -> bool {
        self.locked().contains_key(key)
    }

    /// Takes the lead for a key, or returns the receiver of the look-up that is in flight.
    fn take(&self, key: &K) -> Result<Leader<'_, K, T>, watch::Receiver<Option<Arc<T>>>> {
        let mut under_way = self.locked();
        if let Some(told) = under_way.get(key) {
            return Err(told.clone());
        }
        let (tell, told) = watch::channel(None);
        under_way.insert(key.clone(), told);
        Ok(Leader { flights: self, key: key.clone(), tell })
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<K, watch::Receiver<Option<Arc<T>>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        pin::Pin,
        sync::atomic::{AtomicU32, Ordering},
        task::Poll,
    };

    use tokio::sync::oneshot;

    use super::*;
    use crate::runtime::futures::join_all;

    #[tokio::test]
    async fn concurrent_look_ups_of_a_key_share_one_result() {
        let flights = SingleFlight::<u8, u32>::default();
        let asked = AtomicU32::new(0);
        let found = join_all((0..100).map(|index| {
            flights.join(index % 2, async {
                tokio::task::yield_now().await;
                Ok::<_, ()>(asked.fetch_add(1, Ordering::Relaxed))
            })
        }))
        .await;
        assert_eq!(asked.into_inner(), 2);
        let shared = found.iter().filter(|found| matches!(found, Ok(LookUpResult::Shared(_)))).count();
        assert_eq!(shared, 98);
        assert!(flights.locked().is_empty());
    }

    #[tokio::test]
    async fn a_later_look_up_is_made_anew() {
        let flights = SingleFlight::<u8, u8>::default();
        for number in 0..3 {
            let found = flights.join(7, async { Ok::<_, ()>(number) }).await;
            assert!(matches!(found, Ok(LookUpResult::Asked(found)) if *found == number));
        }
    }

    /// If a leader leaves or fails, exactly one waiter takes over.
    #[tokio::test]
    async fn a_waiter_takes_over_from_a_leader_that_leaves_or_fails() {
        for fails in [false, true] {
            let flights = SingleFlight::<u8, u32>::default();
            let asked = AtomicU32::new(0);
            let (release, released) = oneshot::channel::<()>();
            let mut first = Box::pin(flights.join(1, async {
                asked.fetch_add(1, Ordering::Relaxed);
                let _ = released.await;
                Err::<u32, ()>(())
            }));
            let others = (0..10).map(|_| {
                flights.join(1, async {
                    tokio::task::yield_now().await;
                    Ok::<_, ()>(asked.fetch_add(1, Ordering::Relaxed))
                })
            });
            let mut waiting = Box::pin(join_all(others));
            assert!(both_wait(&mut first, &mut waiting).await);
            if fails {
                let _ = release.send(());
                assert!(first.await.is_err());
            } else {
                drop(first);
            }
            let found = waiting.await;
            assert_eq!(asked.load(Ordering::Relaxed), 2, "fails: {fails}");
            assert_eq!(found.iter().filter(|found| matches!(found, Ok(LookUpResult::Asked(_)))).count(), 1);
            assert!(found.iter().all(Result::is_ok));
        }
    }

    /// Polls both futures once, and returns whether both are pending.
    async fn both_wait(first: &mut (impl Future + Unpin), second: &mut (impl Future + Unpin)) -> bool {
        poll_fn(|context| {
            let first = Pin::new(&mut *first).poll(context).is_pending();
            let second = Pin::new(&mut *second).poll(context).is_pending();
            Poll::Ready(first && second)
        })
        .await
    }
}
