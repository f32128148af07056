//! What can be compared with what. A query that compares other things does not compile, and these say why.

use rust_decimal::Decimal;

use crate::{Id, Timestamp};

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
