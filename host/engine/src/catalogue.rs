//! What is deployed at one moment: plugins, and what they bring, ready to use.
//!
//! A catalogue never changes. A deployment makes a new one and puts it in the old one's place in one step, so whoever
//! holds one sees aggregates, read models and schemas that belong together.

mod aggregate;
mod breaker;
mod build;
mod command;
mod model;
mod nul;
mod query;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use aggregate::AggregateType;
pub use build::Clash;
pub use command::CommandType;
#[cfg(test)]
pub(crate) use model::labels;
pub use model::{Model, ProjectionType};
pub use query::QueryType;

use yado_model::{Digest, Manifest, Name};
use yado_runtime::Plugin;
use yado_store::PluginVersion;

/// What is deployed at one moment.
#[derive(Default)]
pub struct Catalogue {
    plugins: BTreeMap<String, Arc<Deployed>>,
    aggregates: BTreeMap<Name, Arc<AggregateType>>,
    commands: BTreeMap<Name, Arc<CommandType>>,
    models: BTreeMap<Name, Arc<Model>>,
    projections: BTreeMap<Name, Arc<ProjectionType>>,
    queries: BTreeMap<Name, Arc<QueryType>>,
    epochs: Epochs,
}

/// How often the tables of projections have been made anew because an operator wanted them to be, by plugin and name.
pub(crate) type Epochs = BTreeMap<(String, Name), u32>;

/// A plugin that is running.
#[derive(Debug)]
pub struct Deployed {
    /// The code.
    pub plugin: Plugin,
    /// The short number by which events refer to it.
    pub version: PluginVersion,
}

impl Deployed {
    /// What the plugin says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.plugin.manifest()
    }

    /// What the code is recognised by.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.plugin.digest()
    }
}

impl Catalogue {
    /// The plugins, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<Deployed>> {
        self.plugins.values()
    }

    /// A plugin by its name.
    #[must_use]
    pub fn plugin(&self, name: &str) -> Option<&Arc<Deployed>> {
        self.plugins.get(name)
    }

    /// The aggregates of all plugins, by name.
    pub fn aggregates(&self) -> impl Iterator<Item = &Arc<AggregateType>> {
        self.aggregates.values()
    }

    /// An aggregate by its name.
    #[must_use]
    pub fn aggregate(&self, name: &Name) -> Option<&Arc<AggregateType>> {
        self.aggregates.get(name)
    }

    /// The commands of all plugins, by name.
    pub fn commands(&self) -> impl Iterator<Item = &Arc<CommandType>> {
        self.commands.values()
    }

    /// A command by its name.
    #[must_use]
    pub fn command(&self, name: &Name) -> Option<&Arc<CommandType>> {
        self.commands.get(name)
    }

    /// The read models of all plugins, by name.
    pub fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.values()
    }

    /// A read model by its name.
    #[must_use]
    pub fn model(&self, name: &Name) -> Option<&Arc<Model>> {
        self.models.get(name)
    }

    /// The projections of all plugins, by name.
    pub fn projections(&self) -> impl Iterator<Item = &Arc<ProjectionType>> {
        self.projections.values()
    }

    /// A projection by its name.
    #[must_use]
    pub fn projection(&self, name: &Name) -> Option<&Arc<ProjectionType>> {
        self.projections.get(name)
    }

    /// The named queries of all plugins, by name.
    pub fn queries(&self) -> impl Iterator<Item = &Arc<QueryType>> {
        self.queries.values()
    }

    /// A named query by its name.
    #[must_use]
    pub fn query(&self, name: &Name) -> Option<&Arc<QueryType>> {
        self.queries.get(name)
    }
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.plugins.iter().map(|(name, deployed)| (name, deployed.digest()))).finish()
    }
}
