//! Debian's packages, installed as root or with the rights that `sudo` gives without asking.

use std::process::Command;

use crate::workspace::{is_there, run};

/// Whether this is Debian, or made from it.
pub(crate) fn is_here() -> bool {
    is_there(Command::new("apt-get").arg("--version"))
}

/// Whoever may install packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    Root,
    Sudo,
}

impl Rights {
    /// The rights that this process has, or can have without a password.
    pub(crate) fn find() -> Option<Self> {
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|answer| answer.stdout.trim_ascii() == b"0");
        if is_root {
            return Some(Self::Root);
        }
        is_there(Command::new("sudo").args(["-n", "true"])).then_some(Self::Sudo)
    }

    /// A command with these rights.
    pub(crate) fn command(self, program: &str) -> Command {
        match self {
            Self::Root => Command::new(program),
            Self::Sudo => {
                let mut command = Command::new("sudo");
                command.args(["-n", program]);
                command
            }
        }
    }

    /// Installs packages, and nothing that is merely recommended with them.
    pub(crate) fn install(self, packages: &[&str]) -> Result<(), String> {
        self.apt(&["-q", "update"])?;
        let how = ["-q", "-y", "-o", "Dpkg::Options::=--force-confold", "install", "--no-install-recommends"];
        self.apt(&[&how, packages].concat())
    }

    fn apt(self, arguments: &[&str]) -> Result<(), String> {
        // sudo clears the environment, so it is `env` that tells that nobody is there to answer questions.
        let mut apt = self.command("env");
        apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments);
        run(&mut apt).map_err(|reason| format!("{reason}; is there a network, and is the package source reachable?"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_not_root_asks_sudo_which_must_not_ask_back() {
        let words = |rights: Rights| {
            let command = rights.command("apt-get");
            let program = command.get_program().to_owned();
            std::iter::once(program).chain(command.get_args().map(ToOwned::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(words(Rights::Root), ["apt-get"]);
        assert_eq!(words(Rights::Sudo), ["sudo", "-n", "apt-get"]);
    }
}
