//! The parts of the bench. Each measures one thing, and gives what it found.

mod catch_up;
mod lag;
mod memory;
mod reads;
mod rebuild;
mod sockets;
mod storage;
mod throughput;

pub use catch_up::CatchUp;
pub use lag::Lag;
pub use memory::Memory;
pub use reads::{Reads, Sides};
pub use rebuild::Rebuild;
pub use sockets::Sockets;
pub use storage::Storage;
pub use throughput::{Participant, Throughput};

use crate::arguments::Arguments;
use crate::cluster::Cluster;
use crate::place::Place;
use crate::work::{Distribution, Spec};

/// What all parts work with.
pub struct Bench {
    /// What the bench is asked to do.
    pub arguments: Arguments,
    /// Where things are.
    pub place: Place,
    /// The run's PostgreSQL.
    pub cluster: Cluster,
}

impl Bench {
    /// What turns have in common.
    #[must_use]
    pub fn spec(&self) -> Spec {
        let quick = self.arguments.quick;
        Spec {
            clients: 32,
            warm_up_seconds: if quick { 0.3 } else { 1.0 },
            seconds: self.arguments.seconds,
            distribution: Distribution::Uniform,
            accounts: if quick { 1_000 } else { 10_000 },
            payload_bytes: 200,
            seed: self.arguments.seed,
        }
    }

    /// A size, or a hundredth of it when the bench only has to work.
    #[must_use]
    pub fn sized(&self, size: u32) -> u32 {
        if self.arguments.quick { size / 100 } else { size }
    }
}
