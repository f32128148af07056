//! The log: text where a person reads it, a line of JSON for each event elsewhere.
//!
//! It goes to standard error; standard output belongs to what was asked for.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;

use crate::config::{Config, LogFormat};
use crate::failure::{Doing as _, Result};
use crate::terminal;

/// Starts the log, once for the process.
pub(crate) fn start(config: &Config) -> Result<()> {
    let filter = EnvFilter::try_new(&config.log).doing(|| {
        format!("the log filter {:?} is none: write a level, or levels by crate, as in warn,yado=debug", config.log)
    })?;
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
    started.doing(|| "the log can't be started".to_owned())
}
