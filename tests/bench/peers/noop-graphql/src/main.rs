//! The ceiling of Yado's GraphQL: the same HTTP server, the same parser and validator, the schema that Yado derives for a
//! deposit, and a resolver that answers at once. What is missing to its figures, Yado spends on deciding and recording.
//!
//! It serves and nothing else: the bench's own load generator drives it.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use async_graphql::dynamic::{
    Field, FieldFuture, InputObject, InputValue, Object, ResolverContext, Scalar, Schema, SchemaError, TypeRef,
};
use async_graphql::{Name, Request, Response, Value};
use axum::extract::State;
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use tokio::net::TcpListener;

use peer::{Flags, Readiness};

fn main() -> std::process::ExitCode {
    peer::host(async |_: &Flags| {
        let address = listen().await?;
        Ok(Readiness {
            version: "axum 0.8 with async-graphql 7.2".into(),
            settings: "dynamic schema without extensions, TCP_NODELAY; the resolver reads its input and answers".into(),
            url: Some(format!("http://{address}/graphql")),
        })
    })
}

async fn listen() -> Result<SocketAddr> {
    let app = Router::new().route("/graphql", post(answer)).with_state(schema()?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    // Answers are small, and none is to wait for another one to share a packet with. Where that can't be had, they are a
    // little later.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

async fn answer(State(schema): State<Schema>, Json(request): Json<Request>) -> Json<Response> {
    Json(schema.execute(request).await)
}

/// What Yado derives for the command, with the receipt that it answers.
fn schema() -> Result<Schema, SchemaError> {
    let input = InputObject::new("DepositInput")
        .field(InputValue::new("id", TypeRef::named_nn(TypeRef::ID)))
        .field(InputValue::new("amount", TypeRef::named_nn("BigInt")))
        .field(InputValue::new("reference", TypeRef::named_nn(TypeRef::STRING)));
    let receipt = Object::new("CommandReceipt")
        .field(property("id", TypeRef::ID))
        .field(property("revision", TypeRef::INT))
        .field(property("position", "BigInt"));
    let deposit = Field::new("deposit", TypeRef::named("CommandReceipt"), |context| {
        FieldFuture::Value(receipt_of(&context).map(Into::into))
    });
    let deposit = deposit
        .argument(InputValue::new("input", TypeRef::named_nn("DepositInput")))
        .argument(InputValue::new("expectedRevision", TypeRef::named(TypeRef::INT)))
        .argument(InputValue::new("idempotencyKey", TypeRef::named(TypeRef::STRING)));
    // GraphQL wants a query to exist.
    let ready =
        Field::new("ready", TypeRef::named_nn(TypeRef::BOOLEAN), |_| FieldFuture::from_value(Some(true.into())));
    Schema::build("Query", Some("Mutation"), None)
        .register(Scalar::new("BigInt"))
        .register(input)
        .register(receipt)
        .register(Object::new("Mutation").field(deposit))
        .register(Object::new("Query").field(ready))
        .finish()
}

fn receipt_of(context: &ResolverContext<'_>) -> Option<Value> {
    let input = context.args.get("input")?;
    let input = input.object().ok()?;
    let id = input.get("id")?.string().ok()?.to_owned();
    (input.get("amount")?.i64().ok()? > 0 && !input.get("reference")?.string().ok()?.is_empty()).then(|| {
        let fields = [("id", id.into()), ("revision", 1.into()), ("position", 1.into())];
        Value::Object(fields.into_iter().map(|(name, value)| (Name::new(name), value)).collect())
    })
}

/// A field that is a property of the object that it stands on.
fn property(name: &'static str, ty: &str) -> Field {
    Field::new(name, TypeRef::named_nn(ty), move |context| {
        let object = context.parent_value.as_value();
        let value = match object {
            Some(Value::Object(fields)) => fields.get(name).cloned(),
            _ => None,
        };
        FieldFuture::from_value(value)
    })
}
