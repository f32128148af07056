//! Runs an operation, a level at a time.
//!
//! All objects of a level are resolved together: a field is asked once for all of them, so a relation costs one statement
//! however many rows there are, by construction and not by waiting for others to join in. What a level comes to is text at
//! once: what rows show is written where it is read, and nothing is made of it in between. Everything else is as the
//! GraphQL specification has it: fields of the same name are merged, the answer has the order of the document, what fails
//! is null and takes along what can't be null, and mutations run one after another. A mutation that fails keeps none of the
//! others from running, and takes nothing from their answers: what is recorded is told.
//!
//! async-graphql has an executor for dynamic schemas. In version 7.2 it runs a mutation twice that is selected twice,
//! leaves fields that fail out of the answer, and answers in the order in which fields are done.

mod aggregate;
mod column;
mod command;
mod complete;
mod connection;
mod consistency;
mod given;
mod keys;
mod objects;
mod path;
mod query;
mod resolve;
mod shown;
mod told;
mod tree;
mod value;

pub(crate) use consistency::{Lagged, Seen};
pub(crate) use given::{Root, roots};

use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::dynamic::TypeRef;
use async_graphql::parser::types::{ExecutableDocument, OperationDefinition};
use async_graphql::{Name, Positioned, ServerError, Value as Schema};
use futures::future::{BoxFuture, FutureExt, join_all};
use serde_json::Value as Json;
use tokio::time::Instant;
use yado_engine::{Catalogue, Receipt, Table, Until};

use crate::api::Api;
use crate::backend::Session;
use crate::error::Error;
use crate::input::{self, Arguments, Variables};
use crate::request::{Caller, Response};
use crate::select::{Ground, Tables, Which};
use crate::{Limits, document, write};

use column::{Column, NULL};
use objects::Part;
use path::{Path, Places};
use tree::Selected;
use value::{Property, Value};

/// Everything that running one operation takes.
pub(crate) struct Execution<'a> {
    pub(crate) api: &'a Api,
    pub(crate) limits: &'a Limits,
    pub(crate) session: &'a dyn Session,
    /// The deployment that the request began with.
    pub(crate) deployed: &'a Arc<Catalogue>,
    pub(crate) server: &'a Json,
    pub(crate) caller: &'a Caller,
    pub(crate) document: &'a ExecutableDocument,
    pub(crate) variables: &'a Variables<'a>,
    /// The answers of `__schema` and `__type`, by the names under which they were asked for.
    pub(crate) introspection: Schema,
    /// When the request's time is over. Whatever is asked of the session ends by then.
    pub(crate) until: Until,
    pub(crate) errors: Mutex<Vec<ServerError>>,
    /// Where commands were recorded, by the names under which they were asked for.
    pub(crate) receipts: Mutex<Vec<(Name, Receipt)>>,
    /// What was read, and up to which position.
    pub(crate) seen: Seen,
}

/// Objects whose fields are asked for: those of a level that come of one selection.
#[derive(Clone, Copy)]
struct Parents<'p> {
    /// Their type.
    ty: &'p str,
    values: &'p [Value<'p>],
    places: Places<'p>,
    /// Which rows they were computed of.
    of: Option<&'p Which>,
}

impl<'p> Parents<'p> {
    /// What the objects have for a property.
    fn property(self, name: &'p str) -> impl ExactSizeIterator<Item = Value<'p>> {
        let mut property = Property::new(name);
        self.values.iter().map(move |parent| property.of(*parent))
    }
}

/// What values are those of: a field, wherever it stands in the answer.
#[derive(Clone, Copy)]
struct Spot<'p> {
    /// The type that has the field.
    ty: &'p str,
    one: &'p Selected<'p>,
    places: Places<'p>,
}

impl<'a> Execution<'a> {
    /// Runs an operation, whose own fields have been read.
    pub(crate) async fn run(self, operation: &'a Positioned<OperationDefinition>, roots: Vec<Root<'a>>) -> Response {
        let ty = document::root(&operation.node);
        let parents = Parents { ty, values: &[Value::Fields(&[])], places: Places::Top, of: None };
        let (selected, arguments): (Vec<_>, Vec<_>) =
            roots.into_iter().map(|root| (root.selected, root.arguments)).unzip();
        let fields = selected.iter().zip(arguments);
        let columns = if document::is_mutation(&operation.node) {
            let several = selected.len() > 1;
            let mut columns = Vec::with_capacity(selected.len());
            for (one, arguments) in fields {
                columns.push(self.change(parents, one, arguments, several).await);
            }
            columns
        } else {
            all(fields.map(|(one, arguments)| self.column(parents, one, arguments, false))).await
        };
        let parts = columns.into_iter().map(Part::Column).collect();
        let data = self.put_together(&selected, parts, parents).into_texts().into_iter().next();
        let errors = self.errors.into_inner().unwrap_or_else(PoisonError::into_inner);
        let receipts = self.receipts.into_inner().unwrap_or_else(PoisonError::into_inner);
        Response::new(data.unwrap_or(NULL.into()), errors).with_extensions(receipts, self.seen.least())
    }

    /// The fields of several objects of one type.
    fn objects<'p>(&'p self, parents: Parents<'p>, selected: &'p [Selected<'p>]) -> BoxFuture<'p, Column> {
        async move {
            let mut parts: Vec<_> = selected.iter().map(|one| self.part(one)).collect();
            // What has to be looked up is looked up at the same time.
            let open = selected.iter().zip(&parts).filter(|(_, part)| matches!(part, Part::Open));
            let open: Vec<_> = open.map(|(one, _)| self.column(parents, one, None, false)).collect();
            if !open.is_empty() {
                let columns = all(open.into_iter()).await;
                let places = parts.iter_mut().filter(|part| matches!(part, Part::Open));
                places.zip(columns).for_each(|(part, column)| *part = Part::Column(column));
            }
            self.put_together(selected, parts, parents)
        }
        .boxed()
    }

    /// One field of a mutation, if the request's time is not over yet. Each is held to that by itself, so that those that are
    /// done have their answers.
    async fn change(
        &self,
        parents: Parents<'_>,
        one: &Selected<'_>,
        arguments: Option<Arguments<'_>>,
        several: bool,
    ) -> Column {
        if Instant::now() < self.until.at {
            return self.column(parents, one, arguments, several).await;
        }
        let error = Error::NotBegun { limit_ms: self.until.limit_ms };
        self.record(&error, one, Places::Field(&parents.places, one.key).first(1));
        Column::nowhere(false, parents.values.len())
    }

    /// One field of several objects. Its arguments are read unless that has been done.
    async fn column(
        &self,
        parents: Parents<'_>,
        one: &Selected<'_>,
        arguments: Option<Arguments<'_>>,
        several: bool,
    ) -> Column {
        let count = parents.values.len();
        let Some(field) = one.field else {
            return Column::same(self.of_schema(parents.ty, one), count);
        };
        let arguments =
            arguments.map_or_else(|| input::arguments(self.api, field, &one.first.node, self.variables), Ok);
        let resolved = match arguments {
            Ok(arguments) => self.resolve(field, arguments, parents, one, several).await,
            Err(error) => Err(error),
        };
        let spot = Spot { ty: parents.ty, one, places: Places::Field(&parents.places, one.key) };
        match resolved {
            Ok(resolved) => self.shown(spot, &field.ty, resolved, count).await,
            Err(error) => {
                // It failed once for all of them, and so it is told once.
                self.record(&error, one, spot.places.first(count));
                Column::nowhere(matches!(field.ty, TypeRef::NonNull(_)), count)
            }
        }
    }

    /// What the arguments of fields are read by.
    fn ground(&self) -> Ground<'_> {
        Ground { api: self.api, limits: self.limits, tables: self }
    }

    /// What is asked about the schema itself: the name of a type, and what validation has answered.
    fn of_schema(&self, ty: &str, one: &Selected<'_>) -> String {
        let mut text = String::new();
        match &self.introspection {
            _ if one.name() == "__typename" => write::string(ty, &mut text),
            Schema::Object(answers) => {
                write::serialized(answers.get(one.key).unwrap_or(&Schema::Null), &mut text);
            }
            _ => text.push_str(NULL),
        }
        text
    }

    /// The plugin has written what its own schema rules out: the operator learns what, and the caller learns where.
    fn bad_rows(&self, spot: &Spot<'_>, misfits: &[(usize, Value<'_>)]) {
        if misfits.is_empty() {
            return;
        }
        let (ty, field) = (spot.ty, spot.one.name());
        for (_, value) in misfits {
            tracing::error!(ty, %field, value = value.to_text(), "a row holds a value that its schema does not allow");
        }
        for path in path::in_order(&spot.places, misfits.iter().map(|(at, _)| *at)) {
            self.record(&Error::BadRow { model: ty.to_owned(), field: field.to_owned() }, spot.one, path);
        }
    }

    fn record(&self, error: &Error, one: &Selected<'_>, path: Path) {
        let error = error.at(Some(one.first.pos), path);
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).push(error);
    }
}

impl Tables for Execution<'_> {
    fn table(&self, model: &yado_model::Name) -> Result<Table, Error> {
        Ok(self.session.table(model)?)
    }
}

/// Waits for all of these at the same time.
async fn all<F: Future>(mut futures: impl ExactSizeIterator<Item = F>) -> Vec<F::Output> {
    match futures.len() {
        1 => match futures.next() {
            Some(only) => vec![only.await],
            None => Vec::new(),
        },
        _ => join_all(futures).await,
    }
}
