//! Weighs a document before anything is done for it.
//!
//! A short document can ask for a lot: fragments that use each other twice double with each step, and pages within pages
//! multiply. The weight of each fragment is therefore found once and added wherever it is used, which takes time in
//! proportion to the document's text and not to what it unfolds to. Only what is found light enough is handed on to code
//! that unfolds it.

use std::collections::HashMap;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};
use async_graphql_value::Value;
use serde_json::Value as Json;

use crate::Limits;
use crate::api::{self, Api, Resolve};
use crate::error::Error;
use crate::input::{self, Variables};
use crate::limits::ALIAS_MOST;

/// What a selection comes to with everything in it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Weight {
    /// Its fields, with those of fragments counted each time.
    fields: u64,
    /// Its fields of the first level.
    width: u32,
    /// How deeply fields are nested, not counting introspection.
    depth: u32,
    /// How deeply selections are nested, a fragment being a level of its own.
    levels: u32,
    /// How many values the answer may have. No more rows than that are read: every row of the answer has a value in it, and
    /// a page within a page is read for each of its parents to its own limit and no further.
    values: u64,
    /// Those of them that stand in an item for each row of the connection around them.
    items: u64,
    /// How many lists of introspection are within one another. Each multiplies the answer by the size of the schema.
    lists: u32,
}

/// The arguments that say how many rows a page has.
pub(crate) const PAGE_ARGUMENTS: [&str; 3] = ["limit", "first", "last"];

/// What a relation in a condition weighs: a look into another table for each row.
const RELATION: u64 = 10;

/// More lists within one another than tools ask for.
const INTROSPECTION_LISTS_MAX: u32 = 3;

impl Weight {
    fn and(self, other: Self) -> Self {
        Self {
            fields: self.fields.saturating_add(other.fields),
            width: self.width.saturating_add(other.width),
            depth: self.depth.max(other.depth),
            levels: self.levels.max(other.levels),
            values: self.values.saturating_add(other.values),
            items: self.items.saturating_add(other.items),
            lists: self.lists.max(other.lists),
        }
    }
}

/// Refuses a document that asks for too much. Returns how many values a full answer has.
///
/// # Errors
/// Says of what there is too much, how much, and how much is allowed.
pub(crate) fn check<'a>(
    api: &'a Api,
    limits: &'a Limits,
    document: &'a ExecutableDocument,
    operation: &'a Positioned<OperationDefinition>,
    variables: &'a Variables<'a>,
) -> Result<u64, Error> {
    let mut scale = Scale { api, limits, document, variables, fragments: HashMap::new(), aliases: 0, directives: 0 };
    let weight = scale.operation(operation)?;
    // Operations that do not run and fragments that are not used are read as well: validation will visit them too.
    let mut fields = weight.fields;
    if let DocumentOperations::Multiple(all) = &document.operations {
        for other in all.values().filter(|other| !std::ptr::eq(*other, operation)) {
            fields = fields.saturating_add(scale.operation(other)?.fields);
        }
    }
    for name in document.fragments.keys() {
        scale.fragment(name, 0)?;
    }
    Error::within("fields", fields, limits.fields_max)?;
    Error::within("levels of fields", weight.depth.into(), limits.depth_max.into())?;
    Error::within("fields at its root", weight.width.into(), limits.root_fields_max.into())?;
    Error::within("values in a full answer", weight.values, limits.complexity_max)?;
    Error::within("aliases", scale.aliases, limits.aliases_max.into())?;
    Error::within("directives", scale.directives, limits.directives_max.into())?;
    Ok(weight.values)
}

struct Scale<'a> {
    api: &'a Api,
    limits: &'a Limits,
    document: &'a ExecutableDocument,
    variables: &'a Variables<'a>,
    /// What has been weighed; nothing for a fragment that is being weighed at the moment.
    fragments: HashMap<&'a Name, Option<Weight>>,
    aliases: u64,
    directives: u64,
}

impl<'a> Scale<'a> {
    fn operation(&mut self, operation: &'a Positioned<OperationDefinition>) -> Result<Weight, Error> {
        self.directives += operation.node.directives.len() as u64;
        let weight = self.set(&operation.node.selection_set.node, Some(crate::document::root(&operation.node)), 0)?;
        Error::within("levels of selections", weight.levels.into(), self.limits.nesting_max.into())?;
        Ok(weight)
    }

    fn set(&mut self, set: &'a SelectionSet, ty: Option<&str>, level: u32) -> Result<Weight, Error> {
        Error::within("levels of selections", level.into(), self.limits.nesting_max.into())?;
        let mut sum = Weight::default();
        for selection in &set.items {
            let weight = match &selection.node {
                Selection::Field(field) => self.field(&field.node, ty, level)?,
                Selection::FragmentSpread(spread) => {
                    self.directives += spread.node.directives.len() as u64;
                    self.fragment(&spread.node.fragment_name.node, level)?
                }
                Selection::InlineFragment(inline) => {
                    self.directives += inline.node.directives.len() as u64;
                    let on = inline.node.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                    self.set(&inline.node.selection_set.node, on.or(ty), level + 1)?
                }
            };
            sum = sum.and(weight);
        }
        sum.levels += 1;
        Ok(sum)
    }

    fn fragment(&mut self, name: &Name, level: u32) -> Result<Weight, Error> {
        // One that is not there is found by validation.
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else { return Ok(Weight::default()) };
        match self.fragments.get(name) {
            Some(Some(weight)) => return Ok(*weight),
            Some(None) => return Err(Error::input(format!("the fragment {name} contains itself"))),
            None => {}
        }
        self.fragments.insert(name, None);
        self.directives += fragment.node.directives.len() as u64;
        let on = fragment.node.type_condition.node.on.node.as_str();
        let weight = self.set(&fragment.node.selection_set.node, Some(on), level + 1)?;
        self.fragments.insert(name, Some(weight));
        Ok(weight)
    }

    fn field(&mut self, field: &'a Field, ty: Option<&str>, level: u32) -> Result<Weight, Error> {
        if let Some(alias) = &field.alias {
            Error::within("bytes in one alias", alias.node.len() as u64, ALIAS_MOST)?;
            self.aliases += 1;
        }
        self.directives += field.directives.len() as u64;
        let name = field.name.node.as_str();
        let known = ty.and_then(|ty| self.api.object(ty)).and_then(|object| object.field(name));
        let below = match field.selection_set.node.items.as_slice() {
            [] => Weight::default(),
            _ => self.set(&field.selection_set.node, known.map(|known| known.ty.type_name()), level + 1)?,
        };
        let introspects = name == "__schema" || name == "__type";
        if introspects {
            Error::within(
                "lists of introspection within one another",
                below.lists.into(),
                INTROSPECTION_LISTS_MAX.into(),
            )?;
        }
        let rows = match known {
            Some(known) if known.is_page() => self.page(field, known),
            Some(known @ api::Field { resolve: Resolve::Query { many: true, rows: Some(rows), .. }, .. }) => {
                // What is wrong with the arguments is told when they are read for good.
                let given = input::arguments(self.api, known, field, self.variables).ok();
                let given = given.and_then(|given| rows.rows_max(&Json::Object(given.into_object())));
                given.unwrap_or(u64::MAX).clamp(1, self.limits.page_max.into())
            }
            // A guest answers with as many as it likes; what is longer than a page is refused once it is there.
            Some(api::Field { resolve: Resolve::Query { many: true, .. }, .. }) => self.limits.page_max.into(),
            _ => 1,
        };
        let leading = known.into_iter().flat_map(api::Field::leading);
        let related = leading.filter_map(|(model, argument)| Some((model, field.get_argument(argument)?)));
        let related: u64 = related.map(|(model, given)| self.related(model, &given.node)).sum();
        let is_list = ["fields", "interfaces", "possibleTypes", "inputFields"].contains(&name);
        // What a connection has once, and what it has for each of its rows.
        let (own, items) = match known.map(|known| &known.resolve) {
            Some(Resolve::Connection { .. }) => (below.values.saturating_add(below.items.saturating_mul(rows)), 0),
            Some(Resolve::Items) => (0, below.values.saturating_add(1)),
            _ => (below.values.saturating_mul(rows), below.items),
        };
        Ok(Weight {
            fields: below.fields.saturating_add(1),
            width: 1,
            depth: if introspects { 1 } else { below.depth + 1 },
            levels: below.levels,
            values: own.saturating_add(1).saturating_add(related * RELATION),
            items,
            lists: below.lists + u32::from(is_list),
        })
    }

    /// How many relations conditions, or an order, lead along.
    fn related(&self, model: &yado_model::Name, conditions: &Value) -> u64 {
        match conditions {
            Value::Variable(name) => match self.variables.constant(self.api, name) {
                Some(given) => self.related(model, &given.into_value()),
                None => 0,
            },
            Value::List(items) => items.iter().map(|item| self.related(model, item)).sum(),
            Value::Object(fields) => fields.iter().map(|(name, inner)| self.condition(model, name, inner)).sum(),
            _ => 0,
        }
    }

    fn condition(&self, model: &yado_model::Name, name: &Name, inner: &Value) -> u64 {
        let field = self.api.object(model.as_str()).and_then(|object| object.field(name));
        match field.map(|field| &field.resolve) {
            // `and`, `or` and `not`, which no field is called.
            None => self.related(model, inner),
            Some(Resolve::ToOne { model, .. }) => 1 + self.related(model, inner),
            Some(Resolve::ToMany { model, .. }) => match inner {
                Value::Object(fields) => fields.values().map(|inner| 1 + self.related(model, inner)).sum(),
                Value::Variable(_) => 3,
                _ => 0,
            },
            Some(_) => 0,
        }
    }

    /// How many rows a page may have. What is no number is found later.
    fn page(&self, field: &Field, known: &api::Field) -> u64 {
        let number = |name: &&str| match field.get_argument(name).map(|argument| &argument.node) {
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::Variable(name)) => self.variables.number(name),
            _ => None,
        };
        let given = PAGE_ARGUMENTS.iter().filter_map(number).max();
        let default = || match known.argument("limit") {
            Some(limit) => limit.default.as_ref()?.as_u64(),
            None => Some(self.limits.page_default.into()),
        };
        given.or_else(default).unwrap_or(1).clamp(1, self.limits.page_max.into())
    }
}
