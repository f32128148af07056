//! What the API asks of read models, over the databases as they are: the catalog with a hundred products in ten categories.

use serde_json::{Value, json};
use yado_store::testing::Postgres;

use crate::support::{Client, Server, component};

/// Ten categories, and a hundred products whose prices are 0.10, 1.10, 2.10 and so on, each in the category of the last
/// digit of its number.
pub(crate) async fn fill(client: &Client) -> Vec<Value> {
    let creations: String =
        (0..10).map(|n| format!("c{n}: createCategory(input: {{ name: \"Category {n}\" }}) {{ id }} ")).collect();
    let created = client.ask(&format!("mutation {{ {creations} }}"), json!({})).await;
    let categories: Vec<Value> = (0..10).map(|n| created[format!("c{n}")]["id"].clone()).collect();
    let create = "mutation($name: String!, $price: Decimal!, $id: ID!) { \
                  createProduct(input: { name: $name, price: $price, categoryId: $id }) { id } }";
    for number in 0..100 {
        let category = &categories[number % 10];
        let variables =
            json!({ "name": format!("Ｐroduct {number:02}"), "price": format!("{number}.10"), "id": category });
        client.ask(create, variables).await;
    }
    categories
}

/// The names of rows.
fn names(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

async fn walk(client: &Client) {
    let categories = fill(client).await;
    computed(client).await;
    related(client).await;
    paged(client).await;
    let found =
        client.ask("{ products(search: \"PRODUCT ７\", limit: 2, orderBy: { name: DESC }) { name } }", json!({})).await;
    assert_eq!(names(&found["products"]), ["Ｐroduct 97", "Ｐroduct 87"]);
    let one = "query($id: ID!) { category(id: $id) { name products(search: \"3\", where: { price: { lt: 34 } }) { name } \
               productsAggregate { count max { price } } } }";
    let one = client.ask(one, json!({ "id": categories[3] })).await;
    assert_eq!(
        one["category"].to_string(),
        "{\"name\":\"Category 3\",\"products\":[{\"name\":\"Ｐroduct 03\"},{\"name\":\"Ｐroduct 13\"},{\"name\":\"Ｐroduct 23\"},\
         {\"name\":\"Ｐroduct 33\"}],\"productsAggregate\":{\"count\":10,\"max\":{\"price\":93.10}}}"
    );
}

async fn computed(client: &Client) {
    let all = "{ productsAggregate { count sum { price } avg { price } min { price name } max { price name } } }";
    let all = client.ask(all, json!({})).await;
    let expected = "{\"count\":100,\"sum\":{\"price\":4960.00},\"avg\":{\"price\":49.60},\
                    \"min\":{\"price\":0.10,\"name\":\"Ｐroduct 00\"},\"max\":{\"price\":99.10,\"name\":\"Ｐroduct 99\"}}";
    assert_eq!(all["productsAggregate"].to_string(), expected);
    let by_category = "{ productsAggregate(where: { price: { gte: 50 } }) { \
                       groups(by: categoryId) { key { category { name } } count sum { price } } } }";
    let by_category = client.ask(by_category, json!({})).await;
    let mut groups: Vec<String> =
        by_category["productsAggregate"]["groups"].as_array().unwrap().iter().map(Value::to_string).collect();
    groups.sort();
    let group = |n: usize| {
        let sum = 5 * n + 350;
        format!("{{\"key\":{{\"category\":{{\"name\":\"Category {n}\"}}}},\"count\":5,\"sum\":{{\"price\":{sum}.50}}}}")
    };
    assert_eq!(groups, (0..10).map(group).collect::<Vec<_>>());
}

async fn related(client: &Client) {
    let products = "{ products(where: { category: { name: { endsWith: \"4\" } }, price: { lt: 30 } }, orderBy: { price: ASC }) { name } }";
    let products = client.ask(products, json!({})).await;
    assert_eq!(names(&products["products"]), ["Ｐroduct 04", "Ｐroduct 14", "Ｐroduct 24"]);
    for (condition, expected) in [
        ("some: { price: { lt: 3 } }", vec!["Category 0", "Category 1", "Category 2"]),
        ("every: { price: { lt: 92.1 } }", vec!["Category 0", "Category 1"]),
        ("none: { name: { startsWith: \"product 9\" } }", vec![]),
        ("some: { category: { products: { some: { price: { eq: \"98.10\" } } } } }", vec!["Category 8"]),
    ] {
        let asked =
            format!("{{ categories(where: {{ products: {{ {condition} }} }}, orderBy: {{ name: ASC }}) {{ name }} }}");
        assert_eq!(names(&client.ask(&asked, json!({})).await["categories"]), expected, "{condition}");
    }
}

/// Goes through the products by pages, forwards and backwards.
async fn paged(client: &Client) {
    let page = "query($o: [ProductOrder!], $f: Int, $a: String, $l: Int, $b: String) { \
                productsConnection(orderBy: $o, first: $f, after: $a, last: $l, before: $b, where: { price: { lt: 50 } }) { \
                totalCount nodes { name category { name } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    let order = json!([{ "categoryId": "DESC" }, { "price": "ASC" }]);
    let all = "query($o: [ProductOrder!]) { products(orderBy: $o, where: { price: { lt: 50 } }) { name } }";
    let all = client.ask(all, json!({ "o": order })).await;
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    let (mut after, mut before) = (Value::Null, Value::Null);
    loop {
        let found = client.ask(page, json!({ "o": order, "f": 7, "a": after })).await["productsConnection"].take();
        assert_eq!(found["totalCount"], 50);
        let found_names: Vec<String> = names(&found["nodes"]).into_iter().map(str::to_owned).collect();
        for (name, node) in found_names.iter().zip(found["nodes"].as_array().unwrap()) {
            assert_eq!(node["category"]["name"], format!("Category {}", &name[name.len() - 1..]));
        }
        forward.extend(found_names);
        let other = client.ask(page, json!({ "o": order, "l": 7, "b": before })).await["productsConnection"].take();
        let own: Vec<String> = names(&other["nodes"]).into_iter().map(str::to_owned).collect();
        backward = [own, backward].concat();
        after = found["pageInfo"]["endCursor"].clone();
        before = other["pageInfo"]["startCursor"].clone();
        assert_eq!(found["pageInfo"]["hasNextPage"], other["pageInfo"]["hasPreviousPage"]);
        if found["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    let all: Vec<String> = names(&all["products"]).into_iter().map(str::to_owned).collect();
    assert_eq!((&forward, &backward), (&all, &all));
}

#[tokio::test(flavor = "multi_thread")]
async fn read_models_are_asked_in_every_way() {
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    walk(&server.client()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn read_models_are_asked_in_every_way_on_postgresql() {
    let url = Postgres::shared().database().await;
    let server = Server::start_with(&["--database-url", &url], &[("catalog", &component("catalog"))]).await;
    walk(&server.client()).await;
}
