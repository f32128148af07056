//! What a command comes to.

use std::fmt;

use serde::Serialize;

/// What a command comes to: events and claims to record, or a no.
///
/// [`record`], [`nothing`] and [`reject`] make one; [`Claims`] adds to it.
pub type Decision<E> = Result<Changes<E>, Rejection>;

/// What is recorded, all of it or nothing.
#[derive(Debug)]
pub struct Changes<E> {
    pub(crate) events: Vec<E>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) tags: Vec<String>,
}

#[derive(Debug)]
pub(crate) enum Claim {
    Take(&'static str, String),
    Release(&'static str, String),
}

/// Records an event, or several in order: one, an array, a `Vec` or an `Option`.
pub fn record<E>(events: impl Into<Events<E>>) -> Decision<E> {
    Ok(Changes { events: events.into().0, claims: Vec::new(), tags: Vec::new() })
}

/// Says yes without recording anything: what was asked for is so already.
pub fn nothing<E>() -> Decision<E> {
    Ok(Changes { events: Vec::new(), claims: Vec::new(), tags: Vec::new() })
}

/// Says no, with a stable code in snake case for programs and one sentence for people.
///
/// # Errors
/// Always: that is what it is for. It fits wherever a [`Decision`] or a query's answer is due.
pub fn reject<T>(code: &'static str, message: impl Into<String>) -> Result<T, Rejection> {
    Err(Rejection::new(code, message))
}

/// Goes on if a rule holds, and says no otherwise: `ensure(quantity <= stock, "out_of_stock", "…")?`.
///
/// # Errors
/// If the rule doesn't hold.
pub fn ensure(holds: bool, code: &'static str, message: impl Into<String>) -> Result<(), Rejection> {
    if holds { Ok(()) } else { reject(code, message) }
}

/// Events in the order in which they happen.
#[derive(Debug)]
pub struct Events<E>(pub(crate) Vec<E>);

impl<E: crate::Event> From<E> for Events<E> {
    fn from(event: E) -> Self {
        Self(vec![event])
    }
}

impl<E, const N: usize> From<[E; N]> for Events<E> {
    fn from(events: [E; N]) -> Self {
        Self(events.into())
    }
}

impl<E> From<Vec<E>> for Events<E> {
    fn from(events: Vec<E>) -> Self {
        Self(events)
    }
}

impl<E> From<Option<E>> for Events<E> {
    fn from(event: Option<E>) -> Self {
        Self(event.into_iter().collect())
    }
}

/// What a decision takes and lets go along with its events.
///
/// A claim is a value that only one instance may hold at a time, under the name of a constraint that the state declares:
/// `#[state(unique(unique_email = "This address belongs to another account."))]`.
pub trait Claims: Sized {
    /// Takes a value. If another instance holds it, the command is rejected with the constraint's name as its code.
    #[must_use]
    fn take(self, constraint: &'static str, value: impl Into<String>) -> Self;

    /// Lets go of a value.
    #[must_use]
    fn release(self, constraint: &'static str, value: impl Into<String>) -> Self;

    /// Labels the events, so that other decisions can find them.
    #[must_use]
    fn tag(self, label: impl Into<String>) -> Self;
}

impl<E> Claims for Decision<E> {
    fn take(self, constraint: &'static str, value: impl Into<String>) -> Self {
        self.map(|mut changes| {
            changes.claims.push(Claim::Take(constraint, value.into()));
            changes
        })
    }

    fn release(self, constraint: &'static str, value: impl Into<String>) -> Self {
        self.map(|mut changes| {
            changes.claims.push(Claim::Release(constraint, value.into()));
            changes
        })
    }

    fn tag(self, label: impl Into<String>) -> Self {
        self.map(|mut changes| {
            changes.tags.push(label.into());
            changes
        })
    }
}

/// The domain says no. Nothing is recorded; the caller is told why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) field: Option<String>,
    pub(crate) details: Option<String>,
}

impl Rejection {
    /// A no with a stable code in snake case for programs, and one sentence for people.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, details: None }
    }

    /// Names the argument at fault: `items/0/quantity`.
    #[must_use]
    pub fn field(mut self, path: impl Into<String>) -> Self {
        self.field = Some(path.into());
        self
    }

    /// Adds what else a program may want to know.
    #[must_use]
    pub fn details(mut self, details: &impl Serialize) -> Self {
        self.details = Some(crate::json::write(details));
        self
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Rejection {}
