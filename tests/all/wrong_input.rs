//! Wrong input of every kind: the codes are documented, and the texts say what happened, to what, and what to do.

use serde_json::{Value, json};

use crate::support::{Client, Server, component};

/// An id that nothing has.
const NOBODY: &str = "018f0000-0000-7000-8000-000000000000";

/// What a caller sees of an answer: each error's text and particulars, with ids that change made the same.
fn seen(answer: &Value, ids: &[&str]) -> String {
    let mut text = serde_json::to_string_pretty(answer).unwrap();
    for (number, id) in ids.iter().enumerate() {
        text = text.replace(id, &format!("<id {number}>"));
    }
    text
}

async fn errors(client: &Client, document: &str, variables: Value) -> Value {
    let answer = client.send(document, variables).await;
    assert!(answer.get("errors").is_some(), "{document} succeeded: {answer}");
    answer["errors"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_is_answered_with_code_and_remedy() {
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    let client = server.client();
    let (category, product) = client.product("Pen").await;
    let create = "mutation($i: CreateProductInput!) { createProduct(input: $i) { id } }";
    let sound = json!({ "name": "Pen", "price": "2.50", "categoryId": category });
    let with = |field: &str, value: Value| {
        let mut input = sound.clone();
        input[field] = value;
        json!({ "i": input })
    };
    let without = |field: &str| {
        let mut input = sound.clone();
        input.as_object_mut().unwrap().remove(field);
        json!({ "i": input })
    };
    let cases = [
        ("unknown field of the input", create, with("colour", json!("red"))),
        ("missing field", create, without("name")),
        ("wrong type", create, with("name", json!(42))),
        ("null where none may be", create, with("price", Value::Null)),
        ("empty name", create, with("name", json!(""))),
        ("name too long", create, with("name", json!("x".repeat(201)))),
        ("name that no row can have", create, with("name", json!("a\0b"))),
        ("negative price", create, with("price", json!("-0.01"))),
        ("price that is none", create, with("price", json!("cheap"))),
        ("two things at once", create, {
            let mut input = with("price", json!(-1));
            input["i"]["name"] = json!("");
            input
        }),
        ("wrong in many ways", create, json!({ "i": { "name": 42, "price": null, "colour": "red" } })),
        (
            "wrong in many ways, as literals",
            "mutation { a: createProduct(input: { name: 42, price: null, colour: RED }) { id } \
             b: createCategory(input: {}) { id } }",
            json!({}),
        ),
        ("reference to nothing", create, with("categoryId", json!(NOBODY))),
        (
            "unknown id",
            "mutation($i: ID!) { updateCategory(input: { id: $i, name: \"X\" }) { id } }",
            json!({ "i": NOBODY }),
        ),
        (
            "unknown id to delete",
            "mutation($i: ID!) { deleteProduct(input: { id: $i }) { id } }",
            json!({ "i": NOBODY }),
        ),
        (
            "stale revision",
            "mutation($i: ID!) { updateProduct(input: { id: $i, name: \"X\" }, expectedRevision: 7) { id } }",
            json!({ "i": product }),
        ),
        ("unknown mutation", "mutation { createNothing { id } }", json!({})),
        ("unknown field of the answer", "{ products { colour } }", json!({})),
        ("unknown argument", "{ products(colour: 1) { id } }", json!({})),
        ("no selection", "{ products }", json!({})),
        ("broken syntax", "{ products {", json!({})),
        ("nothing at all", "", json!({})),
        ("page too large", "{ products(limit: 1000000) { id } }", json!({})),
        ("negative offset", "{ products(offset: -1) { id } }", json!({})),
        ("direction as a string", "{ products(orderBy: { name: \"DESC\" }) { id } }", json!({})),
        ("variable of the wrong type", "query($id: ID!) { product(id: $id) { id } }", json!({ "id": { "a": 1 } })),
        ("variable missing", "query($id: ID!) { product(id: $id) { id } }", json!({})),
    ];
    let ids = [category.as_str(), product.as_str()];
    let mut text = String::new();
    for (name, document, variables) in cases {
        let answer = errors(&client, document, variables).await;
        text += &format!("## {name}\n{}\n\n", seen(&answer, &ids));
    }
    // Fields at this depth: products and categories in turn, with an id at the bottom.
    let deep = |levels: usize| {
        let names: Vec<&str> = ["products", "category"].into_iter().cycle().take(levels - 1).collect();
        format!("{{ {} {{ id }} {} }}", names.join(" { "), "}".repeat(levels - 2))
    };
    let aliases = |of: &str, count: u32| (0..count).map(|n| format!("a{n}: {of} ")).collect::<String>();
    for (name, document) in [
        ("too deep", deep(13)),
        ("too many brackets", deep(80)),
        ("too many fields at the root", format!("{{ {} }}", aliases("products { id }", 400))),
        ("too many aliases", format!("{{ products {{ {} }} }}", aliases("name", 120))),
        ("too many values", "{ products(limit: 1000) { category { products(limit: 1000) { id } } } }".to_owned()),
    ] {
        let answer = errors(&client, &document, json!({})).await;
        text += &format!("## {name}\n{}\n\n", seen(&answer, &ids));
    }
    for (name, kind, body) in [
        ("bad JSON", "application/json", "{ \"query\": ".to_owned()),
        ("not an object", "application/json", "42".to_owned()),
        ("a batch", "application/json", "[{ \"query\": \"{ __typename }\" }]".to_owned()),
        ("no query", "application/json", "{}".to_owned()),
        ("another content type", "text/plain", "{ __typename }".to_owned()),
        ("huge body", "application/json", format!("{{ \"query\": \"{}\" }}", "x".repeat(8 * 1024 * 1024))),
    ] {
        let (status, answer) = client.post(kind, body).await;
        text += &format!("## {name}\n{status}\n{}\n\n", seen(&answer, &ids));
    }
    insta::assert_snapshot!("wrong_input", text);
    // Nothing of all this has changed anything.
    let all = client.ask("{ products { name } categories { name } }", json!({})).await;
    assert_eq!(all, json!({ "products": [{ "name": "Pen" }], "categories": [{ "name": "Pen" }] }));
}
