//! What the README shows of events of older versions and of unique values, in a plugin that is built and tested: a test holds
//! the one against the other.

#![allow(missing_docs, reason = "a reader of the README sees what is meant")]

mod account;
mod product;

pub use account::{Account, AccountCommand, AccountEvent};
pub use product::{Product, ProductCommand, ProductEvent};

yado_sdk::plugin! { name: "shop", aggregates: [Product, Account] }
