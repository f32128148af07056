//! Queries that are declared: conditions on the rows of a read model, which the host reads without asking the plugin.

mod conditions;
mod one;
mod types;

use serde::Serialize;

use crate::{ReadModel, json, manifest};

pub use conditions::{
    above, any, any_of, at_least, at_most, below, contains, ends_with, is, is_not, missing, not, only, order, search,
    starts_with, whole,
};
pub use one::names_a_row;
pub use types::{Compared, Counting, Lacking, Like, Many, Ranked, Telling, Whole};

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
/// | `one` | it answers with a row, or null. Either filters by the key, or by what is unique, name it; or there is an `order` whose first row it is. Arguments that decide which row it is are no `Option` |
/// | `list`, `list(max = 100)` | it answers with the rows, 1,000 at most unless it says otherwise |
/// | `page(seats, total_count)` | it answers with an object of these two: a page of the rows, and how many there are on all |
/// | `order(price, descending(label))` | the rows' order; at last it is by key |
/// | `only(status = Status::Open, not(kind = Kind::Draft))` | what must hold, or must not, whatever is asked |
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
/// | `#[filter(not(label, contains))]` | what it says does not hold, as it does not where the column holds nothing |
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
///
/// and so is which row a query with `one` answers with:
///
/// ```compile_fail,E0080
/// # use yado_sdk::prelude::*;
/// # #[derive(State)] pub struct Seat;
/// # #[derive(Event)] #[event(of = Seat)] pub enum SeatEvent { SeatBuilt { price: Decimal } }
/// # #[derive(ReadModel)] pub struct SeatRow { #[key] id: Id<Seat>, price: Decimal }
/// #[derive(Query)]
/// #[query(of = SeatRow, one, only(price = Decimal::ONE))]
/// pub struct SeatOf { #[filter(id)] id: Option<String> }
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
