//! The parameters of a request: `query`, `operationName`, `variables`, `extensions`.

use std::fmt;

use axum::extract::Query;
use axum::http::Uri;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value as Json};

use super::Fault;
use crate::request::Request;

/// What a request may have. What is not there is null.
#[derive(Debug, Default)]
struct Parameters {
    query: Json,
    operation_name: Json,
    variables: Json,
    extensions: Json,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Parameter {
    Query,
    OperationName,
    Variables,
    Extensions,
    #[serde(other)]
    Unknown,
}

/// Of parameters that are there twice the last one counts, as it does of all fields in JSON here; unknown ones are not
/// kept. Lists are no parameters, though serde would take them for some if this were derived.
impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Parameters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Parameters, A::Error> {
                let mut parameters = Parameters::default();
                while let Some(name) = fields.next_key()? {
                    match name {
                        Parameter::Query => parameters.query = fields.next_value()?,
                        Parameter::OperationName => parameters.operation_name = fields.next_value()?,
                        Parameter::Variables => parameters.variables = fields.next_value()?,
                        Parameter::Extensions => parameters.extensions = fields.next_value()?,
                        Parameter::Unknown => {
                            fields.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(parameters)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// The parameters of a JSON body.
pub(super) fn of_body(body: &[u8]) -> Result<Request, Fault> {
    if let Ok(parameters) = serde_json::from_slice(body) {
        return of(parameters);
    }
    // It is at fault: what it is instead is worth a second look.
    match serde_json::from_slice(body) {
        Ok(Json::Array(_)) => {
            Err(Fault::bad("the body is a list of requests: send each on its own, or put them into one document"))
        }
        Ok(_) => Err(Fault::bad("the body must be a JSON object with a query")),
        Err(error) => Err(Fault::bad(format!("the body is not JSON: {error}"))),
    }
}

/// The parameters of a URL, where variables and extensions are JSON within a text.
pub(super) fn of_query(query: &str) -> Result<Request, Fault> {
    let wrong = |name: &str| Fault::bad(format!("{name} is wrong: it must be given once, as a URL-encoded text"));
    let uri = Uri::builder().path_and_query(format!("/?{query}")).build().map_err(|_| wrong("the URL"))?;
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&uri).map_err(|_| wrong("the URL"))?;
    let mut parameters = Map::new();
    for (name, text) in pairs {
        let value = match name.as_str() {
            "variables" | "extensions" if text.is_empty() => Json::Null,
            "variables" | "extensions" => serde_json::from_str(&text)
                .map_err(|error| Fault::bad(format!("{name} must be JSON, URL-encoded: {error}")))?,
            _ => Json::String(text),
        };
        if parameters.insert(name.clone(), value).is_some() {
            return Err(wrong(&name));
        }
    }
    let mut take = |name| parameters.remove(name).unwrap_or_default();
    of(Parameters {
        query: take("query"),
        operation_name: take("operationName"),
        variables: take("variables"),
        extensions: take("extensions"),
    })
}

/// The parameters that stand in a message.
pub(super) fn of_object(mut fields: Map<String, Json>) -> Result<Request, Fault> {
    let mut take = |name| fields.remove(name).unwrap_or_default();
    of(Parameters {
        query: take("query"),
        operation_name: take("operationName"),
        variables: take("variables"),
        extensions: take("extensions"),
    })
}

fn of(parameters: Parameters) -> Result<Request, Fault> {
    let query = match parameters.query {
        Json::String(query) => query,
        Json::Null => return Err(Fault::bad("query is missing: it is the GraphQL document")),
        _ => return Err(Fault::bad("query must be a string: the GraphQL document")),
    };
    let operation_name = match parameters.operation_name {
        Json::Null => None,
        Json::String(name) if name.is_empty() => None,
        Json::String(name) => Some(name),
        _ => return Err(Fault::bad("operationName must be a string")),
    };
    let map = |name, value| match value {
        Json::Null => Ok(Map::new()),
        Json::Object(fields) => Ok(fields),
        _ => Err(Fault::bad(format!("{name} must be an object"))),
    };
    let variables = map("variables", parameters.variables)?;
    map("extensions", parameters.extensions)?;
    Ok(Request { query, operation_name, variables, ..Request::default() })
}
