//! Conditions on what rows are related to, lookups by what is unique, searches, and what is read of rows.

use serde_json::{Value as Json, json};

use super::fixture::{Fixture, fixture, limited};
use super::patience::patient;
use crate::Limits;

fn filled() -> Fixture {
    let fixture = fixture();
    for (venue, name) in [("v0", "Hall"), ("v1", "Barn"), ("v2", "Yard")] {
        fixture.memory.put("Venue", json!({ "id": venue, "name": name }));
    }
    for (id, venue, price) in [("a", "v0", "1"), ("b", "v1", "2"), ("c", "v0", "2"), ("d", "v9", "2")] {
        let code = format!("c-{id}");
        let row = json!({ "id": id, "venueId": venue, "price": price, "label": "Gala", "code": code, "seats": 4 });
        fixture.memory.put("Ticket", row);
    }
    fixture
}

fn ids(rows: &Json) -> String {
    rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn rows_are_chosen_by_what_they_are_related_to() {
    let fixture = filled();
    for (list, condition, expected) in [
        ("tickets", "venue: { name: { eq: \"Hall\" } }", "a c"),
        ("tickets", "venue: {}", "a b c"),
        ("tickets", "venue: null", "a b c d"),
        ("tickets", "not: { venue: {} }", "d"),
        ("tickets", "or: [{ venue: { name: { eq: \"Barn\" } } }, { price: { eq: 1 } }]", "a b"),
        ("tickets", "venue: { tickets: { some: { price: { eq: 1 } } } }", "a c"),
        ("venues", "tickets: { some: { price: { eq: 2 } } }", "v0 v1"),
        ("venues", "tickets: { every: { price: { eq: 2 } } }", "v1 v2"),
        ("venues", "tickets: { none: { price: { eq: 2 } } }", "v2"),
        ("venues", "tickets: { none: {} }", "v2"),
        ("venues", "tickets: { some: {}, every: { price: { eq: 2 } } }", "v1"),
        ("venues", "tickets: {}", "v0 v1 v2"),
        ("venues", "tickets: { some: null }", "v0 v1 v2"),
    ] {
        let answer = fixture.ask(&format!("{{ {list}(where: {{ {condition} }}) {{ id }} }}")).await;
        assert!(answer.get("errors").is_none(), "{condition}: {answer}");
        assert_eq!(ids(&answer["data"][list]), expected, "{condition}");
    }
    let query =
        "query ($w: TicketWhere, $s: TicketMany) { tickets(where: $w) { id } venues(where: { tickets: $s }) { id } }";
    let variables =
        json!({ "w": { "venue": { "name": { "eq": "Barn" } } }, "s": { "some": { "price": { "eq": 1 } } } });
    let answer = fixture.ask_with(query, variables).await;
    assert_eq!(
        (ids(&answer["data"]["tickets"]), ids(&answer["data"]["venues"])),
        ("b".into(), "v0".into()),
        "{answer}"
    );
}

#[tokio::test]
async fn conditions_lead_along_no_more_relations_than_stores_follow() {
    let fixture = filled();
    let far = |levels: usize| {
        let step = |inner: String, at: usize| match at % 2 {
            0 => format!("tickets: {{ some: {{ {inner} }} }}"),
            _ => format!("venue: {{ {inner} }}"),
        };
        let conditions = (0..levels).rev().fold("id: { eq: \"v0\" }".to_owned(), step);
        format!("{{ venues(where: {{ {conditions} }}) {{ id }} }}")
    };
    assert!(fixture.ask(&far(3)).await.get("errors").is_none());
    assert_eq!(
        fixture.refused(&far(4)).await,
        "TOO_COMPLEX: the document has 4 relations in a filter that lead on from one to the next, and at most 3 are \
         allowed: ask for less at a time"
    );
    let many = |count: usize| format!("{{ tickets(where: {{ and: [{}] }}) {{ id }} }}", "{ venue: {} } ".repeat(count));
    assert!(fixture.ask(&many(8)).await.get("errors").is_none());
    assert_eq!(
        fixture.refused(&many(9)).await,
        "TOO_COMPLEX: the document has 9 relations in a filter, and at most 8 are allowed: ask for less at a time"
    );
}

#[tokio::test]
async fn rows_are_put_in_order_by_what_they_are_related_to() {
    let fixture = filled();
    for (order, expected) in [
        ("{ venue: { name: ASC } }", "b a c d"),
        ("{ venue: { name: DESC } }", "c a b d"),
        ("[{ price: ASC }, { venue: { name: ASC } }]", "a b c d"),
        ("[{ venue: { name: DESC } }, { id: ASC }]", "a c b d"),
        ("[{ venue: { name: ASC } }, { venue: { id: DESC } }]", "b c a d"),
    ] {
        let answer = fixture.ask(&format!("{{ tickets(orderBy: {order}) {{ id }} }}")).await;
        assert!(answer.get("errors").is_none(), "{order}: {answer}");
        assert_eq!(ids(&answer["data"]["tickets"]), expected, "{order}");
    }
    let query = "query ($o: [TicketOrder!]) { venues(limit: 1) { tickets(orderBy: $o) { id } } }";
    let answer = fixture.ask_with(query, json!({ "o": { "venue": { "id": "DESC" } } })).await;
    assert_eq!(ids(&answer["data"]["venues"][0]["tickets"]), "c a", "{answer}");
    for order in [
        "{ venue: {} }",
        "{ venue: null }",
        "{ venue: { name: ASC, id: ASC } }",
        "{ venue: ASC }",
        "{ venue: { extra: ASC } }",
    ] {
        let refused = fixture.refused(&format!("{{ tickets(orderBy: {order}) {{ id }} }}")).await;
        assert!(
            refused.starts_with("BAD_USER_INPUT") || refused.starts_with("GRAPHQL_VALIDATION_FAILED"),
            "{order}: {refused}"
        );
    }
    let many =
        |count: usize| format!("{{ tickets(orderBy: [{}]) {{ id }} }}", "{ venue: { name: ASC } } ".repeat(count));
    assert!(fixture.ask(&many(8)).await.get("errors").is_none());
    assert_eq!(
        fixture.refused(&many(9)).await,
        "TOO_COMPLEX: the document has 9 relations in an order, and at most 8 are allowed: ask for less at a time"
    );
}

#[tokio::test]
async fn relations_in_conditions_have_their_weight() {
    let fixture = limited(Limits { complexity_max: 80, page_default: 10, ..patient() });
    let light = "{ tickets(where: { venue: { name: { eq: \"Hall\" } } }) { id venueId } }";
    assert!(fixture.ask(light).await.get("errors").is_none());
    let relations = "{ or: [{ venue: {} }, { venue: {} }, { venue: { tickets: { some: {}, none: {}, every: {} } } }] }";
    let text = format!("{{ tickets(where: {relations}) {{ id venueId }} }}");
    let refused =
        "TOO_COMPLEX: the document has 81 values in a full answer, and at most 80 are allowed: ask for less at a time";
    assert_eq!(fixture.refused(&text).await, refused);
    // A document that is known already weighs what its variables make of it.
    let query = "query ($w: TicketWhere) { tickets(where: $w) { id venueId } }";
    for _ in 0..2 {
        assert!(fixture.ask_with(query, json!({ "w": { "venue": {} } })).await.get("errors").is_none());
    }
    let venue = json!({ "venue": {} });
    let some = json!({ "some": {}, "none": {}, "every": {} });
    let heavy = json!({ "w": { "or": [venue, venue, { "venue": { "tickets": some } }] } });
    let answer = fixture.ask_with(query, heavy).await;
    assert_eq!(answer["errors"][0]["extensions"]["actual"], 81, "{answer}");
    // So have those in an order, be it in the document or in a variable.
    let order = vec![json!({ "venue": { "name": "ASC" } }); 6];
    let query = "query ($o: [TicketOrder!]) { tickets(orderBy: $o) { id venueId } }";
    for _ in 0..2 {
        assert!(fixture.ask_with(query, json!({ "o": order[..5] })).await.get("errors").is_none());
        let answer = fixture.ask_with(query, json!({ "o": order })).await;
        assert_eq!(answer["errors"][0]["extensions"]["actual"], 81, "{answer}");
    }
    let text = format!("{{ tickets(orderBy: [{}]) {{ id venueId }} }}", "{ venue: { name: ASC } } ".repeat(6));
    assert_eq!(fixture.refused(&text).await, refused);
}

#[tokio::test]
async fn a_query_waits_for_all_that_it_depends_on() {
    let fixture = filled();
    let waits = async |query: &str| {
        fixture.ask(query).await;
        let mut asked = fixture.memory.statements();
        asked.retain(|asked| asked.starts_with("wait"));
        asked.sort();
        asked
    };
    let both = ["wait Ticket 7", "wait Venue 7"];
    assert_eq!(waits("{ tickets(minPosition: 7, where: { not: { venue: {} } }) { id } }").await, both);
    assert_eq!(waits("{ venuesAggregate(minPosition: 7, where: { tickets: { some: {} } }) { count } }").await, both);
    assert_eq!(waits("{ venuesConnection(minPosition: 7) { nodes { ticketsAggregate { count } } } }").await, both);
    assert_eq!(
        waits("{ ticketsAggregate(minPosition: 7) { groups(by: venueId) { key { venue { id } } } } }").await,
        both
    );
    assert_eq!(waits("{ tickets(minPosition: 7, orderBy: { venue: { name: ASC } }) { id } }").await, both);
    assert_eq!(waits("{ ticketByCode(minPosition: 7, code: \"x\") { id } }").await, both[..1]);
}

#[tokio::test]
async fn an_answer_stands_where_the_last_of_what_it_depends_on_does() {
    let fixture = filled();
    let positions = [("Ticket".to_owned(), 9), ("Venue".to_owned(), 4)];
    fixture.memory.positions.lock().unwrap().extend(positions);
    for (query, expected) in [
        ("{ tickets { id } }", 9),
        ("{ tickets(where: { venue: {} }) { id } }", 4),
        ("{ ticketsAggregate { count } }", 9),
        ("{ ticketsAggregate(where: { venue: {} }) { groups(by: price) { count } } }", 4),
        ("{ ticketsConnection(where: { venue: {} }) { totalCount } }", 4),
        ("{ tickets(orderBy: { venue: { name: ASC } }) { id } }", 4),
        ("{ ticketsConnection(orderBy: { venue: { name: ASC } }) { nodes { id } } }", 4),
    ] {
        assert_eq!(fixture.ask(query).await["extensions"]["position"], expected, "{query}");
    }
}

#[tokio::test]
async fn what_is_unique_finds_one_row() {
    let fixture = filled();
    let answer = fixture
        .ask(
            "{ a: ticketByCode(code: \"c-a\") { id } b: ticketByVenueIdAndCode(venueId: \"v1\", code: \"c-b\") { id price } \
             none: ticketByVenueIdAndCode(venueId: \"v0\", code: \"c-b\") { id } }",
        )
        .await;
    assert_eq!(answer["data"], json!({ "a": { "id": "a" }, "b": { "id": "b", "price": 2 }, "none": null }), "{answer}");
    for query in
        ["{ ticketByCode { id } }", "{ ticketByCode(code: null) { id } }", "{ ticketByCode(code: \"\\u0000\") { id } }"]
    {
        assert!(fixture.refused(query).await.starts_with("BAD_USER_INPUT"), "{query}");
    }
}

#[tokio::test]
async fn words_are_searched_in_lists_and_in_relations() {
    let fixture = filled();
    fixture.memory.put("Ticket", json!({ "id": "e", "venueId": "v0", "price": "1", "label": "Grand Opera" }));
    let answer =
        fixture.ask("{ tickets(search: \"opera GRAND\") { id } venues { tickets(search: \"opera\") { id } } }").await;
    assert_eq!(ids(&answer["data"]["tickets"]), "e");
    assert_eq!(answer["data"]["venues"][0]["tickets"], json!([{ "id": "e" }]));
}

#[tokio::test]
async fn only_what_is_selected_is_read() {
    let fixture = filled();
    let columns = async |query: &str| {
        let answer = fixture.ask(query).await;
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        std::mem::take(&mut *fixture.memory.columns.lock().unwrap())
    };
    assert_eq!(
        columns("{ tickets { price id price ...T } } fragment T on Ticket { a: label }").await,
        [["id", "label", "price"]]
    );
    assert_eq!(columns("{ tickets { __typename venue { name } } }").await, [["venueId"], ["name"]]);
    // What rows belong to is read with them.
    const OF_EACH: [&str; 2] = ["seats", "venueId"];
    assert_eq!(columns("{ venues { tickets { seats } } }").await, [&[][..], &OF_EACH]);
    assert_eq!(columns("{ tickets { __typename seats @skip(if: true) } }").await, [[""; 0]]);
    assert_eq!(columns("{ ticketByCode(code: \"c-a\") { venueId } }").await, [["venueId"]]);
    assert_eq!(columns("{ ticketsConnection(orderBy: { price: ASC }) { nodes { seats } } }").await, [["seats"]]);
    let with_cursors =
        "{ ticketsConnection(orderBy: { price: ASC }) { edges { cursor node { seats } } nodes { label } } }";
    assert_eq!(columns(with_cursors).await, [["label", "price", "seats"]]);
    assert_eq!(columns("{ ticketsConnection { pageInfo { endCursor } } }").await, [[""; 0]]);
}

#[tokio::test]
async fn what_is_wrong_with_a_row_is_told_wherever_it_is_shown() {
    let fixture = fixture();
    for (venue, name) in [("v0", Json::Null), ("v1", json!("Barn")), ("v2", json!(7))] {
        fixture
            .memory
            .put("Venue", json!({ "id": venue, "name": name, "place": { "city": "Here", "floors": [1, "2"] } }));
    }
    for (id, venue) in [("a", "v2"), ("b", "v0"), ("c", "v1"), ("d", "v2"), ("e", "v9")] {
        let row = json!({ "id": id, "venueId": venue, "price": "1", "code": id });
        fixture.memory.put("Ticket", row);
    }
    let answer = fixture.ask("{ tickets { hall: venue { called: name } } }").await;
    let barn = json!({ "hall": { "called": "Barn" } });
    let none = json!({ "hall": null });
    assert_eq!(answer["data"]["tickets"], json!([none, none, barn, none, none]), "{answer}");
    let paths: Vec<&Json> = answer["errors"].as_array().unwrap().iter().map(|error| &error["path"]).collect();
    let at = |ticket: usize| json!(["tickets", ticket, "hall", "called"]);
    assert_eq!(paths, [&at(0), &at(1), &at(3)]);
    // Of a document the part that is wrong is told, and what may be null is null in its stead.
    let answer = fixture.ask("{ tickets(limit: 3) { venue { id place { city floors } } } }").await;
    let place = json!({ "city": "Here", "floors": null });
    let venue = |id: &str| json!({ "venue": { "id": id, "place": place } });
    let floors = answer["data"]["tickets"].clone();
    assert_eq!(floors, json!([venue("v2"), venue("v0"), venue("v1")]), "{answer}");
    assert_eq!(answer["errors"][1]["path"], json!(["tickets", 1, "venue", "place", "floors", 1]), "{answer}");
}
