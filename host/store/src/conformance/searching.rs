//! Words that are looked for, and texts within texts.

use serde_json::{Value, json};
use yado_model::TenantId;

use super::fixtures::{name, put};
use crate::limits::{LONGEST_NEEDLE, MOST_WORDS};
use crate::{Column, Error, Filter, Kind, Op, ReadStore, Result, Select, Table};

/// People, who are searched by both of their names, and not by their notes.
fn people() -> Table {
    let column = |text: &str, nullable| Column { name: name(text), kind: Kind::Text, nullable };
    Table {
        name: "rm_people".into(),
        columns: vec![column("id", false), column("first", true), column("last", false), column("note", true)],
        key: name("id"),
        indexes: vec![vec![name("note")]],
        unique: vec![],
        search: vec![name("last"), name("first")],
    }
}

async fn filled(store: &dyn ReadStore) {
    store.ensure_table(&people()).await.unwrap();
    let rows = [
        ("a", json!("太郎"), "山田", json!("ＶＩＰ")),
        ("b", json!("Straſſe"), "Ω Σίσυφος", json!("100% vip_ \\o/")),
        ("c", json!("Ｊｏｈｎ"), "O'Brien-Éluard", json!("Vip")),
        ("d", json!(null), "ﬁnn", json!(null)),
        ("e", json!("花子"), "ﾔﾏﾀﾞ", json!("")),
    ];
    let rows = rows.map(|(id, first, last, note)| json!({ "id": id, "first": first, "last": last, "note": note }));
    put(store, &people(), rows).await;
}

async fn select(store: &dyn ReadStore, filter: Filter) -> Result<String> {
    let select = Select { filter: Some(filter.clone()), ..Select::page(100) };
    let rows = store.select(&people(), &TenantId::default(), &select).await?.into_maps()?;
    // A row alone tells the same.
    let all = store.select(&people(), &TenantId::default(), &Select::page(100)).await?.into_maps()?;
    let matching = all.iter().filter(|row| filter.matches(&people(), row).unwrap()).collect::<Vec<_>>();
    assert_eq!(matching, rows.iter().collect::<Vec<_>>(), "{filter:?}");
    Ok(rows.iter().map(|row| row["id"].as_str().unwrap()).collect())
}

pub async fn each_word_of_a_search_is_in_some_of_the_fields(store: &dyn ReadStore) {
    filled(store).await;
    for (text, found) in [
        ("山田", "a"),
        ("山田 太郎", "a"),
        ("太郎　山", "a"),
        ("山田 花子", ""),
        ("ヤマダ", "e"),
        ("やまだ", ""),
        ("STRASSE", "b"),
        ("σίσυφοσ", "b"),
        ("ΣΊΣΥΦΟΣ stra", "b"),
        ("john brien", "c"),
        ("e\u{301}LUARD", "c"),
        ("FIN", "d"),
        ("vip", ""),
        ("", "abcde"),
        (" \t ", "abcde"),
        ("o'b' or true --", ""),
        ("%", ""),
        ("_", ""),
    ] {
        assert_eq!(select(store, Filter::search(text)).await.unwrap(), found, "{text}");
    }
    let not = Filter::Not(Box::new(Filter::search("john")));
    assert_eq!(select(store, not).await.unwrap(), "abde");
    // A word may be part of a word, and have spaces in it, too.
    let words = |words: &[&str]| Filter::Search { words: words.iter().map(ToString::to_string).collect() };
    assert_eq!(select(store, words(&["ω σ", ""])).await.unwrap(), "b");
}

pub async fn a_search_that_can_not_be_is_refused(store: &dyn ReadStore) {
    filled(store).await;
    let words = |count: usize, word: &str| Filter::Search { words: vec![word.to_owned(); count] };
    for (filter, says) in [
        (words(MOST_WORDS + 1, "a"), "words"),
        (words(1, &"a".repeat(LONGEST_NEEDLE + 1)), "bytes"),
        (words(2, &"a".repeat(LONGEST_NEEDLE / 2 + 1)), "bytes"),
        (words(1, "a\0"), "NUL"),
    ] {
        match select(store, filter).await {
            Err(Error::Invalid(reason)) => assert!(reason.contains(says), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(select(store, words(MOST_WORDS, "a")).await.unwrap(), "bc");
    let table = Table { name: "rm_plain".into(), search: vec![], ..people() };
    store.ensure_table(&table).await.unwrap();
    let plain = Select { filter: Some(Filter::search("a")), ..Select::page(1) };
    let error = store.select(&table, &TenantId::default(), &plain).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid(reason) if reason.contains("rm_plain")), "{error}");
}

pub async fn what_is_not_searched_is_looked_through_as_it_is(store: &dyn ReadStore) {
    filled(store).await;
    let note = |op, value: &str| Filter::Compare { field: "note".into(), op, value: Value::from(value) };
    let last = |op, value: &str| Filter::Compare { field: "last".into(), op, value: Value::from(value) };
    for (filter, found) in [
        (note(Op::Contains, "vip"), "b"),
        (note(Op::Contains, "ip"), "bc"),
        (note(Op::Contains, "ＩＰ"), "a"),
        (note(Op::Contains, ""), "abce"),
        (note(Op::StartsWith, ""), "abce"),
        (note(Op::EndsWith, ""), "abce"),
        (note(Op::StartsWith, "V"), "c"),
        (note(Op::StartsWith, "100% vip_ \\"), "b"),
        (note(Op::StartsWith, "100_"), ""),
        (note(Op::StartsWith, "\u{10ffff}"), ""),
        (note(Op::EndsWith, "\\o/"), "b"),
        (note(Op::EndsWith, "%/"), ""),
        (note(Op::EndsWith, "Longer than any of them"), ""),
        (note(Op::EndsWith, "ＩＰ"), "a"),
        (last(Op::StartsWith, "o'"), "c"),
        (last(Op::StartsWith, "FI"), "d"),
        (last(Op::EndsWith, "éluard"), "c"),
        (last(Op::EndsWith, "ΦΟΣ"), "b"),
        (last(Op::Contains, "ダ"), "e"),
        (last(Op::Contains, "%"), ""),
        (last(Op::EndsWith, "_"), ""),
    ] {
        assert_eq!(select(store, filter.clone()).await.unwrap(), found, "{filter:?}");
    }
}
