//! Watches over the loops: waits for them when the engine goes down, and notices when one breaks.
//!
//! A loop that breaks takes what it owned along, and the engine can't go on as if nothing had happened. Everything that
//! counts is in the log, so the remedy is a new process.

use std::sync::Arc;

use tokio::sync::watch;

/// How the loops stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Loops {
    running: usize,
    broken: Option<&'static str>,
}

/// Watches over the loops.
#[derive(Clone)]
pub(crate) struct Vigil {
    loops: Arc<watch::Sender<Loops>>,
}

impl Vigil {
    pub(crate) fn new() -> Self {
        Self { loops: Arc::new(watch::Sender::new(Loops::default())) }
    }

    /// A loop that is watched from now on.
    pub(crate) fn watch<F>(&self, name: &'static str, running: F) -> impl Future<Output = ()> + Send + use<F>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.loops.send_modify(|loops| loops.running += 1);
        let guard = Guard { loops: self.loops.clone(), name, broken: true };
        async move {
            // The whole of it belongs in here, and not only the flag below.
            let mut guard = guard;
            running.await;
            guard.broken = false;
        }
    }

    /// The loop that has broken, if one has.
    pub(crate) fn broken(&self) -> Option<&'static str> {
        self.loops.borrow().broken
    }

    /// Waits until all loops have ended.
    pub(crate) async fn ended(&self) {
        // The sender is this very object's, so there always is one.
        let _ = self.loops.subscribe().wait_for(|loops| loops.running == 0).await;
    }
}

/// Lives as long as a loop, and tells of its end, however it comes.
struct Guard {
    loops: Arc<watch::Sender<Loops>>,
    name: &'static str,
    broken: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.broken {
            tracing::error!(name = self.name, "a loop broke; the process has to be started again");
        }
        self.loops.send_modify(|loops| {
            loops.running -= 1;
            if self.broken {
                loops.broken.get_or_insert(self.name);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_loop_that_breaks_is_noticed_and_one_that_ends_is_not() {
        let vigil = Vigil::new();
        tokio::spawn(vigil.watch("one", async {})).await.unwrap();
        assert_eq!(vigil.broken(), None);
        tokio::spawn(vigil.watch("other", async { panic!("on purpose") })).await.unwrap_err();
        assert_eq!(vigil.broken(), Some("other"));
        vigil.ended().await;
    }
}
