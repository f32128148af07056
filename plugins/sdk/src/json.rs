//! JSON at the border. Authors never see it.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A document from the host that is not what the manifest says it is.
///
/// The host checks documents before it hands them over, and it only hands back what this plugin wrote. So this is a
/// fault, never a caller's mistake, and it ends the call.
#[derive(Debug)]
pub struct Unreadable(String);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Unreadable {
    /// There is no message of this name.
    #[must_use]
    pub fn unknown(kind: &str, name: &str) -> Self {
        Self(format!("this plugin knows no {kind} {name}"))
    }
}

/// Reads a message's fields.
///
/// # Errors
/// If the document has another shape.
pub fn read<T: DeserializeOwned>(name: &str, document: &str) -> Result<T, Unreadable> {
    serde_json::from_str(document).map_err(|error| Unreadable(format!("{name} has another shape: {error}")))
}

/// Writes a value.
///
/// # Panics
/// If a `Serialize` implementation of the author's own fails or uses keys that are no strings.
#[must_use]
pub fn write<T: Serialize + ?Sized>(value: &T) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text,
        Err(error) => panic!("a value can't be written as JSON: {error}"),
    }
}
