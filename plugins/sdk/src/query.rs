//! Reads that a declared query can't say.

use std::marker::PhantomData;

use crate::bindings::types;
use crate::json::Unreadable;
use crate::{Context, ReadModel, Rejection, Rows, manifest};

/// A named query, by `#[query]` on a function.
///
/// Its arguments are values, and its parameters of type `&Rows<…>` and `&Context` are what it reads from. It returns a
/// value, a row or a list of them, as `Result<_, Rejection>`.
#[doc(hidden)]
pub trait Query {
    const NAME: &'static str;
    fn describe() -> manifest::Query;
    fn answer(arguments: &str, surroundings: &Surroundings) -> Result<Result<String, Rejection>, Unreadable>;
}

/// A query with its arguments, which is answered with a `T`: what a query's `with(…)` gives to a test.
#[derive(Debug)]
pub struct Asked<T> {
    #[allow(dead_code, reason = "the test kit reads it")]
    pub(crate) query: &'static str,
    #[allow(dead_code, reason = "the test kit reads it")]
    pub(crate) arguments: String,
    of: PhantomData<fn() -> T>,
}

impl<T> Asked<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(query: &'static str, arguments: String) -> Self {
        Self { query, arguments, of: PhantomData }
    }
}

/// What queries read from.
#[doc(hidden)]
#[derive(Debug)]
pub struct Surroundings {
    pub context: Context,
}

impl Surroundings {
    pub(crate) fn new(context: types::Context) -> Self {
        Self { context: Context::new(context) }
    }

    #[must_use]
    pub const fn rows<M: ReadModel>(&self) -> Rows<M> {
        Rows::new()
    }
}
