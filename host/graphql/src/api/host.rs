//! What every API has: scalars, the receipt of a command, and what the server says of itself.

use async_graphql::dynamic::TypeRef;

use super::build::Builder;
use super::{Enum, EnumValue, Field, Object, Resolve, Scalar, Type};

/// The name of the type of what a command is answered with that names no read model.
pub(crate) const RECEIPT: &str = "CommandReceipt";
pub(super) const DIRECTION: &str = "OrderDirection";

pub(super) fn add(builder: &mut Builder<'_>) -> Result<(), String> {
    const OWNER: &str = "the server";
    for scalar in Scalar::ALL {
        builder.add(scalar.name(), OWNER, Type::Scalar(scalar))?;
    }
    let direction = Enum {
        description: "Which end comes first. What is null comes last either way.".into(),
        values: vec![EnumValue::new("ASC", "The least first."), EnumValue::new("DESC", "The greatest first.")],
    };
    builder.add(DIRECTION, OWNER, Type::Enum(direction))?;
    builder.add(
        RECEIPT,
        OWNER,
        object(
            "Where a command was recorded.",
            [
                field("id", "The id of what was changed.", TypeRef::named_nn("ID")),
                field("revision", "How many events it has now.", TypeRef::named_nn("Int")),
                field("position", "The place of its last event in the log.", TypeRef::named_nn("BigInt")),
            ],
        ),
    )?;
    builder.add(
        "YadoPlugin",
        OWNER,
        object(
            "A plugin that is running.",
            [
                field("name", "Its name.", TypeRef::named_nn("String")),
                field("version", "Its version, as its author gave it.", TypeRef::named_nn("String")),
                field("digest", "What its code is recognised by: SHA-256.", TypeRef::named_nn("String")),
                field("description", "What it is for.", TypeRef::named_nn("String")),
            ],
        ),
    )?;
    builder.add(
        "YadoServer",
        OWNER,
        object(
            "The server itself.",
            [
                field("version", "The server's version.", TypeRef::named_nn("String")),
                field("plugins", "The plugins that are running, by name.", TypeRef::named_nn_list_nn("YadoPlugin")),
            ],
        ),
    )?;
    let server = Field {
        resolve: Resolve::Server,
        ..field("yado", "The server itself, and what runs on it.", TypeRef::named_nn("YadoServer"))
    };
    builder.add_query(OWNER, server)
}

fn object<const N: usize>(description: &str, fields: [Field; N]) -> Type {
    Type::Object(Object { description: description.to_owned(), fields: fields.into() })
}

fn field(name: &str, description: &str, ty: TypeRef) -> Field {
    Field {
        name: name.to_owned(),
        description: description.to_owned(),
        arguments: Vec::new(),
        ty,
        resolve: Resolve::Property,
    }
}
