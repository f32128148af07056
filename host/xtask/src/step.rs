//! Steps that take a while: each says what it does before it begins, and how long it took when it is done.

use std::env;
use std::io::{self, Write as _};
use std::time::Instant;

/// Does a step.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let began = Instant::now();
    say(&format!("==> {what}"));
    let result = work().map_err(|reason| format!("the step \"{what}\" failed: {reason}"))?;
    say(&format!("    done in {:.1} s", began.elapsed().as_secs_f64()));
    Ok(result)
}

/// What has been left out, and why. It is said when it happens, and can be said again at the end, where it is seen.
#[derive(Debug, Default)]
pub(crate) struct LeftOut(Vec<String>);

impl LeftOut {
    /// Says that something is left out, and why.
    pub(crate) fn add(&mut self, what: &str, why: &str) {
        say(&format!("==> {what}: left out, {why}"));
        self.0.push(format!("left out: {what}, {why}"));
    }

    /// Does a step that takes a network, and says whether it was done. A machine may have none, and the step is left out
    /// there; but where `CI` is set, what it is for must not vanish unnoticed.
    pub(crate) fn unless(&mut self, what: &str, work: impl FnOnce() -> Result<(), String>) -> Result<bool, String> {
        match step(what, work) {
            Ok(()) => Ok(true),
            Err(reason) if is_ci() => Err(reason),
            Err(reason) => {
                self.add(what, &format!("because {reason}"));
                Ok(false)
            }
        }
    }

    /// Says all of it again.
    pub(crate) fn repeat(&self) {
        self.0.iter().for_each(|line| say(line));
    }
}

/// Whether this runs where nobody watches, as continuous integration says it.
fn is_ci() -> bool {
    env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false")
}

/// Writes a line to standard output. Nobody may be reading any more, and that is no reason to stop.
pub(crate) fn say(line: &str) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}
