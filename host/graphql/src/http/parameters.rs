//! The parameters of a request: `query`, `operationName`, `variables`, `extensions`.

use axum::extract::Query;
use axum::http::Uri;
use serde_json::{Map, Value as Json};

use super::Fault;
use crate::request::Request;

/// The parameters of a JSON body.
pub(super) fn of_body(body: &[u8]) -> Result<Request, Fault> {
    match serde_json::from_slice(body) {
        Ok(Json::Object(parameters)) => of(parameters),
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
    of(parameters)
}

fn of(mut parameters: Map<String, Json>) -> Result<Request, Fault> {
    let mut take = |name| parameters.remove(name).unwrap_or_default();
    let query = match take("query") {
        Json::String(query) => query,
        Json::Null => return Err(Fault::bad("query is missing: it is the GraphQL document")),
        _ => return Err(Fault::bad("query must be a string: the GraphQL document")),
    };
    let operation_name = match take("operationName") {
        Json::Null => None,
        Json::String(name) if name.is_empty() => None,
        Json::String(name) => Some(name),
        _ => return Err(Fault::bad("operationName must be a string")),
    };
    let mut map = |name| match take(name) {
        Json::Null => Ok(Map::new()),
        Json::Object(fields) => Ok(fields),
        _ => Err(Fault::bad(format!("{name} must be an object"))),
    };
    let variables = map("variables")?;
    map("extensions")?;
    Ok(Request { query, operation_name, variables, ..Request::default() })
}
