//! What a field may hold, what is said of it, and how it is told from nothing.

#![allow(missing_docs, reason = "the types are here to be read by the tests")]

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use yado_model::schema::{Checker, Schema, Shape};
use yado_sdk::__private::bindings::types;
use yado_sdk::__private::{Query, guest};
use yado_sdk::prelude::*;

/// Somebody who is known here.
#[derive(State, Debug, PartialEq)]
pub struct Person {
    name: Name,
    nickname: Option<Option<String>>,
    standing: Standing,
    visits: BTreeMap<u32, Vec<(Timestamp, Option<Visit>)>>,
    address: Address,
    #[cfg(not(any()))]
    there: bool,
    #[cfg(any())]
    not_there: NoType,
}

/// How somebody stands: variants with fields, which no API could say.
#[derive(Part, Debug, PartialEq)]
enum Standing {
    Known,
    Barred { until: Timestamp, by: Id<Person> },
    Owing(Decimal, u64),
}

#[derive(Part, Debug, PartialEq)]
struct Visit {
    gifts: Vec<[u8; 3]>,
    came_with: Box<Standing>,
}

/// What somebody is called.
#[derive(Value, Debug, Clone, PartialEq)]
pub struct Name(#[schema(length(1..=5), pattern = "^[A-Z]")] String);

/// A share of something.
#[derive(Value, Debug, Clone, PartialEq)]
pub struct Share(#[schema(min = 0, max = 1, places = 2)] Decimal);

#[derive(Value, Debug, Clone, PartialEq)]
pub struct Address {
    street: String,
    /// Where in the house.
    floor: Option<Option<i64>>,
}

/// What money is counted in.
#[derive(Value, Debug, Clone, Copy, PartialEq)]
pub enum Currency {
    /// The euro.
    EUR,
    /// What the people of the islands pay with.
    Shells,
}

#[derive(Command, Debug, PartialEq)]
pub enum PersonCommand {
    ChangePerson {
        id: Id<Person>,
        #[schema(length(2..))]
        name: Option<Name>,
        #[schema(length(..=8))]
        nickname: Option<Option<String>>,
        #[schema(max = 0.5)]
        share: Option<Share>,
        address: Option<Address>,
        visits: Option<u64>,
        counts: Option<Vec<i32>>,
        weight: Option<f64>,
        pays_in: Option<Currency>,
    },
}

/// Everything that the macro's own variables could be called.
#[query]
#[allow(clippy::too_many_arguments, reason = "each is a name")]
pub fn hidden(
    /// Which of them.
    #[schema(length(1..=3))]
    fields: Vec<String>,
    surroundings: u32,
    arguments: u32,
    answer: u32,
    hidden: u32,
    context: &Context,
) -> Result<Vec<String>, Rejection> {
    let sum = surroundings + arguments + answer + hidden;
    Ok(fields.into_iter().chain([sum.to_string(), context.tenant().to_string()]).collect())
}

fn decode(payload: &Json) -> PersonCommand {
    PersonCommand::decode("ChangePerson", &payload.to_string()).expect("it is a command")
}

fn payload() -> Json {
    let described = PersonCommand::describe().remove(0).payload;
    serde_json::to_value(described).expect("it is JSON")
}

fn problems(document: &Json) -> Vec<String> {
    let found = Checker::new(&Schema::new(payload())).expect("it is a schema").check(document);
    found.iter().map(|problem| format!("{}: {}", problem.pointer(), problem.message)).collect()
}

#[test]
fn a_newtype_brings_its_own_rules_and_takes_more() {
    let fields = payload()["properties"].clone();
    assert_eq!(
        fields["name"],
        json!({ "type": ["string", "null"], "minLength": 2, "maxLength": 5, "pattern": "^[A-Z]",
                "description": "What somebody is called." })
    );
    assert_eq!(problems(&json!({ "id": "p", "name": "Bartholomew" })), ["/name: must be at most 5 characters long"]);
    assert_eq!(problems(&json!({ "id": "p", "share": "0.75" })), ["/share: must be at most 0.5"]);
    assert_eq!(problems(&json!({ "id": "p", "share": "-0.25" })), ["/share: must be at least 0"]);
}

#[test]
fn nothing_and_null_differ_where_the_author_asks_for_it() {
    let nickname = |document: Json| {
        assert_eq!(problems(&document), Vec::<String>::new());
        let PersonCommand::ChangePerson { nickname, name, .. } = decode(&document);
        assert_eq!(name, None);
        nickname
    };
    assert_eq!(nickname(json!({ "id": "p" })), None);
    assert_eq!(nickname(json!({ "id": "p", "nickname": null, "name": null })), Some(None));
    assert_eq!(nickname(json!({ "id": "p", "nickname": "Bo" })), Some(Some("Bo".into())));
    assert_eq!(payload()["properties"]["nickname"], json!({ "type": ["string", "null"], "maxLength": 8 }));
}

#[test]
fn nothing_and_null_are_written_as_they_were_read() {
    for document in [
        json!({ "id": "p" }),
        json!({ "id": "p", "nickname": null }),
        json!({ "id": "p", "nickname": "Bo" }),
        json!({ "id": "p", "address": { "street": "Main" } }),
        json!({ "id": "p", "address": { "street": "Main", "floor": null } }),
        json!({ "id": "p", "address": { "street": "Main", "floor": 3 } }),
    ] {
        let command = decode(&document);
        assert_eq!(serde_json::from_str::<Json>(&command.encode().payload).unwrap(), document);
        assert_eq!(decode(&document), command);
    }
}

#[test]
fn a_whole_number_is_one_however_it_is_written() {
    let text = r#"{"id":"p","visits":1.8446744073709551615e19,"counts":[5.0,-1e3],"weight":2.0,
                   "address":{"street":"5.0","floor":20e-1}}"#;
    let command = PersonCommand::decode("ChangePerson", text).unwrap();
    let PersonCommand::ChangePerson { visits, counts, weight, address, .. } = command;
    assert_eq!((visits, counts, weight), (Some(u64::MAX), Some(vec![5, -1000]), Some(2.0)));
    assert_eq!(address, Some(Address { street: "5.0".into(), floor: Some(Some(2)) }));
    let broken = PersonCommand::decode("ChangePerson", r#"{"id":"p","visits":1.5}"#).unwrap_err();
    assert!(broken.to_string().starts_with("ChangePerson has another shape: visits: invalid type"), "{broken}");
}

#[test]
fn an_enum_says_what_it_and_its_variants_mean() {
    let schema = Schema::new(payload()["properties"]["paysIn"].clone());
    let Shape::Enumeration(currency) = schema.shape().unwrap().shape else { panic!("it is an enumeration") };
    assert_eq!(currency.values, ["EUR", "SHELLS"]);
    assert_eq!(currency.description, "What money is counted in.");
    assert_eq!(currency.descriptions["SHELLS"], "What the people of the islands pay with.");
    assert_eq!(problems(&json!({ "id": "p", "paysIn": "EUR" })), Vec::<String>::new());
}

#[test]
fn a_state_holds_whatever_is_a_part() {
    let visit = Visit { gifts: vec![[1, 2, 3]], came_with: Box::new(Standing::Owing(Decimal::new(250, 2), u64::MAX)) };
    let until = Timestamp::from_micros(7);
    for nickname in [None, Some(None), Some(Some("Bo".to_owned()))] {
        let person = Person {
            name: Name("Bob".into()),
            nickname,
            standing: Standing::Barred { until, by: Id::new("q") },
            visits: BTreeMap::from([(4, vec![(until, None)])]),
            address: Address { street: "Main".into(), floor: Some(None) },
            there: true,
        };
        let bytes = postcard::to_allocvec(&person).unwrap();
        assert_eq!(postcard::from_bytes::<Person>(&bytes), Ok(person));
    }
    let standings = [Standing::Known, Standing::Owing(Decimal::ONE, 0)];
    for part in standings.map(|came_with| Visit { gifts: Vec::new(), came_with: Box::new(came_with) }) {
        assert_eq!(postcard::from_bytes::<Visit>(&postcard::to_allocvec(&part).unwrap()), Ok(part));
    }
    assert_eq!(postcard::from_bytes::<Visit>(&postcard::to_allocvec(&visit).unwrap()), Ok(visit));
}

#[test]
fn an_argument_of_a_query_has_words_and_rules_and_any_name() {
    let described = serde_json::to_value(hidden::describe().arguments).unwrap();
    assert_eq!(
        described["properties"]["fields"],
        json!({ "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": 3,
                "description": "Which of them." })
    );
    let context = types::Context {
        tenant: "acme".into(),
        id: "t1".into(),
        now: 5,
        actor: None,
        command_id: "c".into(),
        correlation_id: "c".into(),
        seed: (1, 2),
    };
    let asked = r#"{"fields":["a"],"surroundings":1,"arguments":2,"answer":4,"hidden":8}"#;
    assert_eq!(guest::answer::<hidden>(asked, context).unwrap(), r#"["a","15","acme"]"#);
    let _ = hidden::with(vec!["a".into()], 1, 2, 4, 8);
}
