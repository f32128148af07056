//! A named query: rows of a read model, or what a guest answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use yado_model::Name;
use yado_model::manifest::{Query, RowsQuery};
use yado_model::schema::{Broken, Checker, Field, Object, Problem, Shape, Slot};

use super::breaker::Breaker;
use super::model::kind;
use super::{Deployed, Model, nul};

/// A named query: declared, or answered by a guest.
#[derive(Debug)]
pub struct QueryType {
    /// What the manifest says of it.
    pub manifest: Query,
    /// Whose it is.
    pub deployed: Arc<Deployed>,
    /// What it may read: of a declared query, its one read model; a guest may read those of its plugin.
    pub models: Vec<Arc<Model>>,
    /// The read models whose rows it answers with.
    pub shows: Vec<Name>,
    /// Its answer, as a type.
    pub answer: Slot,
    pub(crate) breaker: Breaker,
    arguments: Checker,
    returns: Checker,
}

impl QueryType {
    /// Makes a query out of what its manifest says. `models` are the read models of all plugins.
    pub(super) fn new(
        manifest: &Query,
        deployed: &Arc<Deployed>,
        models: &BTreeMap<Name, Arc<Model>>,
    ) -> Result<Self, Broken> {
        let own = deployed.manifest().read_models.iter().map(|model| &model.name);
        let read: Vec<&Name> = manifest.rows.as_ref().map_or_else(|| own.collect(), |rows| vec![&rows.model]);
        let answer = manifest.returns.shape()?;
        Ok(Self {
            deployed: deployed.clone(),
            shows: shown(&answer),
            models: read.into_iter().filter_map(|name| models.get(name)).cloned().collect(),
            answer,
            breaker: Breaker::default(),
            arguments: Checker::new(&manifest.arguments)?,
            returns: Checker::new(&manifest.returns)?,
            manifest: manifest.clone(),
        })
    }

    /// Which rows answer it, and of which read model, if it is a declared query.
    #[must_use]
    pub fn declared(&self) -> Option<(&RowsQuery, &Arc<Model>)> {
        self.manifest.rows.as_ref().zip(self.models.first())
    }

    /// What in the arguments breaks the schema's rules, or can't be asked of a database.
    #[must_use]
    pub fn check(&self, arguments: &Value) -> Vec<Problem> {
        let problems = self.arguments.check(arguments);
        if problems.is_empty() { nul::problems(arguments) } else { problems }
    }

    /// Holds what the guest has answered against what its manifest promises.
    ///
    /// # Errors
    /// Says what is wrong, for the operator.
    pub fn check_answer(&self, answer: &Value) -> Result<(), String> {
        match self.returns.check(answer).into_iter().next() {
            None => Ok(()),
            Some(problem) => {
                let (name, at) = (&self.manifest.name, problem.pointer());
                Err(format!("the answer to {name} breaks its schema at {at:?}: {}", problem.message))
            }
        }
    }

    /// Holds what the query asks for, and the rows in its answer, against the read models that they are of: whoever asks may
    /// select whatever such a row has, and follow its relations.
    ///
    /// # Errors
    /// Says what is not as the query has it.
    pub(super) fn check_rows(&self, models: &BTreeMap<Name, Arc<Model>>) -> Result<(), String> {
        if let Some(rows) = &self.manifest.rows {
            let Some(model) = models.get(&rows.model) else {
                return Err(format!(
                    "asks for rows of {}, which no plugin brings: deploy that plugin first",
                    rows.model
                ));
            };
            self.manifest.fits(&model.manifest).map_err(|broken| {
                format!("asks for rows of {}, and does not fit them at {}: {}", rows.model, broken.path, broken.reason)
            })?;
        }
        let mut shown = Vec::new();
        rows(&self.answer, &mut shown);
        for (name, shown) in shown {
            let Some(model) = models.get(name) else {
                return Err(format!("shows rows of {name}, which no plugin brings: deploy that plugin first"));
            };
            // The host reads the rows of a declared query, and they have all that rows have. What its plugin knows of them
            // need only be true.
            let misfit =
                if self.manifest.rows.is_some() { untrue(shown, &model.row) } else { misfit(shown, &model.row) };
            if let Some(misfit) = misfit {
                return Err(format!("shows rows of {name}, and {misfit}"));
            }
        }
        Ok(())
    }
}

/// The read models that an answer has rows of.
fn shown(answer: &Slot) -> Vec<Name> {
    let mut found = Vec::new();
    rows(answer, &mut found);
    let names: BTreeSet<&Name> = found.into_iter().map(|(model, _)| model).collect();
    names.into_iter().cloned().collect()
}

/// The parts of an answer that are rows, each with the read model that it names.
fn rows<'a>(slot: &'a Slot, found: &mut Vec<(&'a Name, &'a Object)>) {
    match &slot.shape {
        Shape::List(inner) => rows(inner, found),
        Shape::Object(object) => match &object.model {
            Some(model) => found.push((model, object)),
            None => object.fields.iter().for_each(|field| rows(&field.slot, found)),
        },
        _ => {}
    }
}

/// What an object says of rows that is not so.
fn untrue(shown: &Object, row: &Object) -> Option<String> {
    shown.fields.iter().find_map(|field| {
        let name = &field.name;
        match row.fields.get(name.as_str()) {
            None => Some(format!("its schema has {name}, which they have not")),
            Some(known) if kind(&known.slot.shape) != kind(&field.slot.shape) => {
                Some(format!("its schema has another type for {name}"))
            }
            Some(_) => None,
        }
    })
}

/// What keeps an object from being a row.
fn misfit(shown: &Object, row: &Object) -> Option<String> {
    let always = |field: &Field| field.required && !field.slot.nullable;
    row.fields.iter().find_map(|field| {
        let name = &field.name;
        match shown.fields.get(name.as_str()) {
            None if always(field) => Some(format!("its schema lacks {name}")),
            Some(known) if always(field) && !always(known) => Some(format!("its schema lets {name} be missing")),
            Some(known) if kind(&known.slot.shape) != kind(&field.slot.shape) => {
                Some(format!("its schema has another type for {name}"))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use yado_model::schema::Schema;

    use super::*;

    fn slot(document: Value) -> Slot {
        Schema::new(document).shape().unwrap()
    }

    fn ticket(properties: &Value, required: &Value) -> Value {
        json!({ "type": "object", "x-model": "Ticket", "properties": properties, "required": required })
    }

    #[test]
    fn rows_are_found_wherever_they_stand_in_an_answer() {
        let row = ticket(&json!({ "id": { "type": "string" } }), &json!(["id"]));
        let page = json!({ "type": "object", "properties": {
            "tickets": { "type": "array", "items": row }, "first": { "anyOf": [row, { "type": "null" }] },
            "count": { "type": "integer" },
        } });
        for (schema, expected) in
            [(page, 2), (json!({ "type": "array", "items": row }), 1), (json!({ "type": "string" }), 0)]
        {
            let (slot, mut found) = (slot(schema), Vec::new());
            rows(&slot, &mut found);
            assert_eq!(found.len(), expected);
            assert!(found.iter().all(|(model, _)| model.as_str() == "Ticket"));
        }
    }

    #[test]
    fn an_object_is_a_row_only_if_it_has_what_every_row_has() {
        let (text, price) = (json!({ "type": "string" }), json!({ "type": "string", "format": "decimal" }));
        let row = json!({ "id": text, "price": price, "label": { "type": ["string", "null"] } });
        let both = json!(["id", "price"]);
        let object = |properties: &Value, required: &Value| match slot(ticket(properties, required)).shape {
            Shape::Object(object) => object,
            other => panic!("{other:?}"),
        };
        let model = object(&row, &both);
        for (properties, required, expected) in [
            (row.clone(), json!(["id", "price", "label"]), None),
            (json!({ "id": text, "price": price }), both.clone(), None),
            (json!({ "id": text }), json!(["id"]), Some("its schema lacks price")),
            (row, json!(["id"]), Some("its schema lets price be missing")),
            (json!({ "id": text, "price": text }), both, Some("its schema has another type for price")),
        ] {
            assert_eq!(misfit(&object(&properties, &required), &model).as_deref(), expected);
        }
    }

    #[test]
    fn what_a_declared_query_says_of_rows_is_so_and_need_not_be_all() {
        let (text, price) = (json!({ "type": "string" }), json!({ "type": "string", "format": "decimal" }));
        let object = |properties: Value| match slot(ticket(&properties, &json!([]))).shape {
            Shape::Object(object) => object,
            other => panic!("{other:?}"),
        };
        let row = object(json!({ "id": text, "price": price }));
        for (properties, expected) in [
            (json!({}), None),
            (json!({ "price": price }), None),
            (json!({ "price": text }), Some("its schema has another type for price")),
            (json!({ "prize": price }), Some("its schema has prize, which they have not")),
        ] {
            assert_eq!(untrue(&object(properties), &row).as_deref(), expected);
        }
    }
}
