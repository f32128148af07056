//! Puts the API together, and refuses names that two parts of it want.

use std::collections::HashMap;

use yado_model::manifest::{Manifest, ReadModel};
use yado_model::schema::{Object as Row, Shape};
use yado_model::{Digest, Name};

use super::{Answer, Api, Field, MUTATION, Object, QUERY, SUBSCRIPTION, Type};
use super::{commands, host, inputs, live, models, queries};
use crate::Limits;

/// A plugin, as far as the API depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) digest: Digest,
}

/// Derives the API from plugins.
///
/// # Errors
/// Names what can't be in one API together, for whoever deploys it.
pub(crate) fn build(plugins: &[Source<'_>], limits: &Limits) -> Result<Api, String> {
    let mut builder = Builder { api: Api::default(), owners: HashMap::new(), rows: HashMap::new(), limits };
    for plugin in plugins {
        for model in &plugin.manifest.read_models {
            let Shape::Object(row) = model.row.shape().map_err(|e| e.to_string())?.shape else {
                return Err(format!("the row of read model {} is not an object", model.name));
            };
            builder.api.models.insert(model.name.to_string());
            builder.rows.insert(model.name.clone(), (model.clone(), row));
        }
    }
    host::add(&mut builder)?;
    if limits.events {
        live::add_events(&mut builder)?;
    }
    inputs::add_filters(&mut builder)?;
    for plugin in plugins {
        let plugin = plugin.manifest;
        for model in &plugin.read_models {
            models::add(&mut builder, plugin, model)?;
            if let Some((model, row)) = builder.model(&model.name).cloned() {
                live::add(&mut builder, plugin, &model, &row)?;
            }
        }
        for command in plugin.aggregates.iter().flat_map(|aggregate| &aggregate.commands) {
            commands::add(&mut builder, plugin, command)?;
        }
    }
    // They show rows of all plugins, whose types are there by now.
    for plugin in plugins {
        for query in &plugin.manifest.queries {
            queries::add(&mut builder, plugin.manifest, query)?;
        }
    }
    Ok(builder.api)
}

/// An API under construction.
pub(super) struct Builder<'a> {
    pub(super) api: Api,
    /// Who brought a type or a root field, in the words of a refusal.
    owners: HashMap<String, String>,
    rows: HashMap<Name, (ReadModel, Row)>,
    pub(super) limits: &'a Limits,
}

impl Builder<'_> {
    /// Adds a type. Two that are the same in everything are one; two that are not can't have the same name.
    pub(super) fn add(&mut self, name: &str, owner: &str, ty: Type) -> Result<(), String> {
        let Some(known) = self.api.types.get(name) else {
            self.owners.insert(name.to_owned(), owner.to_owned());
            self.api.types.insert(name.to_owned(), ty);
            return Ok(());
        };
        if *known == ty && matches!(ty, Type::Input(_) | Type::Object(_) | Type::Enum(_)) {
            return Ok(());
        }
        let other = self.owners.get(name).map_or("the server", String::as_str);
        Err(format!("{other} and {owner} both make a GraphQL type {name}, and not the same one: rename one of them"))
    }

    /// Adds a field to `Query`.
    pub(super) fn add_query(&mut self, owner: &str, field: Field) -> Result<(), String> {
        self.add_root(QUERY, "Everything that can be read.", owner, field)
    }

    /// Adds a field to `Mutation`.
    pub(super) fn add_mutation(&mut self, owner: &str, field: Field) -> Result<(), String> {
        self.add_root(
            MUTATION,
            "Everything that can be changed. Several changes are made one after another.",
            owner,
            field,
        )
    }

    /// Adds a field to `Subscription`.
    pub(super) fn add_subscription(&mut self, owner: &str, field: Field) -> Result<(), String> {
        self.add_root(
            SUBSCRIPTION,
            "Everything that can be followed. A subscription asks for one of these.",
            owner,
            field,
        )
    }

    fn add_root(&mut self, root: &str, description: &str, owner: &str, field: Field) -> Result<(), String> {
        let place = format!("{root}.{}", field.name);
        if let Some(other) = self.owners.get(&place) {
            return Err(format!("{other} and {owner} both make a GraphQL field {place}: rename one of them"));
        }
        self.owners.insert(place, owner.to_owned());
        self.owners.entry(root.to_owned()).or_insert_with(|| "the server".to_owned());
        let ty = self
            .api
            .types
            .entry(root.to_owned())
            .or_insert_with(|| Type::Object(Object { description: description.to_owned(), fields: Vec::new() }));
        match ty {
            Type::Object(object) => object.fields.push(field),
            _ => return Err(format!("{owner} needs the GraphQL type {root}, which is the server's own")),
        }
        Ok(())
    }

    /// A read model and its rows' type.
    pub(super) fn model(&self, name: &Name) -> Option<&(ReadModel, Row)> {
        self.rows.get(name)
    }

    /// Whether a relation leads to many of its rows.
    pub(super) fn is_led_to(&self, name: &Name) -> bool {
        let mut relations = self.rows.values().flat_map(|(model, _)| &model.relations);
        relations.any(|relation| relation.many && relation.model == *name)
    }

    /// How a command is answered that returns a row of a read model.
    pub(super) fn answer(&self, model: &Name) -> Option<Answer> {
        let (known, _) = self.model(model)?;
        Some(Answer::Row { model: model.clone(), key: known.key.to_string() })
    }
}
