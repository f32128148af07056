//! Tables that nobody uses any more are found and dropped.
//!
//! What replaces tables drops those of before when their time has come; but a process may stop before that, or die while it
//! fills some, or find that others have decided otherwise meanwhile. So it is looked now and then for tables that no process
//! says that it uses. Those go whose plugin is live here with other ones: where this process has left them, when as much time
//! has passed as requests may take; where another one has, after much longer, because one with newer code that starts again
//! goes on with what it has filled for hours. Tables of plugins that are not live here are left alone: they may be deployed a
//! moment later.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use yado_store::TablesInUse;

use super::Owner;
use super::rebuild::States;
use crate::catalogue::ProjectionType;
use crate::projection::tables;

impl Owner {
    /// Drops tables that nobody has used for long enough.
    pub(super) async fn drop_unused(&mut self, states: &States) {
        let unused = match self.surroundings.uses.unused().await {
            Ok(unused) => unused,
            // It is looked again before long.
            Err(error) => return tracing::debug!(%error, "it could not be read which tables are in use"),
        };
        let unused = self.unwanted(unused, states);
        self.unused.retain(|projection, _| unused.iter().any(|tables| tables.projection == *projection));
        let (now, settings) = (Instant::now(), self.surroundings.settings.clone());
        for tables in unused {
            let since = *self.unused.entry(tables.projection.clone()).or_insert(now);
            let is_left = self.left.contains(&tables.projection);
            let kept = Duration::from_millis(if is_left { settings.retire_ms } else { settings.unused_ms });
            if now.duration_since(since) >= kept {
                self.discard_tables(&tables).await;
            }
        }
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
        self.left.retain(|projection| !wanted.contains(projection));
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
        self.left.insert(tables.projection.clone());
        self.discard_tables(&tables).await;
    }

    async fn discard_tables(&mut self, tables: &TablesInUse) {
        let projection = &tables.projection;
        let discarded = self.surroundings.uses.discard(tables).await;
        if matches!(discarded, Ok(true)) {
            self.left.remove(projection);
        }
        match discarded {
            Ok(true) => tracing::debug!(projection, "tables that nobody uses any more have been dropped"),
            Ok(false) => {
                tracing::debug!(projection, "tables that are not used here any more stay, because others use them")
            }
            Err(error) => tracing::warn!(projection, %error, "what a projection has left could not be removed"),
        }
    }
}
