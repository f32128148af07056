//! A command that can be dispatched.

use std::sync::Arc;

use serde_json::Value;
use yado_model::manifest::Command;
use yado_model::schema::{Broken, Checker, Object, Problem, Shape, Slot};
use yado_model::{EntityId, Name};

use super::{AggregateType, nul};

/// A command that can be dispatched.
#[derive(Debug)]
pub struct CommandType {
    /// What the manifest says of it.
    pub manifest: Command,
    /// Of which aggregate.
    pub aggregate: Arc<AggregateType>,
    /// Its arguments, as a type.
    pub payload: Object,
    checker: Checker,
    /// Whether the payload may refer to anything: most don't, and need not be searched.
    refers: bool,
}

/// An id in a payload that must name an existing instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where it stands in the payload.
    pub path: Vec<String>,
    /// Of which aggregate.
    pub aggregate: Name,
    /// The id.
    pub id: EntityId,
}

impl CommandType {
    pub(super) fn new(manifest: Command, aggregate: Arc<AggregateType>) -> Result<Self, Broken> {
        let Shape::Object(payload) = manifest.payload.shape()?.shape else {
            return Err(Broken { path: String::new(), reason: "it must be an object".into() });
        };
        let checker = Checker::new(&manifest.payload)?;
        let mut made = Self { checker, payload, aggregate, manifest, refers: false };
        made.refers = !made.referenced().is_empty();
        Ok(made)
    }

    /// What in a payload breaks the schema's rules, or could never be shown.
    #[must_use]
    pub fn check(&self, payload: &Value) -> Vec<Problem> {
        let problems = self.checker.check(payload);
        if problems.is_empty() { nul::problems(payload) } else { problems }
    }

    /// The aggregates whose instances the payload may refer to.
    #[must_use]
    pub fn referenced(&self) -> Vec<&Name> {
        let mut names = Vec::new();
        for field in &self.payload.fields {
            referenced(&field.slot, &mut names);
        }
        names
    }

    /// The ids in a payload that must name existing instances. The one that names the command's own stream is not among
    /// them: that stream is looked at anyway.
    #[must_use]
    pub fn references(&self, payload: &Value) -> Vec<Reference> {
        let mut found = Vec::new();
        if !self.refers {
            return found;
        }
        for field in &self.payload.fields {
            let name = field.name.as_str();
            if Some(name) != self.manifest.target.field()
                && let Some(value) = payload.get(name)
            {
                collect(&field.slot, value, &mut vec![name.to_owned()], &mut found);
            }
        }
        found
    }
}

fn referenced<'a>(slot: &'a Slot, names: &mut Vec<&'a Name>) {
    match &slot.shape {
        Shape::Id { references: Some(name) } => names.push(name),
        Shape::List(inner) => referenced(inner, names),
        Shape::Object(object) => object.fields.iter().for_each(|field| referenced(&field.slot, names)),
        _ => {}
    }
}

fn collect(slot: &Slot, value: &Value, path: &mut Vec<String>, found: &mut Vec<Reference>) {
    let mut descend = |step: String, slot: &Slot, value: &Value| {
        path.push(step);
        collect(slot, value, path, found);
        path.pop();
    };
    match (&slot.shape, value) {
        (Shape::Object(object), Value::Object(fields)) => {
            for field in &object.fields {
                if let Some(value) = fields.get(field.name.as_str()) {
                    descend(field.name.to_string(), &field.slot, value);
                }
            }
        }
        (Shape::List(inner), Value::Array(items)) => {
            items.iter().enumerate().for_each(|(at, item)| descend(at.to_string(), inner, item));
        }
        (Shape::Id { references: Some(aggregate) }, Value::String(id)) => {
            // What is no id has been told by the checker already.
            if let Ok(id) = EntityId::parse(id) {
                found.push(Reference { path: path.clone(), aggregate: aggregate.clone(), id });
            }
        }
        _ => {}
    }
}
