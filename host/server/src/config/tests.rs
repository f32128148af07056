//! What wins over what, and that every key is a flag and a variable too.

use clap::{Args as _, Command};

use super::*;

fn keys(file: &str) -> Keys {
    toml::from_str(file).unwrap()
}

#[test]
fn without_any_source_everything_is_under_the_data_folder() {
    let config = Config::of(Keys::default()).unwrap();
    assert_eq!(config.data, Path::new("data"));
    assert_eq!(config.database_url.expose(), "sqlite:data/events.db");
    assert_eq!(config.read_database_url.expose(), "sqlite:data/reads.db");
    assert_eq!(config.guests.cache.as_deref(), Some(Path::new("data/cache")));
    assert_eq!(config.listen.to_string(), "127.0.0.1:4000");
    assert!(!config.plugins_asked_for);
}

#[test]
fn read_models_live_in_the_database_of_the_log_unless_they_have_their_own() {
    let config = Config::of(keys("database_url = 'postgres://db/yado'")).unwrap();
    assert_eq!(config.read_database_url.expose(), "postgres://db/yado");
    let config = Config::of(keys("database_url = 'postgres://db/yado'\nread_database_url = 'sqlite:r.db'")).unwrap();
    assert_eq!(config.read_database_url.expose(), "sqlite:r.db");
}

#[test]
fn the_upper_layer_wins_key_by_key() {
    let upper = keys("listen = '127.0.0.1:1'\n[guests]\ndecide_ms = 7");
    let lower = keys("listen = '127.0.0.1:2'\ndata = 'd'\n[guests]\ndecide_ms = 8\nproject_ms = 9");
    let config = Config::of(upper.over(lower)).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:1");
    assert_eq!(config.data, Path::new("d"));
    assert_eq!((config.guests.limits.decide_ms, config.guests.limits.project_ms), (7, 9));
    assert_eq!(config.guests.limits.memory_bytes, yado_runtime::Limits::default().memory_bytes);
}

#[test]
fn limits_that_contradict_each_other_are_refused() {
    let refused = Config::of(keys("[graphql]\npage_default = 20\npage_max = 10")).unwrap_err().to_string();
    assert!(refused.contains("[graphql]") && refused.contains("page_default"), "{refused}");
}

#[test]
fn what_is_printed_is_a_file_that_says_the_same() {
    let config = Config::of(keys(
        "cors_origins = ['http://localhost:5173']\n[guests]\nisolation = 'per-call'\nfuel = 5\n[limits]\nbatch = 3",
    ));
    let printed = config.unwrap().to_toml().unwrap();
    let again = Config::of(keys(&printed)).unwrap();
    assert_eq!(again.to_toml().unwrap(), printed);
    assert_eq!(again.guests.isolation, yado_runtime::Isolation::PerCall);
    assert_eq!((again.guests.limits.fuel, again.limits.batch), (Some(5), 3));
}

#[test]
fn what_is_printed_covers_passwords_and_tokens() {
    let config = Config::of(keys("database_url = 'postgres://ada:s3cret@db/yado'\nadmin_token = '0123456789abcdef'"));
    let printed = config.unwrap().to_toml().unwrap();
    assert!(!printed.contains("s3cret") && !printed.contains("0123456789abcdef"), "{printed}");
}

#[test]
fn every_key_is_a_flag_and_a_variable_of_its_name() {
    let command = Keys::augment_args(Command::new("yado"));
    let mut keys: Vec<String> = Keys::NAMES.iter().map(|name| (*name).to_owned()).collect();
    for (table, names) in Keys::TABLES {
        keys.extend(names.iter().map(|name| format!("{table}_{name}")));
    }
    for key in &keys {
        let flag = key.replace('_', "-");
        let argument = command.get_arguments().find(|argument| argument.get_long() == Some(&flag));
        let argument = argument.unwrap_or_else(|| panic!("there is no --{flag}"));
        let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned());
        assert_eq!(variable, Some(format!("YADO_{}", key.to_uppercase())));
    }
    assert_eq!(command.get_arguments().count(), keys.len());
}

#[test]
fn every_name_is_a_key_that_the_file_may_have() {
    let printed: toml::Table =
        toml::from_str(&Config::of(keys("[guests]\nfuel = 1")).unwrap().to_toml().unwrap()).unwrap();
    for (table, names) in Keys::TABLES {
        let mut found: Vec<&str> = printed[*table].as_table().unwrap().keys().map(String::as_str).collect();
        let mut names = names.to_vec();
        found.sort_unstable();
        names.sort_unstable();
        assert_eq!(found, names);
    }
}

/// The names of a struct's fields, as `Debug` shows them.
fn fields(shown: &impl std::fmt::Debug) -> Vec<String> {
    let shown = format!("{shown:#?}");
    let outermost = shown.lines().filter_map(|line| line.strip_prefix("    ").filter(|line| !line.starts_with(' ')));
    outermost.filter_map(|line| Some(line.split_once(": ")?.0.to_owned())).collect()
}

#[test]
fn every_limit_of_every_part_is_a_key() {
    let config = Config::of(Keys::default()).unwrap();
    for (table, fields) in [
        ("http", fields(&config.http)),
        ("database", fields(&config.database)),
        ("guests", fields(&config.guests.limits)),
        ("graphql", fields(&config.graphql)),
        ("limits", fields(&config.limits)),
    ] {
        let (_, names) = Keys::TABLES.iter().find(|(name, _)| *name == table).unwrap();
        let missing: Vec<_> = fields.iter().filter(|field| !names.contains(&field.as_str())).collect();
        assert!(fields.len() > 1 && missing.is_empty(), "[{table}] has no keys for {missing:?}");
    }
}

#[test]
fn the_readme_lists_every_key_for_the_api_and_for_databases_with_its_default() {
    let readme = include_str!("../../../../README.md");
    let printed: toml::Table = toml::from_str(&Config::of(Keys::default()).unwrap().to_toml().unwrap()).unwrap();
    let command = Keys::augment_args(Command::new("yado"));
    for table in ["graphql", "database"] {
        let heading = format!("| key of `[{table}]` |");
        let listed = readme.lines().skip_while(|line| !line.starts_with(&heading)).skip(2);
        let listed: Vec<&str> = listed.take_while(|line| line.starts_with('|')).collect();
        let (_, names) = Keys::TABLES.iter().find(|(known, _)| *known == table).unwrap();
        let row = |name: &&str| {
            let flag = format!("{table}-{}", name.replace('_', "-"));
            let argument = command.get_arguments().find(|argument| argument.get_long() == Some(&flag)).unwrap();
            format!("| `{name}` | {} | {}. |", printed[table][*name], argument.get_help().unwrap())
        };
        let expected: Vec<String> = names.iter().map(row).collect();
        assert_eq!(listed, expected, "the README is to have\n{}", expected.join("\n"));
    }
}
