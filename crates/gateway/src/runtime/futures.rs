//! Joining of futures, and panics as values.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
};

/// Runs futures concurrently, and returns their outputs in the order of the futures. Each wake-up polls every future
/// that isn't ready yet, so the function suits only a small number of futures.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut all = true;
        for (future, output) in waiting.iter_mut().zip(&mut done) {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(ready) => *output = Some(ready),
                    Poll::Pending => all = false,
                }
            }
        }
        if all { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// Boxes a future that `make` makes in its box. `Box::pin` first makes its argument on the stack and then copies it,
/// which takes as many instructions as a large future has bytes.
pub fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(Box::write(Box::new_uninit(), make()))
}

/// Awaits a future and catches its panic. After a panic the future can only be dropped.
///
/// # Errors
///
/// Returns the panic's message.
pub async fn caught<F: Future>(mut future: Pin<&mut F>) -> Result<F::Output, String> {
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(payload) => Poll::Ready(Err(message(payload.as_ref()))),
    })
    .await
}

/// Calls a function and catches its panic. A value that the function was changing may be left half changed.
///
/// # Errors
///
/// Returns the panic's message.
pub fn caught_now<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| message(payload.as_ref()))
}

/// Panics if the path of the request is `/panic/{place}`. By this path, a test causes a panic at a named place in the
/// code. Outside tests, the function is empty.
#[cfg(test)]
pub fn seam(path: &str, place: &str) {
    assert!(path != format!("/panic/{place}"), "in {place}, by a test");
}

#[cfg(not(test))]
pub const fn seam(_path: &str, _place: &str) {}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn outputs_keep_the_order_of_their_futures() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let late = async move { told.await.unwrap() };
        let early = async move {
            tell.send(1).unwrap();
            2
        };
        let futures: [Pin<Box<dyn Future<Output = i32>>>; 2] = [Box::pin(late), Box::pin(early)];
        assert_eq!(join_all(futures).await, [1, 2]);
        assert!(join_all(Vec::<std::future::Ready<i32>>::new()).await.is_empty());
    }

    /// Row: F57
    #[tokio::test]
    async fn a_panic_of_a_future_is_returned_as_an_error() {
        assert_eq!(caught(pin!(async { 1 })).await, Ok(1));
        let panicking = async {
            tokio::task::yield_now().await;
            panic!("broken {}", 7);
        };
        assert_eq!(caught(pin!(panicking)).await, Err("broken 7".to_owned()));
    }
}
