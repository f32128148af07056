//! What a named query brings: a field of `Query` under its own name, with its arguments and its answer as types.

use async_graphql::dynamic::TypeRef;
use serde_json::Value as Json;
use yado_model::manifest::{Manifest, Query};
use yado_model::schema::Shape;

use super::build::Builder;
use super::{Api, Field, Object, Resolve, Type, shapes};
use crate::names;

pub(super) fn add(builder: &mut Builder<'_>, plugin: &Manifest, query: &Query) -> Result<(), String> {
    let owner = format!("query {} of plugin {}", query.name, plugin.name);
    let Shape::Object(given) = query.arguments.shape().map_err(|e| format!("{owner}: {e}"))?.shape else {
        return Err(format!("the arguments of {owner} are not an object"));
    };
    let answer = query.returns.shape().map_err(|e| format!("{owner}: {e}"))?;
    let name = names::pascal(query.name.as_str());
    let arguments = shapes::input_fields(builder, &given, &name, &owner)?;
    let place = shapes::Place { name: format!("{name}Answer"), owner: &owner };
    let ty = shapes::output(builder, &answer, true, &place)?;
    let many = builder.api.has_lists(&ty);
    let field = Field {
        name: query.name.to_string(),
        description: query.description.clone(),
        arguments,
        ty,
        resolve: Resolve::Query { query: query.name.clone(), many },
    };
    builder.add_query(&owner, field)
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
