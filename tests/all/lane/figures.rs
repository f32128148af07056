//! What an operator sees of all this.

use crate::support::Server;

use super::*;

/// The value of a figure, if it is there.
fn value(figures: &str, name: &str) -> Option<f64> {
    figures.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[tokio::test]
async fn the_figures_tell_what_commands_came_to() {
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    let client = server.client();
    client.product("Pen").await;
    client.send("mutation { deleteCategory(input: { id: \"nothing\" }) { id } }", json!({})).await;
    let mut figures = String::new();
    eventually("the read models have caught up", async || {
        let answer = reqwest::get(format!("{}/metrics", server.url())).await.unwrap();
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
        figures = answer.text().await.unwrap();
        let lags = figures.lines().filter(|line| line.starts_with("yado_projection_lag_events{"));
        let lags: Vec<&str> = lags.filter_map(|line| line.rsplit(' ').next()).collect();
        lags.len() >= 2 && lags.iter().all(|lag| *lag == "0")
    })
    .await;
    assert_eq!(value(&figures, "yado_commands_total{outcome=\"ok\"}"), Some(2.0), "{figures}");
    assert_eq!(value(&figures, "yado_commands_total{outcome=\"not_found\"}"), Some(1.0), "{figures}");
    assert_eq!(value(&figures, "yado_log_head"), Some(2.0), "{figures}");
    assert_eq!(value(&figures, "yado_flush_events_sum"), Some(2.0), "{figures}");
    assert_eq!(value(&figures, "yado_flushes_total"), value(&figures, "yado_flush_seconds_count"), "{figures}");
    assert!(value(&figures, "yado_feed_events_total{from=\"memory\"}") >= Some(2.0), "{figures}");
    // Each says what it means.
    for line in figures.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(figures.contains(&format!("# HELP {name} ")), "{name} says nothing of itself");
    }
}
