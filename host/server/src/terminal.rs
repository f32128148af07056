//! The way to standard output and standard error.
//!
//! A reader that has gone away (`yado config | head -1`) is no reason to panic, which `println!` would do; so what can't
//! be written is let go.

use std::io::{self, IsTerminal as _, Write as _};

/// Writes a line to standard output: the answer that was asked for.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Writes a line to standard error: what went wrong, and what is said in passing.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether a person reads standard error.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Whether what is written to standard error may be coloured; `NO_COLOR` says no wherever it is set.
pub(crate) fn is_colourful() -> bool {
    is_watched() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
