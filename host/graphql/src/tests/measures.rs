//! What is too much.

use std::fmt::Write as _;

use super::fixture::{fixture, limited};
use super::patience::patient;
use crate::Limits;

/// The query that GraphiQL and other tools ask first.
const INTROSPECTION: &str = "
    query IntrospectionQuery {
      __schema {
        description
        queryType { name kind } mutationType { name kind } subscriptionType { name kind }
        types { ...FullType }
        directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } }
      }
    }
    fragment FullType on __Type {
      kind name description specifiedByURL isOneOf
      fields(includeDeprecated: true) {
        name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason
      }
      inputFields(includeDeprecated: true) { ...InputValue }
      interfaces { ...TypeRef }
      enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
      possibleTypes { ...TypeRef }
    }
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
    fragment TypeRef on __Type {
      kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
      ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }
    }";

#[tokio::test]
async fn the_introspection_of_tools_is_within_the_limits() {
    let answer = fixture().ask(INTROSPECTION).await;
    assert!(answer.get("errors").is_none(), "{}", answer["errors"]);
    assert!(answer["data"]["__schema"]["types"].as_array().unwrap().len() > 20);
}

#[tokio::test]
async fn introspection_that_multiplies_the_schema_with_itself_is_refused() {
    let query =
        "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }";
    assert_eq!(
        fixture().refused(query).await,
        "TOO_COMPLEX: the document has 4 lists of introspection within one another, and at most 3 are allowed: ask for \
         less at a time"
    );
}

#[tokio::test]
async fn a_bomb_of_fragments_is_refused_without_unfolding_it() {
    let mut query = String::from("{ ...f0 }");
    for at in 0..50 {
        write!(query, " fragment f{at} on Query {{ ...f{0} ...f{0} }}", at + 1).unwrap();
    }
    query += " fragment f50 on Query { yado { version } }";
    let refused = fixture().refused(&query).await;
    assert!(refused.starts_with("TOO_COMPLEX: the document has 2251799813685248 fields, and at most"), "{refused}");
}

#[tokio::test]
async fn a_chain_of_fragments_is_as_deep_as_brackets_are() {
    let mut query = String::from("{ ...f0 }");
    for at in 0..1_500 {
        write!(query, " fragment f{at} on Query {{ ...f{} }}", at + 1).unwrap();
    }
    let refused = fixture().refused(&query).await;
    assert!(refused.starts_with("TOO_COMPLEX: the document has 65 levels of selections"), "{refused}");
}

#[tokio::test]
async fn a_fragment_that_contains_itself_is_refused() {
    for query in [
        "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
        "{ yado { version } } fragment a on Query { ... on Query { ...a } }",
    ] {
        let refused = fixture().refused(query).await;
        assert!(
            refused.starts_with("BAD_USER_INPUT: the fragment") && refused.ends_with("contains itself"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn every_measure_has_its_limit() {
    let small = Limits {
        depth_max: 4,
        complexity_max: 1_000,
        fields_max: 40,
        root_fields_max: 5,
        aliases_max: 3,
        directives_max: 2,
        ..patient()
    };
    let fixture = limited(small);
    let root: String = (0..6).fold(String::new(), |all, _| all + " yado { version }");
    for (query, what) in [
        (
            "{ venues(limit: 2) { tickets(limit: 2) { venue { tickets(limit: 1) { id } } } } }".to_owned(),
            "5 levels of fields",
        ),
        ("{ venues { tickets { id } } }".to_owned(), "2551 values in a full answer"),
        ("{ a: yado { version } b: yado { c: version d: version } }".to_owned(), "4 aliases"),
        (
            "{ yado { version @skip(if: false) @include(if: true) ... @skip(if: false) { version } } }".to_owned(),
            "3 directives",
        ),
        (format!("{{ {root} }}"), "6 fields at its root"),
        (format!("{{ yado {{ {} }} }}", "version ".repeat(40)), "41 fields"),
    ] {
        let refused = fixture.refused(&query).await;
        assert!(refused.starts_with(&format!("TOO_COMPLEX: the document has {what},")), "{query}: {refused}");
    }
    assert!(fixture.memory.statements().is_empty());
}

#[tokio::test]
async fn an_alias_is_no_longer_than_it_may_be() {
    let fixture = fixture();
    let ask = |length| format!("{{ yado {{ {}: version }} }}", "a".repeat(length));
    assert!(fixture.ask(&ask(128)).await.get("errors").is_none());
    let refused = fixture.refused(&ask(129)).await;
    assert!(refused.starts_with("TOO_COMPLEX: the document has 129 bytes in one alias,"), "{refused}");
}

#[tokio::test]
async fn pages_are_weighed_by_what_is_asked_for() {
    let fixture = limited(Limits { complexity_max: 100, ..patient() });
    let ask = "query ($n: Int!) { venues(limit: $n) { id } }";
    assert!(fixture.ask_with(ask, serde_json::json!({ "n": 99 })).await.get("errors").is_none());
    let answer = fixture.ask_with(ask, serde_json::json!({ "n": 100 })).await;
    assert_eq!(
        answer["errors"][0]["extensions"],
        serde_json::json!({ "code": "TOO_COMPLEX", "actual": 101, "limit": 100 })
    );
}

#[tokio::test]
async fn conditions_have_limits_of_their_own() {
    let fixture = fixture();
    let many = "{ label: { eq: \"x\" } }".repeat(150);
    let refused = fixture.refused(&format!("{{ tickets(where: {{ or: [{many}] }}) {{ id }} }}")).await;
    assert!(refused.starts_with("TOO_COMPLEX: the document has 201 conditions"), "{refused}");
    let deep = format!("{}{{}}{}", "{ not: ".repeat(14), "}".repeat(14));
    let refused = fixture.refused(&format!("{{ tickets(where: {deep}) {{ id }} }}")).await;
    assert!(refused.starts_with("TOO_COMPLEX: the document has 13 levels of conditions"), "{refused}");
    let long = "x".repeat(2_000);
    let refused =
        fixture.refused(&format!("{{ tickets(where: {{ label: {{ contains: \"{long}\" }} }}) {{ id }} }}")).await;
    assert!(refused.starts_with("BAD_USER_INPUT: label is searched for"), "{refused}");
}
