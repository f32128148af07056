//! Rows as they are answered: the cells of all of them in one place, and their texts in another.
//!
//! A page of rows is read, looked through and written once. A map for each row and a string for each cell would cost more than
//! all of that, so there is neither: what is here is two buffers, however many rows there are, and whoever writes an answer
//! borrows the cells from it. They grow as rows come, and are made in one go where it is known beforehand how many will.

use std::sync::Arc;

use serde_json::Value;
use yado_model::{Name, Timestamp};

use crate::cell::{Cell, damaged};
use crate::room::Room;
use crate::{Column, Result, Row};

/// Rows that all have the same columns.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    columns: Arc<[Column]>,
    /// So many of the columns, the last ones, are none of the rows' own: what is in them stands beside a row.
    beside: usize,
    /// Row by row; of each, the cells in the order of the columns.
    cells: Vec<Kept>,
    /// The texts of all cells, one behind the other.
    texts: String,
}

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shown<'a> {
    /// Nothing.
    Null,
    /// A text.
    Text(&'a str),
    /// An exact number, in its canonical form.
    Decimal(&'a str),
    /// A document.
    Json(&'a str),
    /// A whole number.
    Integer(i64),
    /// A floating point number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// A time.
    Time(Timestamp),
}

/// What is kept of a cell: texts by where they begin and end.
#[derive(Debug, Clone, Copy)]
enum Kept {
    Null,
    Text(usize, usize),
    Decimal(usize, usize),
    Json(usize, usize),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Time(Timestamp),
}

impl Rows {
    /// Begins with no rows of these columns, for which there is so much room.
    pub(crate) fn filling(columns: Arc<[Column]>, room: Room) -> Filling {
        let rows = Self { columns, beside: 0, cells: Vec::new(), texts: String::new() };
        Filling { rows, room }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len().checked_div(self.columns.len()).unwrap_or_default()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Which of the columns has a name. To be asked once for all rows.
    #[must_use]
    pub fn place(&self, column: &str) -> Option<usize> {
        self.own().iter().position(|known| known.name.as_str() == column)
    }

    /// The columns' names, in order.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = &Name> {
        self.own().iter().map(|column| &column.name)
    }

    /// The columns without those that stand beside a row.
    fn own(&self) -> &[Column] {
        self.columns.get(..self.columns.len().saturating_sub(self.beside)).unwrap_or_default()
    }

    /// What stands beside a row, by its number from 0 on; null where nothing does.
    #[must_use]
    pub fn beside(&self, row: usize, number: usize) -> Shown<'_> {
        self.cell(row, self.own().len().saturating_add(number))
    }

    /// The same rows, of which so many columns, the last ones, are none of their own.
    #[must_use]
    pub fn with_beside(self, beside: usize) -> Self {
        Self { beside, ..self }
    }

    /// What a row has in a column; null where there is no such row or column.
    #[must_use]
    pub fn cell(&self, row: usize, place: usize) -> Shown<'_> {
        if place >= self.columns.len() {
            return Shown::Null;
        }
        self.cells.get(row * self.columns.len() + place).map_or(Shown::Null, |cell| self.shown(*cell))
    }

    /// What a row has in the column of a name; null where there is none.
    #[must_use]
    pub fn get(&self, row: usize, column: &str) -> Shown<'_> {
        self.place(column).map_or(Shown::Null, |place| self.cell(row, place))
    }

    /// Each row as JSON by itself, for whoever changes it or hands it on.
    ///
    /// # Errors
    /// If a column holds what is no JSON.
    pub fn into_maps(self) -> Result<Vec<Row>> {
        let row = |cells: &[Kept]| {
            // Collecting what may fail would not say how many there are, and a map that grows is filled twice.
            let mut row = Row::with_capacity(cells.len());
            for (column, cell) in self.own().iter().zip(cells) {
                row.insert(column.name.as_str().to_owned(), self.shown(*cell).to_json(column)?);
            }
            Ok(row)
        };
        // A table without columns has no rows that could be told apart.
        self.cells.chunks(self.columns.len().max(1)).map(row).collect()
    }

    /// The same in the opposite order.
    pub(crate) fn reversed(mut self) -> Self {
        let rows = self.cells.chunks(self.columns.len().max(1)).rev();
        self.cells = rows.flatten().copied().collect();
        self
    }

    fn shown(&self, cell: Kept) -> Shown<'_> {
        // Nothing else than [`Filling::push`] says where texts begin and end.
        let text = |from: usize, to: usize| self.texts.get(from..to).unwrap_or_default();
        match cell {
            Kept::Null => Shown::Null,
            Kept::Text(from, to) => Shown::Text(text(from, to)),
            Kept::Decimal(from, to) => Shown::Decimal(text(from, to)),
            Kept::Json(from, to) => Shown::Json(text(from, to)),
            Kept::Integer(number) => Shown::Integer(number),
            Kept::Float(number) => Shown::Float(number),
            Kept::Boolean(truth) => Shown::Boolean(truth),
            Kept::Time(time) => Shown::Time(time),
        }
    }
}

impl<'a> Shown<'a> {
    /// The text, if it is one.
    #[must_use]
    pub const fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn to_json(self, column: &Column) -> Result<Value> {
        let cell = match self {
            Self::Null => Cell::Null,
            Self::Text(text) => Cell::Text(text.to_owned()),
            Self::Decimal(text) => Cell::Decimal(text.to_owned()),
            // Not by way of a cell, which would copy the whole document once more.
            Self::Json(text) => return serde_json::from_str(text).map_err(|error| damaged(column, &error.to_string())),
            Self::Integer(number) => Cell::Integer(number),
            Self::Float(number) => Cell::Float(number),
            Self::Boolean(truth) => Cell::Boolean(truth),
            Self::Time(time) => Cell::Timestamp(time),
        };
        cell.into_json(column)
    }
}

impl<'a> From<&'a Cell> for Shown<'a> {
    fn from(cell: &'a Cell) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Text(text) => Self::Text(text),
            Cell::Decimal(text) => Self::Decimal(text),
            Cell::Json(text) => Self::Json(text),
            Cell::Integer(number) => Self::Integer(*number),
            Cell::Float(number) => Self::Float(*number),
            Cell::Boolean(truth) => Self::Boolean(*truth),
            Cell::Timestamp(time) => Self::Time(*time),
        }
    }
}

/// They are the same if whoever reads them finds the same.
impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        let own = self.cells.iter().map(|cell| self.shown(*cell));
        self.columns().eq(other.columns()) && own.eq(other.cells.iter().map(|cell| other.shown(*cell)))
    }
}

/// Rows that are read just now.
#[derive(Debug)]
pub(crate) struct Filling {
    rows: Rows,
    room: Room,
}

impl Filling {
    /// Makes room for so many rows, and so many bytes of texts, where it is known beforehand; but not for more than there may
    /// be.
    pub(crate) fn reserve(&mut self, rows: usize, texts: usize) {
        let most = self.room.left();
        self.rows.cells.reserve(rows.saturating_mul(self.rows.columns.len()).min(most / size_of::<Kept>()));
        self.rows.texts.reserve(texts.min(most));
    }

    /// The next cell. The one after the last of a row is the first of the next.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] if there is no room for it.
    pub(crate) fn push(&mut self, cell: Shown<'_>) -> Result<()> {
        let text = match cell {
            Shown::Text(text) | Shown::Decimal(text) | Shown::Json(text) => text.len(),
            _ => 0,
        };
        self.room.take(size_of::<Kept>().saturating_add(text))?;
        let kept = match cell {
            Shown::Null => Kept::Null,
            Shown::Text(text) => self.text(text, Kept::Text),
            Shown::Decimal(text) => self.text(text, Kept::Decimal),
            Shown::Json(text) => self.text(text, Kept::Json),
            Shown::Integer(number) => Kept::Integer(number),
            Shown::Float(number) => Kept::Float(number),
            Shown::Boolean(truth) => Kept::Boolean(truth),
            Shown::Time(time) => Kept::Time(time),
        };
        self.rows.cells.push(kept);
        Ok(())
    }

    /// All that were read. What a row lacks is null.
    pub(crate) fn done(mut self) -> Rows {
        let width = self.rows.columns.len().max(1);
        let whole = self.rows.cells.len().next_multiple_of(width);
        self.rows.cells.resize(whole, Kept::Null);
        self.rows
    }

    fn text(&mut self, text: &str, kept: impl Fn(usize, usize) -> Kept) -> Kept {
        let from = self.rows.texts.len();
        self.rows.texts.push_str(text);
        kept(from, self.rows.texts.len())
    }
}

#[cfg(feature = "test-support")]
impl Rows {
    /// Rows out of JSON, which has to fit the columns.
    ///
    /// # Panics
    /// If it doesn't.
    #[must_use]
    pub fn of(columns: &[Column], rows: &[Row]) -> Self {
        let mut filling = Self::filling(columns.into(), Room::of(usize::MAX));
        for row in rows {
            for column in columns {
                let value = row.get(column.name.as_str()).unwrap_or(&Value::Null);
                let column = Column { nullable: true, ..column.clone() };
                let cell = Cell::from_json(&column, value).unwrap_or_else(|error| panic!("{error}"));
                filling.push(Shown::from(&cell)).unwrap_or_else(|error| panic!("{error}"));
            }
        }
        filling.done()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Kind;

    fn columns() -> Arc<[Column]> {
        let column = |(name, kind)| Column { name: Name::parse(name).unwrap(), kind, nullable: true };
        [("id", Kind::Text), ("amount", Kind::Decimal), ("tags", Kind::Json)].map(column).into()
    }

    fn two() -> Rows {
        filled(usize::MAX).unwrap()
    }

    fn filled(most_bytes: usize) -> Result<Rows> {
        let mut filling = Rows::filling(columns(), Room::of(most_bytes));
        for cell in [Shown::Text("a"), Shown::Decimal("0.10"), Shown::Json("[1, 2]"), Shown::Text("b"), Shown::Null] {
            filling.push(cell)?;
        }
        Ok(filling.done())
    }

    #[test]
    fn cells_are_found_by_row_and_column() {
        let rows = two();
        assert_eq!((rows.len(), rows.is_empty()), (2, false));
        assert_eq!(rows.place("amount"), Some(1));
        assert_eq!(rows.get(0, "amount"), Shown::Decimal("0.10"));
        assert_eq!(
            [rows.get(1, "id"), rows.get(1, "tags"), rows.get(1, "no")],
            [Shown::Text("b"), Shown::Null, Shown::Null]
        );
        assert_eq!([rows.cell(0, 3), rows.cell(2, 0)], [Shown::Null, Shown::Null]);
        assert!(Rows::default().is_empty());
    }

    #[test]
    fn rows_become_maps_in_either_order() {
        let first = json!({ "id": "a", "amount": "0.10", "tags": [1, 2] });
        let second = json!({ "id": "b", "amount": null, "tags": null });
        let maps = |rows: Rows| Value::from(rows.into_maps().unwrap());
        assert_eq!(maps(two()), json!([first, second]));
        assert_eq!(maps(two().reversed()), json!([second, first]));
    }

    #[test]
    fn rows_take_up_no_more_than_they_may() {
        let size = 5 * size_of::<Kept>() + "a0.10[1, 2]b".len();
        assert_eq!(filled(size), Ok(two()));
        assert_eq!(filled(size - 1), Err(crate::Error::TooLarge { limit: size - 1 }));
        // Room that is made beforehand is within the limit as well.
        let mut filling = Rows::filling(columns(), Room::of(1_000));
        filling.reserve(usize::MAX, usize::MAX);
        assert!(filling.rows.cells.capacity() * size_of::<Kept>() <= 1_000 && filling.rows.texts.capacity() <= 1_000);
    }

    #[test]
    fn what_is_no_json_is_told_with_the_columns_name() {
        let mut filling = Rows::filling(columns(), Room::of(usize::MAX));
        [Shown::Text("a"), Shown::Null, Shown::Json("{")].into_iter().for_each(|cell| filling.push(cell).unwrap());
        let error = filling.done().into_maps().unwrap_err().to_string();
        assert!(error.contains("column tags"), "{error}");
    }
}
