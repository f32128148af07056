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
    Take(Constraint, String),
    Release(Constraint, String),
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

/// A rule that a value belongs to one instance at a time, as [`Claims`] name it.
///
/// `#[state(unique(email = "…"))]` on the state `Account` makes `Account::EMAIL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Constraint(pub(crate) &'static str);

impl Constraint {
    /// What the derive makes of a name. A constraint that the manifest does not declare would end every decision that
    /// names it, so none is made elsewhere.
    #[doc(hidden)]
    #[must_use]
    pub const fn declared(name: &'static str) -> Self {
        Self(name)
    }

    /// Its name in the manifest, which is also the code of the rejection.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// What a decision takes and lets go along with its events.
///
/// A claim is a value that only one instance of all may hold at a time: an e-mail address, a slug, a seat. A stream knows
/// nothing of other streams, so no decision could make sure of that by itself. The host does, in the transaction that
/// records the events: either all of it holds, or nothing is recorded.
///
/// ```
/// use yado_sdk::prelude::*;
///
/// /// Somebody who may sign in.
/// #[derive(State)]
/// #[state(unique(email = "This address belongs to another account."))]
/// pub struct Account { email: String }
///
/// # #[derive(Command)]
/// # pub enum AccountCommand {
/// #     #[command(creates)] OpenAccount { email: String },
/// #     ChangeEmail { id: Id<Account>, email: String },
/// #     CloseAccount { id: Id<Account> },
/// # }
/// # #[derive(Event)]
/// # pub enum AccountEvent { AccountOpened { email: String }, EmailChanged { email: String }, AccountClosed }
/// # use {AccountCommand::*, AccountEvent::*};
/// impl Aggregate for Account {
///     type Command = AccountCommand;
///     type Event = AccountEvent;
///
///     fn decide(account: Option<&Self>, command: AccountCommand, _: &Context) -> Decision<AccountEvent> {
///         match (account, command) {
///             (None, OpenAccount { email }) => {
///                 let email = email.to_lowercase();
///                 record(AccountOpened { email: email.clone() }).take(Self::EMAIL, email)
///             }
///             (Some(now), ChangeEmail { email, .. }) => {
///                 let email = email.to_lowercase();
///                 record(EmailChanged { email: email.clone() }).exchange(Self::EMAIL, &now.email, email)
///             }
///             (Some(now), CloseAccount { .. }) => record(AccountClosed).release(Self::EMAIL, &now.email),
///             _ => reject("no_account", "There is no such account, or there is one already."),
///         }
///     }
///
///     fn evolve(_: Option<Self>, event: AccountEvent) -> Option<Self> {
///         match event {
///             AccountOpened { email } | EmailChanged { email } => Some(Self { email }),
///             AccountClosed => None,
///         }
///     }
/// }
/// ```
///
/// Whoever takes what another instance holds is rejected with the constraint's name as the code, `email`, and the text that
/// the state declares. To take what the instance holds itself changes nothing, and so does letting go of what it does not
/// hold. Two values are the same if their texts are, byte by byte: bring them into one form first, as above. A claim is told
/// by an event, so a decision without events has none. The host keeps who holds what as an index of the log, and can make it
/// again.
///
/// A value has at most 1,024 bytes, and not the character NUL. Whoever gives more than that is told so as of a mistake in
/// the arguments, by the constraint's name. The API says it beforehand if the argument has `#[schema(length(..))]`.
///
/// A test says what it expects by `then_claims([taken(Account::EMAIL, "ada@example.org")])`.
pub trait Claims: Sized {
    /// Takes a value. If another instance holds it, the command is rejected.
    #[must_use]
    fn take(self, constraint: Constraint, value: impl Into<String>) -> Self;

    /// Lets go of a value.
    #[must_use]
    fn release(self, constraint: Constraint, value: impl Into<String>) -> Self;

    /// Lets go of one value and takes another in its place. If they are the same, nothing is taken or let go.
    #[must_use]
    fn exchange(self, constraint: Constraint, old: impl Into<String>, new: impl Into<String>) -> Self {
        let (old, new) = (old.into(), new.into());
        if old == new { self } else { self.release(constraint, old).take(constraint, new) }
    }

    /// Labels the events, so that other decisions can find them.
    #[must_use]
    fn tag(self, label: impl Into<String>) -> Self;
}

impl<E> Claims for Decision<E> {
    fn take(self, constraint: Constraint, value: impl Into<String>) -> Self {
        self.map(|mut changes| {
            changes.claims.push(Claim::Take(constraint, value.into()));
            changes
        })
    }

    fn release(self, constraint: Constraint, value: impl Into<String>) -> Self {
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
