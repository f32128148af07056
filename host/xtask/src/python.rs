//! What is borrowed from PyPI: each in a Python of its own, in the target folder.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::debian::{self, Rights};
use crate::workspace::{self, is_there};

/// Makes a Python with what a file of requirements names, and makes it anew when that has changed.
pub(crate) fn bring(requirements: &Path, venv: &Path) -> Result<(), String> {
    let wanted =
        fs::read(requirements).map_err(|error| format!("{} can't be read: {error}", requirements.display()))?;
    // It is written last.
    let installed = venv.join("requirements.txt");
    if fs::read(&installed).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    make(venv)?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements);
    workspace::run(&mut pip).map_err(|reason| format!("{reason}; is there a network, and is PyPI reachable?"))?;
    fs::write(&installed, wanted).map_err(|error| format!("{} can't be written: {error}", installed.display()))
}

/// Makes an empty one. Debian keeps what that takes in a package of its own, which is installed if it may be.
fn make(venv: &Path) -> Result<(), String> {
    let attempt = || {
        let python = ["python3", "python"].into_iter().find(|python| is_there(Command::new(python).arg("--version")));
        let python = python.ok_or("Python is not installed")?;
        workspace::run(Command::new(python).args(["-m", "venv", "--clear"]).arg(venv))
    };
    attempt().or_else(|reason| match Rights::find().filter(|_| debian::is_here()) {
        Some(rights) => rights.install(&["python3-venv"]).and_then(|()| attempt()),
        None => Err(format!("{reason}; `apt-get install python3-venv` as root brings what is missing")),
    })
}
