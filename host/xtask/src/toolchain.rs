//! Finds a compiler that makes guests.
//!
//! For most people it is rustup's, which is asked to add the target if it is not there. Where it can't, Debian's
//! `rustc-web`, `cargo-web` and `rust-web-src` build the standard library from source, with rustup's `rust-lld` as the
//! linker. Guests and host need not be built by the same compiler.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::debian::{self, Rights};
use crate::step::{say, step};
use crate::workspace::is_there;
use crate::{Failure, rustup};

/// What guests are compiled for: no system below them at all, so nothing to be allowed or forbidden.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// What cargo tells the programs it runs about its own compiler. Another compiler would be misled by it. Not among them
/// is `RUSTUP_TOOLCHAIN`: whoever says `cargo +beta xtask` means the guests, too.
const INHERITED: [&str; 11] = [
    "CARGO",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_TARGET_DIR",
    "LD_LIBRARY_PATH",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

/// A way to make guests.
pub(crate) enum Toolchain {
    /// The active toolchain of rustup, or any other whose compiler has the target.
    Installed,
    /// Debian's compiler for the web, which builds the standard library along.
    Debian {
        rustc: PathBuf,
        cargo: PathBuf,
        /// Of rustup's toolchain: Debian's is made for other purposes.
        linker: PathBuf,
    },
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installed => write!(f, "the installed target {TARGET}"),
            Self::Debian { rustc, .. } => write!(f, "Debian's {} and the standard library's sources", rustc.display()),
        }
    }
}

impl Toolchain {
    /// The first way that works here.
    pub(crate) fn find() -> Result<Self, Failure> {
        if has_target() {
            return Ok(Self::Installed);
        }
        if forbids_installing(std::env::var_os("RUSTUP_AUTO_INSTALL")) {
            say(
                "==> rustup target add: left out, because RUSTUP_AUTO_INSTALL says that rustup is to install nothing by itself",
            );
        } else if is_there(Command::new("rustup").arg("--version")) {
            match step(&format!("rustup target add {TARGET}"), || rustup::add(TARGET)) {
                Ok(()) if has_target() => return Ok(Self::Installed),
                Ok(()) => say("    rustup has added the target, but the compiler in use does not have it"),
                Err(reason) => say(&reason),
            }
            say("    so Debian's packages are tried, which build guests as well");
        }
        let missing = |reason: String| {
            format!(
                "there is no compiler for guests: {reason}\n\
                 Install the target with `rustup target add {TARGET}`,\n\
                 or, on Debian, the packages with `apt-get install --no-install-recommends {}`.",
                PACKAGES.join(" ")
            )
        };
        install_packages().map_err(missing)?;
        let rustc = packaged("/bin/rustc").ok_or_else(|| missing("the package rustc-web has no rustc".into()))?;
        let cargo = packaged("/bin/cargo").ok_or_else(|| missing("the package cargo-web has no cargo".into()))?;
        let linker = linker().ok_or_else(|| missing("rustup's toolchain has no rust-lld".into()))?;
        Ok(Self::Debian { rustc, cargo, linker })
    }

    /// `cargo build` for guests, yet without what to build.
    pub(crate) fn cargo_build(&self) -> Command {
        match self {
            Self::Installed => {
                let mut cargo = clean("cargo");
                cargo.args(["build", "--target", TARGET]);
                cargo
            }
            Self::Debian { rustc, cargo, linker } => {
                let mut cargo = clean(cargo);
                cargo.args(["build", "--target", TARGET, "-Zbuild-std=std,panic_abort"]);
                cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
                cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                cargo
            }
        }
    }
}

/// A program without what cargo has told us about its own surroundings.
fn clean(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    INHERITED.iter().for_each(|name| {
        command.env_remove(name);
    });
    command
}

fn has_target() -> bool {
    output(clean("rustc").args(["--print", "target-libdir", "--target", TARGET]))
        .is_some_and(|folder| holds_std(Path::new(&folder)))
}

/// Whether rustup has been told to install nothing that it is not asked for by hand. That is meant for toolchains, and
/// whoever has set it will want it for targets too.
fn forbids_installing(setting: Option<OsString>) -> bool {
    setting.is_some_and(|setting| setting == "0")
}

/// A folder alone proves nothing: rustup leaves it behind when it removes a target.
fn holds_std(folder: &Path) -> bool {
    let Ok(files) = folder.read_dir() else { return false };
    files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
}

fn linker() -> Option<PathBuf> {
    let sysroot = output(clean("rustc").args(["--print", "sysroot"]))?;
    let version = output(clean("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "))?;
    let linker = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin/rust-lld");
    linker.is_file().then_some(linker)
}

/// A file of Debian's packages, wherever this release of Debian puts it.
fn packaged(ending: &str) -> Option<PathBuf> {
    let files = output(Command::new("dpkg").args(["-L", "rustc-web", "cargo-web"]))?;
    let found = files.lines().find(|file| file.ends_with(ending)).map(PathBuf::from);
    found.or_else(|| {
        let files = output(Command::new("dpkg").args(["-L", "libstd-rust-web-dev"]))?;
        files.lines().find(|file| file.ends_with(ending)).map(PathBuf::from)
    })
}

fn install_packages() -> Result<(), String> {
    if !debian::is_here() {
        return Err(format!("the target {TARGET} is not installed, and this is not Debian"));
    }
    let installed = |package: &&str| {
        output(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]))
            .is_some_and(|status| status == "installed")
    };
    if PACKAGES.iter().all(installed) {
        return Ok(());
    }
    let rights = Rights::find().ok_or_else(|| {
        format!("the target {TARGET} is not installed, and only root may install Debian's packages (sudo won't help)")
    })?;
    step(&format!("installing Debian's packages {}", PACKAGES.join(", ")), || rights.install(&PACKAGES))
}

/// What a program prints, if it succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rustup_installs_nothing_where_it_has_been_told_so() {
        assert!(forbids_installing(Some("0".into())));
        assert!(!forbids_installing(Some("1".into())));
        assert!(!forbids_installing(None));
    }
}
