//! What a subscription tells: values of its only field, brought into the form that was asked for.

use std::borrow::Cow;
use std::sync::PoisonError;

use async_graphql::parser::types::OperationDefinition;
use async_graphql::{Positioned, ServerError};
use serde_json::Value as Json;

use super::column::Column;
use super::objects::Part;
use super::path::Places;
use super::value::Value;
use super::{Execution, Parents, Root, Spot, tree};
use crate::api::{Field, SUBSCRIPTION};
use crate::input::Arguments;

impl<'d> Root<'d> {
    /// The field, and what it is given; nothing for what the API does not have.
    pub(crate) fn field(&self, object: &'d crate::api::Object) -> Option<(&'d Field, &Arguments<'d>)> {
        let field = object.field(self.selected.name())?;
        Some((field, self.arguments.as_ref()?))
    }

    /// Where in the document it stands.
    pub(crate) fn position(&self) -> async_graphql::Pos {
        self.selected.first.pos
    }

    /// Where in the answer it stands.
    pub(crate) fn path(&self) -> Vec<async_graphql::PathSegment> {
        Places::Field(&Places::Top, self.selected.key).first(1)
    }

    /// What its argument of a name is given by, if it is a variable.
    pub(crate) fn variable(&self, argument: &str) -> Option<&'d async_graphql::Name> {
        match &self.selected.first.node.get_argument(argument)?.node {
            async_graphql_value::Value::Variable(name) => Some(name),
            _ => None,
        }
    }
}

impl<'a> Execution<'a> {
    /// Answers a subscription with values of its only field: one text for each, and all that they lead to is looked up once.
    /// If something goes wrong with one of several, it is not known with which.
    pub(crate) async fn told(
        self,
        operation: &'a Positioned<OperationDefinition>,
        values: &[&Json],
    ) -> (Vec<Cow<'static, str>>, Vec<ServerError>) {
        let count = values.len();
        let selected = tree::collect(self.api, self.document, self.variables, &operation.node);
        let objects = vec![Value::Fields(&[]); count];
        let parents = Parents { ty: SUBSCRIPTION, values: &objects, places: Places::Top, of: None };
        let mut parts = Vec::with_capacity(selected.len());
        if let Some(one) = selected.first() {
            parts.push(Part::Column(match one.field {
                Some(field) => {
                    let spot = Spot { ty: SUBSCRIPTION, one, places: Places::Field(&parents.places, one.key) };
                    let values = values.iter().map(|value| Value::Json(value)).collect();
                    self.complete(spot, &field.ty, values, None).await
                }
                None => Column::nowhere(true, count),
            }));
        }
        let all = self.put_together(&selected, parts, parents).into_texts();
        let errors = self.errors.into_inner().unwrap_or_else(PoisonError::into_inner);
        (all, errors)
    }
}
