//! The log: text where a person reads it, a line of JSON for each event elsewhere.
//!
//! It goes to standard error; standard output belongs to what was asked for. A thread of its own writes it, so that nobody
//! waits for whoever reads it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::io::{self, ErrorKind, Write};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

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
    let builder = SubscriberBuilder::default().with_writer(|| Queue).with_env_filter(filter);
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
    let (way, messages) = mpsc::sync_channel(WAITING);
    let writer = thread::Builder::new().name("yado-log".into()).spawn(move || write(&messages));
    writer.doing(|| "there is no thread to write the log".to_owned())?;
    // There is but one start.
    let _ = WAY.set(way);
    std::panic::set_hook(Box::new(panicked));
    Ok(())
}

/// The way to the thread that writes.
static WAY: OnceLock<SyncSender<Message>> = OnceLock::new();
/// Lines for which there was no room since that was last told.
static LOST: AtomicU64 = AtomicU64::new(0);

/// So many lines may wait to be written. One more is lost, and counted.
const WAITING: usize = 4_096;
/// How long the end of the process waits for its last lines.
const LAST: Duration = Duration::from_secs(1);
/// How long a panic does that may be the end of the process, and hardly ever is.
const PERHAPS_LAST: Duration = Duration::from_millis(50);
/// How long it waits at a time for room among them.
const PAUSE: Duration = Duration::from_millis(1);

enum Message {
    Line(Box<[u8]>),
    /// Somebody waits for all before it to be written, which the end of this tells.
    Settle(SyncSender<()>),
}

thread_local! {
    /// What the thread that writes has to say itself: its way is not the queue, which may be full.
    static OWN: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Hands lines to the thread that writes, and waits for nobody: what stands still because the reader of the log does must
/// not be the server.
struct Queue;

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_own = OWN.with_borrow_mut(|own| own.as_mut().map(|own| own.extend_from_slice(line)).is_some());
        if !is_own && WAY.get().is_none_or(|way| way.try_send(Message::Line(line.into())).is_err()) {
            LOST.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what is handed over, for as long as the process lives.
fn write(messages: &Receiver<Message>) {
    OWN.set(Some(Vec::new()));
    let mut lines = Lines { to: io::stderr(), torn: false };
    for message in messages {
        let settled = match message {
            Message::Line(line) => {
                lines.put(&line);
                None
            }
            Message::Settle(settled) => Some(settled),
        };
        let lost = LOST.swap(0, Relaxed);
        if lost > 0 {
            // Whoever wants to see only the worst sees what he sees for all that there was.
            tracing::error!(lines = lost, "the log was not read as fast as it was written: lines are missing");
            lines.put(&OWN.replace(Some(Vec::new())).unwrap_or_default());
        }
        drop(settled);
    }
}

/// Waits until what has been logged so far is written, if that does not take too long.
pub(crate) fn settle() {
    settle_within(LAST);
}

fn settle_within(limit: Duration) {
    let Some(way) = WAY.get() else { return };
    let (settled, end) = mpsc::sync_channel(0);
    let (begun, mut message) = (Instant::now(), Message::Settle(settled));
    while let Err(TrySendError::Full(back)) = way.try_send(message) {
        if begun.elapsed() > limit {
            return;
        }
        message = back;
        thread::sleep(PAUSE);
    }
    let _ = end.recv_timeout(limit.saturating_sub(begun.elapsed()));
}

/// Writes line by line, as far as that can be done. A log whose disk is full, or whose reader has gone away, is no reason
/// to end: what can't be written is missing, and the next line that can be is whole.
struct Lines<W> {
    to: W,
    /// Whether the last line has no end.
    torn: bool,
}

impl<W: Write> Lines<W> {
    fn put(&mut self, line: &[u8]) {
        if self.torn && self.most_of(b"\n") == 0 {
            return;
        }
        let written = self.most_of(line);
        self.torn = (1..line.len()).contains(&written);
    }

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
    // Most are caught by whoever has called. One of the first thread takes the process along, and so does one within another.
    settle_within(if thread::current().name() == Some("main") { LAST } else { PERHAPS_LAST });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Disk {
        room: usize,
        holds: Vec<u8>,
    }

    impl Write for Disk {
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
        let mut lines = Lines { to: Disk { room: 6, holds: Vec::new() }, torn: false };
        for (line, more) in [("one\n", 0), ("two\n", 0), ("three\n", 0), ("four\n", 6), ("five\n", 9)] {
            lines.to.room += more;
            lines.put(line.as_bytes());
        }
        assert_eq!(String::from_utf8(lines.to.holds).unwrap(), "one\ntw\nfour\nfive\n");
        assert!(!lines.torn);
    }
}
