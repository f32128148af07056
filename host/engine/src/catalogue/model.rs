//! Read models and the projections that fill them.

use std::collections::BTreeMap;
use std::sync::Arc;

use yado_model::manifest::{Projection, ReadModel, Relation};
use yado_model::schema::{Broken, Field, Object, Shape};
use yado_model::{Digest, Manifest, Name, RecordedEvent};
use yado_store::limits::LONGEST_KEY;
use yado_store::{Column, Kind, LAYOUT_VERSION, Table};

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
    /// How a row in the one form in which projections hold rows names each of its columns: `{"id":`, `,"name":`.
    pub(crate) labels: Vec<Box<str>>,
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
    /// How often its tables have been made anew because an operator wanted them to be. Those of each time are others.
    pub epoch: u32,
    /// The read models that it fills.
    pub models: Vec<Arc<Model>>,
    /// The aggregates that it listens to, in the order of the manifest's sources.
    sources: Vec<Option<Arc<AggregateType>>>,
}

impl ProjectionType {
    pub(super) fn new(
        manifest: &Projection,
        deployed: &Arc<Deployed>,
        epoch: u32,
        aggregates: &BTreeMap<Name, Arc<AggregateType>>,
    ) -> Result<Self, Broken> {
        let generation = generation(manifest, deployed.manifest(), epoch);
        let key: Arc<str> = format!("{}/{}/{generation}", deployed.manifest().name, manifest.name).into();
        let models = manifest
            .models
            .iter()
            .filter_map(|name| deployed.manifest().read_model(name.as_str()))
            .map(|model| Model::new(model, deployed, &key, &generation).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let sources = manifest.events.iter().map(|source| aggregates.get(&source.aggregate).cloned()).collect();
        Ok(Self { manifest: manifest.clone(), deployed: deployed.clone(), key, epoch, models, sources })
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

/// What the rows depend on, in a few letters. Two builds whose rows depend on the same share their tables. Indexes are not
/// among it, since a table may get others while it stays what it is; and what is said of rows to people is not either.
fn generation(projection: &Projection, manifest: &Manifest, epoch: u32) -> String {
    let models: Vec<_> = projection.models.iter().filter_map(|name| manifest.read_model(name.as_str())).collect();
    let rows = models.iter().map(|model| (&model.name, &model.key, model.row.bare(), &model.unique, &model.search));
    // Serialising our own types can't fail: they have string keys only.
    let text =
        serde_json::json!([LAYOUT_VERSION, epoch, projection.version, projection.events, rows.collect::<Vec<_>>()]);
    Digest::of(text.to_string().as_bytes()).to_string()[..8].to_owned()
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
            indexes: indexes(manifest, deployed.manifest()),
            unique: manifest.unique.clone(),
            search: manifest.search.clone(),
        };
        Ok(Self {
            manifest: manifest.clone(),
            deployed: deployed.clone(),
            labels: labels(&row),
            row,
            table,
            projection: projection.clone(),
        })
    }
}

/// How a row names its columns where there are no spaces.
pub(crate) fn labels(row: &Object) -> Vec<Box<str>> {
    let label = |(at, column): (usize, &Field)| {
        let begin = if at == 0 { '{' } else { ',' };
        // A column's name is letters and digits, so it needs no escapes.
        format!("{begin}\"{}\":", column.name).into_boxed_str()
    };
    row.fields.iter().enumerate().map(label).collect()
}

/// What is declared, and what relations need: rows are looked up by the fields that lead to others, and by those that others
/// of the plugin are led by. A text that may be too long for an index has none; whoever reads is told of it as advice.
fn indexes(model: &ReadModel, manifest: &Manifest) -> Vec<Vec<Name>> {
    let mut indexes = model.indexes.clone();
    let own = model.relations.iter().filter(|relation| !relation.many);
    let led = manifest.read_models.iter().flat_map(|other| &other.relations);
    let led = led.filter(|relation| relation.many && relation.model == model.name && is_indexable(model, relation));
    for relation in own.chain(led) {
        let is_served = |index: &Vec<Name>| index.first() == Some(&relation.field);
        if relation.field != model.key && !indexes.iter().any(is_served) {
            indexes.push(vec![relation.field.clone()]);
        }
    }
    indexes
}

fn is_indexable(model: &ReadModel, relation: &Relation) -> bool {
    let name = relation.field.as_str();
    let Ok(Shape::Object(row)) = model.row.shape().map(|slot| slot.shape) else { return false };
    row.fields.get(name).is_some_and(|field| match &field.slot.shape {
        Shape::Text => model.row.longest(name).is_some_and(|most| usize::try_from(most).is_ok_and(fits)),
        shape => kind(shape) != Kind::Json,
    })
}

/// Whether a text of so many characters fits into an index, of whichever characters it is.
fn fits(characters: usize) -> bool {
    characters.saturating_mul(char::MAX.len_utf8()) <= LONGEST_KEY
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Venues and what lets in, and a projection of both; changed as is said.
    fn manifest(change: fn(&mut Value)) -> Manifest {
        let text = |longest: u32| json!({ "type": "string", "maxLength": longest });
        let row = |fields: Value| {
            let names: Vec<_> = fields.as_object().unwrap().keys().cloned().collect();
            json!({ "type": "object", "properties": fields, "required": names, "additionalProperties": false })
        };
        let mut manifest = json!({
            "contract": "0.1", "name": "venues", "version": "1.0.0", "aggregates": [],
            "readModels": [
                { "name": "Venue", "row": row(json!({ "id": text(64), "label": text(100) })), "key": "id",
                  "relations": [
                    { "name": "tickets", "model": "Ticket", "field": "venueId", "many": true },
                    { "name": "notes", "model": "Ticket", "field": "note", "many": true }] },
                { "name": "Ticket", "row": row(json!({ "id": text(64), "venueId": text(64), "seats": { "type": "integer" },
                    "note": { "type": "string" }, "soldWith": text(64) })), "key": "id",
                  "indexes": [["seats"]],
                  "relations": [{ "name": "companion", "model": "Ticket", "field": "soldWith" }] }],
            "projections": [{ "name": "Shown", "models": ["Venue", "Ticket"], "events": [] }],
        });
        change(&mut manifest);
        serde_json::from_value(manifest).unwrap()
    }

    fn told(change: fn(&mut Value)) -> String {
        let manifest = manifest(change);
        generation(&manifest.projections[0], &manifest, 0)
    }

    #[test]
    fn other_indexes_leave_a_table_what_it_is() {
        let before = told(|_| {});
        assert_eq!(
            told(|manifest| manifest["readModels"][1]["indexes"] = json!([["seats", "venueId"], ["soldWith"]])),
            before
        );
        assert_eq!(told(|manifest| manifest["readModels"][0]["relations"] = json!([])), before);
        let others: [fn(&mut Value); 5] = [
            |manifest| manifest["readModels"][0]["search"] = json!(["label"]),
            |manifest| manifest["readModels"][0]["unique"] = json!([["label"]]),
            |manifest| manifest["readModels"][1]["key"] = json!("soldWith"),
            |manifest| manifest["readModels"][1]["row"]["properties"]["seats"] = json!({ "type": "boolean" }),
            |manifest| manifest["projections"][0]["version"] = json!(2),
        ];
        for other in others {
            assert_ne!(told(other), before);
        }
    }

    #[test]
    fn relations_have_their_indexes_on_both_sides() {
        let columns = |change: fn(&mut Value), model: &str| {
            let manifest = manifest(change);
            let indexes = indexes(manifest.read_model(model).unwrap(), &manifest);
            indexes.iter().map(|index| index.iter().map(Name::as_str).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
        };
        // The note has no bound that an index would need.
        assert_eq!(columns(|_| {}, "Ticket"), ["seats", "soldWith", "venueId"]);
        assert_eq!(columns(|_| {}, "Venue"), [""; 0]);
        let declared = |manifest: &mut Value| manifest["readModels"][1]["indexes"] = json!([["venueId", "seats"]]);
        assert_eq!(columns(declared, "Ticket"), ["venueId seats", "soldWith"]);
    }
}
