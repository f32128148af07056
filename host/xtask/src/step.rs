//! Steps that take a while: each says what it does before it begins, and how long it took when it is done.

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

/// Says that a step is left out, and why.
pub(crate) fn skip(what: &str, why: &str) {
    say(&format!("==> {what}: left out, {why}"));
}

/// Writes a line to standard output. Nobody may be reading any more, and that is no reason to stop.
pub(crate) fn say(line: &str) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}
