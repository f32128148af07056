//! Holds a manifest against its schema, and against the rules that a schema can't say.

mod rows;

use std::collections::HashSet;
use std::sync::LazyLock;

use super::{Aggregate, CONTRACT, Manifest, Projection, Query, ReadModel, Target};
use crate::Name;
use crate::schema::{Checker, Field, Fields, Schema, Shape};

/// The manifest breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the manifest is broken at {}: {reason}", if path.is_empty() { "its root" } else { path })]
pub struct Broken {
    /// Where, as a JSON pointer.
    pub path: String,
    /// Which rule, and what breaks it.
    pub reason: String,
}

impl Broken {
    fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }
}

/// The most characters of a text with an index. In UTF-8 they are at most four times as many bytes, and that is what the
/// engines have room for.
const INDEXED: u64 = 256;

type Checked = Result<(), Broken>;

static CHECKER: LazyLock<Checker> = LazyLock::new(|| {
    // The document is made from our own types; a test holds it against the published file.
    #[allow(clippy::expect_used)]
    Checker::new(&Schema::new(Manifest::json_schema())).expect("the manifest's own schema is valid")
});

pub(super) fn parse(document: &str) -> Result<Manifest, Broken> {
    let value: serde_json::Value =
        serde_json::from_str(document).map_err(|e| Broken::new("", format!("it is not JSON: {e}")))?;
    // The contract comes first: a manifest of another one may break every other rule, and that would only mislead.
    if let Some(contract) = value.get("contract").and_then(|c| c.as_str())
        && contract != CONTRACT
    {
        return Err(Broken::new(
            "/contract",
            format!("the plugin was built for contract {contract}, and this host speaks {CONTRACT}"),
        ));
    }
    if let Some(problem) = CHECKER.check(&value).into_iter().next() {
        return Err(Broken::new(problem.pointer(), problem.message));
    }
    let manifest: Manifest = serde_json::from_value(value).map_err(|e| Broken::new("", e.to_string()))?;
    rules(&manifest)?;
    Ok(manifest)
}

fn rules(manifest: &Manifest) -> Checked {
    unique("/aggregates", manifest.aggregates.iter().map(|a| &a.name))?;
    unique("/readModels", manifest.read_models.iter().map(|m| &m.name))?;
    unique("/projections", manifest.projections.iter().map(|p| &p.name))?;
    unique("/queries", manifest.queries.iter().map(|q| &q.name))?;
    unique("/sagas", manifest.sagas.iter().map(|s| &s.name))?;
    unique("/effects", manifest.effects.iter().map(|e| &e.name))?;
    for (at, aggregate) in manifest.aggregates.iter().enumerate() {
        self::aggregate(&format!("/aggregates/{at}"), aggregate, manifest)?;
    }
    // A command's name is its name in the API, so it is unique in the whole plugin.
    unique("/aggregates", manifest.aggregates.iter().flat_map(|a| &a.commands).map(|c| &c.name))?;
    for (at, model) in manifest.read_models.iter().enumerate() {
        read_model(&format!("/readModels/{at}"), model, manifest)?;
    }
    for (at, projection) in manifest.projections.iter().enumerate() {
        self::projection(&format!("/projections/{at}"), projection, manifest)?;
    }
    let written: Vec<&Name> = manifest.projections.iter().flat_map(|p| &p.models).collect();
    unique("/projections", written.iter().copied())?;
    for (at, model) in manifest.read_models.iter().enumerate() {
        if !written.contains(&&model.name) {
            return Err(Broken::new(format!("/readModels/{at}"), format!("no projection writes {}", model.name)));
        }
    }
    for (at, query) in manifest.queries.iter().enumerate() {
        object(&format!("/queries/{at}/arguments"), &query.arguments)?;
        shape(&format!("/queries/{at}/returns"), &query.returns)?;
        // A read model of another plugin is held against the query when all plugins are known.
        let model = query.rows.as_ref().and_then(|rows| manifest.read_model(rows.model.as_str()));
        if let Some(model) = model {
            fits(query, model).map_err(|e| Broken { path: format!("/queries/{at}{}", e.path), ..e })?;
        }
    }
    for (at, effect) in manifest.effects.iter().enumerate() {
        object(&format!("/effects/{at}/request"), &effect.request)?;
        shape(&format!("/effects/{at}/response"), &effect.response)?;
    }
    Ok(())
}

/// Holds a query against the read model whose rows it asks for, if it asks for rows.
pub(super) fn fits(query: &Query, model: &ReadModel) -> Checked {
    query.rows.as_ref().map_or(Ok(()), |rows| rows::query(query, rows, model))
}

fn aggregate(path: &str, aggregate: &Aggregate, manifest: &Manifest) -> Checked {
    unique(&format!("{path}/events"), aggregate.events.iter().map(|e| &e.name))?;
    let all = aggregate.events.iter().map(|e| &e.name).chain(aggregate.past_events.iter().map(|e| &e.name));
    unique(&format!("{path}/pastEvents"), all)?;
    unique(&format!("{path}/constraints"), aggregate.constraints.iter().map(|c| &c.name))?;
    for (at, event) in aggregate.events.iter().enumerate() {
        object(&format!("{path}/events/{at}/payload"), &event.payload)?;
    }
    for (at, command) in aggregate.commands.iter().enumerate() {
        let path = format!("{path}/commands/{at}");
        let fields = object(&format!("{path}/payload"), &command.payload)?;
        if let Target::Existing(field) | Target::Any(field) = &command.target {
            let found = known_field(&format!("{path}/target"), &fields, field)?;
            if !matches!(found.slot.shape, Shape::Id { .. } | Shape::Text) || !found.required {
                return Err(Broken::new(format!("{path}/target"), format!("{field} must be a required string")));
            }
        }
        if let Some(model) = &command.returns {
            known_model(&format!("{path}/returns"), manifest, model)?;
        }
    }
    Ok(())
}

fn read_model(path: &str, model: &ReadModel, manifest: &Manifest) -> Checked {
    let fields = object(&format!("{path}/row"), &model.row)?;
    let key = known_field(&format!("{path}/key"), &fields, &model.key)?;
    if !matches!(key.slot.shape, Shape::Id { .. } | Shape::Text) || !key.required {
        return Err(Broken::new(format!("{path}/key"), format!("{} must be a required string", model.key)));
    }
    indexable(&format!("{path}/key"), model, key)?;
    for (at, index) in model.indexes.iter().enumerate() {
        for field in index {
            let path = format!("{path}/indexes/{at}");
            indexable(&path, model, known_field(&path, &fields, field)?)?;
        }
    }
    for (at, group) in model.unique.iter().enumerate() {
        let path = format!("{path}/unique/{at}");
        unique(&path, group)?;
        if group.is_empty() {
            return Err(Broken::new(path, "it must name at least one property"));
        }
        for field in group {
            let found = known_field(&path, &fields, field)?;
            if !found.required || found.slot.nullable {
                let reason = format!("{field} may be missing, and what is missing is not the same as anything");
                return Err(Broken::new(path, reason));
            }
            if matches!(found.slot.shape, Shape::List(_) | Shape::Object(_) | Shape::Json) {
                return Err(Broken::new(path, format!("{field} has parts, and can't be compared")));
            }
            indexable(&path, model, found)?;
        }
    }
    for field in &model.search {
        let found = known_field(&format!("{path}/search"), &fields, field)?;
        if found.slot.shape != Shape::Text {
            return Err(Broken::new(format!("{path}/search"), format!("{field} must be a string")));
        }
    }
    unique(&format!("{path}/relations"), model.relations.iter().map(|r| &r.name))?;
    for (at, relation) in model.relations.iter().enumerate() {
        let path = format!("{path}/relations/{at}");
        if fields.get(relation.name.as_str()).is_some() {
            return Err(Broken::new(format!("{path}/name"), format!("{} is already a property", relation.name)));
        }
        if !relation.many {
            let path = format!("{path}/field");
            indexable(&path, model, known_field(&path, &fields, &relation.field)?)?;
        } else if let Some(other) = manifest.read_model(relation.model.as_str()) {
            let fields = object(&format!("{path}/model"), &other.row)?;
            known_field(&format!("{path}/field"), &fields, &relation.field)?;
        }
    }
    Ok(())
}

/// No engine has an index of texts of any length. A text that is too long for one would keep the projection from going
/// on, so the manifest has to say that there is none.
fn indexable(path: &str, model: &ReadModel, field: &Field) -> Checked {
    if field.slot.shape != Shape::Text || model.row.longest(field.name.as_str()).is_some_and(|most| most <= INDEXED) {
        return Ok(());
    }
    Err(Broken::new(
        path,
        format!(
            "{} is an indexed text, and its schema must say that it has at most {INDEXED} characters (maxLength)",
            field.name
        ),
    ))
}

fn projection(path: &str, projection: &Projection, manifest: &Manifest) -> Checked {
    for model in &projection.models {
        known_model(&format!("{path}/models"), manifest, model)?;
    }
    for (at, source) in projection.events.iter().enumerate() {
        // Events of other plugins are held against those plugins when all of them are known.
        let Some(aggregate) = manifest.aggregate(source.aggregate.as_str()) else { continue };
        for event in &source.events {
            if !aggregate.events.iter().any(|known| known.name == *event) {
                return Err(Broken::new(
                    format!("{path}/events/{at}"),
                    format!("{} has no event {event}", aggregate.name),
                ));
            }
        }
    }
    Ok(())
}

fn unique<'a>(path: &str, names: impl IntoIterator<Item = &'a Name>) -> Checked {
    let mut seen = HashSet::new();
    match names.into_iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(Broken::new(path, format!("{twice} appears twice"))),
        None => Ok(()),
    }
}

fn shape(path: &str, schema: &Schema) -> Result<Shape, Broken> {
    schema.shape().map(|slot| slot.shape).map_err(|e| Broken::new(format!("{path}{}", e.path), e.reason))
}

fn object(path: &str, schema: &Schema) -> Result<Fields, Broken> {
    match shape(path, schema)? {
        Shape::Object(object) => {
            Checker::new(schema).map_err(|e| Broken::new(format!("{path}{}", e.path), e.reason))?;
            Ok(object.fields)
        }
        _ => Err(Broken::new(path, "it must be a JSON Schema of type object with properties")),
    }
}

fn known_field<'a>(path: &str, fields: &'a Fields, name: &Name) -> Result<&'a Field, Broken> {
    fields.get(name.as_str()).ok_or_else(|| Broken::new(path, format!("there is no property {name}")))
}

fn known_model(path: &str, manifest: &Manifest, name: &Name) -> Checked {
    match manifest.read_model(name.as_str()) {
        Some(_) => Ok(()),
        None => Err(Broken::new(path, format!("there is no read model {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shop() -> Value {
        let id = json!({ "type": "string", "format": "id" });
        json!({
            "contract": CONTRACT, "name": "shop", "version": "1.0.0",
            "aggregates": [{
                "name": "Basket",
                "commands": [
                    { "name": "OpenBasket", "target": "create", "returns": "Basket", "payload": { "type": "object", "properties": {} } },
                    { "name": "CloseBasket", "target": { "existing": "id" },
                      "payload": { "type": "object", "properties": { "id": id }, "required": ["id"] } },
                ],
                "events": [{ "name": "BasketOpened", "version": 1, "payload": { "type": "object", "properties": {} } }],
            }],
            "readModels": [{ "name": "Basket", "key": "id", "row": { "type": "object", "properties": { "id": id }, "required": ["id"] } }],
            "projections": [{ "name": "Baskets", "models": ["Basket"], "events": [{ "aggregate": "Basket" }] }],
        })
    }

    fn broken(change: impl FnOnce(&mut Value)) -> String {
        let mut manifest = shop();
        change(&mut manifest);
        Manifest::parse(&manifest.to_string()).unwrap_err().to_string()
    }

    #[test]
    fn a_sound_manifest_is_taken() {
        let manifest = Manifest::parse(&shop().to_string()).unwrap();
        assert_eq!(manifest.aggregates[0].commands[1].target.field(), Some("id"));
    }

    #[test]
    fn what_breaks_a_rule_is_refused_with_the_path_and_the_reason() {
        let text = broken(|m| m["aggregates"][0]["commands"][0]["returns"] = json!("Bucket"));
        assert_eq!(text, "the manifest is broken at /aggregates/0/commands/0/returns: there is no read model Bucket");
        let text = broken(|m| m["aggregates"][0]["commands"][1]["target"] = json!({ "existing": "number" }));
        assert_eq!(text, "the manifest is broken at /aggregates/0/commands/1/target: there is no property number");
        let text = broken(|m| m["aggregates"][0]["pastEvents"] = json!([{ "name": "BasketOpened", "version": 1 }]));
        assert_eq!(text, "the manifest is broken at /aggregates/0/pastEvents: BasketOpened appears twice");
        let text = broken(|m| m["name"] = json!("My Shop"));
        assert!(text.starts_with("the manifest is broken at /name: "), "{text}");
        let text = broken(|m| m["colour"] = json!("red"));
        assert_eq!(text, "the manifest is broken at its root: unknown field colour");
        let text = broken(|m| m["contract"] = json!("9.9"));
        assert!(text.contains("built for contract 9.9"), "{text}");
        let text = broken(|m| m["readModels"][0]["row"]["properties"]["id"] = json!({ "type": "wood" }));
        assert!(text.starts_with("the manifest is broken at /readModels/0/row"), "{text}");
        let text = broken(|m| {
            m["readModels"][0]["row"]["properties"]["label"] = json!({ "type": "string" });
            m["readModels"][0]["indexes"] = json!([["label"]]);
        });
        assert!(
            text.starts_with("the manifest is broken at /readModels/0/indexes/0: label is an indexed text"),
            "{text}"
        );
        assert!(Manifest::parse("{").unwrap_err().to_string().contains("not JSON"));
    }

    #[test]
    fn what_is_unique_is_always_there_and_can_be_compared() {
        let unique = |property: Value, required: bool, groups: Value| {
            let mut manifest = shop();
            let model = &mut manifest["readModels"][0];
            model["row"]["properties"]["code"] = property;
            model["row"]["required"] = if required { json!(["id", "code"]) } else { json!(["id"]) };
            model["unique"] = groups;
            Manifest::parse(&manifest.to_string()).map_err(|broken| broken.to_string())
        };
        let code = || json!({ "type": "string", "maxLength": 20 });
        let sound = unique(code(), true, json!([["code"], ["id", "code"]])).unwrap();
        assert_eq!(sound.read_models[0].unique.len(), 2);
        for (property, required, groups, refusal) in [
            (code(), false, json!([["code"]]), "code may be missing"),
            (json!({ "type": ["string", "null"], "maxLength": 20 }), true, json!([["code"]]), "code may be missing"),
            (json!({ "type": "string" }), true, json!([["code"]]), "code is an indexed text"),
            (json!(true), true, json!([["code"]]), "code may be missing"),
            (json!({ "type": "array", "items": true }), true, json!([["code"]]), "code has parts"),
            (code(), true, json!([["code", "code"]]), "code appears twice"),
            (code(), true, json!([["colour"]]), "there is no property colour"),
            (code(), true, json!([[]]), "it must name at least one property"),
        ] {
            let refused = unique(property, required, groups).unwrap_err();
            let begins = format!("the manifest is broken at /readModels/0/unique/0: {refusal}");
            assert!(refused.starts_with(&begins), "{refused}");
        }
    }

    #[test]
    fn a_declared_query_is_held_against_its_read_model() {
        let text = broken(|m| {
            m["queries"] = json!([{
                "name": "baskets", "arguments": { "type": "object", "properties": {} },
                "returns": { "type": "array", "items": { "type": "object", "x-model": "Basket", "properties": {} } },
                "rows": { "model": "Basket", "orderBy": [{ "field": "weight" }], "answer": { "list": { "limit": 10 } } },
            }]);
        });
        assert_eq!(text, "the manifest is broken at /queries/0/rows/orderBy/0/field: there is no property weight");
    }

    #[test]
    fn the_published_schema_is_the_one_in_force() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/manifest.schema.json");
        let current = serde_json::to_string_pretty(&Manifest::json_schema()).unwrap() + "\n";
        if std::env::var_os("YADO_BLESS").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let published = std::fs::read_to_string(path).unwrap_or_default();
        assert!(published == current, "wit/manifest.schema.json is out of date; YADO_BLESS=1 writes it anew");
    }
}
