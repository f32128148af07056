//! Runs an operation, a level at a time.
//!
//! All objects of a level are resolved together: a field is asked once for all of them, so a relation costs one statement
//! however many rows there are, by construction and not by waiting for others to join in. Everything else is as the
//! GraphQL specification has it: fields of the same name are merged, the answer has the order of the document, what fails
//! is null and takes along what can't be null, and mutations run one after another. A mutation that fails keeps none of the
//! others from running, and takes nothing from their answers: what is recorded is told.
//!
//! async-graphql has an executor for dynamic schemas. In version 7.2 it runs a mutation twice that is selected twice,
//! leaves fields that fail out of the answer, and answers in the order in which fields are done.

mod aggregate;
mod command;
mod connection;
mod consistency;
mod given;
mod path;
mod query;
mod resolve;
mod told;
mod tree;

pub(crate) use consistency::Seen;
pub(crate) use given::{Root, roots};

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::dynamic::TypeRef;
use async_graphql::parser::types::{ExecutableDocument, OperationDefinition, SelectionSet};
use async_graphql::{Name, Positioned, ServerError, Value};
use futures::future::{BoxFuture, FutureExt, join_all};
use serde_json::{Map, Value as Json};
use tokio::time::Instant;
use yado_engine::{Catalogue, Receipt, Table, Until};

use crate::api::{Api, MUTATION, Object, QUERY, Resolve, Type};
use crate::backend::Session;
use crate::error::Error;
use crate::input::{self, Arguments, Variables};
use crate::request::{Caller, Data, Response};
use crate::select::{Ground, Tables, Which};
use crate::{Limits, document, values};

use path::Path;
use resolve::Resolved;
use tree::Selected;

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
    pub(crate) introspection: Value,
    /// When the request's time is over. Whatever is asked of the session ends by then.
    pub(crate) until: Until,
    pub(crate) errors: Mutex<Vec<ServerError>>,
    /// Where commands were recorded, by the names under which they were asked for.
    pub(crate) receipts: Mutex<Vec<(Name, Receipt)>>,
    /// What was read, and up to which position.
    pub(crate) seen: Seen,
}

/// A value that could not be had; why has been recorded.
#[derive(Debug, Clone, Copy)]
struct Failed;

type Completed = Result<Data, Failed>;

/// An object whose fields are asked for.
struct Parent<'p> {
    fields: Cow<'p, Map<String, Json>>,
    path: Path,
    /// Which rows it was computed of.
    of: Option<Arc<Which>>,
}

/// A value that is to be brought into the form of its type.
struct Item<'p> {
    value: Cow<'p, Json>,
    path: Path,
    /// Which rows it was computed of.
    of: Option<Arc<Which>>,
}

impl<'a> Execution<'a> {
    /// Runs an operation, whose own fields have been read.
    pub(crate) async fn run(self, operation: &'a Positioned<OperationDefinition>, roots: Vec<Root<'a>>) -> Response {
        let parents = [Parent { fields: Cow::Owned(Map::new()), path: Path::root(), of: None }];
        let (selected, arguments): (Vec<_>, Vec<_>) =
            roots.into_iter().map(|root| (root.selected, root.arguments)).unzip();
        let fields = selected.iter().zip(arguments);
        let columns = if document::is_mutation(&operation.node) {
            let several = selected.len() > 1;
            let mut columns = Vec::with_capacity(selected.len());
            for (one, arguments) in fields {
                columns.push(self.change(&parents, one, arguments, several).await);
            }
            columns
        } else {
            join_all(fields.map(|(one, arguments)| self.column(QUERY, &parents, one, arguments, false))).await
        };
        let data = objects_of(&selected, columns, parents.len()).into_iter().next().and_then(Result::ok);
        let errors = self.errors.into_inner().unwrap_or_else(PoisonError::into_inner);
        let receipts = self.receipts.into_inner().unwrap_or_else(PoisonError::into_inner);
        Response::new(data.unwrap_or(Data::NULL), errors).with_extensions(receipts, self.seen.least())
    }

    /// The fields of several objects of one type.
    fn objects<'p>(
        &'p self,
        ty: &'p str,
        parents: Vec<Parent<'p>>,
        sets: Vec<&'p SelectionSet>,
    ) -> BoxFuture<'p, Vec<Completed>> {
        async move {
            let object = self.api.object(ty);
            let selected = tree::collect(self.document, self.variables, ty, &sets);
            let mut columns: Vec<_> = selected.iter().map(|one| self.plain(object, ty, &parents, one)).collect();
            // What has to be fetched is fetched at the same time.
            let open = selected.iter().zip(&columns).filter(|(_, column)| column.is_none());
            let open: Vec<_> = open.map(|(one, _)| self.column(ty, &parents, one, None, false)).collect();
            if !open.is_empty() {
                let mut fetched = join_all(open).await.into_iter();
                columns.iter_mut().filter(|column| column.is_none()).for_each(|column| *column = fetched.next());
            }
            objects_of(&selected, columns.into_iter().flatten().collect(), parents.len())
        }
        .boxed()
    }

    /// A field that the objects have at hand and that has no parts, which most fields are: nothing is waited for. None for
    /// every other field.
    fn plain(
        &self,
        object: Option<&Object>,
        ty: &str,
        parents: &[Parent<'_>],
        one: &Selected<'_>,
    ) -> Option<Vec<Completed>> {
        let name = one.first.node.name.node.as_str();
        if name == "__typename" {
            return Some(vec![Ok(Data::Value(Value::String(ty.to_owned()))); parents.len()]);
        }
        let field = object?.field(name).filter(|field| field.resolve == Resolve::Property)?;
        let (required, named) = match &field.ty {
            TypeRef::NonNull(inner) => (true, inner.as_ref()),
            other => (false, other),
        };
        let TypeRef::Named(known) = named else { return None };
        let known = self.api.types.get(known.as_ref()).filter(|known| !matches!(known, Type::Object(_)))?;
        let of = |parent: &Parent<'_>| {
            let value = parent.fields.get(name).unwrap_or(&Json::Null);
            let path = || parent.path.field(one.key.clone());
            match self.leaf(ty, one, Some(known), value, path) {
                Ok(shown) if required && shown.is_null() => Err(self.bad_row(ty, one, &path(), value)),
                Err(Failed) if !required => Ok(Data::NULL),
                other => other,
            }
        };
        Some(parents.iter().map(of).collect())
    }

    /// One field of a mutation, if the request's time is not over yet. Each is held to that by itself, so that those that are
    /// done have their answers.
    async fn change(
        &self,
        parents: &[Parent<'_>],
        one: &Selected<'_>,
        arguments: Option<Arguments<'_>>,
        several: bool,
    ) -> Vec<Completed> {
        if Instant::now() < self.until.at {
            return self.column(MUTATION, parents, one, arguments, several).await;
        }
        let error = Error::NotBegun { limit_ms: self.until.limit_ms };
        parents.iter().for_each(|parent| self.record(&error, one, &parent.path.field(one.key.clone())));
        vec![Ok(Data::NULL); parents.len()]
    }

    /// One field of several objects. Its arguments are read unless that has been done.
    async fn column(
        &self,
        ty: &str,
        parents: &[Parent<'_>],
        one: &Selected<'_>,
        arguments: Option<Arguments<'_>>,
        several: bool,
    ) -> Vec<Completed> {
        let name = one.first.node.name.node.as_str();
        if name == "__typename" {
            return vec![Ok(Data::Value(Value::String(ty.to_owned()))); parents.len()];
        }
        let Some(field) = self.api.object(ty).and_then(|object| object.field(name)) else {
            return vec![Ok(Data::Value(self.introspected(&one.key))); parents.len()];
        };
        let path = |parent: &Parent<'_>| parent.path.field(one.key.clone());
        let arguments =
            arguments.map_or_else(|| input::arguments(self.api, field, &one.first.node, self.variables), Ok);
        let resolved = match arguments {
            Ok(arguments) => self.resolve(field, arguments, parents, one, several).await,
            Err(error) => Err(error),
        };
        match resolved {
            Ok(Resolved::Receipt(receipt)) => vec![Ok(self.receipt(&receipt, one)); parents.len()],
            Ok(Resolved::Values(values)) => {
                let item = |(value, parent)| Item { value, path: path(parent), of: None };
                self.complete(ty, one, &field.ty, values.into_iter().zip(parents).map(item).collect()).await
            }
            Ok(Resolved::Shared(values, places)) => {
                let value = |place: Option<usize>| place.and_then(|place| values.get(place)).map(Cow::Borrowed);
                let item = |(place, parent)| Item {
                    value: value(place).unwrap_or(Cow::Owned(Json::Null)),
                    path: path(parent),
                    of: None,
                };
                self.complete(ty, one, &field.ty, places.into_iter().zip(parents).map(item).collect()).await
            }
            Ok(Resolved::Computed(values, of)) => {
                let item =
                    |(value, parent)| Item { value: Cow::Owned(value), path: path(parent), of: Some(of.clone()) };
                self.complete(ty, one, &field.ty, values.into_iter().zip(parents).map(item).collect()).await
            }
            Err(error) => {
                // It failed once for all of them, and so it is told once.
                if let Some(parent) = parents.first() {
                    self.record(&error, one, &path(parent));
                }
                let completed = if matches!(field.ty, TypeRef::NonNull(_)) { Err(Failed) } else { Ok(Data::NULL) };
                vec![completed; parents.len()]
            }
        }
    }

    /// Brings values into the form of a type. Where null is allowed, what has failed is null.
    fn complete<'p>(
        &'p self,
        parent: &'p str,
        one: &'p Selected<'p>,
        ty: &'p TypeRef,
        items: Vec<Item<'p>>,
    ) -> BoxFuture<'p, Vec<Completed>> {
        async move {
            let TypeRef::NonNull(inner) = ty else {
                let completed = self.form(parent, one, ty, items).await;
                return completed.into_iter().map(|value| value.or(Ok(Data::NULL))).collect();
            };
            let paths: Vec<Path> = items.iter().map(|item| item.path.clone()).collect();
            let completed = self.form(parent, one, inner, items).await;
            let refuse_null = |(value, path): (Completed, Path)| match value {
                Ok(shown) if shown.is_null() => Err(self.bad_row(parent, one, &path, &Json::Null)),
                other => other,
            };
            completed.into_iter().zip(paths).map(refuse_null).collect()
        }
        .boxed()
    }

    async fn form<'p>(
        &'p self,
        parent: &'p str,
        one: &'p Selected<'p>,
        ty: &'p TypeRef,
        items: Vec<Item<'p>>,
    ) -> Vec<Completed> {
        match ty {
            TypeRef::NonNull(_) => self.complete(parent, one, ty, items).await,
            TypeRef::List(inner) => self.lists(parent, one, inner, items).await,
            TypeRef::Named(name) => match self.api.types.get(name.as_ref()) {
                Some(Type::Object(_)) => self.nested(parent, one, name, items).await,
                ty => {
                    let leaf = |item: Item<'_>| self.leaf(parent, one, ty, &item.value, || item.path);
                    items.into_iter().map(leaf).collect()
                }
            },
        }
    }

    /// Lists: their items are brought into form all at once, and put back where they came from.
    async fn lists<'p>(
        &'p self,
        parent: &'p str,
        one: &'p Selected<'p>,
        inner: &'p TypeRef,
        items: Vec<Item<'p>>,
    ) -> Vec<Completed> {
        let mut flat = Vec::new();
        let mut lengths = Vec::with_capacity(items.len());
        for Item { value, path, .. } in items {
            let before = flat.len();
            let mut push = |(at, value)| flat.push(Item { value, path: path.index(at), of: None });
            lengths.push(match value {
                Cow::Owned(Json::Array(list)) => {
                    list.into_iter().map(Cow::Owned).enumerate().for_each(&mut push);
                    Ok(Some(flat.len() - before))
                }
                Cow::Borrowed(Json::Array(list)) => {
                    list.iter().map(Cow::Borrowed).enumerate().for_each(&mut push);
                    Ok(Some(flat.len() - before))
                }
                value if value.is_null() => Ok(None),
                value => Err(self.bad_row(parent, one, &path, &value)),
            });
        }
        let mut completed = self.complete(parent, one, inner, flat).await.into_iter();
        let list = |length: Result<Option<usize>, Failed>| match length? {
            None => Ok(Data::NULL),
            Some(length) => {
                let items: Vec<Completed> = completed.by_ref().take(length).collect();
                items.into_iter().collect::<Result<_, _>>().map(Data::List)
            }
        };
        lengths.into_iter().map(list).collect()
    }

    /// Objects: those that are there go on to the next level together.
    async fn nested<'p>(
        &'p self,
        parent: &'p str,
        one: &'p Selected<'p>,
        ty: &'p str,
        items: Vec<Item<'p>>,
    ) -> Vec<Completed> {
        let mut parents = Vec::with_capacity(items.len());
        let mut places = Vec::with_capacity(items.len());
        for Item { value, path, of } in items {
            let fields = match value {
                Cow::Owned(Json::Object(fields)) => Some(Cow::Owned(fields)),
                Cow::Borrowed(Json::Object(fields)) => Some(Cow::Borrowed(fields)),
                value => {
                    let missing =
                        if value.is_null() { Ok(Data::NULL) } else { Err(self.bad_row(parent, one, &path, &value)) };
                    places.push(Some(missing));
                    continue;
                }
            };
            places.push(None);
            parents.extend(fields.map(|fields| Parent { fields, path, of }));
        }
        if parents.is_empty() {
            return places.into_iter().map(|place| place.unwrap_or(Err(Failed))).collect();
        }
        let mut completed = self.objects(ty, parents, one.sets()).await.into_iter();
        places.into_iter().map(|place| place.or_else(|| completed.next()).unwrap_or(Err(Failed))).collect()
    }

    fn leaf(
        &self,
        parent: &str,
        one: &Selected<'_>,
        ty: Option<&Type>,
        value: &Json,
        path: impl FnOnce() -> Path,
    ) -> Completed {
        let shown = match ty {
            Some(Type::Scalar(scalar)) => values::answered(*scalar, value),
            Some(Type::Enum(known)) => values::answered_enum(known, value),
            _ => None,
        };
        shown.map(Data::Value).ok_or_else(|| self.bad_row(parent, one, &path(), value))
    }

    /// What the arguments of fields are read by.
    fn ground(&self) -> Ground<'_> {
        Ground { api: self.api, limits: self.limits, tables: self }
    }

    fn introspected(&self, key: &Name) -> Value {
        match &self.introspection {
            Value::Object(answers) => answers.get(key).cloned().unwrap_or_default(),
            _ => Value::Null,
        }
    }

    /// The plugin has written what its own schema rules out: the operator learns what, and the caller learns where.
    fn bad_row(&self, parent: &str, one: &Selected<'_>, path: &Path, value: &Json) -> Failed {
        let field = one.first.node.name.node.to_string();
        tracing::error!(ty = parent, %field, %value, "a row holds a value that its schema does not allow");
        self.record(&Error::BadRow { model: parent.to_owned(), field }, one, path);
        Failed
    }

    fn record(&self, error: &Error, one: &Selected<'_>, path: &Path) {
        let error = error.at(Some(one.first.pos), path.segments());
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).push(error);
    }
}

impl Tables for Execution<'_> {
    fn table(&self, model: &yado_model::Name) -> Result<Table, Error> {
        Ok(self.session.table(model)?)
    }
}

/// Puts objects together from the values of their fields, of which each column has one for every object.
fn objects_of(selected: &[Selected<'_>], columns: Vec<Vec<Completed>>, count: usize) -> Vec<Completed> {
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    let one = |_| {
        let mut fields = Vec::with_capacity(selected.len());
        let mut failed = None;
        // Columns advance together, also past what has failed.
        for (one, column) in selected.iter().zip(&mut columns) {
            match column.next().unwrap_or(Err(Failed)) {
                Ok(value) => fields.push((one.key.clone(), value)),
                Err(why) => failed = Some(why),
            }
        }
        failed.map_or(Ok(Data::Object(fields)), Err)
    };
    (0..count).map(one).collect()
}
