//! What a field may hold.

use rust_decimal::Decimal;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::schema::{Number, Schema};
use crate::{Entity, Id, Timestamp, json};

/// What a field of a command, an event or a read model may hold.
///
/// Texts, truth values, whole numbers, [`Decimal`], `f64`, [`Timestamp`] and [`Id`] are values; so are a `Vec` of values
/// and an `Option` of one, which may be left out. Structs with named fields and enums without become values by
/// `#[derive(Value)]`; a struct that wraps a single value is one too, with rules of its own:
/// `struct Title(#[schema(length(1..=80))] String)`.
///
/// An `Option` takes a null for the same as nothing. Where the two differ, because nothing leaves as it is and null
/// clears, an `Option` of an `Option` tells them apart: nothing is `None`, null is `Some(None)`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't stand in a field",
    label = "this type has no shape in the API",
    note = "derive `Value` for a struct or an enum of your own; money and other exact numbers are `Decimal`"
)]
pub trait Value: Serialize + DeserializeOwned {
    /// Whether it may be left out.
    #[doc(hidden)]
    const OPTIONAL: bool = false;

    /// Its shape.
    #[doc(hidden)]
    fn schema() -> Schema;

    /// Reads one that is there.
    #[doc(hidden)]
    fn said(document: &str) -> serde_json::Result<Self> {
        json::parse(document)
    }

    /// Whether to leave it out.
    #[doc(hidden)]
    fn is_unsaid(&self) -> bool {
        false
    }
}

/// What has a length that `#[schema(length(…))]` can bound.
#[diagnostic::on_unimplemented(message = "`length` is for texts and lists, and `{Self}` is neither")]
#[doc(hidden)]
pub trait Measured {}

/// What `#[schema(min = …, max = …)]` can bound.
#[diagnostic::on_unimplemented(message = "`min` and `max` are for numbers, and `{Self}` is none")]
#[doc(hidden)]
pub trait Bounded {}

/// What has digits after the point that `#[schema(places = …)]` can bound.
#[diagnostic::on_unimplemented(message = "`places` is for `Decimal`, and `{Self}` is none")]
#[doc(hidden)]
pub trait Exact {}

/// What `#[schema(pattern = …)]` and `#[schema(email)]` can hold against a rule, and what texts can be looked for in.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no text",
    note = "`pattern`, `email`, `contains`, `starts_with`, `ends_with` and searches are for texts"
)]
#[doc(hidden)]
pub trait Textual {}

/// What can say which instance of `Of` a command is for.
#[diagnostic::on_unimplemented(message = "`{Self}` can't say which `{Of}` is meant; `Id<{Of}>` can")]
#[doc(hidden)]
pub trait Names<Of> {}

impl<Of> Names<Of> for Id<Of> {}
impl<Of> Names<Of> for String {}

impl Value for String {
    fn schema() -> Schema {
        Schema::of("string")
    }
}
impl Measured for String {}
impl Textual for String {}

impl Value for bool {
    fn schema() -> Schema {
        Schema::of("boolean")
    }
}

impl Value for f64 {
    fn schema() -> Schema {
        Schema::of("number")
    }
}
impl Bounded for f64 {}

impl Value for Decimal {
    fn schema() -> Schema {
        Schema::text("decimal")
    }
}
impl Bounded for Decimal {}
impl Exact for Decimal {}

impl Value for Timestamp {
    fn schema() -> Schema {
        Schema::text("date-time")
    }
}

impl<T: Entity> Value for Id<T> {
    fn schema() -> Schema {
        Schema::text("id").references(T::NAME)
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Value for $integer {
            fn schema() -> Schema {
                let (least, most) = (Number::Whole(<$integer>::MIN.into()), Number::Whole(<$integer>::MAX.into()));
                Schema::of("integer").least(least).most(most)
            }
        }
        impl Bounded for $integer {}
    )*};
}
integers!(i8, i16, i32, i64, u8, u16, u32, u64);

impl<T: Value> Value for Option<T> {
    const OPTIONAL: bool = true;

    fn schema() -> Schema {
        T::schema().nullable()
    }

    fn said(document: &str) -> serde_json::Result<Self> {
        // A null is the innermost `Option`'s.
        if T::OPTIONAL { T::said(document).map(Some) } else { json::parse(document) }
    }

    fn is_unsaid(&self) -> bool {
        self.is_none()
    }
}
impl<T: Measured> Measured for Option<T> {}
impl<T: Bounded> Bounded for Option<T> {}
impl<T: Exact> Exact for Option<T> {}
impl<T: Textual> Textual for Option<T> {}

impl<T: Value> Value for Vec<T> {
    fn schema() -> Schema {
        Schema::list(T::schema())
    }
}
impl<T> Measured for Vec<T> {}

/// How the expansion of a derive adds an author's rules to a type's shape. Each asks for what makes the rule meaningful,
/// so that a rule at the wrong field is a compile error there.
#[doc(hidden)]
pub mod rules {
    pub use super::{Bounded, Exact, Measured, Textual};
    use super::{Names, Number, Schema, Value};
    use crate::schema::Field;

    #[must_use]
    pub fn field<T: Value>(
        name: &'static str,
        description: &'static str,
        rule: impl FnOnce(Schema) -> Schema,
    ) -> Field {
        Field { name, schema: rule(T::schema()).about(description), required: !T::OPTIONAL }
    }

    /// The field that says which instance of `Of` a command is for.
    #[must_use]
    pub fn own_id<Of, T: Names<Of>>(schema: Schema) -> Schema {
        schema.own_id()
    }

    #[must_use]
    pub fn shortest<T: Measured>(schema: Schema, length: u64) -> Schema {
        schema.shortest(length)
    }

    #[must_use]
    pub fn longest<T: Measured>(schema: Schema, length: u64) -> Schema {
        schema.longest(length)
    }

    #[must_use]
    pub fn least<T: Bounded>(schema: Schema, bound: Number) -> Schema {
        schema.least(bound)
    }

    #[must_use]
    pub fn most<T: Bounded>(schema: Schema, bound: Number) -> Schema {
        schema.most(bound)
    }

    #[must_use]
    pub fn places<T: Exact>(schema: Schema, places: u32) -> Schema {
        schema.places(places)
    }

    #[must_use]
    pub fn pattern<T: Textual>(schema: Schema, pattern: &'static str) -> Schema {
        schema.pattern(pattern)
    }

    #[must_use]
    pub fn email<T: Textual>(schema: Schema) -> Schema {
        schema.format("email")
    }
}
