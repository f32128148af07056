//! Given, when, then: tests of a plugin, against the component that ships, inside the host's own runtime.
//!
//! ```ignore
//! use yado_sdk::test_kit::plugin;
//!
//! #[test]
//! fn a_deleted_product_cannot_be_repriced() {
//!     let id = Id::new("pen");
//!     plugin()
//!         .given(&id, [created("Pen", "2.50"), ProductDeleted])
//!         .when(reprice(&id, "3.00"))
//!         .then_rejected("product_deleted");
//! }
//! ```
//!
//! Plain `cargo test` runs them: [`plugin`] builds the guest if it is missing or older than its sources. Commands, events
//! and rows are held against the manifest's schemas, as the host would.
//!
//! What a decision claims stands beside its events: `.then_claims([taken(Account::EMAIL, "ada@example.org")])`. Events of
//! older versions are given by [`Given::given_old`], and [`Plugin::upcasts`] throws all sorts of them at the component:
//!
//! ```ignore
//! #[test]
//! fn every_price_that_was_ever_recorded_can_be_read() {
//!     plugin().upcasts::<ProductEvent>();
//! }
//! ```
//!
//! Queries are asked with their arguments, and declared ones are read from the rows that the projections have made:
//!
//! ```ignore
//! plugin().given(&id, [created("Pen", "2.50")]).ask(FindProducts { name: "PEN".into() }).then_answer(&vec![pen]);
//! ```
//!
//! Time is what a test says it is. The first event is recorded at [`at(1)`](at), the second at `at(2)`, and so on; the
//! command is decided at the time of the event that it would record first.

mod build;
mod declared;
mod outcome;
mod random;
mod report;
mod rows;
mod scenario;
mod upcasts;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use yado_model::Manifest;
use yado_model::schema::{Checker, Schema};
use yado_runtime::{Limits, Runtime, Settings};

use crate::Timestamp;

pub use outcome::{Answered, Claimed, Outcome, released, taken};
pub use scenario::Given;

/// The plugin whose tests are running: the package that cargo is testing.
///
/// # Panics
/// If it can't be built or loaded; the message says why.
#[must_use]
#[track_caller]
pub fn plugin() -> &'static Plugin {
    static PLUGIN: OnceLock<Result<Plugin, String>> = OnceLock::new();
    match PLUGIN.get_or_init(|| build::component().and_then(|path| Plugin::load(&path))) {
        Ok(plugin) => plugin,
        Err(reason) => panic!("{reason}"),
    }
}

/// The time of the event at this position of a test's log, in seconds after the beginning of 2026.
#[must_use]
pub const fn at(position: u64) -> Timestamp {
    const BEGINNING: i64 = 1_767_225_600_000_000;
    Timestamp::from_micros(BEGINNING).plus_ms(position.cast_signed().saturating_mul(1000))
}

/// A plugin, loaded as the host loads it.
#[derive(Debug)]
pub struct Plugin {
    plugin: yado_runtime::Plugin,
    checkers: HashMap<String, Checker>,
}

impl Plugin {
    /// Loads a component, or a module that becomes one.
    ///
    /// # Errors
    /// Says why it is no plugin.
    pub fn load(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        // Tests are about what a plugin decides, not how fast; a busy machine must not fail them.
        let limits = Limits { decide_ms: 30_000, project_ms: 30_000, describe_ms: 30_000, ..Limits::default() };
        let runtime = Runtime::new(Settings { limits, ..Settings::default() }).map_err(|error| error.to_string())?;
        let plugin = runtime.load(&bytes).map_err(|error| format!("{} is no plugin: {error}", path.display()))?;
        let checkers = checkers(plugin.manifest()).map_err(|error| error.to_string())?;
        Ok(Self { plugin, checkers })
    }

    /// What the plugin says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        self.plugin.manifest()
    }
}

/// A checker for each payload of the manifest, by `kind name`.
fn checkers(manifest: &Manifest) -> Result<HashMap<String, Checker>, yado_model::schema::Broken> {
    let commands = manifest.aggregates.iter().flat_map(|aggregate| &aggregate.commands);
    let commands = commands.map(|command| (format!("command {}", command.name), &command.payload));
    let events = manifest.aggregates.iter().flat_map(|aggregate| {
        aggregate.events.iter().map(|event| (format!("event {} {}", aggregate.name, event.name), &event.payload))
    });
    let rows = manifest.read_models.iter().map(|model| (format!("row {}", model.name), &model.row));
    let queries = manifest.queries.iter().flat_map(|query| {
        [(format!("query {}", query.name), &query.arguments), (format!("answer {}", query.name), &query.returns)]
    });
    let schemas: Vec<(String, &Schema)> = commands.chain(events).chain(rows).chain(queries).collect();
    schemas.into_iter().map(|(name, schema)| Ok((name, Checker::new(schema)?))).collect()
}
