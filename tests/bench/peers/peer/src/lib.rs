//! What every peer does alike, so that figures differ by the systems measured and by nothing else.
//!
//! A peer is a program that the bench starts and speaks to in lines of JSON; `tests/bench/CONTRACT.md` says how. Here are
//! its flags ([`Flags`]), the lines ([`protocol`]), the choice of accounts ([`choice`]), and the clients that deposit
//! with a clock beside them ([`round`]). A peer itself says how it begins ([`Peer`]) and how it deposits ([`Client`]).

mod choice;
mod flags;
mod padding;
mod processor;
mod protocol;
mod round;
mod serve;

pub use flags::{Flags, Load};
pub use padding::Deposit;
pub use round::{Client, Refused};
pub use serve::{Peer, Readiness, host, serve};
