//! Declared queries: what is asked for on behalf of a document, and how rows become its answer. Which rows they are is the
//! engine's to say.

use serde_json::{Value as Json, json};
use yado_engine::{Answered, Order, PageOptions, Row, Rows};
use yado_model::{Name, Position};

use super::fixture::{Fixture, fixture, limited, shown};
use super::patience::patient;
use crate::{Caller, Limits, Request};

fn ticket(id: usize) -> Row {
    let row = json!({ "id": format!("t{id}"), "venueId": format!("v{}", id % 2), "price": "9.50", "label": null });
    row.as_object().unwrap().clone()
}

fn model() -> Name {
    Name::parse("Ticket").unwrap()
}

/// Whose declared queries all answer with the first three tickets, of seven.
fn answering() -> Fixture {
    let fixture = fixture();
    answer(&fixture);
    fixture
}

fn answer(fixture: &Fixture) {
    let rows = || shown(&(0..3).map(ticket).collect::<Vec<_>>());
    for (query, answer) in [
        ("findTickets", Answered::Page { model: model(), rows: rows(), total: Some(7) }),
        ("ticketsUpTo", Answered::List { model: model(), rows: rows() }),
        ("openTickets", Answered::List { model: model(), rows: rows() }),
        ("labelledTicket", Answered::One { model: model(), rows: Rows::default() }),
    ] {
        fixture.memory.rows_answered.lock().unwrap().insert(query.into(), answer);
    }
    for venue in ["v0", "v1"] {
        fixture.memory.put("Venue", json!({ "id": venue, "name": format!("Hall {venue}") }));
    }
}

/// What a declared query was asked last.
fn asked(fixture: &Fixture) -> (Json, PageOptions) {
    fixture.memory.pages.lock().unwrap().pop().unwrap()
}

#[tokio::test]
async fn the_rows_of_a_declared_query_are_rows_like_any_other() {
    let fixture = answering();
    let hall = |id: usize| json!({ "name": format!("Hall v{}", id % 2) });
    let answer = fixture
        .ask("{ findTickets { total tickets { __typename venue { name } } } openTickets { venue { name } } }")
        .await;
    let tickets: Vec<_> = (0..3).map(|id| json!({ "__typename": "Ticket", "venue": hall(id) })).collect();
    let open: Vec<_> = (0..3).map(|id| json!({ "venue": hall(id) })).collect();
    let expected = json!({ "findTickets": { "total": 7, "tickets": tickets }, "openTickets": open });
    assert_eq!(answer["data"], expected, "{answer}");
    let mut statements = fixture.memory.statements();
    statements.sort();
    assert_eq!(statements, ["ask findTickets", "ask openTickets", "rows Venue 2", "rows Venue 2"]);
}

#[tokio::test]
async fn where_there_is_no_row_the_answer_is_null() {
    let fixture = answering();
    let answer = fixture.ask("{ labelledTicket(label: \"a\") { id venue { name } } }").await;
    assert_eq!(answer, json!({ "data": { "labelledTicket": null }, "extensions": { "position": 0 } }));
    assert_eq!(asked(&fixture).0, json!({ "label": "a" }));
    let answer = Answered::One { model: model(), rows: shown(&[ticket(1)]) };
    fixture.memory.rows_answered.lock().unwrap().insert("labelledTicket".into(), answer);
    let answer = fixture.ask("{ labelledTicket(label: \"a\") { id venue { name } } }").await;
    assert_eq!(answer["data"]["labelledTicket"], json!({ "id": "t1", "venue": { "name": "Hall v1" } }));
}

#[tokio::test]
async fn no_more_of_a_page_is_read_than_is_selected() {
    let fixture = answering();
    for (selected, columns, counted) in [
        ("tickets { id }", Some("id"), false),
        ("total", None, true),
        ("count: total all: tickets { price label } labels: tickets { label }", Some("label price"), true),
        ("tickets { venue { name } }", Some("venueId"), false),
        ("...F", Some("price"), false),
        ("total @skip(if: true) __typename", None, false),
    ] {
        let query = format!("{{ findTickets {{ {selected} }} }} fragment F on FoundTickets {{ tickets {{ price }} }}");
        let query = if selected == "...F" { query } else { query.split(" fragment").next().unwrap().to_owned() };
        let answer = fixture.ask(&query).await;
        assert!(answer.get("errors").is_none(), "{answer}");
        let (_, page) = asked(&fixture);
        assert_eq!((page.listed, page.counted), (columns.is_some(), counted), "{selected}");
        assert_eq!(page.columns.unwrap().join(" "), columns.unwrap_or_default(), "{selected}");
    }
}

#[tokio::test]
async fn who_asks_for_a_list_says_how_many_within_what_its_author_allows() {
    let fixture = answering();
    let page = async |arguments: &str| {
        let answer = fixture.ask(&format!("{{ openTickets{arguments} {{ id }} }}")).await;
        assert!(answer.get("errors").is_none(), "{answer}");
        let (arguments, page) = asked(&fixture);
        assert_eq!(arguments, json!({}));
        (page.limit, page.offset)
    };
    assert_eq!(page("").await, (Some(30), 0));
    assert_eq!(page("(limit: 7, offset: 14)").await, (Some(7), 14));
    assert_eq!(page("(limit: null)").await, (Some(30), 0));
    let refused = fixture.refused("{ openTickets(limit: 31) { id } }").await;
    assert_eq!(refused, "BAD_USER_INPUT: limit is 31, and must be between 0 and 30");
    let refused = fixture.refused("{ openTickets(offset: -1) { id } }").await;
    assert_eq!(refused, "BAD_USER_INPUT: offset is -1, and must be between 0 and 100000");
    // A server that gives fewer rows at once gives fewer of these as well.
    let fixture = limited(Limits { page_max: 10, page_default: 10, ..patient() });
    answer(&fixture);
    fixture.ask("{ openTickets { id } findTickets { total } }").await;
    assert_eq!(fixture.memory.pages.lock().unwrap()[0].1.limit, Some(10));
    assert_eq!(fixture.memory.pages.lock().unwrap()[1].1.rows_max, 10);
}

#[tokio::test]
async fn who_asks_for_rows_says_in_which_order() {
    let fixture = answering();
    let order = async |query: &str| {
        let answer = fixture.ask(query).await;
        assert!(answer.get("errors").is_none(), "{answer}");
        let (arguments, page) = asked(&fixture);
        assert_eq!(arguments, json!({}));
        let part = |by: &Order| {
            let through: String =
                by.through.iter().map(|link| format!("{} of {}, ", link.from, link.table.name)).collect();
            format!("{through}{}{}", by.field, if by.descending { "-" } else { "+" })
        };
        page.order.iter().map(part).collect::<String>()
    };
    assert_eq!(order("{ openTickets { id } }").await, "");
    assert_eq!(order("{ openTickets(orderBy: null) { id } }").await, "");
    assert_eq!(order("{ openTickets(orderBy: [{ price: DESC }, { label: ASC }]) { id } }").await, "price-label+");
    assert_eq!(order("{ findTickets(orderBy: [{ seats: ASC }]) { tickets { id } } }").await, "seats+");
    let by_venue = "{ openTickets(orderBy: [{ venue: { name: DESC } }, { id: ASC }]) { id } }";
    assert_eq!(order(by_venue).await, "venueId of Venue, name-id+");
    let refused = fixture.refused("{ labelledTicket(label: \"a\", orderBy: [{ price: ASC }]) { id } }").await;
    assert!(refused.contains("orderBy"), "{refused}");
}

#[tokio::test]
async fn an_argument_that_the_author_has_named_stays_the_authors() {
    let fixture = answering();
    fixture.ask("{ ticketsUpTo(limit: 9.5, offset: 2) { id } }").await;
    let (arguments, page) = asked(&fixture);
    assert_eq!((arguments, page.limit, page.offset), (json!({ "limit": "9.5" }), None, 2));
}

#[tokio::test]
async fn a_declared_query_waits_for_its_read_model_and_for_what_is_selected_below() {
    let fixture = answering();
    fixture.ask("{ findTickets(minPosition: 5) { total } }").await;
    assert_eq!(fixture.memory.statements(), ["wait Ticket 5", "ask findTickets"]);
    assert_eq!(asked(&fixture).0, json!({}));
    fixture.ask("{ openTickets(minPosition: \"6\") { venue { name } } }").await;
    assert_eq!(fixture.memory.statements(), ["wait Ticket 6", "wait Venue 6", "ask openTickets", "rows Venue 2"]);
    let caller = Caller { min_position: Some(Position::new(7)), ..Caller::default() };
    let query = "{ labelledTicket(label: \"a\") { id } }".to_owned();
    fixture.send(Request { query, caller, ..Request::default() }).await;
    assert_eq!(fixture.memory.statements(), ["wait Ticket 7", "ask labelledTicket"]);
}

#[tokio::test]
async fn a_declared_query_weighs_as_much_as_it_may_answer() {
    let fixture = limited(Limits { page_max: 100, page_default: 10, complexity_max: 100, ..patient() });
    answer(&fixture);
    let light = async |query: &str| fixture.ask(query).await.get("errors").is_none();
    // As many rows as the author gives if nobody says, or as are asked for.
    assert!(light("{ findTickets { tickets { id price label } } }").await);
    assert!(light("{ findTickets(part: { size: 20 }) { tickets { id price label } } }").await);
    assert!(!light("{ findTickets(part: { size: 40 }) { tickets { id price label } } }").await);
    assert!(!light("{ openTickets { id price label seats } }").await);
    assert!(light("{ openTickets(limit: 5) { id price label seats } }").await);
    assert!(light("{ labelledTicket(label: \"a\") { id price label seats } }").await);
}
