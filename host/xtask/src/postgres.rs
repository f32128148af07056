//! Sees to it that the tests find a PostgreSQL server's programs. They start servers of their own, in folders of their
//! own; the machine's databases, if it has any, are not touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::{self, Rights};
use crate::step::{say, step};
use crate::workspace::run;

/// Debian's settings for what happens when a server is installed.
const CLUSTERS: &str = "/etc/postgresql-common/createcluster.conf";

/// The folder of `initdb` and `postgres`. On a Debian machine the packages are installed, by root or with the help of `sudo`.
pub(crate) fn programs() -> Result<PathBuf, String> {
    if let Some(found) = find() {
        return Ok(found);
    }
    if !debian::is_here() {
        return Err("the tests need the programs of a PostgreSQL server (`initdb`, `postgres`), version 14 or newer: \
                    install it, and put `pg_config` on the PATH"
            .to_owned());
    }
    let Some(rights) = Rights::find() else {
        return Err("the tests need the programs of a PostgreSQL server: run `apt-get install postgresql` as root, \
                    then this again"
            .to_owned());
    };
    step("installing PostgreSQL (apt-get install postgresql)", || install(rights))?;
    find().ok_or_else(|| "PostgreSQL was installed, but its `initdb` is not in /usr/lib/postgresql/*/bin".to_owned())
}

/// Where `initdb` is, wherever that is: the newest, if Debian keeps several.
fn find() -> Option<PathBuf> {
    let mut places = Vec::new();
    if let Ok(answer) = Command::new("pg_config").arg("--bindir").output()
        && let Ok(folder) = String::from_utf8(answer.stdout)
    {
        places.push(PathBuf::from(folder.trim()));
    }
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    debian.sort_by_key(|folder| std::cmp::Reverse(version(folder)));
    places.extend(debian);
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    places.into_iter().find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// The version in Debian's path, `/usr/lib/postgresql/15/bin`.
fn version(folder: &Path) -> Option<u32> {
    folder.parent()?.file_name()?.to_str()?.parse().ok()
}

fn install(rights: Rights) -> Result<(), String> {
    // Without this the package makes a database of its own and starts a server for it.
    if !Path::new(CLUSTERS).exists() {
        let script = format!("mkdir -p $(dirname {CLUSTERS}) && echo 'create_main_cluster = false' > {CLUSTERS}");
        run(rights.command("sh").args(["-c", &script]))?;
        say(&format!("    wrote {CLUSTERS}, so that no server is started"));
    }
    rights.install(&["postgresql"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_path_that_debian_uses() {
        assert_eq!(version(Path::new("/usr/lib/postgresql/15/bin")), Some(15));
        assert_eq!(version(Path::new("/usr/local/bin")), None);
    }
}
