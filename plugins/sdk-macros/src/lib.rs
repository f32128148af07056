//! The derives and macros of the Yado SDK. Their documentation stands at the traits of `yado-sdk` that they implement.
//!
//! Each module turns one item of the author's into one trait implementation, and is a plain function over syntax trees:
//! what it expands to and what it refuses is tested without a compiler. A refusal points at what is wrong and says what
//! to write instead. What only types can tell is left to bounds in the expansion, which carry the author's spans.

mod attribute;
mod command;
mod declared;
mod event;
mod field;
mod message;
mod model;
mod plugin;
mod query;
mod serial;
mod source;
mod state;
mod upcast;
mod value;

use proc_macro::TokenStream;
use syn::DeriveInput;

fn derive(item: TokenStream, expand: fn(&DeriveInput) -> syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    syn::parse(item).and_then(|item| expand(&item)).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enum the commands of an aggregate: see the trait `Command`.
#[proc_macro_derive(Command, attributes(command, schema, id))]
pub fn command(item: TokenStream) -> TokenStream {
    derive(item, command::expand)
}

/// Makes an enum the events of an aggregate: see the trait `Event`.
#[proc_macro_derive(Event, attributes(event, schema))]
pub fn event(item: TokenStream) -> TokenStream {
    derive(item, event::expand)
}

/// Makes an enum of recorded events of several aggregates what a projection is shown: see the trait `Source`.
#[proc_macro_derive(Events)]
pub fn events(item: TokenStream) -> TokenStream {
    derive(item, source::expand)
}

/// Makes a type the state of an aggregate: see the trait `State`.
#[proc_macro_derive(State, attributes(state))]
pub fn state(item: TokenStream) -> TokenStream {
    derive(item, state::expand)
}

/// Makes a type a part of states: see the trait `Part`.
#[proc_macro_derive(Part)]
pub fn part(item: TokenStream) -> TokenStream {
    derive(item, state::expand_part)
}

/// Makes a type stand for an aggregate of another plugin: see the trait `Entity`.
#[proc_macro_derive(Foreign, attributes(foreign))]
pub fn foreign(item: TokenStream) -> TokenStream {
    derive(item, state::expand_foreign)
}

/// Makes a struct, or an enum without fields, what a field may hold: see the trait `Value`.
#[proc_macro_derive(Value, attributes(schema, value))]
pub fn value(item: TokenStream) -> TokenStream {
    derive(item, value::expand)
}

/// Makes a struct the row of a read model: see the trait `ReadModel`.
#[proc_macro_derive(ReadModel, attributes(model, key, index, unique, search, relation, schema))]
pub fn read_model(item: TokenStream) -> TokenStream {
    derive(item, model::expand)
}

/// Makes a struct a query that the host answers with rows: see the trait `Query`.
#[proc_macro_derive(Query, attributes(query, filter, search, page, schema))]
pub fn declared(item: TokenStream) -> TokenStream {
    derive(item, declared::expand)
}

/// Makes a function a named query, for what a declared one can't say.
///
/// Its arguments are values, with doc comments and `#[schema(…)]` rules as on the fields of a command; a parameter of type
/// `&Rows<…>` gives it a read model to read from, one of type `&Context` the circumstances. It returns `Result<_, Rejection>` of a value, a row, or a list of those.
#[proc_macro_attribute]
pub fn query(attribute: TokenStream, item: TokenStream) -> TokenStream {
    query::expand(attribute.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes the crate a plugin: `plugin! { name: "catalog", aggregates: [Product], models: [ProductRow] }`.
///
/// `name` is required. `aggregates`, `models` and `queries` name what the plugin is made of; what is not named is not
/// exported. `version` and `description` are the crate's own, unless they are given.
#[proc_macro]
pub fn plugin(input: TokenStream) -> TokenStream {
    plugin::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
