//! The schemas of the example plugins, as they are committed: what a change does to an API is seen in the change.

use std::path::Path;

use crate::support::{Server, component};

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_of_each_example_plugin_is_as_committed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // The others are what plugins are made with.
    for plugin in names.filter(|name| !name.starts_with("sdk")) {
        let server = Server::start(&[(&plugin, &component(&plugin))]).await;
        let answer = reqwest::get(format!("{}/graphql/schema.graphql", server.url())).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        insta::assert_snapshot!(plugin, answer.text().await.unwrap());
    }
}
