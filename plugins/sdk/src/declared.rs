//! Queries that are declared: conditions on the rows of a read model, which the host reads without asking the plugin.

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::manifest::{self, Condition};
use crate::value::Textual;
use crate::{Column, Id, ReadModel, Timestamp, json};

/// A named query that the host answers with rows, by `#[derive(Query)]` on a struct. Its fields are the query's arguments:
///
/// ```
/// # use yado_sdk::prelude::*;
/// # #[derive(State)] pub struct Seat;
/// # #[derive(Event)] #[event(of = Seat)] pub enum SeatEvent { SeatBuilt { label: String, price: Decimal } }
/// # #[derive(ReadModel)] pub struct SeatRow { #[key] id: Id<Seat>, #[search] label: String, price: Decimal }
/// /// Seats by their label and by what they cost, the cheapest first.
/// #[derive(Query)]
/// #[query(of = SeatRow, page(seats, total_count), order(price))]
/// pub struct FindSeats {
///     /// A part of the label.
///     #[filter(label, contains)]
///     label: Option<String>,
///     /// What they may cost.
///     #[filter(price, at_least = from, at_most = to)]
///     price: Option<Bounds>,
///     #[page(number)]
///     page: Option<u32>,
///     #[page(size, default = 20)]
///     limit: Option<u32>,
/// }
///
/// #[derive(Value)]
/// pub struct Bounds { from: Option<Decimal>, to: Option<Decimal> }
/// ```
///
/// All conditions must hold; one whose argument is left out or null is left out as well. On the struct:
///
/// | `#[query(…)]` | meaning |
/// | --- | --- |
/// | `of = SeatRow` | whose rows it finds |
/// | `one` | it answers with the first of them, or null |
/// | `list`, `list(max = 100)` | it answers with the rows, 1,000 at most unless it says otherwise |
/// | `page(seats, total_count)` | it answers with an object of these two: a page of the rows, and how many there are on all |
/// | `order(price, descending(label))` | the rows' order; at last it is by key |
/// | `only(status = Status::Open)` | what must hold whatever is asked |
/// | `name = "findSeats"` | the query's name, if it is not the struct's |
/// | `roles("clerk")` | who may ask |
///
/// and on its fields, each of which says what it is for:
///
/// | attribute | meaning |
/// | --- | --- |
/// | `#[filter(label)]` | the column is this |
/// | `#[filter(price, at_least)]` | … or stands to it like this: `is`, `is_not`, `any_of`, `above`, `below`, `at_least`, `at_most`, `contains`, `starts_with`, `ends_with`, `missing` |
/// | `#[filter(price, at_least = from, at_most = to)]` | the same with fields of the argument |
/// | `#[filter(any(first_name, last_name), contains)]` | it holds of at least one of these columns |
/// | `#[search]` | each word of it stands in one of the row's `#[search]` columns |
/// | `#[page(number)]`, `#[page(size, default = 20)]` | which page, counted from 1, and how many to a page |
/// | `#[page(number = page, size = limit, default = 20)]` | the same with fields of the argument |
///
/// Comparisons are held against the types of the columns while the plugin compiles:
///
/// ```compile_fail,E0277
/// # use yado_sdk::prelude::*;
/// # #[derive(State)] pub struct Seat;
/// # #[derive(Event)] #[event(of = Seat)] pub enum SeatEvent { SeatBuilt { price: Decimal } }
/// # #[derive(ReadModel)] pub struct SeatRow { #[key] id: Id<Seat>, price: Decimal }
/// #[derive(Query)]
/// #[query(of = SeatRow, list)]
/// pub struct SeatsFrom { #[filter(price, at_least)] price: String }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no declared query",
    note = "derive it: `#[derive(Query)]`",
    note = "`plugin!` takes a name that begins with a capital letter for a declared query, and any other for a function \
            with `#[query]`"
)]
pub trait Query {
    /// Whose rows it finds.
    type Row: ReadModel;
    /// What it answers: a row or none, rows, or a [`Page`] of them.
    type Answer;

    #[doc(hidden)]
    const NAME: &'static str;

    #[doc(hidden)]
    fn describe() -> manifest::Query;

    /// Its arguments, as the API takes them.
    #[doc(hidden)]
    fn arguments(&self) -> String;

    /// An answer, as the API gives it.
    #[doc(hidden)]
    fn write(answer: &Self::Answer) -> String;
}

/// A page of rows, as a query with `page(…)` answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<M> {
    /// The rows of this page.
    pub rows: Vec<M>,
    /// How many there are on all pages.
    pub total: u32,
}

impl<M: Serialize> Page<M> {
    #[doc(hidden)]
    #[must_use]
    pub fn write(&self, rows: &str, total: &str) -> String {
        // The names are letters and digits, so they need no escapes.
        format!("{{\"{rows}\":{},\"{total}\":{}}}", json::write(&self.rows), self.total)
    }
}

/// A value that is compared as an `As`: what may be missing as what it is if it is there, and whole numbers as such.
#[diagnostic::on_unimplemented(message = "`{Self}` can't be compared in a declared query")]
pub trait Compared {
    /// What counts.
    type As;
}

/// A whole number of any size.
#[derive(Debug)]
pub struct Whole;

/// What can be compared with a column that holds a `T`.
#[diagnostic::on_unimplemented(message = "a column that holds `{T}` can't be compared with `{Self}`")]
pub trait Like<T> {}

impl<T> Like<T> for T {}
impl<E> Like<Id<E>> for String {}

/// What one can be more or less than.
#[diagnostic::on_unimplemented(message = "no `{Self}` is more or less than another")]
pub trait Ranked {}

/// Many values, each of which a column may hold.
#[diagnostic::on_unimplemented(message = "`any_of` takes a `Vec`, and `{Self}` is none")]
pub trait Many {
    /// What one of them is compared as.
    type As;
}

/// What says which page, or how many to a page.
#[diagnostic::on_unimplemented(message = "pages are counted in whole numbers, and `{Self}` is none")]
pub trait Counting {}

impl Counting for Whole {}

/// What says yes or no.
#[diagnostic::on_unimplemented(message = "`missing` is asked for with a `bool`, and `{Self}` is none")]
pub trait Telling {}

impl Telling for bool {}

/// What a column may lack.
#[diagnostic::on_unimplemented(
    message = "a column that holds `{Self}` is never missing",
    note = "what may be missing is an `Option`"
)]
pub trait Lacking {}

impl<T> Lacking for Option<T> {}

impl<T: Compared> Many for Vec<T> {
    type As = T::As;
}
impl<T: Many> Many for Option<T> {
    type As = T::As;
}

impl<T: Compared> Compared for Option<T> {
    type As = T::As;
}

macro_rules! compared {
    ($($ty:ty),* => $as:ty) => {$(impl Compared for $ty { type As = $as; })*};
}
compared!(i8, i16, i32, i64, u8, u16, u32, u64 => Whole);
compared!(bool => bool);
compared!(f64 => f64);
compared!(String => String);
compared!(Decimal => Decimal);
compared!(Timestamp => Timestamp);
impl<E> Compared for Id<E> {
    type As = Self;
}

impl Ranked for Whole {}
impl Ranked for f64 {}
impl Ranked for String {}
impl Ranked for Decimal {}
impl Ranked for Timestamp {}
impl<E> Ranked for Id<E> {}

/// The column is, or is not, what the argument is.
pub fn same<M, T: Compared, W, A: Compared>(
    op: &'static str,
    column: &Column<M, T>,
    _: fn(&W) -> &A,
    argument: &'static str,
) -> Condition
where
    A::As: Like<T::As>,
{
    Condition::Argument { field: column.name(), op, argument }
}

/// The column is more or less than the argument.
pub fn ranked<M, T: Compared, W, A: Compared>(
    op: &'static str,
    column: &Column<M, T>,
    _: fn(&W) -> &A,
    argument: &'static str,
) -> Condition
where
    A::As: Like<T::As>,
    T::As: Ranked,
{
    Condition::Argument { field: column.name(), op, argument }
}

/// The column's text has the argument in it.
pub fn text<M, T: Textual, W, A: Textual>(
    op: &'static str,
    column: &Column<M, T>,
    _: fn(&W) -> &A,
    argument: &'static str,
) -> Condition {
    Condition::Argument { field: column.name(), op, argument }
}

/// The column is one of those in the argument.
pub fn among<M, T: Compared, W, A: Many>(
    op: &'static str,
    column: &Column<M, T>,
    _: fn(&W) -> &A,
    argument: &'static str,
) -> Condition
where
    A::As: Like<T::As>,
{
    Condition::Argument { field: column.name(), op, argument }
}

/// The column is missing, or is not, as the argument says.
pub fn missing<M, T: Lacking, W, A: Compared>(
    op: &'static str,
    column: &Column<M, T>,
    _: fn(&W) -> &A,
    argument: &'static str,
) -> Condition
where
    A::As: Telling,
{
    Condition::Argument { field: column.name(), op, argument }
}

/// The column is this, whatever is asked.
///
/// # Panics
/// If the value has no JSON, which no value lacks.
pub fn only<M, T: Compared + Serialize>(column: &Column<M, T>, value: T) -> Condition {
    match RawValue::from_string(json::write(&value)) {
        Ok(value) => Condition::Value { field: column.name(), op: "eq", value },
        Err(error) => panic!("{}: {error}", column.name()),
    }
}

/// The words of the argument are searched for.
pub fn search<W, A: Textual>(_: fn(&W) -> &A, argument: &'static str) -> Condition {
    Condition::Search { search: argument }
}

/// A number or a size of pages.
pub fn whole<W, A: Compared>(_: fn(&W) -> &A, argument: &'static str) -> &'static str
where
    A::As: Counting,
{
    argument
}

/// A column that rows are put in order by.
pub const fn order<M, T: Compared>(column: &Column<M, T>, descending: bool) -> manifest::QueryOrder {
    manifest::QueryOrder { field: column.name(), descending }
}

/// What a page answers: its rows, and how many there are on all pages.
#[must_use]
pub fn page<M: ReadModel + crate::Value>(
    title: &'static str,
    rows: &'static str,
    total: &'static str,
) -> crate::schema::Schema {
    use crate::schema::{Field, Number, Schema};

    let most = Number::Whole(i32::MAX.into());
    let count = Schema::of("integer").least(Number::Whole(0)).most(most);
    let field = |name, schema: Schema, about| Field { name, schema: schema.about(about), required: true };
    let fields = vec![
        field(rows, Schema::list(M::schema()), "The rows of this page."),
        field(total, count, "How many there are on all pages."),
    ];
    Schema::object(fields).closed().title(title).description("A page of rows, and how many there are on all pages.")
}
