//! What the lifecycle asks of the surfaces (GraphQL, gRPC), which it does not know.

use std::sync::Arc;

use crate::Catalogue;

/// A surface derives its schema from a catalogue. It does so before the catalogue goes live, so that what it can't serve
/// is refused while the old version still runs.
pub trait Surface: Send + Sync {
    /// Derives the schema. The returned step puts it in place; it is taken right after the catalogue has gone live, and
    /// can't fail.
    ///
    /// # Errors
    /// Says what can't be served, for whoever deploys it.
    fn prepare(&self, catalogue: &Arc<Catalogue>) -> Result<Box<dyn FnOnce() + Send>, String>;
}
