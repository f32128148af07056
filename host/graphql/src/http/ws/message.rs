//! The messages of the protocol.

use serde_json::{Map, Value as Json};

use super::super::parameters;
use crate::request::Request;

/// How long the reason of a close may be, in bytes.
const REASON: usize = 123;
/// How long the id of an operation may be, in bytes: it is kept for as long as the operation goes on.
const ID: usize = 256;

/// What a server answers to whoever speaks the protocol.
pub(super) const ACKNOWLEDGED: &str = r#"{"type":"connection_ack"}"#;

/// What a client sends.
#[derive(Debug)]
pub(super) enum Sent {
    /// It speaks the protocol.
    Init,
    /// Is anybody there?
    Ping(Option<Json>),
    /// Somebody is.
    Pong,
    /// It begins an operation.
    Subscribe { id: String, request: Box<Request> },
    /// It wants to hear no more of an operation.
    Complete { id: String },
}

/// What is wrong with a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String);

impl Wrong {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Reads a message.
pub(super) fn read(bytes: &[u8]) -> Result<Sent, Wrong> {
    let mut fields: Map<String, Json> =
        serde_json::from_slice(bytes).map_err(|_| Wrong::new("a message is a JSON object"))?;
    let kind = match fields.remove("type") {
        Some(Json::String(kind)) => kind,
        _ => return Err(Wrong::new("a message has a type")),
    };
    let mut payload = || match fields.remove("payload") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Object(payload)) => Ok(Some(payload)),
        Some(_) => Err(Wrong::new(format!("the payload of {kind} is an object"))),
    };
    match kind.as_str() {
        // What it carries is for whoever is to say who asks.
        "connection_init" => payload().map(|_| Sent::Init),
        "ping" => Ok(Sent::Ping(payload()?.map(Json::Object))),
        "pong" => payload().map(|_| Sent::Pong),
        "subscribe" => {
            let Some(payload) = payload()? else { return Err(Wrong::new("subscribe has a payload")) };
            let request = parameters::of_object(payload).map_err(|fault| Wrong::new(fault.reason()))?;
            Ok(Sent::Subscribe { id: id(&mut fields, "subscribe")?, request: Box::new(request) })
        }
        "complete" => Ok(Sent::Complete { id: id(&mut fields, "complete")? }),
        other => Err(Wrong::new(format!("there is no message of type {other:?}"))),
    }
}

fn id(fields: &mut Map<String, Json>, kind: &str) -> Result<String, Wrong> {
    match fields.remove("id") {
        Some(Json::String(id)) if !id.is_empty() && id.len() <= ID => Ok(id),
        Some(Json::String(_)) => Err(Wrong::new(format!("the id of {kind} has 1 to {ID} bytes"))),
        _ => Err(Wrong::new(format!("{kind} has an id"))),
    }
}

/// The answer to a ping.
pub(super) fn pong(payload: Option<&Json>) -> String {
    match payload {
        Some(payload) => format!(r#"{{"type":"pong","payload":{payload}}}"#),
        None => r#"{"type":"pong"}"#.to_owned(),
    }
}

/// An answer to an operation.
pub(super) fn next(id: &str, payload: &str) -> String {
    with_payload(id, "next", payload)
}

/// Why there is no answer to an operation, or not another one.
pub(super) fn error(id: &str, errors: &[u8]) -> String {
    // It was written as JSON, which is text.
    with_payload(id, "error", &String::from_utf8_lossy(errors))
}

/// There is no more of an operation.
pub(super) fn complete(id: &str) -> String {
    format!(r#"{{"id":{},"type":"complete"}}"#, Json::from(id))
}

fn with_payload(id: &str, kind: &str, payload: &str) -> String {
    format!(r#"{{"id":{},"type":"{kind}","payload":{payload}}}"#, Json::from(id))
}

/// As much of a reason as can be told.
pub(super) fn reason(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(REASON));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_told_so() {
        for (text, expected) in [
            ("", "a message is a JSON object"),
            ("[]", "a message is a JSON object"),
            ("{}", "a message has a type"),
            (r#"{"type":1}"#, "a message has a type"),
            (r#"{"type":"start"}"#, "there is no message of type \"start\""),
            (r#"{"type":"ping","payload":1}"#, "the payload of ping is an object"),
            (r#"{"type":"connection_init","payload":"x"}"#, "the payload of connection_init is an object"),
            (r#"{"type":"subscribe","id":"1"}"#, "subscribe has a payload"),
            (r#"{"type":"subscribe","id":"1","payload":{}}"#, "query is missing: it is the GraphQL document"),
            (r#"{"type":"subscribe","payload":{"query":"{a}"}}"#, "subscribe has an id"),
            (r#"{"type":"subscribe","id":"","payload":{"query":"{a}"}}"#, "the id of subscribe has 1 to 256 bytes"),
            (r#"{"type":"complete","id":1}"#, "complete has an id"),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err().0, expected, "{text}");
        }
    }

    #[test]
    fn numbers_of_variables_keep_their_digits() {
        let text = r#"{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":{"n":12345678901234567.89}}}"#;
        let Sent::Subscribe { request, .. } = read(text.as_bytes()).unwrap() else { panic!("it begins an operation") };
        assert_eq!(request.variables["n"].to_string(), "12345678901234567.89");
    }

    #[test]
    fn an_id_is_sent_back_as_it_came() {
        let id = "a\"\\\u{1f600}";
        let sent: Json = serde_json::from_str(&next(id, r#"{"data":1}"#)).unwrap();
        assert_eq!(sent, serde_json::json!({ "id": id, "type": "next", "payload": { "data": 1 } }));
    }

    #[test]
    fn a_reason_is_cut_where_a_letter_ends() {
        assert_eq!(reason("ü".repeat(100)), "ü".repeat(61));
        assert_eq!(reason("short".into()), "short");
    }
}
