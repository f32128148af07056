//! Tables that nobody uses any more are found and dropped.
//!
//! What replaces tables drops those of before when their time has come; but a process may stop before that, or die while it
//! fills some, or find that others have decided otherwise meanwhile. So it is looked now and then for tables that no process
//! says that it uses. Those go whose plugin is live here with other ones: where this process has left them, as soon as no
//! other one uses them; where another one has, when nobody has used them for much longer, because one with newer code that
//! starts again goes on with what it has filled for hours. How long that is the database tells, whoever looks; but whoever
//! looks does so for as long as requests may take, because those who use tables may have been cut off from the database all
//! together. Tables of plugins that are not live here are left alone: they may be deployed a moment later.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use yado_store::TablesInUse;

use super::Owner;
use super::rebuild::States;
use crate::catalogue::ProjectionType;
use crate::projection::tables;

/// Tables that are not used any more, by the name under which a projection's progress is kept.
#[derive(Default)]
pub(super) struct Unused {
    /// Those that were used here, and could not be dropped at once because another process uses them.
    left: HashMap<String, Vec<String>>,
    /// Since when it has been known of tables that they may go.
    known: HashMap<String, Instant>,
}

impl Unused {
    /// Nothing here uses tables any more.
    fn leave(&mut self, tables: &TablesInUse) {
        self.left.insert(tables.projection.clone(), tables.tables.clone());
    }

    /// Forgets tables that are dropped, or wanted again.
    fn forget(&mut self, is_gone: impl Fn(&str, &[String]) -> bool) {
        self.left.retain(|projection, names| !is_gone(projection, names));
    }

    /// Tables that may be dropped by now, of those that nobody uses: if they were left here, or nobody has used them for
    /// long, and that has been known for a while.
    fn due(
        &mut self,
        mut unused: Vec<TablesInUse>,
        for_long: &[TablesInUse],
        (now, patience): (Instant, Duration),
    ) -> Vec<TablesInUse> {
        unused.retain(|tables| self.left.contains_key(&tables.projection) || for_long.contains(tables));
        self.known.retain(|projection, _| unused.iter().any(|tables| tables.projection == *projection));
        unused.retain(|tables| {
            let since = *self.known.entry(tables.projection.clone()).or_insert(now);
            now.duration_since(since) >= patience
        });
        unused
    }
}

impl Owner {
    /// Drops tables that nobody has used for long enough.
    pub(super) async fn drop_unused(&mut self, states: &States) {
        match self.due(states).await {
            Ok(due) => {
                for tables in due {
                    self.discard_tables(&tables).await;
                }
            }
            // It is looked again before long.
            Err(error) => tracing::debug!(%error, "it could not be read which tables are in use"),
        }
    }

    async fn due(&mut self, states: &States) -> yado_store::Result<Vec<TablesInUse>> {
        let (uses, settings) = (self.surroundings.uses.clone(), self.surroundings.settings.clone());
        let unused = self.unwanted(uses.unused(0).await?, states);
        let for_long = if unused.is_empty() { Vec::new() } else { uses.unused(settings.unused_ms).await? };
        if !self.unused.left.is_empty() {
            let there = self.surroundings.reads.tables().await?;
            self.unused.forget(|_, names| !names.iter().any(|name| there.contains(name)));
        }
        let patience = Duration::from_millis(settings.retire_ms);
        Ok(self.unused.due(unused, &for_long, (Instant::now(), patience)))
    }

    /// Those of plugins that are live here with others, which may never want them again.
    fn unwanted(&mut self, mut unused: Vec<TablesInUse>, states: &States) -> Vec<TablesInUse> {
        let live = self.live.load_full();
        let mut wanted: HashSet<String> = live.projections().map(|projection| projection.key.to_string()).collect();
        for ((_, name), state) in states {
            let Some(projection) = live.projection(name) else { continue };
            for epoch in [Some(state.epoch), state.pending].into_iter().flatten() {
                // What can't be made of the code that is live is not going to be.
                if epoch != projection.epoch
                    && let Ok((_, next)) = self.at(projection, epoch)
                {
                    wanted.insert(next.key.to_string());
                }
            }
        }
        self.unused.forget(|projection, _| wanted.contains(projection));
        let is_known = |plugin: &str| states.keys().any(|(of, _)| of == plugin) || live.plugin(plugin).is_some();
        unused.retain(|tables| {
            let plugin = tables.projection.split('/').next().unwrap_or_default();
            is_known(plugin) && !wanted.contains(&tables.projection)
        });
        unused
    }

    /// Removes what a projection has written, and how far it has come, unless another process uses it.
    pub(super) async fn discard(&mut self, projection: &ProjectionType) {
        let tables = tables(projection);
        self.unused.leave(&tables);
        self.discard_tables(&tables).await;
    }

    async fn discard_tables(&mut self, tables: &TablesInUse) {
        let projection = &tables.projection;
        match self.surroundings.uses.discard(tables).await {
            Ok(true) => {
                self.unused.forget(|dropped, _| dropped == projection);
                tracing::debug!(projection, "tables that nobody uses any more have been dropped");
            }
            Ok(false) => {
                tracing::debug!(projection, "tables that are not used here any more stay, because others use them")
            }
            Err(error) => tracing::warn!(projection, %error, "what a projection has left could not be removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn of(projection: &str) -> TablesInUse {
        TablesInUse { projection: projection.into(), tables: vec![format!("rm_{projection}")] }
    }

    #[test]
    fn tables_go_that_were_left_here_or_that_nobody_has_used_for_long() {
        let (mut unused, begin) = (Unused::default(), Instant::now());
        unused.leave(&of("left"));
        let all = || vec![of("left"), of("other"), of("new")];
        let later = (begin + PATIENCE, PATIENCE);
        assert_eq!(unused.due(all(), &[of("other")], (begin, PATIENCE)), []);
        assert_eq!(unused.due(all(), &[of("other")], later), [of("left"), of("other")]);
        // Somebody has used them since, and it counts anew.
        assert_eq!(unused.due(vec![of("left")], &[], later), [of("left")]);
        assert_eq!(unused.due(all(), &[of("other")], later), [of("left")]);
    }

    #[test]
    fn tables_that_are_gone_are_forgotten_whoever_has_dropped_them() {
        let mut unused = Unused::default();
        for projection in ["here", "gone"] {
            unused.leave(&of(projection));
        }
        let there = ["rm_here".to_owned()];
        unused.forget(|_, names| !names.iter().any(|name| there.contains(name)));
        assert_eq!(unused.left.keys().collect::<Vec<_>>(), ["here"]);
    }
}
