//! What decides.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json::Unreadable;
use crate::upcast::Older;
use crate::{Context, Decision, Entity, manifest};

/// What a fold over events has arrived at: everything that the next decision needs to know, and nothing else.
///
/// It is kept in [postcard], a compact encoding without field names: a state is small, equal states are equal bytes, and
/// the code that reads it is a fraction of JSON's. The price is that a state of another shape can't be read, which costs
/// nothing, for the host folds it anew from the events whenever the plugin's code has changed.
///
/// Its fields are [parts](crate::Part): values, the usual types of the standard library, and types of your own that derive
/// `Part`. `#[derive(State)]` names the aggregate after the type, and takes:
///
/// | attribute | meaning |
/// | --- | --- |
/// | `#[state(name = "…")]` | another name for the aggregate |
/// | `#[state(id = "ulid")]` | ids are ULIDs; they are UUIDv7 otherwise |
/// | `#[state(unique(email = "…"))]` | a constraint for [claims](crate::Claims), `Self::EMAIL`, and what a caller is told who breaks it |
/// | `#[state(encoding = "…")]` | vouches that builds with the same text read each other's snapshots |
///
/// [postcard]: https://docs.rs/postcard
#[diagnostic::on_unimplemented(message = "`{Self}` is no state", note = "derive it: `#[derive(State)]`")]
pub trait State: Entity + Serialize + DeserializeOwned {
    /// What the manifest says of the aggregate, but for its commands and events.
    #[doc(hidden)]
    fn describe() -> manifest::Aggregate;
}

/// Decides what commands come to, and folds events into a state.
pub trait Aggregate: State {
    /// What can be asked of it.
    type Command: Command<Of = Self>;
    /// What can happen to it.
    type Event: Event<Of = Self>;

    /// Decides what a command comes to. There is no state before the first event, nor after one that ended the thing.
    ///
    /// # Errors
    /// A [`Rejection`](crate::Rejection): the domain's no.
    fn decide(state: Option<&Self>, command: Self::Command, context: &Context) -> Decision<Self::Event>;

    /// What an event makes of the state; `None` if it ends the thing.
    fn evolve(state: Option<Self>, event: Self::Event) -> Option<Self>;
}

/// What can be asked of an aggregate: an enum with a variant for each command, by `#[derive(Command)]`.
///
/// `ProductCommand` is for the aggregate `Product`; `#[command(of = …)]` on the enum says otherwise. Of a variant,
/// `#[command(…)]` says:
///
/// | attribute | meaning |
/// | --- | --- |
/// | `creates` | it is for a new instance, whose id the host makes |
/// | `upserts` | it is for the instance that its id names, whether there is one or not |
/// | `returns = ProductRow` | this read model's row is the answer |
/// | `roles("editor", …)` | whoever asks needs one of these |
///
/// A command that does not create has a field named `id`, or one marked `#[id]`. Its other fields take `#[schema(…)]`
/// with `length(1..=200)`, `min = 0`, `max = …`, `places = 2`, `pattern = "…"` or `email`: the host checks them before
/// the plugin is asked.
///
/// A field of type `Option` may be left out, or be null, which is the same. To tell the two apart, as a command must that
/// changes what it is given and clears what is null, a field is an `Option` of an `Option`:
///
/// ```
/// use yado_sdk::prelude::*;
///
/// #[derive(State)]
/// struct Person { nickname: Option<String> }
///
/// #[derive(Command)]
/// enum PersonCommand {
///     ChangePerson {
///         id: Id<Person>,
///         /// Left out: `None`, and it stays. Null: `Some(None)`, and it goes. A text: `Some(Some(text))`.
///         #[schema(length(1..=50))]
///         nickname: Option<Option<String>>,
///     },
/// }
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` is no command", note = "derive it: `#[derive(Command)]` on an enum")]
pub trait Command: Sized {
    /// The aggregate.
    type Of: Entity;

    #[doc(hidden)]
    fn decode(name: &str, payload: &str) -> Result<Self, Unreadable>;
    #[doc(hidden)]
    fn encode(&self) -> Message;
    #[doc(hidden)]
    fn describe() -> Vec<manifest::Command>;
}

/// What can happen to an aggregate: an enum with a variant for each event, by `#[derive(Event)]`.
///
/// `ProductEvent` is of the aggregate `Product`; `#[event(of = …)]` on the enum says otherwise. Of a variant,
/// `#[event(…)]` says:
///
/// | attribute | meaning |
/// | --- | --- |
/// | `version = 3` | its fields have changed twice; without it, it is the first version |
/// | `from_v1 = f, from_v2 = g` | how an event of each older version comes up to date |
/// | `was = "…"` | it was recorded under this name once; may be said several times |
///
/// # The fields of an event change, the log does not
///
/// What has been recorded stays as it is. So whoever changes the fields of an event counts up its version, keeps the
/// fields of before in a struct, and says how they become those of the next version. The last step gives the event:
///
/// ```
/// use yado_sdk::prelude::*;
/// # #[derive(State)] pub struct Product { price: Decimal }
///
/// #[derive(Event)]
/// pub enum ProductEvent {
///     #[event(version = 3, from_v1 = in_euros, from_v2 = with_currency, was = "ProductPriceChanged")]
///     ProductRepriced { price: Decimal, currency: String },
/// }
///
/// /// Version 1: cents.
/// #[derive(Value)]
/// struct RepricedV1 { cents: i64 }
///
/// /// Version 2: euros.
/// #[derive(Value)]
/// struct RepricedV2 { price: Decimal }
///
/// fn in_euros(old: RepricedV1) -> RepricedV2 {
///     RepricedV2 { price: Decimal::new(old.cents, 2) }
/// }
///
/// fn with_currency(old: RepricedV2) -> ProductEvent {
///     ProductEvent::ProductRepriced { price: old.price, currency: "EUR".into() }
/// }
/// ```
///
/// An event of version 1 goes through both functions, and each is written once. A step gives the fields of the next
/// version or events of today, whichever is simpler, and it may give one, several (an array or a `Vec`), or none where it
/// can tell (`Option`). What it gives depends on the old event alone. A step that is missing, or does not fit the next one,
/// does not compile:
///
/// ```compile_fail,E0631
/// # use yado_sdk::prelude::*;
/// # #[derive(State)] pub struct Product { price: Decimal }
/// #[derive(Event)]
/// pub enum ProductEvent {
///     #[event(version = 3, from_v1 = in_euros, from_v2 = with_currency)]
///     ProductRepriced { price: Decimal, currency: String },
/// }
/// # #[derive(Value)] struct RepricedV1 { cents: i64 }
/// # #[derive(Value)] struct RepricedV2 { price: Decimal }
///
/// fn in_euros(old: RepricedV1) -> Decimal {
///     Decimal::new(old.cents, 2)
/// }
/// # fn with_currency(old: RepricedV2) -> ProductEvent {
/// #     ProductEvent::ProductRepriced { price: old.price, currency: "EUR".into() }
/// # }
/// ```
///
/// # Events that are no more
///
/// An event whose place others have taken leaves the enum, and the enum says what becomes of those in the log, for every
/// version that it had: other events, or none.
///
/// ```
/// use yado_sdk::prelude::*;
/// # #[derive(State)] pub struct Product { price: Decimal }
///
/// #[derive(Event)]
/// #[event(retired(ProductRelaunched, from_v1 = taken_apart))]
/// pub enum ProductEvent {
///     ProductRenamed { name: String },
///     ProductRepriced { price: Decimal },
/// }
///
/// #[derive(Value)]
/// struct Relaunched { name: String, price: Decimal }
///
/// fn taken_apart(old: Relaunched) -> [ProductEvent; 2] {
///     [ProductEvent::ProductRenamed { name: old.name }, ProductEvent::ProductRepriced { price: old.price }]
/// }
/// ```
///
/// The test kit throws random events of all these versions at the component: `plugin().upcasts::<ProductEvent>()`. The host
/// refuses to deploy a plugin that can't read an event that it has recorded.
#[diagnostic::on_unimplemented(message = "`{Self}` is no event", note = "derive it: `#[derive(Event)]` on an enum")]
pub trait Event: Sized {
    /// The aggregate.
    type Of: Entity;

    /// The names of its variants.
    #[doc(hidden)]
    const NAMES: &'static [&'static str];

    /// Names that are in the log and no variant has, each with the latest version that was recorded under it.
    #[doc(hidden)]
    const PAST: &'static [manifest::PastEvent];

    #[doc(hidden)]
    fn decode(name: &str, payload: &str) -> Result<Self, Unreadable>;
    #[doc(hidden)]
    fn encode(&self) -> Message;
    #[doc(hidden)]
    fn upcast(name: &str, version: u32, payload: &str) -> Result<Vec<Self>, Unreadable>;
    #[doc(hidden)]
    fn describe() -> Vec<manifest::Event>;
    /// What the log may hold beside the events of today.
    #[doc(hidden)]
    fn older() -> Vec<Older>;
}

/// A command or an event on its way out.
#[doc(hidden)]
#[derive(Debug)]
pub struct Message {
    pub name: &'static str,
    pub version: u32,
    pub payload: String,
}
