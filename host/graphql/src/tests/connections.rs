//! Lists that are gone through page by page.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value as Json, json};

use super::fixture::{Fixture, fixture, limited};
use super::patience::patient;
use crate::Limits;

fn filled(count: usize) -> Fixture {
    let fixture = fixture();
    fixture.memory.put("Venue", json!({ "id": "v0", "name": "Hall" }));
    fixture.memory.put("Venue", json!({ "id": "v1", "name": "Barn" }));
    for at in 0..count {
        // Every third has no label, prices repeat, and half of the venues are not there.
        let label = (at % 3 != 0).then(|| format!("L{}", at % 4));
        let (venue, price) = (format!("v{}", at % 4), (at % 2).to_string());
        let row = json!({ "id": format!("t{at:02}"), "venueId": venue, "price": price, "label": label });
        fixture.memory.put("Ticket", row);
    }
    fixture
}

fn ids(nodes: &Json) -> Vec<String> {
    nodes.as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

const PAGE: &str = "query ($o: [TicketOrder!], $f: Int, $a: String, $l: Int, $b: String) { \
    ticketsConnection(orderBy: $o, first: $f, after: $a, last: $l, before: $b) { \
    nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";

#[tokio::test]
async fn pages_show_each_row_once_in_either_direction() {
    let fixture = filled(11);
    for order in [
        json!([]),
        json!([{ "price": "DESC" }]),
        json!([{ "label": "ASC" }]),
        json!([{ "label": "DESC" }, { "price": "ASC" }]),
        json!([{ "venue": { "name": "ASC" } }]),
        json!([{ "venue": { "name": "DESC" } }, { "label": "ASC" }, { "venue": { "id": "ASC" } }]),
    ] {
        let all =
            fixture.ask_with("query ($o: [TicketOrder!]) { tickets(orderBy: $o) { id } }", json!({ "o": order })).await;
        let all = ids(&all["data"]["tickets"]);
        for backward in [false, true] {
            let (mut seen, mut from, mut pages) = (Vec::new(), Json::Null, 0);
            loop {
                let variables = match backward {
                    false => json!({ "o": order, "f": 3, "a": from }),
                    true => json!({ "o": order, "l": 3, "b": from }),
                };
                let answer = fixture.ask_with(PAGE, variables).await;
                let page = &answer["data"]["ticketsConnection"];
                let info = &page["pageInfo"];
                let (more, less, end) = match backward {
                    false => ("hasNextPage", "hasPreviousPage", "endCursor"),
                    true => ("hasPreviousPage", "hasNextPage", "startCursor"),
                };
                assert_eq!(info[less], pages > 0, "{answer}");
                let found = ids(&page["nodes"]);
                seen = if backward { [found, seen].concat() } else { [seen, found].concat() };
                pages += 1;
                from = info[end].clone();
                if info[more] == false {
                    break;
                }
            }
            assert_eq!((&seen, pages), (&all, 4), "{order}");
        }
    }
}

#[tokio::test]
async fn a_page_lies_between_two_cursors() {
    let fixture = filled(9);
    let answer = fixture.ask("{ ticketsConnection(first: 9) { edges { cursor node { id venue { name } } } } }").await;
    let edges = &answer["data"]["ticketsConnection"]["edges"];
    assert_eq!(edges[4]["node"], json!({ "id": "t04", "venue": { "name": "Hall" } }));
    let between = |first: Option<u32>, last: Option<u32>| json!({ "a": edges[1]["cursor"], "b": edges[6]["cursor"], "f": first, "l": last });
    for (variables, expected, next, previous) in [
        (between(None, None), vec!["t02", "t03", "t04", "t05"], false, true),
        (between(Some(2), None), vec!["t02", "t03"], true, true),
        (between(None, Some(2)), vec!["t04", "t05"], true, true),
        (between(None, Some(4)), vec!["t02", "t03", "t04", "t05"], true, false),
        (between(Some(0), None), vec![], true, true),
    ] {
        let answer = fixture.ask_with(PAGE, variables.clone()).await;
        let page = &answer["data"]["ticketsConnection"];
        assert_eq!(ids(&page["nodes"]), expected, "{variables}: {answer}");
        let info = &page["pageInfo"];
        assert_eq!((&info["hasNextPage"], &info["hasPreviousPage"]), (&json!(next), &json!(previous)), "{variables}");
    }
}

#[tokio::test]
async fn what_is_not_selected_is_not_read() {
    let fixture = filled(3);
    for (selected, expected) in [
        ("totalCount", vec!["count Ticket"]),
        ("nodes { id }", vec!["select Ticket 51 None"]),
        ("edges { cursor } totalCount", vec!["select Ticket 51 None", "count Ticket"]),
        ("pageInfo { hasNextPage }", vec!["select Ticket 51 None"]),
        ("__typename", vec![]),
    ] {
        let answer = fixture.ask(&format!("{{ ticketsConnection {{ {selected} }} }}")).await;
        assert!(answer.get("errors").is_none(), "{answer}");
        assert_eq!(fixture.memory.statements(), expected, "{selected}");
    }
    let answer = fixture.ask("{ ticketsConnection(first: 1, search: \"l1\") { totalCount nodes { id } } }").await;
    assert_eq!(answer["data"]["ticketsConnection"], json!({ "totalCount": 1, "nodes": [{ "id": "t01" }] }));
    let empty =
        fixture.ask("{ ticketsConnection(search: \"none\") { pageInfo { startCursor endCursor hasNextPage } } }").await;
    let info = json!({ "startCursor": null, "endCursor": null, "hasNextPage": false });
    assert_eq!(empty["data"]["ticketsConnection"]["pageInfo"], info);
}

#[tokio::test]
async fn a_connection_weighs_what_it_has_once_and_what_it_has_for_each_row() {
    let fixture = limited(Limits { complexity_max: 51, ..patient() });
    let query = |first: u32| {
        format!(
            "{{ ticketsConnection(first: {first}) {{ ...C totalCount pageInfo {{ endCursor hasNextPage }} }} }} \
                 fragment C on TicketConnection {{ edges {{ cursor node {{ id price }} }} }}"
        )
    };
    // The connection, its count, the page's three, the list; and for each row the edge, its cursor, its node and two of that.
    assert_eq!(fixture.ask(&query(9)).await.get("errors"), None);
    let refused = fixture.refused(&query(10)).await;
    assert!(refused.contains("has 56 values in a full answer, and at most 51"), "{refused}");
    let many =
        fixture.ask_with("query ($n: Int) { ticketsConnection(last: $n) { nodes { id } } }", json!({ "n": 30 })).await;
    assert_eq!(many["errors"][0]["extensions"]["actual"], 62, "{many}");
}

#[tokio::test]
async fn pages_that_can_not_be_are_refused() {
    let fixture = filled(2);
    let mut texts = Vec::new();
    for arguments in
        ["first: 1, last: 1", "first: -1", "last: 1001", "after: \"\"", "after: \"garbage!\"", "first: \"1\""]
    {
        let query = format!("{{ ticketsConnection({arguments}) {{ nodes {{ id }} }} }}");
        texts.push(format!("{arguments}\n    {}", fixture.refused(&query).await));
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[tokio::test]
async fn a_cursor_that_is_handed_out_is_taken_back() {
    let mut refused = 0;
    let ask = async |fixture: &Fixture, order: &str, after: Json, selected: &str| {
        let query = format!(
            "query ($a: String) {{ ticketsConnection(orderBy: {{ {order} }}, first: 1, after: $a) {{ {selected} }} }}"
        );
        fixture.ask_with(&query, json!({ "a": after })).await
    };
    let filled = |length: usize| {
        let fixture = fixture();
        fixture.memory.put("Ticket", json!({ "id": "u", "venueId": "v", "price": "2", "label": "zz" }));
        let long = "x".repeat(length);
        fixture.memory.put("Venue", json!({ "id": "v", "name": long }));
        fixture.memory.put("Ticket", json!({ "id": "t", "venueId": "v", "price": "1", "label": long }));
        fixture
    };
    for length in [1_000, 49_000, 49_110, 49_115, 49_120, 49_125, 49_130, 49_135, 49_140, 49_150, 60_000] {
        let fixture = filled(length);
        let first = ask(&fixture, "label: ASC", Json::Null, "nodes { id } pageInfo { hasNextPage endCursor }").await;
        let page = &first["data"]["ticketsConnection"];
        if page.is_null() {
            refused += 1;
            let error = &first["errors"][0];
            assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{first}");
            assert!(error["message"].as_str().unwrap().starts_with("orderBy label: "), "{first}");
        } else {
            let next = ask(&fixture, "label: ASC", page["pageInfo"]["endCursor"].clone(), "nodes { id }").await;
            assert_eq!(next["data"]["ticketsConnection"]["nodes"], json!([{ "id": "u" }]), "{length}: {next}");
        }
    }
    assert!((1..10).contains(&refused), "{refused}");
    // Whoever asks for no cursor is answered.
    let fixture = filled(60_000);
    for selected in ["nodes { id } pageInfo { hasNextPage }", "edges { node { id } }"] {
        let answer = ask(&fixture, "label: ASC", Json::Null, selected).await;
        assert!(answer.get("errors").is_none(), "{answer}");
    }
    for selected in ["pageInfo { startCursor }", "edges { cursor }"] {
        assert!(ask(&fixture, "label: ASC", Json::Null, selected).await.get("errors").is_some(), "{selected}");
    }
    let related = ask(&fixture, "venue: { name: ASC }", Json::Null, "pageInfo { endCursor }").await;
    assert!(related["errors"][0]["message"].as_str().unwrap().starts_with("orderBy venue.name: "), "{related}");
}

#[tokio::test]
async fn hostile_cursors_are_bad_input_and_never_reach_the_store() {
    let fixture = filled(2);
    let coded = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let given = fixture.ask("{ ticketsConnection(orderBy: { price: ASC }) { pageInfo { endCursor } } }").await;
    let sound = given["data"]["ticketsConnection"]["pageInfo"]["endCursor"].as_str().unwrap().to_owned();
    fixture.memory.statements();
    let texts = [
        "",
        "[]",
        "null",
        "{}",
        "[\"+price\"]",
        "[\"+price\",[],\"t\"]",
        "[\"+price\",[\"1\"]]",
        "[\"+price\",[\"1\"],7]",
        "[\"+price\",[\"1\"],null]",
        "[\"+price\",[\"1\"],\"t\",1]",
        "[\"+price\",[\"1\",\"2\"],\"t\"]",
        "[\"-price\",[\"1\"],\"t\"]",
        "[\"\",[],\"t\"]",
        "[\"+price\",[\"dear\"],\"t\"]",
        "[\"+price\",[1],\"t\"]",
        "[\"+price\",[{}],\"t\"]",
        "[\"+price\",[[[]]],\"t\"]",
        "[\"+price\",[null],\"t\"]",
        "[\"+price\",[\"1\"],\"\\u0000\"]",
        "[\"+price\",[\"1e400\"],\"t\"]",
        "[\"+price\",[\"1\"],\"\\ud800\"]",
        "[\"+venue.name\",[\"Hall\"],\"t\"]",
    ];
    let deep = "[".repeat(10_000);
    let long = coded(&format!("[\"+price\",[\"1\"],\"{}\"]", "t".repeat(100_000)));
    let mut all: Vec<String> = texts.iter().map(|text| coded(text)).collect();
    all.extend([coded(&deep), long, format!("{sound}="), format!("{sound}A"), sound[..sound.len() - 1].to_owned()]);
    all.extend(["ÿ", "\u{0}", "+/=", " "].map(str::to_owned));
    let query = "query ($c: String) { ticketsConnection(orderBy: { price: ASC }, after: $c) { nodes { id } } }";
    for cursor in all {
        let answer = fixture.ask_with(query, json!({ "c": cursor })).await;
        let short: String = cursor.chars().take(60).collect();
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{short}: {answer}");
        assert_eq!(answer["errors"][0]["path"], json!(["ticketsConnection"]), "{short}");
    }
    assert_eq!(fixture.memory.statements(), [""; 0]);
    let answer = fixture.ask_with(query, json!({ "c": sound })).await;
    assert_eq!(answer["data"]["ticketsConnection"]["nodes"], json!([]));
    // In the same order, a cursor holds with other conditions, too.
    let other = "query ($c: String) { ticketsConnection(orderBy: { price: DESC }, after: $c) { nodes { id } } }";
    let answer = fixture.ask_with(other, json!({ "c": sound })).await;
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("another order"), "{answer}");
}

#[tokio::test]
async fn a_cursor_holds_what_relations_lead_to() {
    let fixture = filled(5);
    let query = |order: &str| {
        format!(
            "query ($c: String) {{ ticketsConnection(orderBy: [{order}], after: $c) {{ edges {{ cursor node {{ id }} }} }} }}"
        )
    };
    let order = "{ venue: { name: DESC } }, { label: ASC }, { venue: { id: ASC } }";
    let answer = fixture.ask(&query(order)).await;
    let edges = answer["data"]["ticketsConnection"]["edges"].as_array().unwrap();
    let shown = |edge: &Json| {
        let text = BASE64URL_NOPAD.decode(edge["cursor"].as_str().unwrap().as_bytes()).unwrap();
        format!("{} {}", edge["node"]["id"].as_str().unwrap(), String::from_utf8(text).unwrap())
    };
    insta::assert_snapshot!(edges.iter().map(shown).collect::<Vec<_>>().join("\n"));
    // The row may be gone since, or lead elsewhere: its place is where it was.
    fixture.memory.put("Venue", json!({ "id": "v1", "name": "Yard" }));
    let answer = fixture.ask_with(&query(order), json!({ "c": edges[2]["cursor"] })).await;
    let found: Vec<Json> = answer["data"]["ticketsConnection"]["edges"].as_array().unwrap().to_vec();
    assert_eq!(found.iter().map(|edge| edge["node"]["id"].as_str().unwrap()).collect::<Vec<_>>(), ["t02", "t03"]);
    // A cursor by the venue's name says nothing of an order by the ticket's label.
    let other = fixture.ask_with(&query("{ label: DESC }"), json!({ "c": edges[0]["cursor"] })).await;
    assert!(other["errors"][0]["message"].as_str().unwrap().contains("another order"), "{other}");
    // What the property must have and no row has is none the less a place; what is no name is none.
    let coded = |text: &str| json!({ "c": BASE64URL_NOPAD.encode(text.as_bytes()) });
    let by_name = query("{ venue: { name: ASC } }");
    let answer = fixture.ask_with(&by_name, coded("[\"+venue.name\",[null],\"t02\"]")).await;
    assert_eq!(answer["data"]["ticketsConnection"]["edges"][0]["node"]["id"], "t03", "{answer}");
    for text in ["[\"+venue.name\",[7],\"t\"]", "[\"+venue.name\",[],\"t\"]", "[\"+name\",[\"Hall\"],\"t\"]"] {
        let answer = fixture.ask_with(&by_name, coded(text)).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{text}: {answer}");
    }
}
