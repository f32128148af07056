//! Which statements a connection knows, as of what has been written to it.
//!
//! They are under the lock that puts questions in order: whoever finds a statement here finds it before its own question on
//! the wire, too. Until the server has said that it took a statement, each question brings it along: the one before may be
//! told what is wrong with it, and whoever had relied on that one would only hear that there is no such statement. At most
//! so many are kept, and the one that nobody has asked for longest goes first.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::BytesMut;
use lru::LruCache;
use postgres_protocol::message::frontend;

use super::Question;
use crate::{Error, Result};

/// The types of an answer's columns, by the numbers that PostgreSQL gives them.
pub(super) type Columns = Arc<[u32]>;

#[derive(Debug)]
pub(super) struct Statements {
    /// By their numbers, with the columns once the server has told them.
    known: LruCache<u64, Option<Columns>>,
    /// What the server may still know and is to forget.
    forgotten: Vec<u64>,
}

/// What a statement is called on the wire.
pub(super) fn name(number: u64) -> String {
    format!("s{number}")
}

impl Statements {
    pub(super) fn new(most: NonZeroUsize) -> Self {
        Self { known: LruCache::new(most), forgotten: Vec::new() }
    }

    /// Writes what has to go before a question, and says what its columns are. If nothing is said, the answer tells it.
    pub(super) fn prepare(&mut self, question: &Question, out: &mut BytesMut) -> Result<Option<Columns>> {
        if let Some(Some(columns)) = self.known.get(&question.number) {
            return Ok(Some(Arc::clone(columns)));
        }
        // What has to go is another statement, or this one as it was parsed before.
        self.forgotten.extend(self.known.push(question.number, None).map(|(number, _)| number));
        let begin = out.len();
        if let Err(error) = self.parse(question, out) {
            // Nothing is written, and the server keeps what it was to forget.
            out.truncate(begin);
            self.known.pop(&question.number);
            return Err(unwritten(error));
        }
        self.forgotten.clear();
        Ok(None)
    }

    /// Writes that the server is to forget what it may, and to parse a statement.
    fn parse(&self, question: &Question, out: &mut BytesMut) -> io::Result<()> {
        for number in &self.forgotten {
            frontend::close(b'S', &name(*number), out)?;
        }
        let name = name(question.number);
        frontend::parse(&name, &question.text, question.types.iter().copied(), out)?;
        frontend::describe(b'S', &name, out)
    }

    /// Keeps what the columns are.
    pub(super) fn described(&mut self, number: u64, columns: &Columns) {
        if let Some(known) = self.known.get_mut(&number) {
            *known = Some(Arc::clone(columns));
        }
    }

    /// Has a statement parsed anew when it is asked next.
    pub(super) fn forget(&mut self, number: u64) {
        if self.known.pop(&number).is_some() {
            self.forgotten.push(number);
        }
    }
}

pub(super) fn unwritten(error: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("a question can't be put to PostgreSQL: {error}"))
}
