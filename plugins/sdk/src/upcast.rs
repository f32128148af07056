//! From events of older versions to events of today, step by step. The expansion of `#[derive(Event)]` calls these
//! functions; what an author writes are the steps.

use crate::decision::Events;
use crate::json::{self, Unreadable};
use crate::schema::Schema;
use crate::{Event, Value};

/// What the log may hold beside the events of today.
#[derive(Debug)]
pub struct Older {
    /// The name under which it was recorded.
    pub name: &'static str,
    /// In which version.
    pub version: u32,
    /// Its fields.
    pub payload: Schema,
}

/// Describes the fields that a step takes.
pub fn older<Old: Value, Now>(name: &'static str, version: u32, _: impl FnOnce(Old) -> Now) -> Older {
    Older { name, version, payload: Old::schema() }
}

/// Reads the fields of an old event, and lets the steps make events of today out of them.
///
/// # Errors
/// If they are others.
pub fn begin<Old: Value, E>(
    name: &str,
    payload: &str,
    steps: impl FnOnce(Old) -> Vec<E>,
) -> Result<Vec<E>, Unreadable> {
    Ok(steps(json::read(name, payload)?))
}

/// A step that is not the last one.
pub fn step<Old, Now, Next, E, How>(
    old: Old,
    convert: impl FnOnce(Old) -> Now,
    onward: impl Fn(Next) -> Vec<E>,
) -> Vec<E>
where
    Now: Becomes<Next, E, How>,
{
    convert(old).events(onward)
}

/// The last step.
pub fn last<Old, Now, E>(old: Old, convert: impl FnOnce(Old) -> Now) -> Vec<E>
where
    Now: Into<Events<E>>,
{
    convert(old).into().0
}

/// What a step that is not the last one may give: the fields of the next version, which go onward, or events of today. `How`
/// says which, and is for the compiler alone.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither the fields of the next version, which are `{Next}`, nor events of today, which are `{E}`",
    label = "what this function gives does not fit the next step",
    note = "it may also give several of them, as an array or a `Vec`, or an `Option` of one"
)]
pub trait Becomes<Next, E, How> {
    /// The events that become of it.
    fn events(self, onward: impl Fn(Next) -> Vec<E>) -> Vec<E>;
}

/// What a step has given: `How` is made of these, so that no type could mean two things.
pub mod how {
    use std::marker::PhantomData;

    /// One of them.
    #[derive(Debug)]
    pub struct One;

    /// The fields of the next version, in some number.
    #[derive(Debug)]
    pub struct Onward<Number>(PhantomData<Number>);

    /// Events of today, in some number.
    #[derive(Debug)]
    pub struct Today<Number>(PhantomData<Number>);
}
use how::{One, Onward, Today};

impl<Next, E> Becomes<Next, E, Onward<One>> for Next {
    fn events(self, onward: impl Fn(Next) -> Vec<E>) -> Vec<E> {
        onward(self)
    }
}

impl<Next, E> Becomes<Next, E, Onward<Option<One>>> for Option<Next> {
    fn events(self, onward: impl Fn(Next) -> Vec<E>) -> Vec<E> {
        self.map(onward).unwrap_or_default()
    }
}

impl<Next, E> Becomes<Next, E, Onward<Vec<One>>> for Vec<Next> {
    fn events(self, onward: impl Fn(Next) -> Vec<E>) -> Vec<E> {
        self.into_iter().flat_map(onward).collect()
    }
}

impl<Next, E, const N: usize> Becomes<Next, E, Onward<[One; N]>> for [Next; N] {
    fn events(self, onward: impl Fn(Next) -> Vec<E>) -> Vec<E> {
        self.into_iter().flat_map(onward).collect()
    }
}

impl<Next, E: Event> Becomes<Next, E, Today<One>> for E {
    fn events(self, _: impl Fn(Next) -> Vec<E>) -> Vec<E> {
        vec![self]
    }
}

impl<Next, E: Event> Becomes<Next, E, Today<Option<One>>> for Option<E> {
    fn events(self, _: impl Fn(Next) -> Vec<E>) -> Vec<E> {
        self.into_iter().collect()
    }
}

impl<Next, E: Event> Becomes<Next, E, Today<Vec<One>>> for Vec<E> {
    fn events(self, _: impl Fn(Next) -> Vec<E>) -> Vec<E> {
        self
    }
}

impl<Next, E: Event, const N: usize> Becomes<Next, E, Today<[One; N]>> for [E; N] {
    fn events(self, _: impl Fn(Next) -> Vec<E>) -> Vec<E> {
        self.into()
    }
}
