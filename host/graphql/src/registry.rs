//! The API as async-graphql knows it: for validation, introspection and SDL.
//!
//! async-graphql parses documents, holds them against the schema, and answers introspection. It does not run them:
//! [`crate::execute`] does, a level at a time, so that a relation costs one statement however many rows ask for it. Hence
//! the schema is built to answer introspection only, and no field of it can ever be asked for a value.

use async_graphql::dynamic::{
    self, EnumItem, FieldFuture, InputObject, InputValue, Schema, SchemaBuilder, SubscriptionField,
    SubscriptionFieldFuture,
};
use futures::stream;

use crate::api::{Api, Argument, EnumValue, Field, MUTATION, Object, QUERY, SUBSCRIPTION, Scalar, Type};
use crate::{Limits, values};

/// Makes the schema of an API.
///
/// # Errors
/// Says what GraphQL does not allow in it, for whoever deploys it.
pub(crate) fn schema(api: &Api, limits: &Limits) -> Result<Schema, String> {
    let mutation = api.types.contains_key(MUTATION).then_some(MUTATION);
    let subscription = api.types.contains_key(SUBSCRIPTION).then_some(SUBSCRIPTION);
    // Documents have been measured before they get here; these are the limits of the recursive code behind them.
    let builder = Schema::build(QUERY, mutation, subscription)
        .introspection_only()
        .limit_recursive_depth(limits.nesting_max as usize);
    let registered = api.types.iter().fold(builder, |builder, (name, ty)| register(builder, name, ty));
    registered.finish().map_err(|e| format!("the GraphQL schema would not be valid: {e}"))
}

fn register(builder: SchemaBuilder, name: &str, ty: &Type) -> SchemaBuilder {
    match ty {
        Type::Scalar(scalar) => match scalar.description() {
            Some(description) => builder.register(self::scalar(*scalar, description)),
            None => builder,
        },
        Type::Enum(known) => {
            let item = |value: &EnumValue| {
                described(EnumItem::new(value.name.as_str()), &value.description, EnumItem::description)
            };
            let made = dynamic::Enum::new(name).items(known.values.iter().map(item));
            builder.register(described(made, &known.description, dynamic::Enum::description))
        }
        Type::Object(known) if name == SUBSCRIPTION => builder.register(subscription(known)),
        Type::Object(known) => {
            let made = dynamic::Object::new(name);
            let made = known.fields.iter().fold(made, |object, known| object.field(field(known)));
            builder.register(described(made, &known.description, dynamic::Object::description))
        }
        Type::Input(known) => {
            let made = InputObject::new(name);
            let made = known.fields.iter().fold(made, |input, known| input.field(argument(known)));
            let made = described(made, &known.description, InputObject::description);
            builder.register(if known.one_of { made.oneof() } else { made })
        }
    }
}

fn scalar(scalar: Scalar, description: &str) -> dynamic::Scalar {
    dynamic::Scalar::new(scalar.name()).description(description).validator(move |value| values::fits(scalar, value))
}

/// Its fields tell nothing: a subscription is validated by being begun here, and ends at once if it is sound.
fn subscription(known: &Object) -> dynamic::Subscription {
    let field = |known: &Field| {
        let made = SubscriptionField::new(known.name.as_str(), known.ty.clone(), |_| {
            SubscriptionFieldFuture::new(async { Ok(stream::empty::<async_graphql::Result<async_graphql::Value>>()) })
        });
        let made = known.arguments.iter().fold(made, |field, known| field.argument(argument(known)));
        described(made, &known.description, SubscriptionField::description)
    };
    let made = dynamic::Subscription::new(SUBSCRIPTION);
    let made = known.fields.iter().fold(made, |made, known| made.field(field(known)));
    described(made, &known.description, dynamic::Subscription::description)
}

fn field(known: &Field) -> dynamic::Field {
    let made = dynamic::Field::new(known.name.as_str(), known.ty.clone(), |_| FieldFuture::Value(None));
    let made = known.arguments.iter().fold(made, |field, known| field.argument(argument(known)));
    described(made, &known.description, dynamic::Field::description)
}

fn argument(known: &Argument) -> InputValue {
    let made = InputValue::new(known.name.as_str(), known.ty.clone());
    let made = described(made, &known.description, InputValue::description);
    match &known.default {
        Some(default) => made.default_value(values::from_json(default)),
        None => made,
    }
}

/// An empty description is none.
fn described<'a, T>(made: T, description: &'a str, describe: fn(T, &'a str) -> T) -> T {
    if description.is_empty() { made } else { describe(made, description) }
}
