//! Guests that misbehave, and what becomes of their neighbours.

use serde_json::{Value, json};

use crate::support::{Server, component, eventually, yado};

/// What the rogue can be provoked to.
const PROVOCATIONS: [&str; 7] =
    ["provokeLoop", "provokeTrap", "provokePanic", "provokeHoard", "provokeRecursion", "provokeBabble", "provokeLie"];

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_misbehaves_harms_nobody_and_writes_nothing() {
    let server = Server::start(&[("catalog", &component("catalog")), ("rogue", &component("rogue"))]).await;
    let client = server.client();
    let (category, _) = client.product("Pen").await;
    for provocation in PROVOCATIONS {
        let document = format!("mutation {{ {provocation} {{ id }} }}");
        let rename = "mutation($i: ID!, $n: String!) { updateCategory(input: { id: $i, name: $n }) { name } }";
        let (provoked, neighbour) = tokio::join!(
            client.send(&document, json!({})),
            client.send(rename, json!({ "i": category, "n": provocation })),
        );
        let error = &provoked["errors"][0];
        assert_eq!(error["extensions"]["code"], "PLUGIN_FAULT", "{provocation}: {provoked}");
        assert!(!error["message"].as_str().unwrap().contains("wasm"), "{error}");
        assert_eq!(neighbour["data"]["updateCategory"]["name"], provocation, "{neighbour}");
    }
    eventually("the operator is told what the caller is not", async || server.log().contains("I was provoked")).await;
    // The same guest still answers those who don't provoke it, and shows that nothing was written.
    let behaved = client.ask("mutation { behave { revision position } }", json!({})).await;
    assert_eq!(behaved["behave"]["revision"], 1);
    // A category, its product, one rename for each provocation, and this.
    assert_eq!(behaved["behave"]["position"].to_string(), (2 + PROVOCATIONS.len() + 1).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_a_projection_cannot_stand_holds_up_its_stream_alone_until_other_code_can() {
    let server = Server::start(&[("catalog", &component("catalog")), ("rogue", &component("rogue"))]).await;
    let client = server.client();
    client.ask("mutation { behave { id } }", json!({})).await;
    client.ask("mutation { provokePoison { id } }", json!({})).await;
    let health =
        async || -> Value { reqwest::get(format!("{}/health", server.url())).await.unwrap().json().await.unwrap() };
    let saying = async || {
        let checks = health().await["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["name"] == "projection Saying").unwrap()
    };
    eventually("health tells of the stream", async || saying().await.to_string().contains("a stream is parked")).await;
    assert_eq!(saying().await["ok"], false);
    // What the guest said is for the log and the operator, and not for everybody.
    assert!(!health().await.to_string().contains("stand this"), "{}", health().await);
    eventually("the log has what the guest said", async || server.log().contains("stand this")).await;
    // The neighbours' read models go on, and so do the rogue's own with other streams.
    client.product("Pen").await;
    client.ask("mutation { behave { id } }", json!({})).await;
    let words = async |document: &str| client.send(document, json!({})).await["data"]["sayings"].clone();
    let count = async || words("{ sayings { words } }").await.as_array().map_or(0, Vec::len);
    eventually("the others are shown", async || count().await == 2).await;

    dead_letters(&server).await;

    // Code that can stand it takes over, and shows all of it.
    server.put_plugin("rogue", &component("rogue-next"));
    let words = async || words("{ sayings { words length } }").await;
    eventually("all three are shown", async || words().await.as_array().is_some_and(|all| all.len() == 3)).await;
    assert_eq!(words().await[1], json!({ "words": "poison", "length": 6 }));
    eventually("health is good again", async || saying().await["ok"] == true).await;
}

/// What the operator sees of the poison, over HTTP and on the command line.
async fn dead_letters(server: &Server) {
    let token = std::fs::read_to_string(server.data().join("admin-token")).unwrap();
    let (http, base) = (reqwest::Client::new(), format!("{}/admin/dead-letters", server.url()));
    let get = async |path: &str| {
        let answer = http.get(format!("{base}{path}")).bearer_auth(token.trim()).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(http.get(&base).send().await.unwrap().status().as_u16(), 401);
    let (status, all) = get("").await;
    let letter = &all["deadLetters"][0];
    assert_eq!((status, &letter["id"], &letter["event"]), (200, &json!("Saying:2"), &json!("Said")), "{all}");
    assert_eq!(
        (&letter["attempts"], &letter["tenant"], &letter["plugin"]),
        (&json!(5), &json!("default"), &json!("rogue"))
    );
    assert!(letter["error"].as_str().unwrap().contains("stand this"), "{all}");
    let (status, one) = get("/Saying:2").await;
    assert_eq!((status, &one["payload"]), (200, &json!({ "words": "poison" })), "{one}");
    assert_eq!(get("/Saying:7").await.0, 404);
    assert_eq!(get("/nonsense").await.0, 422);
    let replay = http.post(format!("{base}/Saying:2/replay")).bearer_auth(token.trim());
    let replayed: Value = replay.send().await.unwrap().json().await.unwrap();
    assert_eq!((&replayed["replayed"], &replayed["deadLetter"]["attempts"]), (&json!(false), &json!(6)), "{replayed}");

    let run = |arguments: &[&str]| {
        let mut command = yado();
        command.arg("dead-letters").args(arguments).args(["--server", &server.url(), "--token", token.trim()]);
        let done = command.output().unwrap();
        let text = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (done.status.success(), text)
    };
    let (listed, text) = run(&["list"]);
    assert!(listed && text.starts_with("Saying:2: Said of Rogue-") && text.contains("tried 6 times"), "{text}");
    let (shown, text) = run(&["show", "Saying:2"]);
    assert!(shown && text.contains("\"words\": \"poison\""), "{text}");
    let (replayed, text) = run(&["replay", "Saying:2"]);
    assert!(!replayed && text.contains("it fails again") && text.contains("tried 7 times"), "{text}");
    assert!(!run(&["show", "Saying:7"]).0);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_cannot_stand_the_history_is_refused_and_leaves_nothing_behind() {
    let server = Server::start(&[("rogue", &component("rogue-next"))]).await;
    let client = server.client();
    client.ask("mutation { behave { id } say(input: { words: \"poison\" }) { id } }", json!({})).await;
    let token = std::fs::read_to_string(server.data().join("admin-token")).unwrap();
    let http = reqwest::Client::new();
    for _ in 0..2 {
        let deploy = http.post(format!("{}/admin/plugins", server.url())).bearer_auth(token.trim());
        let refused = deploy.body(component("rogue")).send().await.unwrap();
        assert_eq!(refused.status().as_u16(), 422);
        let refused: Value = refused.json().await.unwrap();
        assert!(refused["error"]["message"].as_str().unwrap().contains("position 2"), "{refused}");
    }
    let said = client.ask("mutation { behave { length } }", json!({})).await;
    assert_eq!(said["behave"]["length"], 16);
    assert_eq!(client.ask("{ sayings { length } }", json!({})).await["sayings"].as_array().unwrap().len(), 3);
}
