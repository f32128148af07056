//! Watches over the loops: waits for them when the engine goes down, and notices when one breaks.
//!
//! A loop that breaks takes what it owned along, and the engine can't go on as if nothing had happened. Neither can it when
//! the log has gone back: states, answers, and what followers have been given may rest on events that are no more.
//! Everything that counts is in the log, so the remedy is a new process.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use yado_model::Position;

/// How the loops stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Loops {
    running: usize,
    broken: Option<Broken>,
}

/// Why the process has to be started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A loop has broken.
    Loop(&'static str),
    /// The log does not have an event any more that this process has seen.
    Rewound(Position),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop(name) => write!(f, "{name} broke: start the server again, and look into its log"),
            Self::Rewound(seen) => write!(
                f,
                "the log went back behind position {seen}, which this server has seen, because a backup was restored or \
                 a standby took over that had lagged: start the server again"
            ),
        }
    }
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

    /// What has broken first, if anything has.
    pub(crate) fn broken(&self) -> Option<Broken> {
        self.loops.borrow().broken
    }

    /// Takes note that the log has gone back behind a position.
    pub(crate) fn rewound(&self, seen: Position) {
        self.loops.send_if_modified(|loops| {
            // It weighs more than a loop that has broken: it keeps commands from being answered.
            let news = !matches!(loops.broken, Some(Broken::Rewound(_)));
            if news {
                tracing::error!(%seen, "the log has gone back behind what this process has seen of it; the process has \
                    to be started again");
                loops.broken = Some(Broken::Rewound(seen));
            }
            news
        });
    }

    /// The position that the log has gone back behind, if it has.
    pub(crate) fn has_rewound(&self) -> Option<Position> {
        match self.broken() {
            Some(Broken::Rewound(seen)) => Some(seen),
            _ => None,
        }
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
                loops.broken.get_or_insert(Broken::Loop(self.name));
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
        assert_eq!(vigil.broken(), Some(Broken::Loop("other")));
        vigil.ended().await;
    }

    #[tokio::test]
    async fn a_log_that_goes_back_weighs_more_than_a_loop_that_breaks() {
        let vigil = Vigil::new();
        tokio::spawn(vigil.watch("one", async { panic!("on purpose") })).await.unwrap_err();
        assert_eq!(vigil.has_rewound(), None);
        vigil.rewound(Position::new(7));
        vigil.rewound(Position::new(9));
        assert_eq!(vigil.broken(), Some(Broken::Rewound(Position::new(7))));
        assert!(vigil.broken().unwrap().to_string().contains("start the server again"));
    }
}
