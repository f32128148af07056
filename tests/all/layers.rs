//! What lies around everything that is asked: whoever may not have it is refused on every way to it, whoever is one too
//! many is told when to come back, and whoever watches is told of each thing asked and what became of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use serde_json::{Value, json};
use yado_engine::{
    Asked, Circumstances, CommandOptions, Denial, Engine, Error, Guard, Hooks, Kind, Observer, Outcome, PageOptions,
    Parts, Session, Settings, Until, What,
};
use yado_graphql::{Caller, GraphQl, Limits, Request};
use yado_model::{Actor, Code, Name, Position};
use yado_runtime::Runtime;
use yado_store::{open_events, open_reads};

use crate::support::{component, patient, patient_options};

/// Keeps some things from everybody but the owner, and takes note of what was asked and answered.
#[derive(Default)]
struct Warden {
    kept: Mutex<Vec<(Kind, &'static str)>>,
    roles: Mutex<Vec<String>>,
    answered: Mutex<Vec<(Kind, String, Outcome)>>,
}

impl Warden {
    fn keep(&self, things: &[(Kind, &'static str)]) {
        *self.kept.lock().unwrap() = things.to_vec();
    }

    fn answered(&self) -> Vec<(Kind, String, Outcome)> {
        std::mem::take(&mut self.answered.lock().unwrap())
    }
}

fn name(what: What<'_>) -> &str {
    what.name().map_or("", Name::as_str)
}

impl Guard for Warden {
    fn allow(&self, asked: &Asked<'_>) -> Result<(), Denial> {
        self.roles.lock().unwrap().extend(asked.roles.iter().map(ToString::to_string));
        let kept = self.kept.lock().unwrap().contains(&(asked.what.kind(), name(asked.what)));
        match asked.actor {
            _ if !kept => Ok(()),
            None => Err(Denial::Unauthenticated),
            Some(actor) if actor.as_str() == "owner" => Ok(()),
            Some(_) => Err(Denial::Forbidden),
        }
    }
}

impl Observer for Warden {
    fn ended(&self, asked: &Asked<'_>, outcome: Outcome, _: Duration) {
        self.answered.lock().unwrap().push((asked.what.kind(), name(asked.what).to_owned(), outcome));
    }
}

/// An engine with a warden, and a shop on it.
struct House {
    engine: Engine,
    graphql: GraphQl,
    warden: Arc<Warden>,
    _folder: tempfile::TempDir,
}

impl House {
    async fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
        let events = open_events(&url("log.db"), &patient_options()).await.unwrap();
        let reads = open_reads(&url("reads.db"), &patient_options()).await.unwrap();
        let runtime = Runtime::new(yado_runtime::Settings::default()).unwrap();
        let warden = Arc::new(Warden::default());
        let hooks = Hooks { guard: warden.clone(), observers: vec![warden.clone()] };
        let limits = Limits { timeout_ms: settings.command_ms, ..Limits::default() };
        let engine = Engine::start_with(Parts { events, reads, runtime }, settings, hooks).await.unwrap();
        engine.deploy(component("catalog")).await.unwrap();
        let graphql = GraphQl::new(engine.clone(), limits).await.unwrap();
        Self { engine, graphql, warden, _folder: folder }
    }

    fn session(&self, actor: Option<&str>) -> Session {
        let actor = actor.map(|actor| Actor::parse(actor).unwrap());
        self.engine.session(&self.engine.catalogue(), Circumstances { actor, ..Circumstances::default() })
    }

    async fn send(&self, actor: Option<&str>, query: &str) -> Value {
        let caller = Caller { actor: actor.map(|actor| Actor::parse(actor).unwrap()), ..Caller::default() };
        let request = Request { query: query.to_owned(), caller, ..Request::default() };
        serde_json::from_slice(&self.graphql.execute(request).await.to_json()).unwrap()
    }

    async fn ask(&self, query: &str) -> Value {
        let answer = self.send(Some("owner"), query).await;
        assert!(answer.get("errors").is_none(), "{answer}");
        answer["data"].clone()
    }

    /// Where in the answer the first error is, and its code.
    async fn refused(&self, actor: Option<&str>, query: &str) -> (String, String) {
        let answer = self.send(actor, query).await;
        let error = answer["errors"].get(0).unwrap_or_else(|| panic!("{query} is answered: {answer}"));
        (error["path"].to_string(), error["extensions"]["code"].as_str().unwrap().to_owned())
    }
}

const CATEGORY: &str = "mutation { createCategory(input: { name: \"Pens\" }) { id } }";

async fn stocked(settings: Settings) -> (House, String) {
    let house = House::with(settings).await;
    let category = house.ask(CATEGORY).await["createCategory"]["id"].as_str().unwrap().to_owned();
    let product = format!(
        "mutation {{ createProduct(input: {{ name: \"Quill\", price: 2, categoryId: \"{category}\" }}) {{ name }} }}"
    );
    house.ask(&product).await;
    (house, category)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_is_not_for_everybody_is_refused_on_every_way_to_it() {
    let (house, category) = stocked(patient()).await;
    let of_category = "{ category: { name: { eq: \"Pens\" } } }";
    let in_order = "orderBy: [{ category: { name: ASC } }]";
    let by_category = "{ productsAggregate { groups(by: categoryId) { key { category { name } } } } }";
    let ways = [
        ("Category", format!("{{ category(id: \"{category}\") {{ name }} }}"), r#"["category"]"#),
        ("Category", "{ categories { name } }".into(), r#"["categories"]"#),
        ("Category", "{ categoriesConnection { nodes { name } } }".into(), r#"["categoriesConnection"]"#),
        ("Category", "{ categoriesAggregate { count } }".into(), r#"["categoriesAggregate"]"#),
        ("Category", "{ products { name category { name } } }".into(), r#"["products",0,"category"]"#),
        ("Category", format!("{{ products(where: {of_category}) {{ name }} }}"), r#"["products"]"#),
        ("Category", format!("{{ products(where: {{ not: {of_category} }}) {{ name }} }}"), r#"["products"]"#),
        ("Category", format!("{{ productsAggregate(where: {of_category}) {{ count }} }}"), r#"["productsAggregate"]"#),
        ("Category", by_category.into(), r#"["productsAggregate","groups",0,"key","category"]"#),
        ("Category", format!("{{ products({in_order}) {{ name }} }}"), r#"["products"]"#),
        (
            "Category",
            format!("{{ productsConnection(first: 5, {in_order}) {{ nodes {{ name }} }} }}"),
            r#"["productsConnection"]"#,
        ),
        ("Category", format!("{{ searchProducts({in_order}) {{ products {{ name }} }} }}"), r#"["searchProducts"]"#),
        (
            "Category",
            "{ searchProducts { products { category { name } } } }".into(),
            r#"["searchProducts","products",0,"category"]"#,
        ),
        ("Product", "{ categories { products { name } } }".into(), r#"["categories",0,"products"]"#),
        ("Product", "{ categories { productsAggregate { count } } }".into(), r#"["categories",0,"productsAggregate"]"#),
        (
            "Product",
            "{ categories(where: { products: { none: { name: { eq: \"x\" } } } }) { name } }".into(),
            r#"["categories"]"#,
        ),
    ];
    for (kept, query, path) in ways {
        house.warden.keep(&[(Kind::Model, kept)]);
        let expected = |code: &str| (path.to_owned(), code.to_owned());
        assert_eq!(house.refused(Some("visitor"), &query).await, expected("FORBIDDEN"), "{query}");
        assert_eq!(house.refused(None, &query).await, expected("UNAUTHENTICATED"), "{query}");
        house.ask(&query).await;
    }
    house.warden.keep(&[(Kind::Model, "Category")]);
    // What is not of it is there for everybody.
    let open = house.send(Some("visitor"), "{ products { name categoryId } }").await;
    assert_eq!(open["data"]["products"][0]["name"], "Quill", "{open}");

    // A change is recorded, and its row is kept back: the answer says both.
    let create = "mutation { createCategory(input: { name: \"Ink\" }) { name } }";
    let answer = house.send(Some("visitor"), create).await;
    assert_eq!(answer["errors"][0]["extensions"], json!({ "code": "FORBIDDEN", "position": 3 }), "{answer}");
    let message = "the change is recorded at position 3, so don't repeat it; its row could not be read: reading Category is \
                   not allowed to whoever asked: ask an operator for a role that may";
    assert_eq!(answer["errors"][0]["message"], message);
    assert_eq!(answer["extensions"]["receipts"]["createCategory"]["revision"], 1, "{answer}");
    assert_eq!(house.ask("{ categoriesAggregate { count } }").await["categoriesAggregate"]["count"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_refused_by_itself_and_with_the_read_model_whose_rows_it_shows() {
    let (house, _) = stocked(patient()).await;
    let query = "{ searchProducts { totalCount } }";
    for kept in [(Kind::Query, "searchProducts"), (Kind::Model, "Product")] {
        house.warden.keep(&[kept]);
        assert_eq!(house.refused(Some("visitor"), query).await.1, "FORBIDDEN", "{kept:?}");
        assert_eq!(house.ask(query).await["searchProducts"]["totalCount"], 1);
    }
    house.warden.keep(&[(Kind::Model, "Category")]);
    assert_eq!(house.send(Some("visitor"), query).await["data"]["searchProducts"]["totalCount"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_not_for_everybody_records_nothing() {
    let (house, _) = stocked(patient()).await;
    house.warden.keep(&[(Kind::Command, "CreateCategory")]);
    let (path, code) = house.refused(Some("visitor"), CATEGORY).await;
    assert_eq!((path.as_str(), code.as_str()), (r#"["createCategory"]"#, "FORBIDDEN"));
    let answer = house.send(None, CATEGORY).await;
    let message = "the command CreateCategory is not for everybody: say who you are";
    assert_eq!(answer["errors"][0]["message"], message, "{answer}");
    assert_eq!(house.ask("{ categoriesAggregate { count } }").await["categoriesAggregate"]["count"], 1);
    house.ask(CATEGORY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_refused_by_itself_and_with_the_read_model_whose_rows_it_tells() {
    let house = House::with(patient()).await;
    let product = Name::parse("Product").unwrap();
    let (changes, events) = (What::Changes(&product), What::Events);
    for (kept, what) in
        [((Kind::Changes, "Product"), changes), ((Kind::Model, "Product"), changes), ((Kind::Events, ""), events)]
    {
        house.warden.keep(&[kept]);
        let refused = house.session(Some("visitor")).admit(what).unwrap_err();
        assert_eq!(refused.code(), Code::Forbidden, "{kept:?}");
        house.session(Some("owner")).admit(what).unwrap();
    }
    let outcomes = [Outcome::Failed(Code::Forbidden), Outcome::Done];
    let told: Vec<_> = house.warden.answered().into_iter().map(|(kind, _, outcome)| (kind, outcome)).collect();
    let expected = [Kind::Changes, Kind::Changes, Kind::Events].map(|kind| outcomes.map(|outcome| (kind, outcome)));
    assert_eq!(told, expected.concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_is_told_of_each_thing_asked_and_what_became_of_it() {
    let (house, category) = stocked(patient()).await;
    let told = |kind, name: &str, outcome| (kind, name.to_owned(), outcome);
    let command = told(Kind::Command, "CreateCategory", Outcome::Done);
    // Its key is all that is asked for, and that is known without reading.
    assert_eq!(house.warden.answered()[0], command);
    house.ask("{ products { category { name } } }").await;
    let read = |name| told(Kind::Model, name, Outcome::Done);
    assert_eq!(house.warden.answered(), [read("Product"), read("Category")]);
    house.ask("{ searchProducts { totalCount } }").await;
    assert_eq!(house.warden.answered(), [told(Kind::Query, "searchProducts", Outcome::Done)]);

    let key = |key: &str| CommandOptions { idempotency_key: Some(key.parse().unwrap()), ..CommandOptions::default() };
    let rename = Name::parse("UpdateCategory").unwrap();
    let payload = json!({ "id": category, "name": "Nibs" });
    for _ in 0..2 {
        house.session(None).dispatch(&rename, payload.clone(), key("once")).await.unwrap();
    }
    let reused = house.session(None).dispatch(&rename, json!({ "id": category, "name": "Ink" }), key("once")).await;
    assert_eq!(reused.unwrap_err().code(), Code::IdempotencyKeyReused);
    let outcomes: Vec<_> = house.warden.answered().into_iter().map(|(_, _, outcome)| outcome).collect();
    assert_eq!(outcomes, [Outcome::Done, Outcome::Repeated, Outcome::Failed(Code::IdempotencyKeyReused)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_finds_no_room_is_told_when_to_come_back_and_commands_need_none() {
    let (house, category) = stocked(Settings { queries_max: 1, queries_waiting: 0, ..patient() }).await;
    let (first, second) = (house.session(None), house.session(None));
    let model = Name::parse("Category").unwrap();
    first.rows(&model, std::slice::from_ref(&category), None).await.unwrap();
    first.count(&model, None).await.unwrap();
    let search = Name::parse("searchProducts").unwrap();
    for refused in [
        second.rows(&model, std::slice::from_ref(&category), None).await.unwrap_err(),
        second.ask(&search, json!({}), PageOptions::default()).await.unwrap_err(),
    ] {
        assert!(matches!(refused, Error::Unavailable { retry_after_ms: 1.., .. }), "{refused}");
        assert_eq!(refused.code(), Code::Unavailable);
    }
    let answer = house.send(None, "{ categories { name } }").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer}");
    assert!(answer["errors"][0]["extensions"]["retryAfterMs"].as_u64().is_some_and(|ms| ms > 0), "{answer}");
    // A command takes no place of those who read, and gives back the one that its request has.
    let create = Name::parse("CreateCategory").unwrap();
    second.dispatch(&create, json!({ "name": "Ink" }), CommandOptions::default()).await.unwrap();
    assert!(second.count(&model, None).await.is_err());
    first.dispatch(&create, json!({ "name": "Wax" }), CommandOptions::default()).await.unwrap();
    second.count(&model, None).await.unwrap();
    assert!(first.count(&model, None).await.is_err());
    drop(second);
    first.count(&model, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_for_a_position_keeps_nobody_from_reading() {
    let (house, _) = stocked(Settings { queries_max: 1, queries_waiting: 0, ..patient() }).await;
    let (first, second) = (house.session(None), house.session(None));
    let model = Name::parse("Category").unwrap();
    first.count(&model, None).await.unwrap();
    // It is shown already: nothing is waited for, and the place is kept.
    first.caught_up(&model, first.position(&model)).await.unwrap();
    assert!(second.count(&model, None).await.is_err());
    let far = Position::new(1 << 40);
    let mut waits = Box::pin(first.caught_up(&model, far));
    assert!(waits.as_mut().now_or_never().is_none());
    second.count(&model, None).await.unwrap();
    drop((waits, second));
    first.count(&model, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_begun_for_a_request_whose_time_is_over_and_it_is_told_what_to_do() {
    let (house, category) = stocked(patient()).await;
    house.warden.answered();
    let circumstances = Circumstances { until: Some(Until::after(0)), ..Circumstances::default() };
    let session = house.engine.session(&house.engine.catalogue(), circumstances);
    let (model, search) = (Name::parse("Category").unwrap(), Name::parse("searchProducts").unwrap());
    let create = Name::parse("CreateCategory").unwrap();
    let read = session.rows(&model, &[category], None).await.unwrap_err();
    assert_eq!(read.to_string(), "reading Category took longer than 0 ms: ask for less at a time");
    let asked = session.ask(&search, json!({}), PageOptions::default()).await.unwrap_err();
    assert_eq!(asked.to_string(), "the query searchProducts took longer than 0 ms: ask for less at a time");
    let changed = session.dispatch(&create, json!({ "name": "Ink" }), CommandOptions::default()).await.unwrap_err();
    assert!(changed.to_string().starts_with("the command CreateCategory took longer than 0 ms"), "{changed}");
    let outcomes: Vec<_> = house.warden.answered().into_iter().map(|(_, _, outcome)| outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed(Code::Timeout); 3]);
    assert_eq!(house.ask("{ categoriesAggregate { count } }").await["categoriesAggregate"]["count"], 1);
}
