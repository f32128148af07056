//! The log: text where a person reads it, a line of JSON for each event elsewhere.
//!
//! It goes to standard error; standard output belongs to what was asked for.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, ErrorKind, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

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
    let builder = SubscriberBuilder::default()
        .with_writer(|| Lines { to: io::stderr().lock(), torn: &TORN })
        // It would be told where nothing can be.
        .log_internal_errors(false)
        .with_env_filter(filter);
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

/// Whether the last line that was written has no end.
static TORN: AtomicBool = AtomicBool::new(false);

/// Writes line by line, as far as that can be done. A log whose disk is full, or whose reader has gone away, is no reason
/// to end: what can't be written is missing, and the next line that can be is whole.
struct Lines<'a, W> {
    to: W,
    torn: &'a AtomicBool,
}

impl<W: Write> Write for Lines<'_, W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.torn.load(Relaxed) && self.most_of(b"\n") == 0 {
            return Ok(line.len());
        }
        let written = self.most_of(line);
        self.torn.store((1..line.len()).contains(&written), Relaxed);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W: Write> Lines<'_, W> {
    /// Writes what can be written, and returns how much that was.
    fn most_of(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.to.write(rest) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(count) => written += count,
            }
        }
        written
    }
}

/// A panic is an event like any other: whoever gathers the log sees it whole, in one line, and with its place.
fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(reason = panic.payload_as_str(), place, backtrace, "a part of the server has panicked");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Disk {
        room: usize,
        holds: Vec<u8>,
    }

    impl Write for &mut Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.holds.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_for_which_there_is_no_room_are_missing_and_the_next_one_is_whole() {
        let (mut disk, torn) = (Disk { room: 6, holds: Vec::new() }, AtomicBool::new(false));
        for (line, more) in [("one\n", 0), ("two\n", 0), ("three\n", 0), ("four\n", 6), ("five\n", 9)] {
            disk.room += more;
            Lines { to: &mut disk, torn: &torn }.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(String::from_utf8(disk.holds).unwrap(), "one\ntw\nfour\nfive\n");
        assert!(!torn.load(Relaxed));
    }
}
