//! The operator's log.
//!
//! Lines go to the host, under the plugin's name; beyond the host's limit for a call they are dropped. In native tests
//! there is no host, and nothing is written.

use std::fmt;

use crate::bindings::log;
pub use crate::bindings::log::Level;

/// Writes a line.
#[doc(hidden)]
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    if cfg!(target_family = "wasm") {
        log::write(level, &message.to_string());
    }
}

/// Makes a panic say why before it ends the call. It costs a look at a flag once it is done.
pub(crate) fn explain_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    if cfg!(target_family = "wasm") {
        ONCE.call_once(|| {
            std::panic::set_hook(Box::new(|panic| {
                let said = panic.payload_as_str().unwrap_or("no text");
                match panic.location() {
                    Some(place) => log::panicked(&format!("{said} ({place})")),
                    None => log::panicked(said),
                }
            }));
        });
    }
}

/// Logs a step, with the syntax of `format!`.
#[macro_export]
macro_rules! trace {
    ($($argument:tt)*) => {
        $crate::__private::log::write($crate::__private::log::Level::Trace, ::core::format_args!($($argument)*))
    };
}

/// Logs what the plugin's author wants to know, with the syntax of `format!`.
#[macro_export]
macro_rules! debug {
    ($($argument:tt)*) => {
        $crate::__private::log::write($crate::__private::log::Level::Debug, ::core::format_args!($($argument)*))
    };
}

/// Logs what the operator may be curious about, with the syntax of `format!`.
#[macro_export]
macro_rules! info {
    ($($argument:tt)*) => {
        $crate::__private::log::write($crate::__private::log::Level::Info, ::core::format_args!($($argument)*))
    };
}

/// Logs what the operator should know soon, with the syntax of `format!`.
#[macro_export]
macro_rules! warn {
    ($($argument:tt)*) => {
        $crate::__private::log::write($crate::__private::log::Level::Warn, ::core::format_args!($($argument)*))
    };
}

/// Logs what the operator should know now, with the syntax of `format!`.
#[macro_export]
macro_rules! error {
    ($($argument:tt)*) => {
        $crate::__private::log::write($crate::__private::log::Level::Error, ::core::format_args!($($argument)*))
    };
}
