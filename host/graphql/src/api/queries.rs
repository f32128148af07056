//! What a named query brings: a field of `Query` under its own name, with its arguments and its answer as types.
//!
//! Each has an argument of the server's beside its author's, which says what to wait for, and a declared query has more: in
//! which order rows come, and how many of a list. A name that the author has taken stays the author's, and what it would have
//! said can't be said then.

use async_graphql::dynamic::TypeRef;
use serde_json::Value as Json;
use yado_model::Name;
use yado_model::manifest::{Answer, Manifest, Query, RowsQuery};
use yado_model::schema::Shape;

use super::build::Builder;
use super::{Api, Argument, Field, Object, Resolve, Type, inputs, models, shapes};
use crate::{Limits, names};

/// How many rows of a list.
pub(crate) const LIMIT: &str = "limit";
/// How many rows of a list are skipped.
pub(crate) const OFFSET: &str = "offset";
/// In which order rows come.
pub(crate) const ORDER_BY: &str = "orderBy";

/// The rows that answer a declared query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declared {
    /// Whose rows.
    pub(crate) model: Name,
    /// What becomes of them.
    pub(crate) answer: Answer,
    /// The arguments that are the server's, and not the query's own.
    pub(crate) given: Vec<String>,
}

pub(super) fn add(builder: &mut Builder<'_>, plugin: &Manifest, query: &Query) -> Result<(), String> {
    let owner = format!("query {} of plugin {}", query.name, plugin.name);
    let Shape::Object(given) = query.arguments.shape().map_err(|e| format!("{owner}: {e}"))?.shape else {
        return Err(format!("the arguments of {owner} are not an object"));
    };
    let answer = query.returns.shape().map_err(|e| format!("{owner}: {e}"))?;
    let name = names::pascal(query.name.as_str());
    let mut arguments = shapes::input_fields(builder, &given, &name, &owner)?;
    let rows = query.rows.as_ref().map(|rows| declared(rows, builder, &mut arguments));
    let waits = give(models::min_position(), &mut arguments);
    let place = shapes::Place { name: format!("{name}Answer"), owner: &owner };
    let ty = shapes::output(builder, &answer, true, &place)?;
    let many = builder.api.has_lists(&ty);
    let field = Field {
        name: query.name.to_string(),
        description: query.description.clone(),
        arguments,
        ty,
        resolve: Resolve::Query { query: query.name.clone(), many, waits, rows },
    };
    builder.add_query(&owner, field)
}

/// The rows of a declared query. Adds the server's own arguments to those of its author.
fn declared(rows: &RowsQuery, builder: &Builder<'_>, arguments: &mut Vec<Argument>) -> Declared {
    let limits = builder.limits;
    let mut own = match &rows.answer {
        // Which row it is has been said.
        Answer::One => Vec::new(),
        Answer::List { .. } | Answer::Page { .. } => vec![order(rows.model.as_str())],
    };
    if let Answer::List { limit } = &rows.answer {
        own.extend(page(limits, (*limit).min(limits.page_max)));
    }
    let mut given = Vec::new();
    for argument in own {
        let name = argument.name.clone();
        if give(argument, arguments) {
            given.push(name);
        }
    }
    Declared { model: rows.model.clone(), answer: rows.answer.clone(), given }
}

/// Adds an argument of the server's, unless the author has taken its name. Returns whether it is there.
fn give(own: Argument, arguments: &mut Vec<Argument>) -> bool {
    let is_free = arguments.iter().all(|argument| argument.name != own.name);
    if is_free {
        arguments.push(own);
    }
    is_free
}

/// In which order rows come, where it is not the query's own.
fn order(model: &str) -> Argument {
    let order = inputs::order(model);
    Argument { description: format!("{} Without it, rows come in the query's own order.", order.description), ..order }
}

/// How many rows of a list that has at most so many.
fn page(limits: &Limits, most: u32) -> Vec<Argument> {
    let number = |name: &str, description: String, default: u32| Argument {
        default: Some(default.into()),
        ..Argument::new(name, &description, TypeRef::named(TypeRef::INT))
    };
    vec![
        number(LIMIT, format!("At most so many; {most} at most."), most),
        number(OFFSET, format!("So many are skipped first; {} at most.", limits.offset_max), 0),
    ]
}

impl Declared {
    /// Whether an argument is the server's.
    pub(crate) fn gives(&self, name: &str) -> bool {
        self.given.iter().any(|given| given == name)
    }

    /// How many rows it may answer with, given these arguments.
    pub(crate) fn rows_max(&self, arguments: &Json) -> Option<u64> {
        match &self.answer {
            Answer::One => Some(1),
            Answer::List { limit } => {
                let given = arguments.get(LIMIT).filter(|_| self.gives(LIMIT)).and_then(Json::as_u64);
                given.or(Some((*limit).into()))
            }
            Answer::Page { size, default_size, .. } => {
                size.of(arguments).map_or(Some((*default_size).into()), Json::as_u64)
            }
        }
    }
}

impl Api {
    /// Whether an answer of a type may have objects in lists. A row's own lists are no matter: they are as long as the
    /// projection made them, wherever the row is shown.
    fn has_lists(&self, ty: &TypeRef) -> bool {
        match ty {
            TypeRef::NonNull(inner) => self.has_lists(inner),
            TypeRef::List(_) => self.object(ty.type_name()).is_some(),
            TypeRef::Named(name) => self.parts(name).is_some_and(|object| {
                object.fields.iter().any(|field| field.resolve == Resolve::Property && self.has_lists(&field.ty))
            }),
        }
    }

    /// How many objects stand in lists of an answer, without those in lists of rows.
    pub(crate) fn listed(&self, ty: &TypeRef, answer: &Json) -> u64 {
        match (ty, answer) {
            (TypeRef::NonNull(inner), answer) => self.listed(inner, answer),
            (TypeRef::List(inner), Json::Array(items)) if self.object(inner.type_name()).is_some() => {
                let own = |item: &Json| u64::from(item.is_object()).saturating_add(self.listed(inner, item));
                items.iter().fold(0, |sum, item| sum.saturating_add(own(item)))
            }
            (TypeRef::Named(name), Json::Object(values)) => {
                let fields = self.parts(name).map_or(&[][..], |object| &object.fields);
                let below = |field: &Field| values.get(&field.name).map_or(0, |value| self.listed(&field.ty, value));
                fields.iter().fold(0, |sum, field| sum.saturating_add(below(field)))
            }
            _ => 0,
        }
    }

    /// An object type that is not a read model's.
    fn parts(&self, name: &str) -> Option<&Object> {
        match self.types.get(name) {
            Some(Type::Object(object)) if !self.models.contains(name) => Some(object),
            _ => None,
        }
    }
}
