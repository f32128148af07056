//! Makes a catalogue out of plugins, and finds what does not fit together.

use std::collections::BTreeMap;
use std::sync::Arc;

use yado_model::Name;
use yado_model::manifest::EventSource;

use super::{AggregateType, Catalogue, CommandType, Deployed, Epochs, ProjectionType, QueryType};

/// Plugins that can't run side by side, or a manifest that refers to something no plugin brings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Clash(String);

impl Catalogue {
    /// A catalogue with plugins more, each in place of another version of it. Plugins that need one another come
    /// together.
    ///
    /// # Errors
    /// Says what does not fit together.
    pub fn with(&self, deployed: impl IntoIterator<Item = Arc<Deployed>>) -> Result<Self, Clash> {
        let mut plugins = self.plugins.clone();
        plugins.extend(deployed.into_iter().map(|deployed| (deployed.manifest().name.clone(), deployed)));
        Self::of(plugins, self.epochs.clone())
    }

    /// The same catalogue, in which tables of projections are of these epochs.
    pub(crate) fn at(&self, epochs: impl IntoIterator<Item = ((String, Name), u32)>) -> Result<Self, Clash> {
        let mut all = self.epochs.clone();
        all.extend(epochs);
        Self::of(self.plugins.clone(), all)
    }

    fn of(plugins: BTreeMap<String, Arc<Deployed>>, epochs: Epochs) -> Result<Self, Clash> {
        let mut catalogue = Self { plugins, epochs, ..Self::default() };
        for deployed in catalogue.plugins.values() {
            let plugin = &deployed.manifest().name;
            for manifest in &deployed.manifest().aggregates {
                let aggregate = AggregateType::new(manifest.clone(), deployed.clone())
                    .map_err(|e| Clash(format!("aggregate {} of plugin {plugin}: {e}", manifest.name)))?;
                let aggregate = Arc::new(aggregate);
                put(&mut catalogue.aggregates, "aggregate", &manifest.name, aggregate.clone(), |known| {
                    &known.deployed
                })?;
                for command in &manifest.commands {
                    let made = CommandType::new(command.clone(), aggregate.clone())
                        .map_err(|e| Clash(format!("command {} of plugin {plugin}: {e}", command.name)))?;
                    put(&mut catalogue.commands, "command", &command.name, Arc::new(made), |known| {
                        &known.aggregate.deployed
                    })?;
                }
            }
        }
        for deployed in catalogue.plugins.values() {
            let plugin = &deployed.manifest().name;
            for projection in &deployed.manifest().projections {
                let epoch = catalogue.epochs.get(&(plugin.clone(), projection.name.clone())).copied();
                let made = ProjectionType::new(projection, deployed, epoch.unwrap_or_default(), &catalogue.aggregates)
                    .map_err(|e| Clash(format!("projection {} of plugin {plugin}: {e}", projection.name)))?;
                for model in &made.models {
                    put(&mut catalogue.models, "read model", &model.manifest.name, model.clone(), |known| {
                        &known.deployed
                    })?;
                }
                put(&mut catalogue.projections, "projection", &projection.name, Arc::new(made), |known| {
                    &known.deployed
                })?;
            }
        }
        for deployed in catalogue.plugins.values() {
            let plugin = &deployed.manifest().name;
            for query in &deployed.manifest().queries {
                let made = QueryType::new(query, deployed, &catalogue.models)
                    .map_err(|e| Clash(format!("query {} of plugin {plugin}: {e}", query.name)))?;
                put(&mut catalogue.queries, "query", &query.name, Arc::new(made), |known| &known.deployed)?;
            }
        }
        catalogue.references()?;
        Ok(catalogue)
    }

    /// What refers to another plugin must find it.
    fn references(&self) -> Result<(), Clash> {
        for model in self.models.values() {
            for relation in &model.manifest.relations {
                let Some(target) = self.models.get(&relation.model) else {
                    return Err(Clash(format!(
                        "the relation {} of read model {} leads to {}, which no plugin brings: deploy that plugin first",
                        relation.name, model.manifest.name, relation.model
                    )));
                };
                if relation.many && target.row.fields.get(relation.field.as_str()).is_none() {
                    return Err(Clash(format!(
                        "the relation {} of read model {} needs a property {} of {}, which has none",
                        relation.name, model.manifest.name, relation.field, relation.model
                    )));
                }
            }
        }
        for command in self.commands.values() {
            for name in command.referenced() {
                if !self.aggregates.contains_key(name) {
                    return Err(Clash(format!(
                        "command {} refers to {name}, which no plugin brings: deploy that plugin first",
                        command.manifest.name
                    )));
                }
            }
        }
        for query in self.queries.values() {
            query.check_rows(&self.models).map_err(|why| {
                let plugin = &query.deployed.manifest().name;
                Clash(format!("query {} of plugin {plugin} {why}", query.manifest.name))
            })?;
        }
        for projection in self.projections.values() {
            for source in &projection.manifest.events {
                self.source(&projection.manifest.name, source)?;
            }
        }
        Ok(())
    }

    fn source(&self, projection: &Name, source: &EventSource) -> Result<(), Clash> {
        let Some(aggregate) = self.aggregates.get(&source.aggregate) else {
            return Err(Clash(format!(
                "projection {projection} listens to {}, which no plugin brings: deploy that plugin first",
                source.aggregate
            )));
        };
        let declared = &aggregate.manifest.events;
        match source.events.iter().find(|name| !declared.iter().any(|event| event.name == **name)) {
            Some(name) => Err(Clash(format!(
                "projection {projection} listens to {name}, which {} does not have",
                source.aggregate
            ))),
            None => Ok(()),
        }
    }
}

fn put<T>(
    map: &mut BTreeMap<Name, Arc<T>>,
    kind: &str,
    name: &Name,
    made: Arc<T>,
    owner: impl Fn(&T) -> &Arc<Deployed>,
) -> Result<(), Clash> {
    if let Some(known) = map.get(name) {
        let (first, second) = (&owner(known).manifest().name, &owner(&made).manifest().name);
        return Err(Clash(format!("the plugins {first} and {second} both bring a {kind} {name}: rename one of them")));
    }
    map.insert(name.clone(), made);
    Ok(())
}
