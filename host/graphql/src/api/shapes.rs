//! Payload shapes as GraphQL types.
//!
//! An object or a list of names in a payload has no name of its own unless its author gives it one (a `title`). Without
//! one it is called after the place where it stands: the property `seat` of `Ticket` is a `TicketSeat`.

use async_graphql::dynamic::TypeRef;
use yado_model::schema::{Enumeration, Object as Fields, Shape, Slot};

use super::build::Builder;
use super::{Argument, Enum, EnumValue, Field, Input, Object, Resolve, Scalar, Type};
use crate::names;

/// Where a shape stands, and so how it is called and who is to blame.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    /// The name of the type if the shape has none of its own.
    pub(super) name: String,
    /// In the words of a refusal.
    pub(super) owner: &'a str,
}

impl<'a> Place<'a> {
    /// The place of a property.
    pub(super) fn of(parent: &str, property: &str, owner: &'a str) -> Self {
        Self { name: format!("{parent}{}", names::pascal(property)), owner }
    }
}

/// A slot of something that is read.
pub(super) fn output(
    builder: &mut Builder<'_>,
    slot: &Slot,
    required: bool,
    place: &Place<'_>,
) -> Result<TypeRef, String> {
    let ty = match &slot.shape {
        Shape::List(inner) => TypeRef::List(Box::new(output(builder, inner, true, place)?)),
        Shape::Object(object) => TypeRef::named(output_object(builder, object, place)?),
        Shape::Enumeration(values) => TypeRef::named(enumeration(builder, values, place)?),
        other => TypeRef::named(scalar(other).name()),
    };
    Ok(if required && !slot.nullable { TypeRef::NonNull(Box::new(ty)) } else { ty })
}

/// A slot of something that is given.
pub(super) fn input(
    builder: &mut Builder<'_>,
    slot: &Slot,
    required: bool,
    place: &Place<'_>,
) -> Result<TypeRef, String> {
    let ty = match &slot.shape {
        Shape::List(inner) => TypeRef::List(Box::new(input(builder, inner, true, place)?)),
        // GraphQL has no empty input: nothing can be said in one, and whatever stands there is checked as JSON.
        Shape::Object(object) if object.fields.is_empty() => TypeRef::named(Scalar::Json.name()),
        Shape::Object(object) => {
            let base = object.title.as_ref().map_or(place.name.clone(), ToString::to_string);
            let name = format!("{base}Input");
            let fields = input_fields(builder, object, &base, place.owner)?;
            let ty = Type::Input(Input { description: object.description.clone(), fields, one_of: false });
            builder.add(&name, place.owner, ty)?;
            TypeRef::named(name)
        }
        Shape::Enumeration(values) => TypeRef::named(enumeration(builder, values, place)?),
        other => TypeRef::named(scalar(other).name()),
    };
    Ok(if required && !slot.nullable { TypeRef::NonNull(Box::new(ty)) } else { ty })
}

/// The fields of an object that is read.
pub(super) fn output_fields(
    builder: &mut Builder<'_>,
    object: &Fields,
    name: &str,
    owner: &str,
) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    for field in &object.fields {
        let place = Place::of(name, field.name.as_str(), owner);
        fields.push(Field {
            name: field.name.to_string(),
            description: field.description.clone(),
            arguments: Vec::new(),
            ty: output(builder, &field.slot, field.required, &place)?,
            resolve: Resolve::Property,
        });
    }
    Ok(fields)
}

/// The fields of an object that is given.
pub(super) fn input_fields(
    builder: &mut Builder<'_>,
    object: &Fields,
    name: &str,
    owner: &str,
) -> Result<Vec<Argument>, String> {
    let mut fields = Vec::new();
    for field in &object.fields {
        let place = Place::of(name, field.name.as_str(), owner);
        let ty = input(builder, &field.slot, field.required, &place)?;
        fields.push(Argument::new(field.name.as_str(), &field.description, ty));
    }
    Ok(fields)
}

fn output_object(builder: &mut Builder<'_>, object: &Fields, place: &Place<'_>) -> Result<String, String> {
    if let Some(model) = &object.model {
        return match builder.model(model) {
            Some(_) => Ok(model.to_string()),
            None => Err(format!("{} shows rows of {model}, which no plugin brings", place.owner)),
        };
    }
    if object.fields.is_empty() {
        return Ok(Scalar::Json.name().to_owned());
    }
    let name = object.title.as_ref().map_or(place.name.clone(), ToString::to_string);
    let fields = output_fields(builder, object, &name, place.owner)?;
    builder.add(&name, place.owner, Type::Object(Object { description: object.description.clone(), fields }))?;
    Ok(name)
}

/// An enum where GraphQL can say the values, and a string where it can't.
fn enumeration(builder: &mut Builder<'_>, shape: &Enumeration, place: &Place<'_>) -> Result<String, String> {
    if shape.values.is_empty() || !shape.values.iter().all(|value| names::is_enum_value(value)) {
        return Ok(Scalar::String.name().to_owned());
    }
    let name = shape.title.as_ref().map_or(place.name.clone(), ToString::to_string);
    let said = |value: &String| shape.descriptions.get(value).map_or("", String::as_str);
    let values = shape.values.iter().map(|value| EnumValue::new(value, said(value))).collect();
    let ty = Type::Enum(Enum { description: shape.description.clone(), values });
    builder.add(&name, place.owner, ty)?;
    Ok(name)
}

/// The scalar for a shape; what has parts and stands where only a scalar can is JSON.
pub(super) const fn scalar(shape: &Shape) -> Scalar {
    match shape {
        Shape::Text | Shape::Enumeration(_) => Scalar::String,
        Shape::Id { .. } => Scalar::Id,
        Shape::Integer { wide: false } => Scalar::Int,
        Shape::Integer { wide: true } => Scalar::BigInt,
        Shape::Float => Scalar::Float,
        Shape::Decimal => Scalar::Decimal,
        Shape::Boolean => Scalar::Boolean,
        Shape::Timestamp => Scalar::DateTime,
        Shape::List(_) | Shape::Object(_) | Shape::Json => Scalar::Json,
    }
}
