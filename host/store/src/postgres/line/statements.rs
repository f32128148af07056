//! Which statements a connection knows, as of what has been written to it.
//!
//! They are under the lock that puts questions in order: whoever finds a statement here finds it before its own question on
//! the wire, too. At most so many are kept, and the one that nobody has asked for longest goes first.

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
        if let Some(columns) = self.known.get(&question.number) {
            if columns.is_none() {
                describe(question.number, out)?;
            }
            return Ok(columns.clone());
        }
        let begin = out.len();
        let forgotten = std::mem::take(&mut self.forgotten);
        let surplus = self.known.push(question.number, None).map(|(number, _)| number);
        for number in forgotten.into_iter().chain(surplus) {
            frontend::close(b'S', &name(number), out).map_err(unwritten)?;
        }
        let parsed = frontend::parse(&name(question.number), &question.text, question.types.iter().copied(), out);
        if let Err(error) = parsed.map_err(unwritten).and_then(|()| describe(question.number, out)) {
            out.truncate(begin);
            self.known.pop(&question.number);
            return Err(error);
        }
        Ok(None)
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

fn describe(number: u64, out: &mut BytesMut) -> Result<()> {
    frontend::describe(b'S', &name(number), out).map_err(unwritten)
}

pub(super) fn unwritten(error: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("a question can't be put to PostgreSQL: {error}"))
}
