//! The bench: Yado beside other systems, in one run on one machine.
//!
//! `CONTRACT.md` says what is measured and what a contender has to do. A run takes turns: each round has every contender
//! once, in shuffled order, so that whatever the machine does meanwhile happens to all of them. What is compared are the
//! ratios within rounds. From too few rounds no ratio is shown.
//!
//! The order of the modules is that of a run: what is asked for, where it happens, who takes part, what is measured, and
//! how it is told.

pub mod arguments;
pub mod machine;
pub mod place;

pub mod chance;
pub mod figures;
pub mod histogram;
pub mod load;
pub mod work;

pub mod bank;
pub mod cluster;
pub mod contender;
pub mod http;
pub mod in_process;
pub mod operator;
pub mod server;
pub mod usage;

pub mod parts;
pub mod requirement;
pub mod rounds;

pub mod report;

/// Why something could not be measured, in words for whoever runs the bench.
pub type Failure = String;

/// A result whose failure is told to whoever runs the bench.
pub type Result<T> = std::result::Result<T, Failure>;
