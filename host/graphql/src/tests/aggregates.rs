//! What is computed of rows, and what it costs.

use serde_json::json;

use super::fixture::{Fixture, fixture};

fn filled() -> Fixture {
    let fixture = fixture();
    for (venue, name) in [("v0", "Hall"), ("v1", "Barn")] {
        fixture.memory.put("Venue", json!({ "id": venue, "name": name }));
    }
    for (id, venue, price) in [("a", "v0", "999.99"), ("b", "v1", "0.10"), ("c", "v0", "12345678901234567.89")] {
        fixture.memory.put("Ticket", json!({ "id": id, "venueId": venue, "price": price, "label": id }));
    }
    fixture
}

#[tokio::test]
async fn all_rows_are_computed_in_one_statement_with_all_their_digits() {
    let fixture = filled();
    let request = crate::Request {
        query: "{ ticketsAggregate { n: count sum { price } avg { p: price } min { price } max { price } \
                s: sum { price __typename } } }"
            .into(),
        ..crate::Request::default()
    };
    let text = fixture.text(request).await;
    let expected = "{\"n\":3,\"sum\":{\"price\":12345678901235567.98},\"avg\":{\"p\":4115226300411855.9933333333333},\
                    \"min\":{\"price\":0.10},\"max\":{\"price\":12345678901234567.89},\
                    \"s\":{\"price\":12345678901235567.98,\"__typename\":\"TicketSum\"}}";
    assert_eq!(text, format!("{{\"data\":{{\"ticketsAggregate\":{expected}}},\"extensions\":{{\"position\":0}}}}"));
    assert_eq!(fixture.memory.statements(), ["aggregate Ticket 4 by []"]);
}

#[tokio::test]
async fn rows_are_counted_by_conditions_and_words() {
    let fixture = filled();
    for (arguments, expected) in [
        ("where: { venueId: { eq: \"v0\" } }", 2),
        ("where: { venue: { name: { eq: \"Barn\" } } }", 1),
        ("where: null, search: null", 3),
        ("search: \"  \"", 3),
        ("search: \"B\"", 1),
        ("search: \"b c\"", 0),
    ] {
        let answer = fixture.ask(&format!("{{ ticketsAggregate({arguments}) {{ count }} }}")).await;
        assert_eq!(answer["data"]["ticketsAggregate"]["count"], expected, "{arguments}: {answer}");
    }
}

#[tokio::test]
async fn what_nothing_is_computed_of_is_null() {
    let fixture = fixture();
    let answer = fixture.ask("{ ticketsAggregate { count sum { price seats } min { label } } }").await;
    assert_eq!(
        answer["data"]["ticketsAggregate"],
        json!({ "count": 0, "sum": { "price": null, "seats": null }, "min": { "label": null } })
    );
    fixture.memory.statements();
    let answer = fixture.ask("{ ticketsAggregate { __typename sum { __typename } } }").await;
    let expected = json!({ "__typename": "TicketAggregate", "sum": { "__typename": "TicketSum" } });
    assert_eq!(answer["data"]["ticketsAggregate"], expected);
    assert_eq!(fixture.memory.statements(), [""; 0]);
}

#[tokio::test]
async fn groups_come_with_what_their_keys_lead_to() {
    let fixture = filled();
    let answer = fixture
        .ask(
            "{ ticketsAggregate(where: { price: { eq: 999.99 } }) { \
             groups(by: venueId) { key { venueId venue { name } } count sum { price } } } \
             all: ticketsAggregate { count groups(by: [venueId, status]) { count key { status venue { name } } } \
             page: groups(by: [venueId], limit: 1, offset: 1) { key { venueId } } \
             none: groups(by: [venueId], limit: 0) { count } } }",
        )
        .await;
    let hall =
        json!({ "key": { "venueId": "v0", "venue": { "name": "Hall" } }, "count": 1, "sum": { "price": 999.99 } });
    assert_eq!(answer["data"]["ticketsAggregate"], json!({ "groups": [hall] }), "{answer}");
    let group =
        |name: &str, count: u64| json!({ "count": count, "key": { "status": null, "venue": { "name": name } } });
    let all = json!({
        "count": 3, "groups": [group("Hall", 2), group("Barn", 1)], "page": [{ "key": { "venueId": "v1" } }], "none": [],
    });
    assert_eq!(answer["data"]["all"], all);
    // Of the first only groups are asked for, and venues are looked up once for all groups of a field.
    let mut asked = fixture.memory.statements();
    asked.sort();
    assert_eq!(
        asked,
        [
            "aggregate Ticket 0 by []",
            "aggregate Ticket 0 by [venueId, status]",
            "aggregate Ticket 0 by [venueId]",
            "aggregate Ticket 1 by [venueId]",
            "rows Venue 1",
            "rows Venue 2",
        ]
    );
}

#[tokio::test]
async fn what_can_not_be_computed_is_told_where_it_is_asked_for() {
    let fixture = filled();
    let mut texts = Vec::new();
    for query in [
        "{ ticketsAggregate { groups(by: []) { count } } }",
        "{ ticketsAggregate { groups(by: [price, price]) { count } } }",
        "{ ticketsAggregate { groups(by: [price, venueId, status, label, sold]) { count } } }",
        "{ ticketsAggregate { groups(by: [price]) { key { venueId } } } }",
        "{ ticketsAggregate { groups(by: [price]) { key { venue { name } } } } }",
        "{ ticketsAggregate { groups(by: [tags]) { count } } }",
        "{ ticketsAggregate { groups(by: [price], limit: 1001) { count } } }",
        "{ ticketsAggregate { sum { label } } }",
        "{ ticketsAggregate(search: \"a b c d e f g h i j k l m n o p q\") { count } }",
        "{ ticketsAggregate(search: \"a\\u0000\") { count } }",
        "{ venuesAggregate(search: \"a\") { count } }",
    ] {
        texts.push(format!("{query}\n    {}", fixture.refused(query).await));
    }
    insta::assert_snapshot!(texts.join("\n"));
    let answer = fixture.ask("{ a: ticketsAggregate { count groups(by: []) { count } } }").await;
    assert_eq!(answer["errors"][0]["path"], json!(["a", "groups"]));
}

#[tokio::test]
async fn what_is_computed_of_relations_is_one_statement_for_all() {
    let fixture = filled();
    fixture.memory.put("Venue", json!({ "id": "v2", "name": "Yard" }));
    let query = "{ venues { name ticketsAggregate(where: { not: { id: { eq: \"b\" } } }) { count max { price } } } }";
    let answer = fixture.ask(query).await;
    let venue = |name: &str, count: u64, price: Option<f64>| json!({ "name": name, "ticketsAggregate": { "count": count, "max": { "price": price } } });
    let venues = &answer["data"]["venues"];
    assert_eq!(venues[1], venue("Barn", 0, None), "{answer}");
    assert_eq!(venues[2], venue("Yard", 0, None));
    assert_eq!(venues[0]["ticketsAggregate"]["count"], 2);
    assert_eq!(fixture.memory.statements(), ["select Venue 50 None", "aggregate Ticket 1 by [] for each of 3"]);
}
