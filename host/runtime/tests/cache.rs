//! Compiled code survives a restart, and nothing that happens to the cache does harm.

#![allow(clippy::unwrap_used, reason = "the lint lets tests unwrap, but not the functions that they share")]

mod guest;

use std::fs;
use std::path::{Path, PathBuf};

use yado_runtime::{Limits, Origin, Runtime, Settings};

use guest::{COUNT, Guest};

/// Loads a plugin in a runtime of its own, as after a restart, and sees that it works.
fn load(cache: &Path, guest: &Guest) -> Origin {
    load_with(cache, guest, Limits::default())
}

fn load_with(cache: &Path, guest: &Guest, limits: Limits) -> Origin {
    let settings = Settings { cache: Some(cache.to_owned()), limits, ..Settings::default() };
    let plugin = Runtime::new(settings).unwrap().load(&guest.module()).unwrap();
    guest::calls::decide(&plugin).unwrap().unwrap();
    plugin.loaded_from()
}

fn entries(cache: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

#[test]
fn a_second_start_does_not_compile() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("deep/cache");
    assert_eq!(load(&cache, &Guest::counter()), Origin::Compiled);
    assert_eq!(load(&cache, &Guest::counter()), Origin::Cached);
    assert_eq!(entries(&cache).len(), 1, "nothing unfinished is left behind");
}

#[test]
fn without_a_folder_everything_is_compiled() {
    let runtime = Runtime::new(Settings::default()).unwrap();
    let module = Guest::counter().module();
    assert_eq!(runtime.load(&module).unwrap().loaded_from(), Origin::Compiled);
    assert_eq!(runtime.load(&module).unwrap().loaded_from(), Origin::Compiled);
}

#[test]
fn a_damaged_entry_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), &Guest::counter());
    let entry = entries(folder.path()).remove(0);
    let sound = fs::read(&entry).unwrap();
    let flipped = |at: usize| {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        bytes
    };
    let damaged = [
        vec![],
        b"not compiled code".to_vec(),
        sound[..40].to_vec(),
        sound[..sound.len() / 2].to_vec(),
        sound[..sound.len() - 1].to_vec(),
        [sound.as_slice(), b"more"].concat(),
        flipped(0),
        flipped(20),
        flipped(60),
        flipped(sound.len() / 2),
        flipped(sound.len() - 1),
    ];
    for bytes in damaged {
        fs::write(&entry, &bytes).unwrap();
        assert_eq!(load(folder.path(), &Guest::counter()), Origin::Compiled);
        assert_eq!(load(folder.path(), &Guest::counter()), Origin::Cached);
    }
}

#[test]
fn an_entry_of_another_plugin_is_not_mistaken() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), &Guest::counter());
    let first = entries(folder.path()).remove(0);
    load(folder.path(), &Guest::deciding(COUNT));
    let second = entries(folder.path()).into_iter().find(|entry| *entry != first).unwrap();
    fs::copy(&second, &first).unwrap();
    assert_eq!(load(folder.path(), &Guest::counter()), Origin::Compiled);
}

#[test]
fn other_settings_get_other_code() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), &Guest::counter());
    let fuelled = Limits { fuel: Some(1_000_000), ..Limits::default() };
    assert_eq!(load_with(folder.path(), &Guest::counter(), fuelled), Origin::Compiled);
    assert_eq!(load(folder.path(), &Guest::counter()), Origin::Cached);
    assert_eq!(entries(folder.path()).len(), 2);
}

#[test]
fn a_folder_that_cannot_be_written_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    assert_eq!(load(&file.join("cache"), &Guest::counter()), Origin::Compiled);
}

#[test]
fn what_is_refused_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { cache: Some(folder.path().to_owned()), ..Settings::default() };
    let liar = Guest { manifest: "{}".into(), ..Guest::counter() };
    Runtime::new(settings).unwrap().load(&liar.module()).unwrap_err();
    assert!(entries(folder.path()).is_empty());
}

#[test]
fn the_cache_does_not_grow_without_end() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..250 {
        fs::write(folder.path().join(format!("{number}.code")), "old").unwrap();
    }
    fs::write(folder.path().join("notes.txt"), "somebody's").unwrap();
    assert_eq!(load(folder.path(), &Guest::counter()), Origin::Compiled);
    assert_eq!(entries(folder.path()).len(), 201);
    assert!(folder.path().join("notes.txt").exists());
}
