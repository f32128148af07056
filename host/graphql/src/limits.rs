//! What one request may ask for.

use std::time::Duration;

use serde::Deserialize;

/// How many rows of one page stores give at once.
pub(crate) const PAGE_MOST: u32 = 10_000;
/// How many groups of one page stores give at once.
pub(crate) const GROUPS_MOST: u32 = 1_000;
/// How many values stores compute of a group.
pub(crate) const FIGURES_MOST: usize = 20;
/// How many keys stores take at once.
pub(crate) const KEYS_MOST: usize = 10_000;
/// How many rows of the pages of several parents stores give at once.
pub(crate) const ROWS_MOST: usize = 100_000;
/// How many bytes an alias may have. It stands in the answer as often as what it names: with the 100,000 values that an answer
/// may have unless more are allowed, aliases come to 12.8 MB at most.
pub(crate) const ALIAS_MOST: u64 = 128;

/// What one request may ask for. Every figure is told in the error of whoever goes beyond it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields, default)]
pub struct Limits {
    /// The body of an HTTP request, in bytes.
    pub body_bytes: usize,
    /// How long a body may take to arrive, in milliseconds.
    pub body_ms: u64,
    /// The document, in bytes.
    pub document_bytes: usize,
    /// How deeply brackets of any kind may be nested in a document; 64 at most. Parsers recurse, and stacks end.
    pub nesting_max: u32,
    /// How deeply fields may be nested; introspection has a limit of its own.
    pub depth_max: u32,
    /// How many values the answer may have if every page is full.
    pub complexity_max: u64,
    /// How many fields a document may select, with every fragment counted each time that it is used.
    pub fields_max: u64,
    /// How many fields of the root an operation may select.
    pub root_fields_max: u32,
    /// How many aliases a document may have. Each has 128 bytes at most.
    pub aliases_max: u32,
    /// How many directives a document may have.
    pub directives_max: u32,
    /// How many rows a page has if nothing else is asked for.
    pub page_default: u32,
    /// How many rows a page may have; 10,000 at most.
    pub page_max: u32,
    /// How many rows may be skipped.
    pub offset_max: u32,
    /// How many documents that were found sound are kept, so that the next request need not parse and check them. Each
    /// deployment has its own.
    pub documents_kept: usize,
    /// The memory that those documents may take, in bytes. One of them may take a sixteenth of it.
    pub documents_kept_bytes: usize,
    /// How long a request may take, in milliseconds. Of a mutation's fields those that are done by then are answered.
    pub timeout_ms: u64,
    /// Whether the events of the log can be followed. If not, the schema has no field for it.
    pub events: bool,
    /// How many sockets and streams of events may be open at a time. They are not among the connections of the server.
    pub sockets_max: u32,
    /// How many subscriptions there may be at a time.
    pub subscriptions_max: usize,
    /// How many different subscriptions there may be at a time. Those that ask for the same are one.
    pub cohorts_max: usize,
    /// How many operations may go on at a time on one socket.
    pub operations_per_socket: usize,
    /// How many messages are kept for subscribers that are behind. Where there are as many, those that have not taken a
    /// quarter of them within a second, while most others have taken half, are told so, and end. Where most are behind, all
    /// have [`Limits::slow_ms`] to take half.
    pub live_buffer: usize,
    /// The memory that the messages of different subscriptions may take that not everybody has taken, in bytes, for each. It
    /// is 64 KiB at most where all of them together take 256 MiB. What is made ready for those that catch up has as much of
    /// its own.
    pub live_buffer_bytes: usize,
    /// How long a socket may take to say that it speaks the protocol, in milliseconds.
    pub socket_init_ms: u64,
    /// The pause between two signs of life on a socket or a stream of events, in milliseconds. A socket that has not
    /// answered three of them is taken for gone.
    pub keep_alive_ms: u64,
    /// How long a socket may take to take a message, and subscribers to take half of those that are kept, and how long it is
    /// tried to look up what a message shows, in milliseconds.
    pub slow_ms: u64,
}

impl Limits {
    /// Whether the figures go together, and within what the code behind them is made for.
    ///
    /// # Errors
    /// Says which figure can't be, and what it may be.
    pub fn check(&self) -> Result<(), String> {
        let known = Self::default();
        let between = |name: &str, value: u32, least: u32, most: u32| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(format!("the limit {name} is {value}, and must be between {least} and {most}"))
            }
        };
        // The parser is known to get by with its stack up to here.
        between("nesting_max", self.nesting_max, 1, known.nesting_max)?;
        between("page_max", self.page_max, 1, PAGE_MOST)?;
        between("page_default", self.page_default, 1, self.page_max)
    }

    /// How long a connection has to stay, of which nothing is taken, so that whoever is too slow can still be told so: one
    /// [`Limits::slow_ms`] for what is not taken, another one for the reason, and a second for the rest.
    #[must_use]
    pub const fn farewell(&self) -> Duration {
        Duration::from_millis(self.slow_ms.saturating_mul(2)).saturating_add(Duration::from_secs(1))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            body_ms: 10_000,
            document_bytes: 64 * 1024,
            nesting_max: 64,
            depth_max: 12,
            complexity_max: 100_000,
            fields_max: 5_000,
            root_fields_max: 50,
            aliases_max: 100,
            directives_max: 50,
            page_default: 50,
            page_max: 1_000,
            offset_max: 100_000,
            documents_kept: 1_000,
            documents_kept_bytes: 16 * 1024 * 1024,
            timeout_ms: 15_000,
            events: true,
            sockets_max: 20_000,
            subscriptions_max: 50_000,
            cohorts_max: 20_000,
            operations_per_socket: 100,
            live_buffer: 1_024,
            live_buffer_bytes: 4 * 1024 * 1024,
            socket_init_ms: 3_000,
            keep_alive_ms: 12_000,
            slow_ms: 10_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_can_not_be_are_refused_with_what_they_may_be() {
        assert_eq!(Limits::default().check(), Ok(()));
        let refused = |limits: Limits| limits.check().unwrap_err();
        let text = refused(Limits { page_max: 20_000, ..Limits::default() });
        assert_eq!(text, "the limit page_max is 20000, and must be between 1 and 10000");
        let text = refused(Limits { page_default: 20, page_max: 10, ..Limits::default() });
        assert_eq!(text, "the limit page_default is 20, and must be between 1 and 10");
        assert!(refused(Limits { nesting_max: 1_000, ..Limits::default() }).contains("between 1 and 64"));
    }
}
