//! What a plugin says of itself: the document that `manifest.describe` returns.
//!
//! [`Manifest::parse`] is the only way to get one from a guest. It holds the document against the published JSON Schema
//! (`wit/manifest.schema.json`, made from these types), then against the rules that a schema can't say: names are
//! unique, and what one part refers to exists in another.

mod check;
mod parts;
mod rows;

pub use check::Broken;
pub use parts::{
    Aggregate, Command, Constraint, Effect, EventSource, EventType, IdKind, PastEvent, Projection, Query, ReadModel,
    Reading, Relation, Saga, SagaTrigger, Target,
};
pub use rows::{Answer, ArgumentPath, CompareOp, Condition, QueryOrder, RowsQuery};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The contract that this host speaks: the `major.minor` of the WIT package `yado:domain`.
pub const CONTRACT: &str = "0.1";

/// What a plugin says of itself. One plugin is one bounded context, and the unit of deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// The contract that the plugin was built for: `0.1`.
    pub contract: String,
    /// The plugin's name: lowercase letters, digits and `-`.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]{0,63}$"))]
    pub name: String,
    /// The plugin's version, for people.
    #[schemars(length(min = 1, max = 64))]
    pub version: String,
    /// What the plugin is for.
    #[serde(default)]
    pub description: String,
    /// What decides.
    #[serde(default)]
    pub aggregates: Vec<Aggregate>,
    /// What can be read.
    #[serde(default)]
    pub read_models: Vec<ReadModel>,
    /// What brings read models up to date.
    #[serde(default)]
    pub projections: Vec<Projection>,
    /// Reads with names of their own.
    #[serde(default)]
    pub queries: Vec<Query>,
    /// Processes that span streams and time.
    #[serde(default)]
    pub sagas: Vec<Saga>,
    /// Calls to the world outside.
    #[serde(default)]
    pub effects: Vec<Effect>,
}

impl Manifest {
    /// Reads a manifest and checks everything that can be checked without the rest of the plugin.
    ///
    /// # Errors
    /// Says at which path the document breaks which rule.
    pub fn parse(document: &str) -> Result<Self, Broken> {
        check::parse(document)
    }

    /// The JSON Schema that manifests follow.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Self);
        schema.insert("$id".into(), format!("urn:yado:manifest:{CONTRACT}").into());
        schema.to_value()
    }

    /// An aggregate by its name.
    #[must_use]
    pub fn aggregate(&self, name: &str) -> Option<&Aggregate> {
        self.aggregates.iter().find(|aggregate| aggregate.name.as_str() == name)
    }

    /// A read model by its name.
    #[must_use]
    pub fn read_model(&self, name: &str) -> Option<&ReadModel> {
        self.read_models.iter().find(|model| model.name.as_str() == name)
    }
}
