//! Operations of a socket that have one answer, and run beside it.
//!
//! What an operation holds while it runs, a place among those who read or a connection, must not be kept from others by a
//! client that does not take what it is told. So it goes on although its socket can't be written to. A few of them do at a
//! time: what they come to waits in memory for such a client, for as long as it has.

use std::sync::Arc;
use std::task::Poll;

use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// So many of one socket are under way, or done and not yet told, at a time. The others wait, and hold nothing.
const AT_ONCE: usize = 8;

/// The turns of one socket's operations.
#[derive(Clone)]
pub(super) struct Beside(Arc<Semaphore>);

/// A turn, which ends when what it came to is told.
pub(super) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Beside {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// Runs an operation, and ends it when nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(self, mut operation: BoxFuture<'static, T>) -> (T, Turn) {
        // Nobody closes the semaphore.
        let turn = Turn { _permit: self.0.acquire_owned().await.ok() };
        // The first step is taken right here, so that commands go their way in the order in which they were sent, but for
        // those for which it is looked first whether what they refer to is there.
        if let Poll::Ready(answer) = futures::poll!(&mut operation) {
            return (answer, turn);
        }
        let mut task = JoinSet::new();
        task.spawn(operation);
        match task.join_next().await {
            Some(Ok(answer)) => (answer, turn),
            Some(Err(failed)) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            // The server is at its end.
            _ => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt as _;
    use tokio::sync::Notify;
    use tokio::task::yield_now;

    use super::*;

    type Steps = Arc<Mutex<Vec<String>>>;

    /// Takes a step, waits, and takes another.
    fn operation(name: &'static str, steps: &Steps, go_on: &Arc<Notify>) -> BoxFuture<'static, &'static str> {
        let (steps, go_on) = (steps.clone(), go_on.clone());
        async move {
            steps.lock().unwrap().push(format!("{name} begins"));
            go_on.notified().await;
            steps.lock().unwrap().push(format!("{name} ends"));
            name
        }
        .boxed()
    }

    #[tokio::test]
    async fn operations_begin_in_order_and_go_on_although_nobody_asks_for_their_answers() {
        let (beside, steps, go_on) = (Beside::new(), Steps::default(), Arc::new(Notify::new()));
        let mut first = beside.clone().run(operation("a", &steps, &go_on)).boxed();
        let mut second = beside.run(operation("b", &steps, &go_on)).boxed();
        assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
        assert_eq!(*steps.lock().unwrap(), ["a begins", "b begins"]);
        while steps.lock().unwrap().len() < 4 {
            go_on.notify_waiters();
            yield_now().await;
        }
        assert_eq!((first.await.0, second.await.0), ("a", "b"));
    }

    #[tokio::test]
    async fn an_operation_that_nobody_waits_for_ends() {
        let (steps, go_on) = (Steps::default(), Arc::new(Notify::new()));
        let mut running = Beside::new().run(operation("a", &steps, &go_on)).boxed();
        assert!(futures::poll!(&mut running).is_pending());
        drop(running);
        while Arc::strong_count(&steps) > 1 {
            yield_now().await;
        }
        assert_eq!(*steps.lock().unwrap(), ["a begins"]);
    }

    #[tokio::test]
    async fn what_is_not_yet_told_keeps_others_from_beginning() {
        let (beside, done) = (Beside::new(), async || std::future::ready(()).boxed());
        let mut told = Vec::new();
        for _ in 0..AT_ONCE {
            told.push(beside.clone().run(done().await).await);
        }
        let mut next = beside.run(done().await).boxed();
        assert!(futures::poll!(&mut next).is_pending());
        told.pop();
        next.await;
    }
}
