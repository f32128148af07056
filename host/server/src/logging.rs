//! The log: text where a person reads it, a line of JSON for each event elsewhere.
//!
//! It goes to standard error; standard output belongs to what was asked for.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

use crate::config::{Config, LogFormat};
use crate::failure::{Doing as _, Result};
use crate::terminal;

/// Starts the log, once for the process.
pub(crate) fn start(config: &Config) -> Result<()> {
    let filter = EnvFilter::try_new(&config.log).doing_or(
        || format!("the log filter {:?} is none", config.log),
        "write a level, or levels by crate, as in warn,yado=debug",
    )?;
    let builder = SubscriberBuilder::default().with_writer(std::io::stderr).with_env_filter(filter);
    let text = match config.log_format {
        LogFormat::Auto => terminal::is_watched(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let started = if text {
        builder.with_ansi(terminal::is_colourful()).try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).try_init()
    };
    started.doing(|| "the log can't be started".to_owned())?;
    std::panic::set_hook(Box::new(panicked));
    Ok(())
}

/// A panic is an event like any other: whoever gathers the log sees it whole, in one line, and with its place.
fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(reason = panic.payload_as_str(), place, backtrace, "a part of the server has panicked");
}
