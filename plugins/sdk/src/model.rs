//! What can be read, and what keeps it up to date.

use std::fmt;
use std::marker::PhantomData;

use rust_decimal::Decimal;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::read_model::{self, Comparison, Condition, Ordering, Selection};
use crate::recorded::Source;
use crate::{json, manifest};

/// A row of a table that the host keeps, and an object type of the API, by `#[derive(ReadModel)]` on a struct.
///
/// `ProductRow` is named `Product`; `#[model(name = "…")]` says otherwise. On the struct:
///
/// | attribute | meaning |
/// | --- | --- |
/// | `#[model(plural = "people")]` | what many of them are called, where adding an `s` won't do |
/// | `#[model(index(category_id, price))]` | looked up or ordered by these together |
/// | `#[model(unique(shop_id, code))]` | no two rows hold the same in these together |
/// | `#[relation(many = ProductRow, field = "categoryId", as = "products")]` | leads to the rows whose field holds this row's key |
///
/// and on its fields:
///
/// | attribute | meaning |
/// | --- | --- |
/// | `#[key]` | it names the row; exactly one field has it |
/// | `#[index]` | looked up or ordered by it |
/// | `#[unique]` | no two rows hold the same in it; a projection that writes it twice fails, so a decision has to `take` it |
/// | `#[search]` | a search looks into it |
/// | `#[relation(to = CategoryRow, as = "category")]` | it holds the key of a row of that model |
///
/// Rows that another plugin keeps are marked `#[model(foreign)]`. Declared queries find them, and relations lead to them. Of
/// their columns only those are written down that are spoken of; callers may select the others all the same:
///
/// ```
/// use yado_sdk::prelude::*;
///
/// /// A category of the catalog.
/// #[derive(ReadModel)]
/// #[model(foreign)]
/// pub struct CategoryRow { #[key] id: String, name: String }
///
/// /// The categories of a name.
/// #[derive(Query)]
/// #[query(of = CategoryRow, list)]
/// pub struct CategoriesNamed { #[filter(name)] name: String }
///
/// plugin! { name: "lookup", queries: [CategoriesNamed] }
/// ```
///
/// Their plugin alone reads them otherwise:
///
/// ```compile_fail,E0080
/// # use yado_sdk::prelude::*;
/// # #[derive(ReadModel)] #[model(foreign)] pub struct CategoryRow { #[key] id: String, name: String }
/// #[query]
/// pub fn how_many(rows: &Rows<CategoryRow>) -> Result<u32, Rejection> { Ok(rows.find(|_| []).count() as u32) }
///
/// plugin! { name: "lookup", queries: [how_many] }
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` is no read model", note = "derive it: `#[derive(ReadModel)]`")]
pub trait ReadModel: Serialize + DeserializeOwned {
    /// The model's name.
    const NAME: &'static str;
    /// What names a row.
    type Key: AsRef<str>;
    /// The columns, for saying which of them to change or to compare.
    #[doc(hidden)]
    type Columns: 'static;
    #[doc(hidden)]
    const COLUMNS: &'static Self::Columns;
    /// The name of the column that names a row.
    #[doc(hidden)]
    const KEY: &'static str;
    /// Columns in which no two rows hold the same, taken together.
    #[doc(hidden)]
    const UNIQUE: &'static [&'static [&'static str]];
    /// Whether a search looks into any of them.
    #[doc(hidden)]
    const SEARCHED: bool;
    /// Whether another plugin keeps it.
    #[doc(hidden)]
    const FOREIGN: bool;

    #[doc(hidden)]
    fn describe() -> manifest::ReadModel;
}

/// What can hold the key of a row: a key, or an `Option` of one.
#[diagnostic::on_unimplemented(message = "`{Self}` can't lead to rows whose key is `{Key}`")]
#[doc(hidden)]
pub trait Holds<Key> {}

impl<Key> Holds<Key> for Key {}
impl<Key> Holds<Key> for Option<Key> {}

/// Holds a relation's field against the key of the model that it leads to, while the plugin compiles.
#[doc(hidden)]
pub const fn leads_to<M: ReadModel, T: Holds<M::Key>>() {}

/// Brings a read model up to date with events.
pub trait Projection: ReadModel {
    /// What it is shown: `Recorded<ProductEvent>`, or an enum of several such that derives `Events`.
    type Event: Source;

    /// Counted up when the code below shows old events differently: the table is then made anew from the whole log.
    const VERSION: u32 = 1;

    /// Writes what an event changes.
    fn project(event: &Self::Event, rows: &mut Rows<Self>);
}

/// The rows of a read model. A projection sees what it has written itself, also within one batch.
pub struct Rows<M> {
    // Not to be made by anyone but the SDK: writing is for projections only.
    of: PhantomData<fn() -> M>,
    /// Where rows are written before they go to the host.
    text: String,
}

impl<M: ReadModel> Rows<M> {
    pub(crate) const fn new() -> Self {
        Self { of: PhantomData, text: String::new() }
    }

    /// A row, if it is there.
    #[must_use]
    pub fn get(&self, key: &M::Key) -> Option<M> {
        read_model::get(M::NAME, key.as_ref()).map(|row| read_row(&row))
    }

    /// Writes a whole row, in the place of the one with the same key if there is one.
    pub fn put(&mut self, row: M) {
        self.text.clear();
        json::write_to(&row, &mut self.text);
        read_model::put(M::NAME, &self.text);
    }

    /// Changes some columns of a row and leaves the others; does nothing if there is no such row.
    ///
    /// `rows.patch(&id, |row| [row.name.to(name), row.changes.plus(1)])`
    pub fn patch<C: IntoIterator<Item = Change<M>>>(&mut self, key: &M::Key, changes: impl FnOnce(&M::Columns) -> C) {
        apply(M::NAME, key.as_ref(), &mut changes(M::COLUMNS).into_iter().map(|change| (change.column, change.what)));
    }

    /// Removes a row, if it is there.
    pub fn delete(&mut self, key: &M::Key) {
        read_model::delete(M::NAME, key.as_ref());
    }

    /// Rows that meet all of some conditions: `rows.find(|row| [row.price.at_least(price)]).limit(10).list()`.
    ///
    /// A projection sees them as they were before its batch.
    pub fn find<C: IntoIterator<Item = Where<M>>>(&self, conditions: impl FnOnce(&M::Columns) -> C) -> Find<M> {
        let conditions = conditions(M::COLUMNS).into_iter().map(|condition| condition.condition).collect();
        let selection = Selection { conditions, ordering: Vec::new(), limit: u32::MAX, offset: 0 };
        Find { selection, of: PhantomData }
    }
}

impl<M: ReadModel> fmt::Debug for Rows<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the rows of {}", M::NAME)
    }
}

/// Not generic, so that a plugin holds it once and not for every change that it makes.
fn apply(model: &str, key: &str, changes: &mut dyn Iterator<Item = (&'static str, What)>) {
    let mut fields = String::new();
    for (column, what) in changes {
        match what {
            What::To(value) => {
                fields.push(if fields.is_empty() { '{' } else { ',' });
                // A column's name is letters and digits, so it needs no escapes.
                fields.extend(["\"", column, "\":", &value]);
            }
            What::Plus(amount) => read_model::add(model, key, column, &amount),
        }
    }
    if !fields.is_empty() {
        fields.push('}');
        read_model::patch(model, key, &fields);
    }
}

fn read_row<M: ReadModel>(row: &str) -> M {
    match json::read(M::NAME, row) {
        Ok(row) => row,
        Err(error) => panic!("the host handed out a row that can't be read: {error}"),
    }
}

/// A column of a read model.
pub struct Column<M, T> {
    name: &'static str,
    of: PhantomData<fn() -> (M, T)>,
}

/// A change to a column.
pub struct Change<M> {
    column: &'static str,
    what: What,
    of: PhantomData<fn() -> M>,
}

enum What {
    To(String),
    Plus(String),
}

/// A condition on a column.
pub struct Where<M> {
    condition: Condition,
    of: PhantomData<fn() -> M>,
}

/// What can be added up.
#[diagnostic::on_unimplemented(message = "`{Self}` can't be added up; numbers can")]
pub trait Amount: fmt::Display {}

macro_rules! amounts {
    ($($number:ty),*) => {$(impl Amount for $number {})*};
}
amounts!(i8, i16, i32, i64, u8, u16, u32, u64, f64, Decimal);

impl<M, T> Column<M, T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, of: PhantomData }
    }

    #[doc(hidden)]
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<M, T: Serialize> Column<M, T> {
    /// Sets it.
    #[must_use]
    pub fn to(&self, value: impl Into<T>) -> Change<M> {
        Change { column: self.name, what: What::To(json::write(&value.into())), of: PhantomData }
    }

    /// Adds to it; a negative amount takes away. What stood there before need not be read.
    #[must_use]
    pub fn plus(&self, amount: impl Amount) -> Change<M>
    where
        T: Amount,
    {
        Change { column: self.name, what: What::Plus(amount.to_string()), of: PhantomData }
    }

    fn compare(&self, comparison: Comparison, value: String) -> Where<M> {
        Where { condition: Condition { field: self.name.into(), comparison, value }, of: PhantomData }
    }

    /// It is this.
    #[must_use]
    pub fn is(&self, value: impl Into<T>) -> Where<M> {
        self.compare(Comparison::Equal, json::write(&value.into()))
    }

    /// It is anything but this.
    #[must_use]
    pub fn is_not(&self, value: impl Into<T>) -> Where<M> {
        self.compare(Comparison::NotEqual, json::write(&value.into()))
    }

    /// It is this or more.
    #[must_use]
    pub fn at_least(&self, value: impl Into<T>) -> Where<M> {
        self.compare(Comparison::GreaterOrEqual, json::write(&value.into()))
    }

    /// It is this or less.
    #[must_use]
    pub fn at_most(&self, value: impl Into<T>) -> Where<M> {
        self.compare(Comparison::LessOrEqual, json::write(&value.into()))
    }

    /// It is more than this.
    #[must_use]
    pub fn above(&self, value: impl Into<T>) -> Where<M> {
        self.compare(Comparison::Greater, json::write(&value.into()))
    }

    /// It is less than this.
    #[must_use]
    pub fn below(&self, value: impl Into<T>) -> Where<M> {
        self.compare(Comparison::Less, json::write(&value.into()))
    }
}

impl<M> Column<M, String> {
    /// It contains this text; if the column is marked `#[search]`, whatever the case and the width of its letters.
    #[must_use]
    pub fn contains(&self, part: &str) -> Where<M> {
        self.compare(Comparison::Contains, json::write(part))
    }
}

/// Rows about to be read.
#[must_use = "nothing is read before `list` or `count`"]
pub struct Find<M> {
    selection: Selection,
    of: PhantomData<fn() -> M>,
}

impl<M: ReadModel> Find<M> {
    /// The least of a column first; rows that are equal in it by the next ordering, and at last by key, in the direction of
    /// the last ordering. What is not there comes last.
    pub fn by<T>(mut self, column: impl FnOnce(&M::Columns) -> &Column<M, T>) -> Self {
        let field = column(M::COLUMNS).name.into();
        self.selection.ordering.push(Ordering { field, descending: false });
        self
    }

    /// The greatest of a column first.
    pub fn by_descending<T>(mut self, column: impl FnOnce(&M::Columns) -> &Column<M, T>) -> Self {
        let field = column(M::COLUMNS).name.into();
        self.selection.ordering.push(Ordering { field, descending: true });
        self
    }

    /// At most so many. The host has a limit of its own.
    pub const fn limit(mut self, rows: u32) -> Self {
        self.selection.limit = rows;
        self
    }

    /// Not the first so many.
    pub const fn skip(mut self, rows: u32) -> Self {
        self.selection.offset = rows;
        self
    }

    /// How many there are. They are counted where they are kept, all of them, whatever `limit` and `skip` say.
    #[must_use]
    pub fn count(self) -> u64 {
        read_model::count(M::NAME, &self.selection.conditions)
    }

    /// Reads them.
    #[must_use]
    pub fn list(self) -> Vec<M> {
        read_model::find(M::NAME, &self.selection).iter().map(|row| read_row(row)).collect()
    }
}
