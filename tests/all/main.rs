//! End to end: the server as it ships, the plugins as they ship, over the surfaces that people use.
//!
//! One binary, because each takes long to link. Tests start what they need themselves, on free ports of the loopback
//! interface and in folders of their own, and end it again. They wait for conditions, and never for time to pass.

// All of this is test code, helpers too: what is unexpected is to end the test at once.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod acceptance;
mod accounts;
mod answers;
mod asking;
mod claims;
mod clients;
mod consistency;
mod declared;
mod durability;
mod examples;
mod fuzz;
mod history;
mod hostile;
mod indexes;
mod lane;
mod layers;
mod live;
mod operator;
mod ordered;
mod projections;
mod readme;
mod reads;
mod resident;
mod sdl;
mod statements;
mod support;
mod swap;
mod tidy;
mod trial;
mod upcasting;
mod wrong_input;
