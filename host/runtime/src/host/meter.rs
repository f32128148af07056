//! Counts memory and tables, over all of an instance.

use wasmtime::ResourceLimiter;

use crate::settings::Limits;

/// Core instances, memories and tables that one component may be made of. A plugin made from one core module has three
/// instances, one memory and one or two tables; languages with a runtime of their own have a few more.
const PARTS: usize = 32;

#[derive(Debug)]
pub(crate) struct Meter {
    memory: usize,
    memory_limit: usize,
    elements: usize,
    elements_limit: usize,
    denied: bool,
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory: 0,
            memory_limit: limits.memory_bytes,
            elements: 0,
            elements_limit: limits.table_elements,
            denied: false,
        }
    }

    pub(super) fn begin(&mut self) {
        self.denied = false;
    }

    /// Whether this call has asked for more than it may have.
    pub(super) fn denied(&self) -> bool {
        self.denied
    }

    /// Bytes of linear memory.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }
}

/// What a part of an instance wants to grow to, added to what the others have.
fn grown(total: usize, current: usize, desired: usize) -> usize {
    total.saturating_sub(current).saturating_add(desired)
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grown = grown(self.memory, current, desired);
        // Growth beyond a memory's own maximum fails whatever is said here, and must not be counted.
        if grown > self.memory_limit || maximum.is_some_and(|maximum| desired > maximum) {
            self.denied = true;
            return Ok(false);
        }
        self.memory = grown;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let grown = grown(self.elements, current, desired);
        if grown > self.elements_limit || maximum.is_some_and(|maximum| desired > maximum) {
            self.denied = true;
            return Ok(false);
        }
        self.elements = grown;
        Ok(true)
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
    }
}
