//! What the environment says, beyond what clap reads of it.
//!
//! A variable that is set to nothing counts as not set: that is what compose files and shells make of one that nobody has
//! filled in. A variable that nothing reads is told of and does no harm, because orchestrators put some of their own into
//! every process beside a service of this name, such as `YADO_SERVICE_HOST`.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use clap::Command;
use clap::builder::Resettable;

use crate::config::nearest;

/// What all variables of this program begin with.
const PREFIX: &str = "YADO_";

/// What variables of the project's own tests begin with.
const TESTS: &str = "YADO_TEST_";

/// The same command line, but that it takes empty variables for unset ones.
pub(crate) fn without_empty(command: Command) -> Command {
    without(command, &|name| std::env::var_os(name).is_some_and(|value| value.is_empty()))
}

fn without(command: Command, empty: &dyn Fn(&OsStr) -> bool) -> Command {
    let command = command.mut_args(|argument| {
        if argument.get_env().is_some_and(empty) {
            argument.env(Resettable::<clap::builder::OsStr>::Reset)
        } else {
            argument
        }
    });
    command.mut_subcommands(|inner| without(inner, empty))
}

/// What is to be said of each variable that looks like one of this program's and is none.
pub(crate) fn unread(command: &Command) -> Vec<String> {
    let known = known(command);
    std::env::vars_os().filter_map(|(name, value)| remark(&name, &value, &known)).collect()
}

/// The variables that a command and all commands below it read.
fn known(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned));
    own.chain(command.get_subcommands().flat_map(known)).collect()
}

fn remark(name: &OsString, value: &OsStr, known: &BTreeSet<String>) -> Option<String> {
    let name = name.to_str()?;
    let rest = name.strip_prefix(PREFIX)?;
    if name.starts_with(TESTS) || value.is_empty() || known.contains(name) {
        return None;
    }
    let rests = known.iter().filter_map(|known| known.strip_prefix(PREFIX));
    Some(match nearest(rest, rests) {
        Some(meant) => format!("nothing reads the variable {name}; did you mean {PREFIX}{meant}?"),
        None => format!("nothing reads the variable {name}"),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn said(name: &str, value: &str) -> Option<String> {
        remark(&name.into(), value.as_ref(), &known(&Cli::command()))
    }

    #[test]
    fn a_variable_that_nothing_reads_is_named_with_the_nearest_that_is_read() {
        let said_of = |name| said(name, "1").unwrap();
        assert_eq!(said_of("YADO_LISTN"), "nothing reads the variable YADO_LISTN; did you mean YADO_LISTEN?");
        assert_eq!(
            said_of("YADO_GUESTS_DECIDEMS"),
            "nothing reads the variable YADO_GUESTS_DECIDEMS; did you mean YADO_GUESTS_DECIDE_MS?"
        );
        assert_eq!(said_of("YADO_PORT_4000_TCP"), "nothing reads the variable YADO_PORT_4000_TCP");
    }

    #[test]
    fn known_variables_empty_ones_those_of_tests_and_those_of_others_are_passed_over() {
        for (name, value) in [
            ("YADO_LISTEN", "127.0.0.1:1"),
            ("YADO_SERVER", "http://localhost:4000"),
            ("YADO_CONFIG", "yado.toml"),
            ("YADO_LISTN", ""),
            ("YADO_TEST_PLUGINS", "x"),
            ("PATH", "/bin"),
        ] {
            assert_eq!(said(name, value), None, "{name}");
        }
    }

    #[test]
    fn an_empty_variable_is_not_asked_for_its_value() {
        let read = |command: &Command| {
            let serve = command.find_subcommand("serve").unwrap();
            let listen = serve.get_arguments().find(|argument| argument.get_long() == Some("listen")).unwrap();
            listen.get_env().is_some()
        };
        assert!(read(&without(Cli::command(), &|_| false)));
        assert!(!read(&without(Cli::command(), &|name| name == "YADO_LISTEN")));
    }
}
