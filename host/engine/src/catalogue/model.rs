//! Read models and the projections that fill them.

use std::collections::BTreeMap;
use std::sync::Arc;

use yado_model::manifest::{Projection, ReadModel};
use yado_model::schema::{Broken, Object, Shape};
use yado_model::{Digest, Name, RecordedEvent};
use yado_store::{Column, Kind, Table};

use super::{AggregateType, Deployed};

/// A read model that can be queried.
#[derive(Debug)]
pub struct Model {
    /// What the manifest says of it.
    pub manifest: ReadModel,
    /// Whose it is.
    pub deployed: Arc<Deployed>,
    /// Its rows, as a type.
    pub row: Object,
    /// Where its rows are.
    pub table: Table,
    /// The projection that fills it, by the name under which its progress is kept.
    pub projection: Arc<str>,
}

/// A projection that is running.
#[derive(Debug)]
pub struct ProjectionType {
    /// What the manifest says of it.
    pub manifest: Projection,
    /// Whose it is.
    pub deployed: Arc<Deployed>,
    /// The name under which its progress is kept. Another shape or version has another name, other tables, and begins
    /// at the first event.
    pub key: Arc<str>,
    /// The read models that it fills.
    pub models: Vec<Arc<Model>>,
    /// The aggregates that it listens to, in the order of the manifest's sources.
    sources: Vec<Option<Arc<AggregateType>>>,
}

impl ProjectionType {
    pub(super) fn new(
        manifest: &Projection,
        deployed: &Arc<Deployed>,
        aggregates: &BTreeMap<Name, Arc<AggregateType>>,
    ) -> Result<Self, Broken> {
        let generation = generation(manifest, deployed);
        let key: Arc<str> = format!("{}/{}/{generation}", deployed.manifest().name, manifest.name).into();
        let models = manifest
            .models
            .iter()
            .filter_map(|name| deployed.manifest().read_model(name.as_str()))
            .map(|model| Model::new(model, deployed, &key, &generation).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let sources = manifest.events.iter().map(|source| aggregates.get(&source.aggregate).cloned()).collect();
        Ok(Self { manifest: manifest.clone(), deployed: deployed.clone(), key, models, sources })
    }

    /// Whether it is shown an event. An event of an older version may become any of today's, so it is asked for until it
    /// has been brought up to date, and asked about again then.
    #[must_use]
    pub fn listens_to(&self, event: &RecordedEvent) -> bool {
        let aggregate = event.stream.aggregate();
        let mut sources = self.manifest.events.iter().zip(&self.sources);
        sources.any(|(source, of)| {
            let may_become = || of.as_ref().is_some_and(|of| !of.is_current(&event.event));
            source.aggregate.as_str() == aggregate
                && (source.events.is_empty()
                    || source.events.iter().any(|name| name.as_str() == event.event.name)
                    || may_become())
        })
    }
}

/// What the rows depend on, in a few letters. Two builds whose rows depend on the same share their tables.
fn generation(projection: &Projection, deployed: &Deployed) -> String {
    let models: Vec<_> =
        projection.models.iter().filter_map(|name| deployed.manifest().read_model(name.as_str())).collect();
    let rows: Vec<_> = models.iter().map(|model| (&model.name, &model.key, &model.row, indexes(model))).collect();
    // Serialising our own types can't fail: they have string keys only.
    let text = serde_json::json!([projection.version, projection.events, rows]).to_string();
    Digest::of(text.as_bytes()).to_string()[..8].to_owned()
}

impl Model {
    fn new(
        manifest: &ReadModel,
        deployed: &Arc<Deployed>,
        projection: &Arc<str>,
        generation: &str,
    ) -> Result<Self, Broken> {
        let Shape::Object(row) = manifest.row.shape()?.shape else {
            return Err(Broken { path: String::new(), reason: "it must be an object".into() });
        };
        let columns = row.fields.iter().map(|field| Column {
            name: field.name.clone(),
            kind: kind(&field.slot.shape),
            nullable: field.slot.nullable || !field.required,
        });
        let table = Table {
            name: table_name(&deployed.manifest().name, manifest.name.as_str(), generation),
            columns: columns.collect(),
            key: manifest.key.clone(),
            indexes: indexes(manifest),
        };
        Ok(Self { manifest: manifest.clone(), deployed: deployed.clone(), row, table, projection: projection.clone() })
    }
}

/// What is declared, and what relations need: rows are looked up by the fields that lead to others.
fn indexes(model: &ReadModel) -> Vec<Vec<Name>> {
    let mut indexes = model.indexes.clone();
    for relation in model.relations.iter().filter(|relation| !relation.many) {
        let index = vec![relation.field.clone()];
        if relation.field != model.key && !indexes.contains(&index) {
            indexes.push(index);
        }
    }
    indexes
}

/// How a value of a shape is kept in a column.
pub(super) fn kind(shape: &Shape) -> Kind {
    match shape {
        Shape::Text | Shape::Id { .. } | Shape::Enumeration(_) => Kind::Text,
        Shape::Integer { .. } => Kind::Integer,
        Shape::Float => Kind::Float,
        Shape::Decimal => Kind::Decimal,
        Shape::Boolean => Kind::Boolean,
        Shape::Timestamp => Kind::Timestamp,
        Shape::List(_) | Shape::Object(_) | Shape::Json => Kind::Json,
    }
}

/// `rm_<plugin>_<model>_<generation>`, within what both engines take for a name. The generation keeps apart what has
/// been cut to the same text.
fn table_name(plugin: &str, model: &str, generation: &str) -> String {
    let readable: String = format!("{plugin}_{model}")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .take(44)
        .collect();
    let apart = &Digest::of_parts([plugin.as_bytes(), model.as_bytes()]).to_string()[..4];
    format!("rm_{readable}_{generation}{apart}")
}
