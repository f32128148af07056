//! What a state is made of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde::{Deserializer, Serialize, Serializer};

use crate::{Id, Timestamp};

/// What a field of a state may hold.
///
/// All values are parts, and so are the usual types of the standard library: numbers, texts, tuples, `Option`, `Box`,
/// `Vec`, `BTreeMap` and the like. A hash map is none, for its order differs from run to run, and equal states are to be
/// equal bytes. Structs and enums of your own become parts by `#[derive(Part)]`; other than values, they may have variants
/// with fields, because no API has to say them:
///
/// ```
/// use yado_sdk::prelude::*;
///
/// #[derive(State)]
/// pub struct Invoice { phase: Phase, lines: Vec<Line> }
///
/// #[derive(Part)]
/// enum Phase { Draft, Sent { at: Timestamp } }
///
/// #[derive(Part)]
/// struct Line { what: String, price: Decimal }
/// ```
///
/// A type that has serde's traits already becomes a part by `impl Part for MyType {}`. Anything else is refused:
///
/// ```compile_fail,E0277
/// use yado_sdk::prelude::*;
///
/// #[derive(State)]
/// pub struct Invoice { phase: Phase }
///
/// enum Phase { Draft, Sent }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a part of a state",
    label = "a state can't hold this type",
    note = "derive `Part` for a struct or an enum of your own, or `Value` if it also stands in a command or an event",
    note = "hash maps and sets are no parts, for their order differs from run to run: use `BTreeMap` and `BTreeSet`"
)]
pub trait Part: Serialize + DeserializeOwned {}

macro_rules! parts {
    ($($ty:ty),*) => {$(impl Part for $ty {})*};
}
parts!(bool, char, String, Decimal, Timestamp, Duration, ());
parts!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, f32, f64);

impl<T> Part for Id<T> {}
impl<T: Part> Part for Option<T> {}
impl<T: Part> Part for Box<T> {}
impl<T: Part> Part for Vec<T> {}
impl<T: Part> Part for VecDeque<T> {}
impl<T: Part + Ord> Part for BTreeSet<T> {}
impl<K: Part + Ord, V: Part> Part for BTreeMap<K, V> {}
impl<T: Part, const N: usize> Part for [T; N] where [T; N]: Serialize + DeserializeOwned {}

macro_rules! tuples {
    ($(($($name:ident),*))*) => {$(impl<$($name: Part),*> Part for ($($name,)*) {})*};
}
tuples!((A)(A, B)(A, B, C)(A, B, C, D)(A, B, C, D, E)(A, B, C, D, E, F));

/// What serde's derive is told to write a field with. A field of another type fails here, with the words above, and not
/// in what serde expands to.
///
/// # Errors
/// Those of the serializer.
#[doc(hidden)]
pub fn serialize<T: Part, S: Serializer>(part: &T, serializer: S) -> Result<S::Ok, S::Error> {
    part.serialize(serializer)
}

/// What serde's derive is told to read a field with.
///
/// # Errors
/// Those of the deserializer.
#[doc(hidden)]
pub fn deserialize<'de, T: Part, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize(deserializer)
}
