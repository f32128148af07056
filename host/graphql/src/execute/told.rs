//! What a subscription tells: values of its only field, brought into the form that was asked for.

use std::borrow::Cow;
use std::sync::PoisonError;

use async_graphql::Positioned;
use async_graphql::parser::types::OperationDefinition;
use serde_json::Value as Json;
use yado_model::Position;

use super::path::Path;
use super::{Completed, Execution, Failed, Item, Root, objects_of, tree};
use crate::api::{Field, SUBSCRIPTION};
use crate::input::Arguments;
use crate::request::{Data, Response};

impl<'d> Root<'d> {
    /// The field, and what it is given; nothing for what the API does not have.
    pub(crate) fn field(&self, object: &'d crate::api::Object) -> Option<(&'d Field, &Arguments<'d>)> {
        let field = object.field(self.selected.first.node.name.node.as_str())?;
        Some((field, self.arguments.as_ref()?))
    }

    /// Where in the document it stands.
    pub(crate) fn position(&self) -> async_graphql::Pos {
        self.selected.first.pos
    }

    /// Where in the answer it stands.
    pub(crate) fn path(&self) -> Vec<async_graphql::PathSegment> {
        Path::root().field(self.selected.key.clone()).segments()
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
    /// Answers a subscription with values of its only field, which have come about by a position: one answer for each, and
    /// all that they lead to is looked up once. Nothing, if something goes wrong with one of several: it is not known with
    /// which, and so each has to be answered by itself.
    pub(crate) async fn told(
        self,
        operation: &'a Positioned<OperationDefinition>,
        position: Position,
        values: &[Json],
    ) -> Option<Vec<Response>> {
        let count = values.len();
        let sets = [&operation.node.selection_set.node];
        let selected = tree::collect(self.document, self.variables, SUBSCRIPTION, &sets);
        let mut columns = Vec::with_capacity(selected.len());
        if let Some(one) = selected.first() {
            let path = Path::root().field(one.key.clone());
            let object = self.api.object(SUBSCRIPTION);
            let field = object.and_then(|object| object.field(one.first.node.name.node.as_str()));
            let completed: Vec<Completed> = match field {
                Some(field) => {
                    self.wait_for_related(field, one, position).await;
                    let item = |value| Item { value: Cow::Borrowed(value), path: path.clone(), of: None };
                    self.complete(SUBSCRIPTION, one, &field.ty, values.iter().map(item).collect()).await
                }
                None => vec![Err(Failed); count],
            };
            columns.push(completed);
        }
        let all = objects_of(&selected, columns, count);
        let errors = self.errors.into_inner().unwrap_or_else(PoisonError::into_inner);
        if count > 1 && !errors.is_empty() {
            return None;
        }
        Some(all.into_iter().map(|data| Response::new(data.unwrap_or(Data::NULL), errors.clone())).collect())
    }
}
