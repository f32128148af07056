//! What a guest writes to the operator's log, and what it says before it gives up.

use std::sync::Arc;

use yado_model::TenantId;

use super::{DETAIL_BYTES, Host, Identity, printable};
use crate::bindings::domain::yado::domain::log::{Host as Import, Level};
use crate::settings::Limits;

/// What is left of a call's share of the log.
#[derive(Debug)]
pub(super) struct Log {
    identity: Arc<Identity>,
    tenant: Option<TenantId>,
    lines: u32,
    bytes: usize,
    full: bool,
}

impl Log {
    pub(super) fn new(identity: Arc<Identity>, tenant: Option<TenantId>, limits: &Limits) -> Self {
        Self { identity, tenant, lines: limits.log_lines, bytes: limits.log_bytes, full: false }
    }

    pub(super) fn begin(&mut self, limits: &Limits) {
        (self.lines, self.bytes, self.full) = (limits.log_lines, limits.log_bytes, false);
    }

    fn write(&mut self, level: Level, message: &str) {
        if self.full {
            return;
        }
        if self.lines == 0 || self.bytes == 0 {
            self.full = true;
            self.emit(Level::Warn, "the plugin wrote more to the log than one call may; the rest of it was dropped");
            return;
        }
        let line = printable(message, self.bytes);
        self.lines -= 1;
        self.bytes = self.bytes.saturating_sub(line.len());
        self.emit(level, &line);
    }

    fn emit(&self, level: Level, message: &str) {
        let Identity { plugin, digest } = &*self.identity;
        let tenant = self.tenant.as_ref().map(TenantId::as_str);
        // A level is part of an event's static data, so each has an event of its own.
        macro_rules! emit {
            ($level:ident) => {
                tracing::event!(
                    target: "yado::guest", tracing::Level::$level, plugin, digest = digest.short(), tenant, "{message}"
                )
            };
        }
        match level {
            Level::Trace => emit!(TRACE),
            Level::Debug => emit!(DEBUG),
            Level::Info => emit!(INFO),
            Level::Warn => emit!(WARN),
            Level::Error => emit!(ERROR),
        }
    }
}

impl Import for Host {
    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.log.write(level, &message);
        Ok(())
    }

    fn panicked(&mut self, message: String) -> wasmtime::Result<()> {
        // The first one says why; whatever follows happened while giving up.
        self.panic.get_or_insert_with(|| printable(&message, DETAIL_BYTES));
        Ok(())
    }
}
