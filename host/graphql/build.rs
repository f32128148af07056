//! Embeds the GraphiQL page, if it has been built: `cargo xtask graphiql` puts it into `graphiql/dist` of the target folder.
//!
//! Without it the crate builds all the same, and the page says how to get it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    // Cargo marks the folder that it builds into; where that is, is up to whoever builds.
    let target = out.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file()).unwrap_or(&out);
    let dist = target.join("graphiql/dist");
    println!("cargo::rerun-if-changed=build.rs");
    // Cargo watches a path that is not there as well, and builds anew when it appears.
    println!("cargo::rerun-if-changed={}", dist.display());
    let out = out.join("graphiql.rs");
    if let Err(error) = fs::write(&out, assets(&dist)) {
        println!("cargo::error={} could not be written: {error}", out.display());
    }
}

/// A Rust list of names and contents, by name.
fn assets(dist: &Path) -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(dist)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect())
        .unwrap_or_default();
    files.sort();
    let mut list = String::from("&[\n");
    for file in files {
        let (Some(name), Ok(path)) = (file.file_name().and_then(|name| name.to_str()), file.canonicalize()) else {
            continue;
        };
        // Writing to a string does not fail.
        let _ = writeln!(list, "    ({name:?}, include_bytes!({:?})),", path.display().to_string());
    }
    list + "]\n"
}
