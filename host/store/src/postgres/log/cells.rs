//! From the cells of an event's row to the event. The cells are bytes in the server's binary format, whichever way they
//! came over ([`super::pages`]), so that an event is the same both ways.
//!
//! Whether the columns are of these types was looked at before, once a page. But anybody may have changed the table,
//! and a server may say anything; so a cell is held against its type once more, and one that is no value of it is
//! damage.

use std::fmt::Display;

use uuid::Uuid;
use yado_model::{RecordedEvent, Timestamp};

use super::super::line::oid;
use super::super::time::from_epoch;
use crate::recorded::Stored;
use crate::{Error, Result};

/// What a page of events is read from.
pub(super) const PLACE: &str = "the table of events";

/// So many columns a row has.
pub(super) const WIDTH: usize = 13;

/// The columns' types, as the table is made, by PostgreSQL's numbers.
pub(super) const KINDS: [u32; WIDTH] = [
    oid::INT8,
    oid::TEXT,
    oid::TEXT,
    oid::INT8,
    oid::TEXT,
    oid::INT4,
    oid::JSON,
    oid::TEXTS,
    oid::TIMESTAMPTZ,
    oid::UUID,
    oid::UUID,
    oid::UUID,
    oid::TEXT,
];

/// Their names.
const NAMES: [&str; WIDTH] = [
    "position",
    "tenant",
    "stream",
    "revision",
    "name",
    "version",
    "payload",
    "tags",
    "recorded_at",
    "command_id",
    "correlation_id",
    "causation_id",
    "actor",
];

/// The cells of an event's row, with none where there is nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cells<'a>(pub(super) [Option<&'a [u8]>; WIDTH]);

impl<'a> Cells<'a> {
    /// The event.
    pub(super) fn event(&self) -> Result<RecordedEvent> {
        Stored {
            position: self.read(0, int8)?,
            tenant: self.read(1, text)?,
            stream: self.read(2, text)?,
            revision: self.read(3, int8)?,
            name: self.read(4, text)?.to_owned(),
            version: self.read(5, int4)?.into(),
            // A document is its text on the wire. To have it cast to text would make the server copy it.
            payload: self.read(6, text)?.to_owned(),
            tags: self.read_if_any(7, texts)?.unwrap_or_default(),
            recorded_at: self.read(8, time)?,
            command_id: self.read(9, uuid)?,
            correlation_id: self.read_if_any(10, uuid)?,
            causation_id: self.read_if_any(11, uuid)?,
            actor: self.read_if_any(12, text)?,
        }
        .event()
    }

    /// What a column has that always has something.
    fn read<T>(&self, at: usize, read: fn(&'a [u8]) -> Option<T>) -> Result<T> {
        self.read_if_any(at, read)?.ok_or_else(|| self.broken(at, "has nothing"))
    }

    fn read_if_any<T>(&self, at: usize, read: fn(&'a [u8]) -> Option<T>) -> Result<Option<T>> {
        let cell = self.0.get(at).copied().flatten();
        cell.map(|cell| read(cell).ok_or_else(|| self.broken(at, "has no value of its type"))).transpose()
    }

    fn broken(&self, at: usize, reason: &str) -> Error {
        let name = NAMES.get(at).copied().unwrap_or_default();
        let broken = |row: &dyn Display| Error::corrupt(PLACE, format!("its column {name} {reason} {row}"));
        match self.0.first().copied().flatten().and_then(int8) {
            Some(position) => broken(&format_args!("at position {position}")),
            None => broken(&"in a row without a position"),
        }
    }
}

fn text(cell: &[u8]) -> Option<&str> {
    std::str::from_utf8(cell).ok()
}

fn int8(cell: &[u8]) -> Option<i64> {
    cell.try_into().ok().map(i64::from_be_bytes)
}

fn int4(cell: &[u8]) -> Option<i32> {
    cell.try_into().ok().map(i32::from_be_bytes)
}

fn time(cell: &[u8]) -> Option<Timestamp> {
    int8(cell).map(from_epoch)
}

fn uuid(cell: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(cell).ok()
}

/// A list of texts: how many dimensions it has, whether there are nulls in it, and the type of what is in it; how long
/// it is, and the number of the first; then each text after its length.
fn texts(cell: &[u8]) -> Option<Vec<String>> {
    let (dimensions, rest) = take_int4(cell)?;
    let (_nulls, rest) = take_int4(rest)?;
    let (_kind, rest) = take_int4(rest)?;
    if dimensions == 0 {
        return rest.is_empty().then(Vec::new);
    }
    let (count, rest) = take_int4(rest).filter(|_| dimensions == 1)?;
    let (_first, mut rest) = take_int4(rest)?;
    let mut texts = Vec::new();
    for _ in 0..count {
        // A null has a length of minus one, and is no text.
        let (length, after) = take_int4(rest)?;
        let (item, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        texts.push(text(item)?.to_owned());
        rest = after;
    }
    (count >= 0 && rest.is_empty()).then_some(texts)
}

fn take_int4(bytes: &[u8]) -> Option<(i32, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (i32::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: [u8; 16] = [7; 16];
    const SEVEN: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 7];
    const TAGS: &[u8] = b"\0\0\0\x01\0\0\0\0\0\0\0\x19\0\0\0\x02\0\0\0\x01\0\0\0\x01a\0\0\0\0";

    fn cells() -> Cells<'static> {
        Cells([
            Some(&SEVEN),
            Some(b"default"),
            Some(b"Counter-a"),
            Some(&SEVEN),
            Some(b"Counted"),
            Some(b"\0\0\0\x02"),
            Some(b"{\"a\":1.0}"),
            Some(TAGS),
            Some(&SEVEN),
            Some(&UUID),
            None,
            Some(&UUID),
            Some(b"someone"),
        ])
    }

    #[test]
    fn an_event_is_what_its_cells_are() {
        let event = cells().event().unwrap();
        assert_eq!((event.position.get(), event.revision.get(), event.event.version), (7, 7, 2));
        assert_eq!((event.event.payload.as_str(), event.event.tags), ("{\"a\":1.0}", vec!["a".into(), String::new()]));
        assert_eq!(event.recorded_at, "2000-01-01T00:00:00.000007Z".parse().unwrap());
        assert_eq!(event.command.correlation_id, Uuid::from_bytes(UUID));
        assert_eq!(event.command.causation_id, Some(Uuid::from_bytes(UUID)));
        assert_eq!(event.command.actor.unwrap().as_str(), "someone");
    }

    #[test]
    fn a_cell_that_is_no_value_of_its_type_is_told_by_its_column_and_row() {
        let damaged = |at: usize, cell: Option<&'static [u8]>| {
            let mut cells = cells();
            cells.0[at] = cell;
            cells.event()
        };
        for (at, name) in NAMES.into_iter().enumerate() {
            // Neither a number nor UTF-8 nor a list, and longer or shorter than all that have a length.
            for cell in [&b"\xff"[..], &[0xff; 9], &[0xff; 17]] {
                let error = damaged(at, Some(cell)).unwrap_err();
                let told = format!("its column {name} has no value");
                assert!(matches!(&error, Error::Corrupt { reason, .. } if reason.contains(&told)), "{error}");
                assert!(at == 0 || error.to_string().contains("at position 7"), "{error}");
            }
            let nothing = damaged(at, None);
            match name {
                "tags" | "correlation_id" | "causation_id" | "actor" => assert!(nothing.is_ok(), "{name}"),
                _ => {
                    let error = nothing.unwrap_err();
                    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_list_that_is_cut_short_or_nested_or_has_nulls_is_no_list_of_texts() {
        assert_eq!(texts(&[0; 12]), Some(vec![]));
        for end in 0..TAGS.len() {
            assert_eq!(texts(&TAGS[..end]), None, "{end}");
        }
        assert_eq!(texts(&[TAGS, b"x"].concat()), None);
        let with = |at: usize, number: i32| {
            let mut cell = TAGS.to_vec();
            cell[at..at + 4].copy_from_slice(&number.to_be_bytes());
            texts(&cell)
        };
        for (at, number) in
            [(0, 2), (0, -1), (0, 0), (12, 3), (12, 1), (12, -1), (12, i32::MAX), (20, -1), (20, i32::MAX)]
        {
            assert_eq!(with(at, number), None, "{number} at {at}");
        }
    }
}
