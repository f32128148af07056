//! Queries that a guest answers: what one of them does wrong is its own, and what it waits for it waits for alone.

use std::sync::Arc;

use serde_json::{Value, json};
use yado_engine::{
    Answered, Circumstances, CommandOptions, Engine, Error, PageOptions, Parts, Result, Session, Settings,
};
use yado_model::{Code, Name, TenantId};
use yado_runtime::Runtime;
use yado_store::testing::{self, Postgres};
use yado_store::{open_events, open_reads};

use crate::support::{Server, component, eventually, patient, patient_options, yado};

/// What a guest can be asked for and can't answer.
const PROVOCATIONS: [&str; 5] = ["askForEver", "askForATrap", "askForAHoard", "askForBabble", "askForALie"];

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_misbehaves_is_told_of_and_harms_nobody() {
    // On a busy machine a guest's deadline takes several times as long by the clock, and it comes before all others.
    let server = Server::start(&[("asking", &component("asking"))]).await;
    let client = server.client();
    let written =
        client.ask("mutation { writeNote(input: { words: \"Good day.\" }) { id position } }", json!({})).await;
    // What guests read is what is shown by now: the note is to be there before they are asked.
    let (id, position) = (&written["writeNote"]["id"], &written["writeNote"]["position"]);
    let shown = "query($id: ID!, $p: BigInt) { note(id: $id, minPosition: $p) { id } }";
    client.ask(shown, json!({ "id": id, "p": position })).await;
    let good = "{ notesThatSay(words: \"Good day.\") { words } howMany }";
    client.send(good, json!({})).await;
    for provocation in PROVOCATIONS {
        let document = match provocation {
            "askForALie" => format!("{{ {provocation} {{ words }} }}"),
            _ => format!("{{ {provocation} }}"),
        };
        let (provoked, neighbour) = tokio::join!(client.send(&document, json!({})), client.send(good, json!({})));
        let error = &provoked["errors"][0];
        assert_eq!(error["extensions"]["code"], "PLUGIN_FAULT", "{provocation}: {provoked}");
        assert!(!error["message"].as_str().unwrap().contains("wasm"), "{error}");
        assert_eq!(neighbour["data"]["notesThatSay"], json!([{ "words": "Good day." }]), "{neighbour}");
    }
    // Each read fails at the latest when it has had its share of rows, or its time.
    let greedy = client.send("{ readForEver }", json!({})).await;
    let code = greedy["errors"][0]["extensions"]["code"].as_str().unwrap();
    assert!(["PLUGIN_FAULT", "TIMEOUT"].contains(&code), "{greedy}");
    assert_eq!(client.ask(good, json!({})).await["howMany"], 1);
}

/// Writes on one server, and asks another one's guest at once for what it was told to be the place of it: by the header and by
/// the argument.
async fn write_and_ask(writer: &Server, reader: &Server) {
    for round in 0..10 {
        let words = format!("{} for {}, {round}", writer.url(), reader.url());
        let write = "mutation($w: String!) { writeNote(input: { words: $w }) { position } }";
        let written = writer.client().ask(write, json!({ "w": words })).await;
        let position = written["writeNote"]["position"].to_string();
        let (header, argument) = if round % 2 == 0 { (position.as_str(), None) } else { ("0", Some(&position)) };
        let query = "query($w: String!, $p: BigInt) { notesThatSay(words: $w, minPosition: $p) { words } }";
        let query = json!({ "query": query, "variables": { "w": words, "p": argument } });
        let post = reqwest::Client::new().post(format!("{}/graphql", reader.url()));
        let answer = post.header("yado-min-position", header).json(&query).send().await.unwrap();
        let told = answer.headers().get("yado-position").and_then(|told| told.to_str().ok()?.parse::<u64>().ok());
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["data"]["notesThatSay"], json!([{ "words": words }]), "{answer}");
        assert!(told >= position.parse().ok(), "{told:?} is before {position}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_asked_once_it_can_see_the_position_that_the_caller_names_on_sqlite() {
    let server = Server::start(&[("asking", &component("asking"))]).await;
    write_and_ask(&server, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_asked_once_it_can_see_what_another_process_has_written_on_postgresql() {
    let (log, reads) = (Postgres::shared().database().await, Postgres::shared().database().await);
    let asking = component("asking");
    let plugins = [("asking", asking.as_slice())];
    let writer = Server::start_with(&["--database-url", &log], &plugins).await;
    for arguments in [&["--database-url", &log][..], &["--database-url", &log, "--read-database-url", &reads]] {
        let reader = Server::start_with(arguments, &plugins).await;
        write_and_ask(&writer, &reader).await;
        write_and_ask(&reader, &writer).await;
    }
}

/// An engine, and where its read models are.
struct House {
    engine: Engine,
    reads: String,
    _folder: tempfile::TempDir,
}

impl House {
    async fn with(postgres: bool, settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
        let events = open_events(&url("log.db"), &patient_options()).await.unwrap();
        let reads = if postgres { Postgres::shared().database().await } else { url("reads.db") };
        let store = open_reads(&reads, &patient_options()).await.unwrap();
        let runtime = Runtime::new(yado_runtime::Settings::default()).unwrap();
        let engine = Engine::start(Parts { events, reads: store, runtime }, settings).await.unwrap();
        engine.deploy(component("asking")).await.unwrap();
        Self { engine, reads, _folder: folder }
    }

    fn session(&self, tenant: &TenantId) -> Session {
        let circumstances = Circumstances { tenant: tenant.clone(), ..Circumstances::default() };
        self.engine.session(&self.engine.catalogue(), circumstances)
    }

    async fn write(&self, tenant: &TenantId, words: &str) {
        let command = Name::parse("WriteNote").unwrap();
        let session = self.session(tenant);
        let receipt = session.dispatch(&command, json!({ "words": words }), CommandOptions::default()).await.unwrap();
        session.caught_up(&Name::parse("Note").unwrap(), receipt.position).await.unwrap();
    }

    async fn ask(&self, tenant: &TenantId, query: &str, arguments: Value) -> Result<Value> {
        let query = Name::parse(query).unwrap();
        match self.session(tenant).ask(&query, arguments, PageOptions::default()).await? {
            Answered::Json(answer) => Ok(answer),
            other => panic!("{other:?}"),
        }
    }
}

/// Two tenants ask at once, and each sees what is its own.
async fn two_tenants(postgres: bool) {
    let house = Arc::new(House::with(postgres, patient()).await);
    let tenants = ["acme", "zenith"].map(|tenant| TenantId::parse(tenant).unwrap());
    for (tenant, notes) in tenants.iter().zip([2, 3]) {
        for note in 0..notes {
            house.write(tenant, &format!("{tenant} {note}")).await;
        }
    }
    let ask = |tenant: TenantId, notes: u32, own: String| {
        let house = house.clone();
        tokio::spawn(async move {
            for _ in 0..25 {
                assert_eq!(house.ask(&tenant, "howMany", json!({})).await.unwrap(), notes);
                let found = house.ask(&tenant, "notesThatSay", json!({ "words": own })).await.unwrap();
                let expected = if own.starts_with(tenant.as_str()) { 1 } else { 0 };
                assert_eq!(found.as_array().map(Vec::len), Some(expected), "{tenant} {own} {found}");
            }
        })
    };
    let [acme, zenith] = tenants;
    let asked = [
        ask(acme.clone(), 2, "acme 1".into()),
        ask(zenith.clone(), 3, "zenith 2".into()),
        ask(acme, 2, "zenith 0".into()),
        ask(zenith, 3, "acme 0".into()),
    ];
    for one in asked {
        one.await.unwrap();
    }
    house.engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_who_ask_at_the_same_time_see_their_own_on_sqlite() {
    two_tenants(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_who_ask_at_the_same_time_see_their_own_on_postgresql() {
    two_tenants(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_answer_keeps_no_place_from_those_who_come_later() {
    let settings = Settings { queries_max: 1, queries_waiting: 0, guest_queries_max: 1, query_ms: 200, ..patient() };
    let house = House::with(true, settings).await;
    let tenant = TenantId::default();
    house.write(&tenant, "Good day.").await;
    eventually("it is answered", async || house.ask(&tenant, "howMany", json!({})).await.is_ok()).await;
    // Somebody holds the table, and lets nobody read it.
    let model = house.engine.catalogue().model(&Name::parse("Note").unwrap()).unwrap().clone();
    let (url, table) = (house.reads.clone(), model.table.name.clone());
    let held = format!("do $$ begin lock table \"{table}\" in access exclusive mode; perform pg_sleep(600); end $$");
    let holder = tokio::spawn(async move { testing::execute(&url, &held).await });
    let locked = format!(
        "select mode from pg_locks where granted and mode = 'AccessExclusiveLock' and relation = '\"{table}\"'::regclass"
    );
    eventually("the table is held", async || !testing::told(&house.reads, &locked).await.is_empty()).await;
    let late = async || match house.ask(&tenant, "howMany", json!({})).await {
        Err(error @ Error::Late { .. }) => {
            assert_eq!(error.code(), Code::Timeout);
            true
        }
        Err(Error::Unavailable { .. }) | Ok(_) => false,
        Err(other) => panic!("{other}"),
    };
    // Each of them finds a place: those before it have given theirs back, though the database is still silent.
    for _ in 0..3 {
        eventually("it waits for the database, and not for a place", &late).await;
    }
    Postgres::shared().cut(&house.reads).await;
    assert!(holder.await.is_err(), "whoever held the table was cut off");
    eventually("it is answered again", async || house.ask(&tenant, "howMany", json!({})).await.is_ok()).await;
    house.engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_index_serves_is_told_when_a_plugin_is_checked_deployed_and_listed() {
    let reads = "it reads all of a tenant's rows, unless Note has an index [words]";
    let expected = [
        format!("the query notesInOrder puts rows of Note by words, and no index begins like that: {reads}"),
        "the query notesLike looks for a text within words of Note, which no index helps with: it reads all of a tenant's \
         rows, unless words is one of those that Note is searched by"
            .to_owned(),
        format!("the query notesThatAre looks for rows of Note by words, and no index begins like that: {reads}"),
    ];
    let server = Server::start(&[]).await;
    let file = server.data().join("asking.wasm");
    std::fs::write(&file, component("asking")).unwrap();
    let run = |arguments: &[&str]| {
        let output = yado().args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (file, data, url) = (file.to_str().unwrap(), server.data(), server.url());
    let remote = ["--server", &url, "--data", data.to_str().unwrap()];
    for told in [
        run(&["plugin", "check", file]),
        run(&[&["plugin", "deploy", file], &remote[..]].concat()),
        run(&[&["plugin", "list"], &remote[..]].concat()),
    ] {
        let advice: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("  advice: ")).collect();
        assert_eq!(advice, expected, "{told}");
    }
    let log = server.whole_log().await;
    for advice in &expected {
        assert_eq!(log.matches(advice.as_str()).count(), 1, "{log}");
    }
    let token = std::fs::read_to_string(data.join("admin-token")).unwrap();
    let list = reqwest::Client::new().get(format!("{url}/admin/plugins")).bearer_auth(token.trim());
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    let first = json!({
        "of": "the query notesInOrder", "readModel": "Note", "columns": ["words"], "message": expected[0],
    });
    assert_eq!(list["plugins"][0]["advice"][0], first, "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_searched_for_is_advised_against_where_no_index_serves_it() {
    let search = "the search in UserAccount is served by no index of this database: it reads all of a tenant's rows, which \
                  is slow beyond some ten thousand of them; PostgreSQL with pg_trgm has one";
    for (postgres, expected) in [(false, &[search][..]), (true, &[])] {
        let house = House::with(postgres, patient()).await;
        for _ in 0..2 {
            // The second time it runs already, and is told the same.
            let deployment = house.engine.deploy(component("accounts")).await.unwrap();
            let told: Vec<_> = deployment.advice.iter().map(ToString::to_string).collect();
            assert_eq!(told, expected);
        }
        assert_eq!(house.engine.advice("accounts").await.len(), expected.len());
        house.engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_pages_and_counts_is_shown_like_any_rows() {
    let server = Server::start(&[("asking", &component("asking"))]).await;
    let client = server.client();
    for words in ["cherry", "apple", "banana"] {
        client.ask("mutation($w: String!) { writeNote(input: { words: $w }) { id } }", json!({ "w": words })).await;
    }
    let query = "query($f: String, $c: String, $p: PartInput) { \
                 notesByPage(from: $f, containing: $c, part: $p) { total first { words } notes { words __typename } } }";
    eventually("all are shown", async || client.ask(query, json!({})).await["notesByPage"]["total"] == 3).await;
    for (variables, first, words, total) in [
        (json!({ "f": null, "p": null }), "apple", vec!["apple", "banana"], 3),
        (json!({ "p": { "page": 2, "size": 2 } }), "apple", vec!["cherry"], 3),
        (json!({ "f": "b", "c": "an" }), "banana", vec!["banana"], 1),
    ] {
        let found = client.ask(query, variables.clone()).await;
        let notes: Vec<_> = words.iter().map(|words| json!({ "words": words, "__typename": "Note" })).collect();
        let expected = json!({ "total": total, "first": { "words": first }, "notes": notes });
        assert_eq!(found["notesByPage"], expected, "{variables}");
    }
    let refused = client.send(query, json!({ "p": { "page": 0, "size": 2 } })).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{refused}");
    assert_eq!(refused["errors"][0]["extensions"]["fields"][0]["path"], "part.page", "{refused}");
    let rejected = client.send(query, json!({ "p": { "page": 9, "size": 2 } })).await;
    assert_eq!(rejected["errors"][0]["extensions"]["code"], "REJECTED", "{rejected}");
    assert_eq!(rejected["errors"][0]["extensions"]["reason"], "no_such_page", "{rejected}");
}
