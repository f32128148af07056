//! An answer as it came: bytes, in which its rows are looked up where they are wanted.

use std::sync::Arc;

use bytes::Bytes;

use super::statements::Columns;
use crate::{Error, Result};

/// The messages that are whole at the beginning of some bytes, each by its tag and what follows its length.
pub(super) struct Messages<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, rest) = self.0.split_first()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?.checked_sub(4)?;
        let (body, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, body))
    }
}

/// What the server says is wrong.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) severity: String,
    pub(super) code: String,
    pub(super) words: String,
}

/// The first complaint in an answer.
pub(super) fn complaint(answer: &[u8]) -> Option<Complaint> {
    Messages(answer).find(|(tag, _)| *tag == b'E').map(|(_, body)| complained(body))
}

fn complained(body: &[u8]) -> Complaint {
    let mut complaint = Complaint::default();
    for field in body.split(|byte| *byte == 0) {
        if let Some((kind, text)) = field.split_first() {
            let text = || String::from_utf8_lossy(text).into_owned();
            match kind {
                b'V' => complaint.severity = text(),
                b'C' => complaint.code = text(),
                b'M' => complaint.words = text(),
                _ => {}
            }
        }
    }
    complaint
}

/// The rows that a question is answered with.
#[derive(Debug)]
pub(in super::super) struct Answer {
    bytes: Bytes,
    columns: Columns,
}

/// A row of an answer.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Record<'a> {
    cells: &'a [u8],
    columns: &'a [u32],
}

impl Answer {
    /// An answer without an error in it. Its columns are known, or it tells them itself.
    pub(super) fn read(bytes: Bytes, known: Option<Columns>) -> Result<Self> {
        let columns = known.or_else(|| {
            let described = Messages(&bytes).find(|(tag, _)| matches!(tag, b'T' | b'n' | b'D' | b'C'));
            described.filter(|(tag, _)| *tag == b'T').and_then(|(_, body)| types(body)).map(Arc::from)
        });
        match columns {
            Some(columns) => Ok(Self { bytes, columns }),
            None => Err(strange("an answer does not say what its columns are")),
        }
    }

    pub(super) const fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The types of its columns, by the numbers that PostgreSQL gives them.
    pub(in super::super) fn kinds(&self) -> &[u32] {
        &self.columns
    }

    /// Of how many bytes it is.
    pub(in super::super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Its rows, in order.
    pub(in super::super) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        Messages(&self.bytes).filter(|(tag, _)| *tag == b'D').map(|(_, body)| Record {
            // How many cells there are is known from the columns.
            cells: body.get(2..).unwrap_or_default(),
            columns: &self.columns,
        })
    }
}

impl<'a> Record<'a> {
    /// All cells, each with the number of its type, and none where there is nothing.
    pub(in super::super) fn cells(self) -> impl Iterator<Item = Result<(u32, Option<&'a [u8]>)>> {
        let mut rest = self.cells;
        self.columns.iter().map(move |kind| {
            let (length, after) = rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
            // Minus one is null.
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                rest = after;
                return Ok((*kind, None));
            };
            let (cell, after) = after.split_at_checked(length).ok_or_else(cut_short)?;
            rest = after;
            Ok((*kind, Some(cell)))
        })
    }

    /// One cell.
    pub(in super::super) fn cell(self, at: usize) -> Result<(u32, Option<&'a [u8]>)> {
        self.cells().nth(at).unwrap_or_else(|| Err(cut_short()))
    }
}

/// The types of columns, as the server describes them; none if it is no description.
fn types(body: &[u8]) -> Option<Vec<u32>> {
    /// After its name, a column has the table and the place there, then the type, its size and modifier, and the format.
    const BEFORE: usize = 6;
    const AFTER: usize = 8;
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut types = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let name = rest.iter().position(|byte| *byte == 0)?;
        let (kind, after) = rest.get(name + 1 + BEFORE..)?.split_first_chunk::<4>()?;
        types.push(u32::from_be_bytes(*kind));
        rest = after.get(AFTER..)?;
    }
    Some(types)
}

fn cut_short() -> Error {
    strange("a row is shorter than it should be")
}

fn strange(reason: &str) -> Error {
    Error::corrupt("an answer of PostgreSQL", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_short_is_no_row_and_no_panic() {
        let whole = b"T\0\0\0\x1b\0\x01id\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\x01D\0\0\0\x0c\0\x01\0\0\0\x02abZ\0\0\0\x05I";
        let answer = Answer::read(Bytes::from_static(whole), None).unwrap();
        let cells: Vec<_> = answer.records().map(|record| record.cell(0).unwrap()).collect();
        assert_eq!(cells, [(25, Some(&b"ab"[..]))]);
        assert!(answer.records().next().unwrap().cell(1).is_err());
        for end in 0..whole.len() {
            if let Ok(answer) = Answer::read(Bytes::from_static(&whole[..end]), None) {
                assert!(answer.records().all(|record| record.cell(0).is_ok()));
            }
        }
        let short = Record { cells: b"\0\0\0\x05ab", columns: &[25] };
        assert!(short.cell(0).is_err());
    }

    #[test]
    fn a_complaint_is_its_code_and_its_words() {
        let body = b"SFATAL\0VFATAL\0C57P01\0Mterminating\0Fpostgres.c\0\0";
        let [severity, code, words] = ["FATAL", "57P01", "terminating"].map(str::to_owned);
        assert_eq!(complained(body), Complaint { severity, code, words });
    }
}
