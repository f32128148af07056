//! `cargo xtask plugins [NAME…]`: builds guests and puts them where the host looks for them.
//!
//! Guests have a target folder of their own, so that their compiler does not wait for the host's, nor build what that
//! one has built. A plugin that comes out the same is left alone: a running host swaps what changes.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};
use std::{env, fs};

use crate::toolchain::{TARGET, Toolchain};
use crate::workspace::Workspace;
use crate::{Failure, say};

const PROFILE: &str = "guest";

/// Where guests come from, and where they go. What is on a server's shelf runs, so the guests of tests have their own.
struct Family {
    sources: &'static str,
    shelf: &'static str,
}

const PLUGINS: Family = Family { sources: "plugins", shelf: "plugins" };
const TEST_GUESTS: Family = Family { sources: "tests/guests", shelf: "test-guests" };

/// Builds the plugins of these names; all of them if there are none. Guests of tests are built when they are named.
pub(crate) fn run(workspace: &Workspace, names: &[String]) -> Result<(), Failure> {
    let of_tests = find(&workspace.root.join(TEST_GUESTS.sources))?;
    let (of_tests, plugins): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|name| of_tests.contains(name));
    if names.is_empty() || !plugins.is_empty() {
        build(workspace, &PLUGINS, &plugins)?;
    }
    if of_tests.is_empty() { Ok(()) } else { build(workspace, &TEST_GUESTS, &of_tests) }
}

/// Where guests of both kinds lie when they are built, for the SDK's test kit.
pub(crate) fn shelves(workspace: &Workspace) -> Result<OsString, env::JoinPathsError> {
    env::join_paths([PLUGINS, TEST_GUESTS].map(|family| workspace.target.join(family.shelf)))
}

/// Builds the guests that only tests want.
pub(crate) fn test_guests(workspace: &Workspace) -> Result<(), Failure> {
    build(workspace, &TEST_GUESTS, &[])
}

/// Builds those of these names of the guests that only tests want.
pub(crate) fn test_guests_of(workspace: &Workspace, names: &[&str]) -> Result<(), Failure> {
    build(workspace, &TEST_GUESTS, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
}

fn build(workspace: &Workspace, family: &Family, names: &[String]) -> Result<(), Failure> {
    let sources = workspace.root.join(family.sources);
    let known = find(&sources)?;
    let chosen: Vec<&String> = if names.is_empty() { known.iter().collect() } else { names.iter().collect() };
    if let Some(unknown) = chosen.iter().find(|name| !known.contains(name)) {
        return Err(format!("there is no plugin {unknown}; there are {}", known.join(", ")));
    }
    if chosen.is_empty() {
        return Err(format!("there is no plugin below {}", sources.display()));
    }
    let toolchain = Toolchain::find()?;
    let list = chosen.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    say(&format!("building {list} with {toolchain}"));
    let (begun, began_at) = (Instant::now(), SystemTime::now());
    let target = workspace.target.join("guests");
    let mut cargo = toolchain.cargo_build();
    cargo.current_dir(&workspace.root).args(["--profile", PROFILE, "--lib"]).arg("--target-dir").arg(&target);
    chosen.iter().for_each(|name| {
        cargo.args(["--package", name]);
    });
    cargo.arg("--config").arg(anonymous(&workspace.root));
    let status = cargo.status().map_err(|error| format!("cargo can't be run: {error}"))?;
    if !status.success() {
        return Err(format!("the plugins {list} don't build; the reason stands above"));
    }
    let built = target.join(TARGET).join(PROFILE);
    let shelf = workspace.target.join(family.shelf);
    fs::create_dir_all(&shelf).map_err(|error| format!("{} can't be made: {error}", shelf.display()))?;
    for name in chosen {
        let plugin = shelf.join(format!("{name}.wasm"));
        let size = put(&built.join(format!("{}.wasm", name.replace('-', "_"))), &plugin)?;
        // A plugin that comes out the same keeps its time, so this is what says since when it is up to date. The SDK's
        // test kit asks.
        stamp(&target.join(format!("{name}.built")), began_at)?;
        say(&format!("{}  {} KB", plugin.display(), size.div_ceil(1024)));
    }
    say(&format!("done in {:.1} s", begun.elapsed().as_secs_f32()));
    Ok(())
}

/// Keeps this machine's folders out of the guests' panic messages: the same sources are the same plugin everywhere.
fn anonymous(root: &Path) -> String {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let folders = [cargo_home.map(|home| home.join("registry/src")), Some(root.to_owned())];
    let flags = folders.into_iter().flatten().map(|folder| format!("--remap-path-prefix={}/=", folder.display()));
    let flags = toml::Value::Array(flags.map(toml::Value::String).collect());
    format!("target.{TARGET}.rustflags={flags}")
}

/// The names of the packages of a folder that are built as guests.
fn find(folder: &Path) -> Result<Vec<String>, Failure> {
    let entries = folder.read_dir().map_err(|error| format!("{} can't be read: {error}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path().join("Cargo.toml");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(format!("{} can't be read: {error}", path.display())),
        };
        names.extend(guest(&text).map_err(|error| format!("{} is broken: {error}", path.display()))?);
    }
    names.sort();
    Ok(names)
}

/// The package's name, if its library is a `cdylib`.
fn guest(manifest: &str) -> Result<Option<String>, toml::de::Error> {
    let manifest: toml::Table = manifest.parse()?;
    let kinds = manifest.get("lib").and_then(|lib| lib.get("crate-type")).and_then(toml::Value::as_array);
    let is_guest = kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind.as_str() == Some("cdylib")));
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    Ok(name.filter(|_| is_guest).map(str::to_owned))
}

/// Puts a file in its place at once and whole, unless it is there already. Returns its size.
fn put(from: &Path, to: &Path) -> Result<u64, Failure> {
    let bytes = fs::read(from).map_err(|error| format!("{} can't be read: {error}", from.display()))?;
    if fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(bytes.len() as u64);
    }
    // Whoever watches the folder looks at `.wasm` files only, and sees the new one when it is complete.
    let aside: PathBuf = to.with_extension(format!("{}.new", std::process::id()));
    let failed = |error: std::io::Error| format!("{} can't be written: {error}", to.display());
    fs::write(&aside, &bytes).map_err(failed)?;
    fs::rename(&aside, to).map_err(failed)?;
    Ok(bytes.len() as u64)
}

fn stamp(path: &Path, time: SystemTime) -> Result<(), Failure> {
    let stamped = fs::File::create(path).and_then(|file| file.set_modified(time));
    stamped.map_err(|error| format!("{} can't be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_a_package_whose_library_is_a_cdylib() {
        let manifest = |kind| format!("[package]\nname = \"counter\"\n[lib]\ncrate-type = [{kind}]\n");
        assert_eq!(guest(&manifest("\"cdylib\", \"rlib\"")), Ok(Some("counter".into())));
        assert_eq!(guest(&manifest("\"rlib\"")), Ok(None));
        assert_eq!(guest("[package]\nname = \"sdk\"\n"), Ok(None));
        assert!(guest("[package").is_err());
    }
}
