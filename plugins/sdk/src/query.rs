//! Reads that a declared query can't say.

use std::marker::PhantomData;

use serde::Serialize;

use crate::bindings::types;
use crate::json::{self, Unreadable};
use crate::{Context, ReadModel, Rejection, Rows, declared, manifest};

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
    query: &'static str,
    arguments: String,
    of: PhantomData<fn() -> T>,
}

impl<T> Asked<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(query: &'static str, arguments: String) -> Self {
        Self { query, arguments, of: PhantomData }
    }
}

/// What a test can ask: a declared query, or a function's with the arguments that its `with(…)` takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be asked",
    note = "derive `Query` for a struct, or mark a function `#[query]` and ask what its `with(…)` gives"
)]
pub trait Ask {
    /// What it is answered with.
    type Answer;

    /// The query's name.
    #[doc(hidden)]
    fn name(&self) -> &'static str;

    /// Its arguments, as the API takes them.
    #[doc(hidden)]
    fn arguments(&self) -> String;

    /// An answer, as the API gives it.
    #[doc(hidden)]
    fn write(answer: &Self::Answer) -> String;
}

impl<T: Serialize> Ask for Asked<T> {
    type Answer = T;

    fn name(&self) -> &'static str {
        self.query
    }

    fn arguments(&self) -> String {
        self.arguments.clone()
    }

    fn write(answer: &T) -> String {
        json::write(answer)
    }
}

impl<Q: declared::Query> Ask for Q {
    type Answer = Q::Answer;

    fn name(&self) -> &'static str {
        Q::NAME
    }

    fn arguments(&self) -> String {
        declared::Query::arguments(self)
    }

    fn write(answer: &Q::Answer) -> String {
        Q::write(answer)
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
