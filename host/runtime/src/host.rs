//! The host's side of one instance: what a guest's imports do, and what is counted against its limits.

mod log;
mod meter;
mod read_model;

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, Trap};
use yado_model::{Digest, TenantId};

use crate::bindings::{domain, effect};
use crate::deadline::Deadline;
use crate::settings::Limits;
use crate::{Fault, FaultKind, RowsError};

use log::Log;
use meter::Meter;
use read_model::Lent;

/// Characters of a guest's own words that reach a fault.
const DETAIL_BYTES: usize = 4096;

/// What an operator knows a plugin by.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) plugin: String,
    pub(crate) digest: Digest,
}

/// The data of a store: one to an instance.
pub(crate) struct Host {
    identity: Arc<Identity>,
    pub(crate) meter: Meter,
    pub(crate) lent: Lent,
    pub(crate) deadline: Deadline,
    log: Log,
    panic: Option<String>,
}

impl Host {
    pub(crate) fn new(identity: Arc<Identity>, tenant: Option<TenantId>, limits: &Limits) -> Self {
        Self {
            meter: Meter::new(limits),
            lent: Lent::default(),
            deadline: Deadline::default(),
            log: Log::new(Arc::clone(&identity), tenant, limits),
            panic: None,
            identity,
        }
    }

    /// Forgets the last call, and sets what the next one may use up.
    pub(crate) fn begin(&mut self, limits: &Limits, output_bytes: usize) {
        self.meter.begin();
        self.lent.begin(output_bytes);
        self.log.begin(limits);
        self.panic = None;
    }

    /// What an error of wasmtime's comes to.
    pub(crate) fn fault(&mut self, function: &'static str, error: wasmtime::Error) -> Fault {
        let (kind, detail, source) = match error.downcast::<Halt>() {
            Ok(halt) => halt.into_parts(),
            Err(error) => {
                let kind = self.kind(&error);
                let said = self.panic.take().unwrap_or_else(|| error.root_cause().to_string());
                (kind, said, None)
            }
        };
        let (plugin, digest) = (self.identity.plugin.clone(), self.identity.digest);
        Fault { plugin, digest, function, kind, detail: printable(&detail, DETAIL_BYTES), source }
    }

    fn kind(&self, error: &wasmtime::Error) -> FaultKind {
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => FaultKind::Deadline,
            Some(Trap::OutOfFuel) => FaultKind::Fuel,
            Some(Trap::StackOverflow) => FaultKind::Stack,
            Some(
                Trap::StringOutOfBounds
                | Trap::ListOutOfBounds
                | Trap::InvalidDiscriminant
                | Trap::InvalidChar
                | Trap::UnalignedPointer,
            ) => FaultKind::InvalidOutput,
            // A guest that gets no memory has no other way to say so than to give up.
            _ if self.meter.denied() => FaultKind::Memory,
            Some(_) if self.panic.is_some() => FaultKind::Panic,
            Some(_) => FaultKind::Trap,
            None if error.downcast_ref::<std::io::Error>().is_some() => FaultKind::Host,
            // wasmtime has no type for this one; a test holds the text in place.
            None if error.to_string().contains("fuel allocated for hostcalls") => FaultKind::Output,
            None => FaultKind::InvalidOutput,
        }
    }
}

/// Why the host ended a call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    #[error("{0}")]
    InvalidOutput(String),
    #[error("the plugin does not export {0}")]
    NotExported(&'static str),
    #[error("{0}")]
    Misuse(&'static str),
    #[error("it handed over more than {0} bytes")]
    Output(usize),
    #[error(transparent)]
    Rows(#[from] RowsError),
}

type Parts = (FaultKind, String, Option<Box<dyn std::error::Error + Send + Sync>>);

impl Halt {
    fn into_parts(self) -> Parts {
        let detail = self.to_string();
        match self {
            Self::InvalidOutput(_) => (FaultKind::InvalidOutput, detail, None),
            Self::NotExported(_) => (FaultKind::NotExported, detail, None),
            Self::Misuse(_) | Self::Rows(RowsError::Misused(_)) => (FaultKind::Misuse, detail, None),
            Self::Output(_) => (FaultKind::Output, detail, None),
            Self::Rows(RowsError::Unavailable(source)) => (FaultKind::Host, detail, Some(source)),
        }
    }
}

/// What pure plugins may import.
pub(crate) fn domain_linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    domain::yado::domain::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut Host| host)?;
    read_model::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// What effect plugins may import.
pub(crate) fn effect_linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    domain::yado::domain::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut Host| host)?;
    effect::yado::domain::http::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut Host| host)?;
    Ok(linker)
}

impl effect::yado::domain::http::Host for Host {
    fn send(
        &mut self,
        _: effect::yado::domain::http::Request,
    ) -> wasmtime::Result<Result<effect::yado::domain::http::Response, effect::yado::domain::http::Failure>> {
        // A manifest must come out the same wherever and whenever it is asked for.
        Err(Halt::Misuse("http.send was called outside of effects.perform").into())
    }
}

/// A guest's text as it may stand in a log: at most so many bytes, and nothing in it that moves a terminal's cursor or
/// begins a line of its own.
fn printable(text: &str, longest: usize) -> String {
    let mut printable = String::with_capacity(text.len().min(longest));
    for c in text.chars() {
        let before = printable.len();
        if c.is_control() {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
        if printable.len() > longest {
            printable.truncate(before);
            printable.push('…');
            break;
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_text_cannot_forge_a_line() {
        assert_eq!(printable("a\nERROR b\x1b[2J", 100), "a\\nERROR b\\u{1b}[2J");
        assert_eq!(printable("ééé", 4), "éé…");
    }
}
