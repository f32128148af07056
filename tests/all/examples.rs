//! The README's Rust is code of guests that are built, tested and asked: whoever copies it has something that works.

use serde_json::json;

use crate::support::{Server, component};

const README: &str = include_str!("../../README.md");

/// What the guests are made of that the README quotes.
const GUESTS: [&str; 3] = [
    include_str!("../guests/counters/src/lib.rs"),
    include_str!("../guests/shop/src/product.rs"),
    include_str!("../guests/shop/src/account.rs"),
];

/// Code without what is a matter of how it is laid out: blanks, and commas before a bracket.
fn bare(code: &str) -> String {
    let bare: String = code.chars().filter(|letter| !letter.is_whitespace()).collect();
    [")", "]", "}"].iter().fold(bare, |bare, bracket| bare.replace(&format!(",{bracket}"), bracket))
}

#[test]
fn every_rust_example_of_the_readme_is_code_of_a_guest() {
    let examples: Vec<&str> =
        README.split("```rust\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    assert!(examples.len() >= GUESTS.len(), "{examples:?}");
    for example in examples {
        assert!(GUESTS.iter().any(|guest| bare(guest).contains(&bare(example))), "no guest has\n{example}");
    }
}

#[test]
fn the_readmes_manifest_is_that_of_its_guest() {
    let (_, rest) = README.split_once("```toml\n").unwrap();
    let shown: toml::Table = rest.split_once("```").unwrap().0.parse().unwrap();
    let guest: toml::Table = include_str!("../guests/counters/Cargo.toml").parse().unwrap();
    for table in ["lib", "dependencies", "dev-dependencies"] {
        assert_eq!(shown[table], guest[table], "[{table}]");
    }
    for key in ["name", "description"] {
        assert_eq!(shown["package"][key], guest["package"][key], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_plugin_answers_what_the_readme_asks() {
    let question = README.split('`').find(|quoted| quoted.starts_with("findCounters(")).unwrap();
    let server = Server::start(&[("counters", &component("counters"))]).await;
    let client = server.client();
    let set_up = "mutation { setUpCounter(input: { place: \"Garden door\" }) { id } }";
    let id = client.ask(set_up, json!({})).await["setUpCounter"]["id"].clone();
    let count = "mutation($id: ID!) { count(input: { id: $id, by: 3 }) { count } }";
    assert_eq!(client.ask(count, json!({ "id": id })).await["count"]["count"], 3);
    let expected = json!({ "totalCount": 1, "counters": [{ "place": "Garden door", "count": 3 }] });
    let document = format!("{{ {question} }}");
    assert_eq!(client.ask(&document, json!({})).await["findCounters"], expected);
}
