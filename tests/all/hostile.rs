//! Guests that misbehave, and what becomes of their neighbours.

use serde_json::json;

use crate::support::{Server, component};

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
    // The operator is told what the caller is not.
    assert!(server.log().contains("I was provoked"), "{}", server.log());
    // The same guest still answers those who don't provoke it, and shows that nothing was written.
    let behaved = client.ask("mutation { behave { revision position } }", json!({})).await;
    assert_eq!(behaved["behave"]["revision"], 1);
    // A category, its product, one rename for each provocation, and this.
    assert_eq!(behaved["behave"]["position"].to_string(), (2 + PROVOCATIONS.len() + 1).to_string());
}
