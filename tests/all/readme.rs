//! The README's tables for operators, held against what the server has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use yado_model::Code;

use crate::support::{Server, component, yado};

const README: &str = include_str!("../../README.md");

/// What stands between backticks in the first column of tables, where it begins with this.
fn listed(beginning: &str) -> impl Iterator<Item = &'static str> {
    let first_columns = README.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    first_columns
        .flat_map(|column| column.split('`').skip(1).step_by(2))
        .filter(move |quoted| quoted.starts_with(beginning))
}

/// The names of a figure's labels, as in `name{one,other="value"}`.
fn labels(figure: &str) -> (String, BTreeSet<String>) {
    let (name, labels) = figure.split_once('{').unwrap_or((figure, ""));
    let labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split('=').next());
    (name.to_owned(), labels.filter(|label| !label.is_empty()).map(str::to_owned).collect())
}

/// The figures that a server has, with the names of their labels.
fn shown(metrics: &str) -> BTreeMap<String, BTreeSet<String>> {
    let kinds = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let mut figures: BTreeMap<String, BTreeSet<String>> =
        kinds.map(|(name, _)| (name.to_owned(), BTreeSet::new())).collect();
    for sample in metrics.lines().filter(|line| !line.starts_with('#')) {
        let Some((figure, _)) = sample.rsplit_once(' ') else { continue };
        let (name, mut labels) = labels(figure);
        // The samples of a distribution have names of their own, and say which part of it they are.
        let of = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        labels.remove("le");
        let of = of.filter(|name| figures.contains_key(*name)).unwrap_or(&name);
        figures.get_mut(of).unwrap_or_else(|| panic!("{sample} has no type")).extend(labels);
    }
    figures
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readme_lists_every_figure_with_its_labels_and_no_other() {
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    let client = server.client();
    client.product("Pen").await;
    client.ask("{ products { id } }", json!({})).await;
    let metrics = reqwest::get(format!("{}/metrics", server.url())).await.unwrap().text().await.unwrap();
    let mut listed: BTreeMap<_, _> = listed("yado_").map(labels).collect();
    for (name, labels) in shown(&metrics) {
        assert_eq!(listed.remove(&name), Some(labels), "{name} is not listed, or not with these labels");
    }
    assert!(listed.is_empty(), "there is no {listed:?}");
}

#[test]
fn the_readme_lists_every_code_and_no_other() {
    let is_code = |quoted: &&str| quoted.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let listed: BTreeSet<&str> = listed("").filter(is_code).collect();
    assert_eq!(listed, Code::ALL.map(Code::as_str).into_iter().collect());
}

#[test]
fn every_limit_that_the_readme_names_is_one() {
    let help = yado().args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let named = README.split(['`', ' ', '\n']).filter(|word| word.starts_with("--limits-"));
    let named: BTreeSet<&str> = named.collect();
    assert!(named.len() > 5);
    for flag in named {
        assert!(help.contains(&format!("{flag} ")), "there is no {flag}");
    }
}
