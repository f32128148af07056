//! Where things are: the checkout, and the folder that cargo builds into.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The checkout, and the folder that cargo builds into.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// The folder that cargo builds into, which may be anywhere: `CARGO_TARGET_DIR` is respected.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Finds both. Cargo has put this program into the target folder and told it where its sources are.
    pub(crate) fn find() -> Result<Self, String> {
        let package =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let program = env::current_exe().map_err(|error| format!("the path of this program is not known: {error}"))?;
        let up = |path: &PathBuf| path.ancestors().nth(2).map(PathBuf::from);
        match (up(&package), up(&program)) {
            (Some(root), Some(target)) => Ok(Self { root, target }),
            _ => Err(format!("{} is not within a workspace: start this as `cargo xtask`", package.display())),
        }
    }

    /// Cargo, in the workspace, building into the same folder.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target).args(arguments);
        cargo
    }
}

/// Runs a program whose output is for people to read.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let shown = || format!("`{name} {}`", arguments.join(" "));
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{} failed: {status}", shown())),
        Err(error) => Err(format!("{} can't be started: {error}", shown())),
    }
}

/// Whether a program is there, seen by its answer to a question that has no effect, such as `--version`.
pub(crate) fn is_there(question: &mut Command) -> bool {
    let asked = question.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}
