//! Declared queries against the databases that answer them.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use yado_engine::{Answered, Circumstances, CommandOptions, Engine, Error, PageOptions, Parts, Rows, Session};
use yado_model::{Name, Position};
use yado_runtime::Runtime;
use yado_store::testing::Postgres;
use yado_store::{Order, open_events, open_reads};

use crate::support::{Server, component, eventually, patient, patient_options};

/// What the guest's own tests say is there, and is found.
const THINGS: &str = include_str!("../guests/declaring/things.json");
const CASES: &str = include_str!("../guests/declaring/cases.json");

fn read(document: &str) -> Vec<Map<String, Value>> {
    serde_json::from_str(document).unwrap()
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// An engine with everything that there is to be found.
struct House {
    engine: Engine,
    _folder: tempfile::TempDir,
}

impl House {
    async fn with(postgres: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
        let events = open_events(&url("log.db"), &patient_options()).await.unwrap();
        let reads = if postgres { Postgres::shared().database().await } else { url("reads.db") };
        let reads = open_reads(&reads, &patient_options()).await.unwrap();
        let runtime = Runtime::new(yado_runtime::Settings::default()).unwrap();
        let engine = Engine::start(Parts { events, reads, runtime }, patient()).await.unwrap();
        engine.deploy(component("declaring")).await.unwrap();
        let house = Self { engine, _folder: folder };
        let (session, mut position) = (house.session(), Position::ZERO);
        for thing in read(THINGS) {
            let options = CommandOptions::default();
            position = session.dispatch(&name("PutThing"), Value::Object(thing), options).await.unwrap().position;
        }
        session.caught_up(&name("Thing"), position).await.unwrap();
        house
    }

    fn session(&self) -> Session {
        self.engine.session(&self.engine.catalogue(), Circumstances::default())
    }

    async fn find(&self, arguments: Value, page: PageOptions) -> Result<Answered, Error> {
        self.session().ask(&name("findThings"), arguments, page).await
    }
}

fn ids(rows: Rows) -> Vec<Value> {
    rows.into_maps().unwrap().iter().map(|row| row["id"].clone()).collect()
}

async fn every_case(postgres: bool) {
    let house = House::with(postgres).await;
    for case in read(CASES) {
        let query = name(case["query"].as_str().unwrap());
        let answer = house.session().ask(&query, case["arguments"].clone(), PageOptions::default()).await.unwrap();
        let (found, total) = match answer {
            Answered::One { rows, .. } | Answered::List { rows, .. } => (ids(rows), Value::Null),
            Answered::Page { rows, total, .. } => (ids(rows), json!(total)),
            Answered::Json(answer) => panic!("{answer}"),
        };
        let expected = (case["found"].as_array().unwrap(), case.get("total").unwrap_or(&Value::Null));
        assert_eq!((&found, &total), expected, "{case:?}");
    }
    house.engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_query_finds_what_its_authors_tests_find_on_sqlite() {
    every_case(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_query_finds_what_its_authors_tests_find_on_postgresql() {
    every_case(true).await;
}

/// Who asks for rows may put them in another order than the query's own.
async fn other_orders(postgres: bool) {
    let house = House::with(postgres).await;
    let by = |field: &str, descending| Order::by(field, descending);
    for (order, expected) in [
        (vec![], "bda"),
        (vec![by("weight", false)], "fab"),
        (vec![by("color", false), by("id", true)], "cbf"),
        (vec![by("madeAt", true)], "ecf"),
    ] {
        let page = PageOptions { order: order.clone(), ..PageOptions::default() };
        let Answered::Page { rows, .. } = house.find(json!({}), page).await.unwrap() else { panic!() };
        let found: String = ids(rows).iter().filter_map(Value::as_str).collect();
        assert_eq!(found, expected, "{order:?}");
    }
    house.engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_declared_query_come_in_the_order_that_the_caller_says_on_sqlite() {
    other_orders(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_declared_query_come_in_the_order_that_the_caller_says_on_postgresql() {
    other_orders(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_read_than_is_asked_for() {
    let house = House::with(false).await;
    let page = PageOptions { columns: Some(vec!["label".into()]), counted: false, ..PageOptions::default() };
    let Answered::Page { rows, total, .. } = house.find(json!({ "count": 12 }), page).await.unwrap() else { panic!() };
    assert_eq!(total, None);
    let columns: HashSet<_> = rows.columns().map(ToString::to_string).collect();
    assert_eq!(columns, HashSet::from(["id".to_owned(), "label".to_owned()]));
    let page = PageOptions { listed: false, ..PageOptions::default() };
    let Answered::Page { rows, total, .. } = house.find(json!({ "count": 12 }), page).await.unwrap() else { panic!() };
    assert_eq!((rows.len(), total), (0, Some(2)));
    house.engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_asked_is_refused_with_its_place() {
    let house = House::with(false).await;
    for (arguments, place, message) in [
        (json!({ "page": 0 }), "/page", "must be at least 1"),
        (json!({ "size": 1_001 }), "/size", "must be at most 1000"),
        (json!({ "page": 4_000_000_000_u32 }), "/page", "must be at most"),
        (json!({ "colors": ["PINK"] }), "/colors/0", "must be one of"),
        (json!({ "label": "a\0" }), "/label", "must not contain the character NUL"),
        (json!({ "labelPart": "a".repeat(2_000) }), "/labelPart", "must have at most 1024 bytes"),
        (json!({ "words": "a ".repeat(100) }), "/words", "must have at most 16 words"),
        (json!({ "prices": vec!["1"; 10_001] }), "/prices", "must have at most 10000 items"),
        (json!({ "colour": "RED" }), "", "unknown field colour"),
    ] {
        let refused = house.find(arguments, PageOptions::default()).await.unwrap_err();
        let Error::BadInput { what, problems } = &refused else { panic!("{refused}") };
        assert_eq!((what.as_str(), problems[0].pointer().as_str()), ("findThings", place), "{refused}");
        assert!(problems[0].message.starts_with(message), "{refused}");
    }
    house.engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_declares_queries_of_what_another_one_shows() {
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    let client = server.client();
    let (category, _) = client.product("Pen").await;
    server.put_plugin("onlooker", &component("onlooker"));
    let query =
        "query($n: String!, $p: BigInt) { categoriesNamed(name: $n, minPosition: $p) { id products { name } } }";
    eventually("the query is there", async || {
        client.send(query, json!({ "n": "Nobody" })).await.get("errors").is_none()
    })
    .await;
    let rename = "mutation($i: ID!) { updateCategory(input: { id: $i, name: \"Ink\" }) { id } }";
    let renamed = client.send(rename, json!({ "i": category })).await;
    let position = renamed["extensions"]["position"].clone();
    let found = client.ask(query, json!({ "n": "Ink", "p": position })).await;
    assert_eq!(found["categoriesNamed"], json!([{ "id": category, "products": [{ "name": "Pen" }] }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_of_what_nobody_shows_is_refused_when_it_is_deployed() {
    let server = Server::start(&[("declaring", &component("declaring"))]).await;
    let token = std::fs::read_to_string(server.data().join("admin-token")).unwrap();
    let deploy = reqwest::Client::new().post(format!("{}/admin/plugins", server.url())).bearer_auth(token.trim());
    let refused = deploy.body(component("onlooker")).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 422);
    let refused: Value = refused.json().await.unwrap();
    let expected = "query categoriesNamed of plugin onlooker asks for rows of Category, which no plugin brings: deploy that \
                    plugin first";
    assert!(refused["error"]["message"].as_str().unwrap().contains(expected), "{refused}");
}
