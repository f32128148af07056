//! Finds the component of the package under test, and has it built if it is not up to date.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use std::{env, io};

/// Folders with plugins that are up to date, separated as in `PATH`. Who has just built them all sets it, and saves each
/// test the question.
const READY: &str = "YADO_TEST_PLUGINS";

/// Where `cargo xtask plugins` puts what it builds: plugins, and guests that only tests want.
const SHELVES: [&str; 2] = ["plugins", "test-guests"];

/// The path of an up-to-date component.
pub(super) fn component() -> Result<PathBuf, String> {
    let variable = |name: &str| env::var_os(name).ok_or_else(|| format!("{name} is not set: run this by `cargo test`"));
    let package = variable("CARGO_PKG_NAME")?.to_string_lossy().into_owned();
    let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let file = format!("{package}.wasm");
    if let Some(ready) = env::var_os(READY) {
        let found = env::split_paths(&ready).map(|folder| folder.join(&file)).find(|path| path.is_file());
        return found.ok_or_else(|| format!("there is no {file} in {}, which {READY} names", ready.display()));
    }
    let target = target()?;
    let guests = target.join("guests");
    // Tests run side by side, in threads and in processes. One builds; the others wait, and find it done.
    let lock = lock(&guests).map_err(|error| format!("{} can't be locked: {error}", guests.display()))?;
    let shelved = || {
        let mut paths = SHELVES.iter().map(|shelf| target.join(shelf).join(&file));
        paths.find(|path| path.is_file()).ok_or_else(|| format!("{file} is not built"))
    };
    if let Err(reason) = shelved().and_then(|component| up_to_date(&component, &guests, &package, &folder)) {
        build(&target, &folder, &package).map_err(|error| format!("{reason}, and {error}"))?;
    }
    let component = shelved();
    drop(lock);
    component
}

/// The folder that cargo builds into, which it has marked. The program that runs is somewhere below.
fn target() -> Result<PathBuf, String> {
    let program = env::current_exe().map_err(|error| format!("the path of this test is not known: {error}"))?;
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.map(Path::to_owned).ok_or_else(|| format!("{} is not in a target folder of cargo", program.display()))
}

fn lock(guests: &Path) -> io::Result<File> {
    fs::create_dir_all(guests)?;
    let lock = File::create(guests.join("tests.lock"))?;
    lock.lock()?;
    Ok(lock)
}

/// Whether the component was built after the last change to anything it is made of; if not, why.
fn up_to_date(component: &Path, guests: &Path, package: &str, folder: &Path) -> Result<(), String> {
    let stale = |what: &Path| format!("{} is older than {}", component.display(), what.display());
    let built = modified(&guests.join(format!("{package}.built"))).ok_or_else(|| stale(Path::new("its sources")))?;
    // Cargo writes down what it has read, all of the workspace's crates included.
    let list = guests.join("wasm32-unknown-unknown/guest").join(format!("{}.d", package.replace('-', "_")));
    let list = fs::read_to_string(list).map_err(|_| stale(Path::new("its sources")))?;
    let manifests = folder.ancestors().flat_map(|folder| [folder.join("Cargo.toml"), folder.join("Cargo.lock")]);
    let changed = |source: &PathBuf| modified(source).is_some_and(|changed| changed > built);
    match sources(&list).chain(manifests).find(changed) {
        Some(source) => Err(stale(&source)),
        None => Ok(()),
    }
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

/// The paths after the colon. A blank that belongs to a path has a backslash before it.
fn sources(list: &str) -> impl Iterator<Item = PathBuf> {
    let paths = list.lines().next().and_then(|line| line.split_once(": ")).map_or("", |(_, paths)| paths);
    let marked = paths.replace("\\ ", "\0");
    marked.split_whitespace().map(|path| PathBuf::from(path.replace('\0', " "))).collect::<Vec<_>>().into_iter()
}

fn build(target: &Path, folder: &Path, package: &str) -> Result<(), String> {
    let has_xtask = |folder: &&Path| {
        fs::read_to_string(folder.join(".cargo/config.toml")).is_ok_and(|config| config.contains("xtask"))
    };
    let Some(root) = folder.ancestors().find(has_xtask) else {
        return Err(format!(
            "this workspace has no `cargo xtask plugins`: build {package} for wasm32-unknown-unknown and set {READY} to \
             the folder of {package}.wasm"
        ));
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).env("CARGO_TARGET_DIR", target).args(["xtask", "plugins", package]);
    // What cargo tells a test of itself is about the package under test, and would mislead the one that runs now.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
            cargo.env_remove(name);
        }
    }
    let output = cargo.output().map_err(|error| format!("cargo can't be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("`cargo xtask plugins {package}` failed:\n{}{}", text(&output.stdout), text(&output.stderr)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_list_of_sources_is_read_with_blanks_in_paths() {
        let list = "/t/catalog.wasm: /a/lib.rs /b\\ c/product.rs\n\n/a/lib.rs:\n";
        assert_eq!(sources(list).collect::<Vec<_>>(), [PathBuf::from("/a/lib.rs"), PathBuf::from("/b c/product.rs")]);
        assert_eq!(sources("").count(), 0);
    }
}
