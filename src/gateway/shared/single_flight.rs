//! One look-up for all who want the same at the same time: the first asks, the others wait for what it finds.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// What is being looked up at the moment.
#[derive(Debug)]
pub(crate) struct SingleFlight<K, T> {
    /// A receiver sees what was found, or that its sender is gone.
    under_way: Mutex<HashMap<K, watch::Receiver<Option<Arc<T>>>>>,
}

impl<K, T> Default for SingleFlight<K, T> {
    fn default() -> Self {
        Self { under_way: Mutex::default() }
    }
}

/// What a look-up found, and who looked.
#[derive(Debug)]
pub(crate) enum LookUpResult<T> {
    /// This request.
    Asked(Arc<T>),
    /// Another one, at the same time.
    Shared(Arc<T>),
}

/// The one who asks. Whatever becomes of it, the place is free afterwards; those who wait see what it found, or that it
/// found nothing.
struct Leader<'a, K: Clone + Eq + Hash, T> {
    flights: &'a SingleFlight<K, T>,
    key: K,
    tell: watch::Sender<Option<Arc<T>>>,
}

impl<K: Clone + Eq + Hash, T> Drop for Leader<'_, K, T> {
    fn drop(&mut self) {
        self.flights.locked().remove(&self.key);
    }
}

impl<K: Clone + Eq + Hash, T> SingleFlight<K, T> {
    /// What `work` finds, or what another request with the same key finds meanwhile. What fails is not shared, for it may
    /// have failed by the other's own deadline; where the other one fails or is cancelled, one of those who wait asks in
    /// its place.
    ///
    /// # Errors
    ///
    /// Where this request did the work, and it failed.
    pub(crate) async fn join<E>(&self, key: K, work: impl Future<Output = Result<T, E>>) -> Result<LookUpResult<T>, E> {
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
        lead.tell.send_replace(Some(Arc::clone(&found)));
        Ok(LookUpResult::Asked(found))
    }

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
    use crate::gateway::runtime::futures::join_all;

    #[tokio::test]
    async fn all_who_ask_at_once_share_one_answer() {
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
    async fn what_comes_later_is_asked_anew() {
        let flights = SingleFlight::<u8, u8>::default();
        for number in 0..3 {
            let found = flights.join(7, async { Ok::<_, ()>(number) }).await;
            assert!(matches!(found, Ok(LookUpResult::Asked(found)) if *found == number));
        }
    }

    /// Who waits for one that goes away, or that fails, is not left alone: exactly one asks in its place.
    #[tokio::test]
    async fn one_who_waits_takes_over() {
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

    /// Polls both once.
    async fn both_wait(first: &mut (impl Future + Unpin), second: &mut (impl Future + Unpin)) -> bool {
        poll_fn(|context| {
            let first = Pin::new(&mut *first).poll(context).is_pending();
            let second = Pin::new(&mut *second).poll(context).is_pending();
            Poll::Ready(first && second)
        })
        .await
    }
}
