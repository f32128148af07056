//! Random selections from random rows, held against [`Filter::matches`] and a sort: what engines like to see differently
//! is all in here, such as texts of many scripts, numbers at the ends of their ranges, and nothing.
//!
//! The numbers are random, but always the same ones: what fails once fails again.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Value, json};
use yado_model::TenantId;

use super::fixtures::{put, row, tickets};
use super::related::{baskets, holders, inner, outer, ticket};
use crate::cell::Cell;
use crate::limits::DEEPEST_RELATION;
use crate::read::matches::compare;
use crate::{Column, Each, Filter, Link, Mark, Op, Order, Quantifier, ReadStore, Row, Select, Shown, Table};

/// The rows of a table.
type Rows<'a> = &'a dyn Fn(&Table) -> Vec<Row>;

/// Selections that are tried.
const ROUNDS: usize = 400;

const TEXTS: &[&str] = &[
    "",
    "a",
    "A",
    "s",
    "S",
    "ſ",
    "ss",
    "ß",
    "ẞ",
    "i",
    "I",
    "ı",
    "İ",
    "k",
    "\u{212a}",
    "ς",
    "σ",
    "Σ",
    "é",
    "É",
    "e\u{301}",
    "ǆ",
    "ǅ",
    "Ǆ",
    "全角",
    "Ａ",
    "ａ",
    "ﬁ",
    "𝔘",
    "𐐀",
    "𐐨",
    "\u{e000}",
    "\u{10ffff}",
    "👩\u{200d}👩",
    "%",
    "_",
    "\\",
    "<",
    ">",
    "<b>",
    ".",
    "*",
    "[",
    "]",
    "(?i)",
    "^",
    "$",
    "#",
    "&",
    "~",
    "-",
    " ",
    "\n",
    "'",
    "\"",
    "{}",
    "1",
    "10",
    "9",
    "true",
    "null",
    "OPEN",
    "CLOSED",
    "\u{ad}",
    "μ",
    "µ",
    "ꭰ",
    "Ꭰ",
    "ΐ",
    "ﬅ",
];

const DECIMALS: &[&str] = &[
    "0",
    "-0.0",
    "0.00",
    "1",
    "1.0",
    "1.10",
    "1.1",
    "-1",
    "9.5",
    "10",
    "010",
    "-9.49",
    "0.1",
    "-0.000001",
    "0.0000010",
    "79228162514264337593543950335",
    "-79228162514264337593543950335",
    "7.9228162514264337593543950335",
    "12345678901234567890123456789012345678901234567890.5",
    "9007199254740993",
    "9007199254740992",
];

const TIMES: &[&str] = &[
    "2026-01-01T00:00:00Z",
    "2026-01-01T01:00:00+01:00",
    "2026-01-01T00:00:00.000001Z",
    "1969-12-31T23:59:59.999999Z",
    "1970-01-01T00:00:00Z",
    "0001-01-02T00:00:00Z",
    "9999-12-30T00:00:00Z",
    "2024-02-29T12:00:00-11:30",
];

/// A stream of numbers (xorshift) that is the same each time.
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % limit as u64).unwrap()
    }

    pub(super) fn one_of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    fn text(&mut self) -> Value {
        (0..self.below(4)).map(|_| self.one_of(TEXTS)).collect::<String>().into()
    }

    /// A part of a text that may be there, more often than not, and perhaps in other letters.
    fn part(&mut self, field: &str) -> String {
        let value = self.value(field);
        let letters: Vec<char> = value.as_str().unwrap().chars().collect();
        let from = self.below(letters.len() + 1);
        let to = from + self.below(letters.len() - from + 1);
        let part: String = letters[from..to].iter().collect();
        match self.below(4) {
            0 => part.to_uppercase(),
            1 => part.to_lowercase(),
            _ => part,
        }
    }

    /// A value for a column, by its name; two columns are enumerations of few values.
    pub(super) fn value(&mut self, field: &str) -> Value {
        match field {
            "id" => json!(format!("{}{}", self.one_of(&["a", "B", "é", "全"]), self.below(12))),
            "ticketId" | "within" => self.value("id"),
            "title" => self.text(),
            "seats" | "number" => json!(self.one_of(&[0, 1, -1, 9, 10, i64::MAX, i64::MIN, 9_007_199_254_740_993])),
            "weight" => json!(self.one_of(&[
                0.0,
                -0.0,
                0.1,
                0.2,
                0.30000000000000004,
                -2.5e10,
                1.7976931348623157e308,
                5e-324,
                9007199254740993.0
            ])),
            "unitPrice" | "limit" => json!(self.one_of(DECIMALS)),
            "isOpen" => json!(self.below(2) == 0),
            "openedAt" => json!(self.one_of(TIMES)),
            "extra" => {
                self.one_of(&[json!([1, "a", null]), json!([]), json!({ "b": [2.50] }), json!("text"), json!(0)])
            }
            other => panic!("{other} is no column of these tables"),
        }
    }

    pub(super) fn rows(&mut self, table: &Table, count: usize) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        while rows.len() < count {
            let key = self.value("id");
            if rows.iter().any(|row| row["id"] == key) {
                continue;
            }
            let mut fields = row(json!({ "id": key }));
            for column in table.columns.iter().filter(|column| column.nullable) {
                if self.below(4) > 0 {
                    fields.insert(column.name.as_str().into(), self.value(column.name.as_str()));
                }
            }
            rows.push(fields);
        }
        rows
    }

    fn field(&mut self, table: &Table, fit: impl Fn(&str) -> bool) -> String {
        let fields: Vec<_> =
            table.columns.iter().map(|column| column.name.to_string()).filter(|name| fit(name)).collect();
        self.one_of(&fields)
    }

    /// A filter that no store refuses. So many relations may still be in it.
    pub(super) fn filter(&mut self, table: &Table, depth: usize, level: usize, left: &mut usize) -> Filter {
        let compared = |name: &str| name != "extra";
        match self.below(if depth == 0 { 6 } else { 12 }) {
            0 => Filter::Null { field: self.field(table, |_| true) },
            1 => {
                let field = self.field(table, compared);
                let values = (0..self.below(4)).map(|_| self.value(&field)).collect();
                Filter::In { field, values }
            }
            2 => {
                let field = self.field(table, |name| ["id", "title", "ticketId"].contains(&name));
                let value = self.part(&field);
                let op = self.one_of(&[Op::Contains, Op::StartsWith, Op::EndsWith]);
                Filter::Compare { field, op, value: value.into() }
            }
            5 if !table.search.is_empty() => {
                Filter::Search { words: (0..self.below(3)).map(|_| self.part("title")).collect() }
            }
            5 => self.filter(table, 0, level, left),
            3 | 4 => {
                let field = self.field(table, compared);
                let ops = [Op::Equal, Op::NotEqual, Op::Less, Op::LessOrEqual, Op::Greater, Op::GreaterOrEqual];
                Filter::Compare { op: self.one_of(&ops), value: self.value(&field), field }
            }
            6 | 7 => Filter::All((0..self.below(4)).map(|_| self.filter(table, depth - 1, level, left)).collect()),
            8 | 9 => Filter::Any((0..self.below(4)).map(|_| self.filter(table, depth - 1, level, left)).collect()),
            10 => Filter::Not(Box::new(self.filter(table, depth - 1, level, left))),
            _ if level == 0 || *left == 0 => self.filter(table, 0, level, left),
            _ => {
                *left -= 1;
                let links: &[fn() -> Arc<Link>] =
                    if table.name == tickets().name { &[holders] } else { &[ticket, inner, outer] };
                let link = self.one_of(links)();
                let quantifier = self.one_of(&[Quantifier::Some, Quantifier::None, Quantifier::Every]);
                let inner = self.below(5) > 0;
                let filter = inner.then(|| Box::new(self.filter(&link.table, depth - 1, level - 1, left)));
                Filter::Related { link, quantifier, filter }
            }
        }
    }

    /// The place of a row, or one where perhaps no row is.
    fn mark(&mut self, table: &Table, order: &[Order], rows_of: Rows<'_>) -> Mark {
        let row = self.one_of(&rows_of(table));
        let mut mark = mark(table, order, &row, rows_of);
        if self.below(3) == 0 {
            mark.key = self.value("id").as_str().unwrap().to_owned();
        }
        for (order, value) in order.iter().zip(&mut mark.values) {
            let of = order.through.last().map_or(table, |link| &link.table);
            let is_nullable = !order.through.is_empty() || of.column(&order.field).unwrap().nullable;
            match self.below(8) {
                0 if is_nullable => *value = Value::Null,
                1 => *value = self.value(&order.field),
                _ => {}
            }
        }
        mark
    }

    /// An order by a column of the table, or of one that to-one relations lead to.
    fn order(&mut self, table: &Table) -> Order {
        let (mut through, mut of) = (Vec::new(), table.clone());
        while through.len() < DEEPEST_RELATION && of.name == baskets().name && self.below(2) == 0 {
            let link = self.one_of::<fn() -> Arc<Link>>(&[ticket, outer])();
            of = link.table.clone();
            through.push(link);
        }
        Order { through, field: self.field(&of, |name| name != "extra"), descending: self.below(2) == 0 }
    }

    fn selection(&mut self, table: &Table, rows_of: Rows<'_>) -> Select {
        let order: Vec<_> = (0..self.below(4)).map(|_| self.order(table)).collect();
        let after = (self.below(3) == 0).then(|| self.mark(table, &order, rows_of));
        let before = (self.below(4) == 0).then(|| self.mark(table, &order, rows_of));
        let columns = (self.below(4) == 0).then(|| (0..self.below(4)).map(|_| self.field(table, |_| true)).collect());
        let filter = (self.below(8) > 0).then(|| self.filter(table, 4, 3, &mut 8));
        Select {
            filter,
            order,
            offset: u32::try_from(self.below(8)).unwrap().saturating_sub(3),
            columns,
            after,
            before,
            backward: self.below(3) == 0,
            beside: self.below(2) == 0,
            ..Select::page(u32::try_from(self.below(50)).unwrap())
        }
    }
}

/// What a row holds in a column.
pub(super) fn cell(table: &Table, row: &Row, field: &str) -> Cell {
    Cell::from_json(table.column(field).unwrap(), row.get(field).unwrap_or(&Value::Null)).unwrap()
}

/// What a row holds in the column of an order, which may be one of a row that it leads to.
fn held(table: &Table, order: &Order, row: &Row, rows_of: Rows<'_>) -> Value {
    let (mut of, mut row) = (table, row.clone());
    for link in &order.through {
        let from = cell(of, &row, &link.from);
        let is_meant = |other: &Row| compare(&cell(&link.table, other, &link.to), &from) == Some(Ordering::Equal);
        let Some(other) = rows_of(&link.table).into_iter().find(is_meant) else { return Value::Null };
        (of, row) = (&link.table, other);
    }
    row.get(&order.field).cloned().unwrap_or(Value::Null)
}

/// How two rows of one table follow each other.
pub(super) fn follow(table: &Table, order: &[Order], a: &Row, b: &Row) -> Ordering {
    let mark = |row: &Row| mark(table, order, row, &|of| panic!("{} has nothing to do with it", of.name));
    beyond(table, order, &mark(a), &mark(b))
}

/// How two places follow each other: nothing last, whatever the direction, and at last by key, in the last direction.
fn beyond(table: &Table, order: &[Order], a: &Mark, b: &Mark) -> Ordering {
    for (Order { through, field, descending }, (a, b)) in order.iter().zip(a.values.iter().zip(&b.values)) {
        let of = through.last().map_or(table, |link| &link.table);
        let column = Column { nullable: true, ..of.column(field).unwrap().clone() };
        let (a, b) = (Cell::from_json(&column, a).unwrap(), Cell::from_json(&column, b).unwrap());
        let ordering = match compare(&a, &b) {
            Some(ordering) if *descending => ordering.reverse(),
            Some(ordering) => ordering,
            None => (a == Cell::Null).cmp(&(b == Cell::Null)),
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    let ordering = a.key.cmp(&b.key);
    if order.last().is_some_and(|order| order.descending) { ordering.reverse() } else { ordering }
}

/// The place of a row in an order.
fn mark(table: &Table, order: &[Order], row: &Row, rows_of: Rows<'_>) -> Mark {
    let values = order.iter().map(|order| held(table, order, row, rows_of)).collect();
    Mark { values, key: row[table.key.as_str()].as_str().unwrap().to_owned() }
}

/// What a selection finds among rows that meet its filter.
fn page(table: &Table, select: &Select, rows: Vec<Row>, rows_of: Rows<'_>) -> Vec<Row> {
    let place = |row: Row| (mark(table, &select.order, &row, rows_of), row);
    let mut rows: Vec<(Mark, Row)> = rows.into_iter().map(place).collect();
    let beyond = |a: &Mark, b: &Mark| beyond(table, &select.order, a, b);
    rows.sort_by(|(a, _), (b, _)| beyond(a, b));
    rows.retain(|(own, _)| select.after.as_ref().is_none_or(|mark| beyond(own, mark).is_gt()));
    rows.retain(|(own, _)| select.before.as_ref().is_none_or(|mark| beyond(own, mark).is_lt()));
    let mut rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    let (offset, limit) = (select.offset as usize, select.limit as usize);
    let mut page: Vec<Row> = if select.backward {
        let left = rows.len().saturating_sub(offset);
        rows.drain(..left).skip(left.saturating_sub(limit)).collect()
    } else {
        rows.into_iter().skip(offset).take(limit).collect()
    };
    if let Some(columns) = &select.columns {
        page.iter_mut().for_each(|row| row.retain(|name, _| name == table.key.as_str() || columns.contains(name)));
    }
    page
}

/// What a selection finds for each of several values, of rows that meet its filter.
fn pages(table: &Table, each: &Each, select: &Select, rows: &[Row], rows_of: Rows<'_>) -> Vec<Vec<Row>> {
    let columns = select.columns.iter().map(|columns| [columns.clone(), vec![each.field.clone()]].concat()).next();
    let select = Select { columns, ..select.clone() };
    let mut pages: Vec<(Cell, Vec<Row>)> = Vec::new();
    for value in &each.values {
        let value = Cell::from_json(table.column(&each.field).unwrap(), value).unwrap();
        if pages.iter().all(|(other, _)| compare(other, &value) != Some(Ordering::Equal)) {
            let is_its = |row: &&Row| compare(&cell(table, row, &each.field), &value) == Some(Ordering::Equal);
            let page = page(table, &select, rows.iter().filter(is_its).cloned().collect(), rows_of);
            pages.push((value, page));
        }
    }
    pages.into_iter().map(|(_, page)| page).collect()
}

pub async fn random_selections_are_those_of_the_naive_model(store: &dyn ReadStore) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let tables = [tickets(), baskets()];
    let mut filled = Vec::new();
    for table in &tables {
        store.ensure_table(table).await.unwrap();
        let rows = random.rows(table, 40);
        put(store, table, rows.iter().cloned().map(Value::Object)).await;
        // As the store gives them, so that values are spelled as it spells them.
        let all = Select::page(100);
        filled.push(store.select(table, &TenantId::default(), &all).await.unwrap().into_maps().unwrap());
    }
    let rows_of = |table: &Table| filled[usize::from(table.name != tables[0].name)].clone();

    let (mut met, mut beside) = (0, 0);
    for round in 0..ROUNDS {
        let table = &tables[round % 2];
        let select = random.selection(table, &rows_of);
        let holds = |row: &Row| {
            let others = |link: &Link| Ok(rows_of(&link.table));
            select.filter.as_ref().is_none_or(|filter| filter.matches_among(table, row, &others).unwrap())
        };
        let expected: Vec<Row> = rows_of(table).into_iter().filter(holds).collect();
        let count = store.count(table, &TenantId::default(), select.filter.as_ref()).await.unwrap();
        assert_eq!(count, expected.len() as u64, "round {round}: {select:#?}");
        let rows = store.select(table, &TenantId::default(), &select).await.unwrap();
        let found = rows.clone().into_maps().unwrap();
        assert_eq!(found, page(table, &select, expected.clone(), &rows_of), "round {round}: {select:#?}");
        let all = rows_of(table);
        for (at, row) in found.iter().enumerate() {
            let row = all.iter().find(|other| other["id"] == row["id"]).unwrap();
            let related = select.order.iter().filter(|order| select.beside && !order.through.is_empty());
            for (number, order) in related.enumerate() {
                let of = &order.through.last().unwrap().table;
                let column = Column { nullable: true, ..of.column(&order.field).unwrap().clone() };
                let cell = Cell::from_json(&column, &held(table, order, row, &rows_of)).unwrap();
                assert_eq!(rows.beside(at, number), Shown::from(&cell), "round {round}: {select:#?}");
                beside += usize::from(cell != Cell::Null);
            }
        }
        met += usize::from(!found.is_empty());

        let field = random.field(table, |name| name != "extra");
        let each = Each { values: (0..random.below(4)).map(|_| random.value(&field)).collect(), field };
        let found = store.select_each(table, &TenantId::default(), &each, &select).await.unwrap().into_maps().unwrap();
        let pages = pages(table, &each, &select, &expected, &rows_of);
        // Values are in any order, and the rows of each are together.
        let mut left = found.as_slice();
        let mut unseen: Vec<_> = pages.into_iter().filter(|page| !page.is_empty()).collect();
        while !left.is_empty() {
            let at = unseen.iter().position(|page| left.starts_with(page));
            let page = unseen.remove(at.unwrap_or_else(|| panic!("round {round}: {each:?} {select:#?}\n{left:#?}")));
            left = &left[page.len()..];
        }
        assert!(unseen.is_empty(), "round {round}: {each:?} {select:#?}\n{unseen:#?}");
    }
    // Conditions that nothing ever meets would prove nothing.
    assert!(met > ROUNDS / 4 && beside > ROUNDS / 4, "{met} {beside}");
}
