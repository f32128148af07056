//! What holds the house together, and what a compiler does not see.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The files of a folder and its folders, but for what is built.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with("node_modules") {
                files(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

fn texts(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(&root().join(folder), &mut found);
    found
        .into_iter()
        .filter_map(|path| {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            Some((name, std::fs::read_to_string(&path).ok()?))
        })
        .collect()
}

/// The crates that a manifest names, by the tables of its dependencies: for all machines, and for some.
fn dependencies(manifest: &str, tables: &[&str]) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(manifest).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let some = targets.into_iter().flat_map(|targets| targets.values()).filter_map(toml::Value::as_table);
    let places = some.chain([&manifest]);
    let found = places.flat_map(|place| tables.iter().filter_map(|table| place.get(*table)?.as_table()));
    found.flat_map(|table| table.keys().cloned()).collect()
}

#[test]
fn dependencies_point_one_way() {
    let may_use = [
        ("host/model", &[][..]),
        ("host/store", &["yado-model"]),
        ("host/runtime", &["yado-model"]),
        ("host/engine", &["yado-model", "yado-runtime", "yado-store"]),
        ("host/graphql", &["yado-engine", "yado-model"]),
        ("host/server", &["yado-engine", "yado-graphql", "yado-model", "yado-runtime", "yado-store"]),
        ("host/xtask", &[]),
        ("plugins/sdk-macros", &[]),
        ("plugins/sdk", &["yado-sdk-macros", "yado-model", "yado-runtime"]),
    ];
    for (folder, allowed) in may_use {
        let used = dependencies(folder, &["dependencies", "build-dependencies"]);
        let ours: Vec<_> = used.iter().filter(|name| name.starts_with("yado-")).collect();
        assert!(ours.iter().all(|name| allowed.contains(&name.as_str())), "{folder} depends on {ours:?}");
    }
}

/// The folders of all members of the workspace: every folder with a manifest but the root's own.
fn members() -> Vec<String> {
    let mut found = Vec::new();
    files(&root(), &mut found);
    let manifests = found.iter().filter(|path| path.ends_with("Cargo.toml")).filter_map(|path| path.parent());
    let folders =
        manifests.filter_map(|folder| folder.strip_prefix(root()).ok()).map(|folder| folder.display().to_string());
    // The bench's peers are a workspace of their own: they are other systems.
    let members: Vec<String> =
        folders.filter(|folder| !folder.is_empty() && !folder.starts_with("tests/bench/peers")).collect();
    assert!(members.iter().any(|folder| folder == "host/store"), "{members:?}");
    members
}

#[test]
fn each_engine_is_known_to_one_crate() {
    let keepers = [
        ("wasmtime", "host/runtime"),
        ("wit-component", "host/runtime"),
        ("wit-bindgen", "plugins/sdk"),
        ("sqlx", "host/store"),
        ("rusqlite", "host/store"),
        ("postgres-protocol", "host/store"),
        ("async-graphql", "host/graphql"),
        ("async-graphql-value", "host/graphql"),
        ("prost", "host/grpc"),
        ("tonic", "host/grpc"),
    ];
    for folder in members() {
        let used = dependencies(&folder, &["dependencies", "dev-dependencies", "build-dependencies"]);
        for (engine, keeper) in keepers {
            // The runtime's own tests make guests.
            let own = folder == keeper || (folder == "host/runtime" && engine == "wit-bindgen");
            assert!(own || !used.contains(engine), "{folder} names {engine}, which is for {keeper} alone");
        }
    }
}

#[test]
fn the_host_names_no_example_domain() {
    // Words that only an example domain has, in all their forms. A host that knows one of them has a special case.
    let domains = ["catalog", "categor", "ordering_", "useraccount", "shipment", "payment", "product"];
    // English, and the engine's own words, that have nothing to do with the domains.
    let innocent = ["catalogue", "pg_catalog", "production", "productive"];
    let mut found = Vec::new();
    for (name, text) in texts("host") {
        for (number, line) in text.lines().enumerate() {
            let mut line = line.to_lowercase();
            innocent.iter().for_each(|word| line = line.replace(word, ""));
            if domains.iter().any(|word| line.contains(word)) {
                found.push(format!("{name}:{}: {line}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "example domains are named in {found:#?}");
}

#[test]
fn the_top_level_holds_what_the_plan_lists() {
    let planned = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "deny.toml",
        "clippy.toml",
        "rustfmt.toml",
        "wit",
        "proto",
        "migrations",
        "host",
        "plugins",
        "tests",
        // What is built, and where the server keeps its data when it is tried out.
        "target",
        "data",
    ];
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.starts_with('.') || planned.contains(&name.as_str()), "{name} is not in the plan of the house");
    }
}

#[test]
fn files_hold_one_idea() {
    let mut long = Vec::new();
    for folder in ["host", "plugins", "tests"] {
        for (name, text) in texts(folder) {
            let lines = text.lines().count();
            if name.ends_with(".rs") && lines > 600 {
                long.push(format!("{name}: {lines} lines"));
            }
        }
    }
    assert!(long.is_empty(), "look for the second idea in {long:#?}");
}

#[test]
fn every_item_of_the_guest_contract_is_documented() {
    let text = std::fs::read_to_string(root().join("wit/yado.wit")).unwrap();
    let mut undocumented = Vec::new();
    let mut documented = false;
    for line in text.lines().map(str::trim) {
        let item =
            ["record ", "variant ", "enum ", "interface ", "world ", "type "].iter().any(|k| line.starts_with(k))
                || line.contains(": func(")
                || (line.ends_with(',') && line.contains(": ") && !line.starts_with("///"));
        if item && !documented {
            undocumented.push(line.to_owned());
        }
        documented = line.starts_with("///");
    }
    assert!(undocumented.is_empty(), "items of the contract without a description: {undocumented:#?}");
}

/// What a statement looks at stays locked until the statement ends. A second look at the same thing waits for whoever wants
/// to change it, who waits for the first: both threads then stand for good, and all who look after them. This finds two
/// looks that are written in one statement, and not one that a function takes or that a `match` keeps.
#[test]
fn no_statement_is_written_with_two_looks_at_what_is_locked() {
    let looks = [".borrow()", ".borrow_and_update()", ".lock()"];
    let mut found = Vec::new();
    for (name, text) in texts("host").into_iter().filter(|(name, _)| name.ends_with(".rs")) {
        let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        for statement in code.join("\n").split([';', '{', '}']) {
            if looks.iter().map(|look| statement.matches(look).count()).sum::<usize>() > 1 {
                found.push(format!("{name}: {}", statement.trim()));
            }
        }
    }
    assert!(found.is_empty(), "look once, and keep what was seen: {found:#?}");
}
