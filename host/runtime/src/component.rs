//! From a file to a component: what kind of file it is, and how a core module becomes a component.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wit_component::ComponentEncoder;

use crate::refused::{Forbidden, Refused};

const MAGIC: &[u8] = b"\0asm";
const MODULE: &[u8] = &[1, 0, 0, 0];
const COMPONENT: &[u8] = &[13, 0, 1, 0];

/// What compilers call the import module of programs that expect an operating system.
const WASI_MODULE: &str = "wasi_snapshot_preview1";

/// The component in a file: the file itself, or one made from the core module that it holds.
pub(crate) fn from_file(bytes: &[u8]) -> Result<std::borrow::Cow<'_, [u8]>, Refused> {
    match bytes.strip_prefix(MAGIC).and_then(|rest| rest.get(..4)) {
        Some(COMPONENT) => Ok(bytes.into()),
        Some(MODULE) => Ok(from_module(bytes)?.into()),
        _ => {
            let begins = String::from_utf8_lossy(bytes.get(..16).unwrap_or(bytes)).into_owned();
            Err(Refused::NotWasm { begins })
        }
    }
}

fn from_module(bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    // The encoder was made for build tools, whose input is trusted: what it takes for granted, it asserts. Here the
    // input is a stranger's, and a failed assertion is one more way of not being a component.
    catch_unwind(AssertUnwindSafe(|| encode(bytes)))
        .unwrap_or_else(|_| Err(Refused::NotAComponent { reason: "its component type is broken".into() }))
}

fn encode(bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    let unfit = |error| Refused::NotAComponent { reason: format!("{error:#}") };
    let (typed, _) = wit_component::metadata::decode(bytes).map_err(unfit)?;
    if typed.is_none() {
        return Err(Refused::NoComponentType);
    }
    let encoder = ComponentEncoder::default().module(bytes).map_err(unfit)?;
    encoder.validate(true).encode().map_err(|error| {
        if format!("{error:#}").contains(WASI_MODULE) {
            Refused::Import { import: WASI_MODULE.into(), forbidden: Forbidden::Wasi }
        } else {
            unfit(error)
        }
    })
}
