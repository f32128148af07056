//! How guests are run: what they may use up, how far they are kept apart, and where compiled code is kept.

use std::path::PathBuf;

/// How a [`Runtime`](crate::Runtime) runs its guests.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The folder for compiled code. Without one, code is compiled whenever a plugin is loaded. Whoever can write to
    /// the folder can make the host run native code of their own, so it belongs to the user that the host runs as.
    pub cache: Option<PathBuf>,
    /// What a guest may use up.
    pub limits: Limits,
    /// How far calls are kept apart.
    pub isolation: Isolation,
}

/// How far the calls of one plugin for one tenant are kept apart. Tenants never share an instance, whatever this says.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// An instance that has answered is used again, for the same plugin and the same tenant.
    #[default]
    Pooled,
    /// Every call gets a fresh instance: nothing that a guest leaves in its memory outlives the call.
    PerCall,
}

/// What a guest may use up. A call that goes beyond any of these ends as a [`Fault`](crate::Fault).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The size of a plugin's file.
    pub component_bytes: usize,
    /// Linear memory, over all memories of an instance.
    pub memory_bytes: usize,
    /// Elements over all tables of an instance.
    pub table_elements: usize,
    /// What a guest may hand over in one call: its answer, and the rows that it writes.
    pub output_bytes: usize,
    /// What a guest may hand over in one call of decide, evolve, upcast or react, where that is less. Reading an answer
    /// takes time on the thread that serves requests, and no deadline ends that.
    pub decide_output_bytes: usize,
    /// The processor's time for decide, evolve, upcast and react. They run on the threads that serve all requests. This
    /// and the other times bound what a guest makes the machine do; a call that has to wait, for a processor or for the
    /// database, may take up to ten times as long by the wall clock.
    pub decide_ms: u64,
    /// The processor's time for a batch of a projection, or for the answer to a query.
    pub project_ms: u64,
    /// The processor's time for the first start of a plugin and for its manifest.
    pub describe_ms: u64,
    /// Instructions, roughly, that a call may execute. Counting them makes every call slower, and the deadlines bound
    /// a call already; fuel bounds it by the same amount on every machine.
    pub fuel: Option<u64>,
    /// The guest's part of the calling thread's stack. Threads that call guests need this much and half a megabyte
    /// for the host; the 2 MiB that Rust gives to threads suffice for the default.
    pub stack_bytes: usize,
    /// Lines that a guest may write to the log in one call.
    pub log_lines: u32,
    /// Bytes that a guest may write to the log in one call.
    pub log_bytes: usize,
    /// Idle instances to keep of one plugin for one tenant.
    pub idle_per_tenant: usize,
    /// Idle instances to keep in all. When there are more, those go that were not used for the longest time.
    pub idle: usize,
    /// An instance whose memory has grown beyond this is not kept: a fresh one costs microseconds.
    pub idle_memory_bytes: usize,
}

/// What one call may use up, beyond what holds for all calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) deadline_ms: u64,
    pub(crate) output_bytes: usize,
}

impl Limits {
    pub(crate) fn of_decision(&self) -> Budget {
        Budget { deadline_ms: self.decide_ms, output_bytes: self.decide_output_bytes.min(self.output_bytes) }
    }

    pub(crate) fn of_projection(&self) -> Budget {
        Budget { deadline_ms: self.project_ms, output_bytes: self.output_bytes }
    }

    pub(crate) fn of_manifest(&self) -> Budget {
        Budget { deadline_ms: self.describe_ms, output_bytes: self.output_bytes }
    }
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes: 32 * MIB,
            memory_bytes: 64 * MIB,
            table_elements: 100_000,
            output_bytes: 16 * MIB,
            decide_output_bytes: 4 * MIB,
            decide_ms: 50,
            project_ms: 2_000,
            describe_ms: 1_000,
            fuel: None,
            stack_bytes: 512 * KIB,
            log_lines: 100,
            log_bytes: 64 * KIB,
            idle_per_tenant: 8,
            idle: 256,
            idle_memory_bytes: 4 * MIB,
        }
    }
}
