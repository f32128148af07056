//! The flags that every peer is started with, whether it has a use for them or not.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// What the bench tells a peer at its start.
#[derive(Debug, Clone, Parser)]
pub struct Flags {
    /// An empty database of the peer's own.
    #[arg(long)]
    pub database_url: String,
    /// An empty folder of the peer's own, on the disk that is measured.
    #[arg(long)]
    pub data: PathBuf,
    /// How many accounts to open.
    #[arg(long)]
    pub accounts: u32,
    /// The size of an event's document, in bytes.
    #[arg(long, default_value_t = 200)]
    pub payload: usize,
    /// What chance begins with.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A Python with the packages of UmaDB's requirements.
    #[arg(long)]
    pub python: Option<PathBuf>,
    /// When an account is loaded, for peers that leave it to the application.
    #[arg(long, value_enum, default_value_t = Load::Once)]
    pub load: Load,
}

/// When an account is loaded that is to be decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Load {
    /// When it is not known yet, or has turned out to be out of date.
    Once,
    /// For each decision.
    Always,
}
