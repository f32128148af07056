//! Ids that know what they are ids of.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A kind of thing that has ids: an aggregate of this plugin, or of another one.
///
/// `#[derive(State)]` makes one of an aggregate's state. An aggregate that lives in another plugin is named by a type
/// that stands for it:
///
/// ```
/// use yado_sdk::prelude::*;
///
/// /// Kept by another plugin.
/// #[derive(Foreign)]
/// pub struct Customer;
///
/// #[derive(State)]
/// pub struct Ticket { holder: Id<Customer> }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no aggregate, so there are no ids of it",
    note = "derive `State` for the state of an aggregate of this plugin, or `Foreign` for a type that stands for one of another plugin"
)]
pub trait Entity {
    /// The aggregate's name.
    const NAME: &'static str;
}

/// The id of one `T`. The host makes it, and makes sure that it names one that exists.
pub struct Id<T: ?Sized> {
    text: String,
    of: PhantomData<fn() -> T>,
}

impl<T: ?Sized> Id<T> {
    /// The id that a text holds.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), of: PhantomData }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

// Written out, because derives would ask the same of `T`, which is never there.
impl<T: ?Sized> Clone for Id<T> {
    fn clone(&self) -> Self {
        Self::new(self.text.clone())
    }
}

impl<T: ?Sized> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<T: ?Sized> Eq for Id<T> {}

impl<T: ?Sized> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: ?Sized> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl<T: ?Sized> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl<T: ?Sized> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl<T: ?Sized> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<T: ?Sized> AsRef<str> for Id<T> {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl<T: ?Sized> From<&Self> for Id<T> {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

impl<T: ?Sized> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de, T: ?Sized> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}
