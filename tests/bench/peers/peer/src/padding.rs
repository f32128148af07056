//! Deposits whose event has a given size.

use serde::{Deserialize, Serialize};

/// What is put into an account: the document of its event, if a peer can choose how that looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposit {
    /// How much, in cents.
    pub amount: i64,
    /// What for.
    pub reference: String,
}

impl Deposit {
    /// A deposit whose document has a size in bytes, if that is enough for one at all.
    pub(crate) fn of_size(amount: i64, bytes: usize) -> Self {
        Self { amount, reference: "r".repeat(reference_length(amount, bytes)) }
    }

    /// The document, as JSON.
    #[must_use]
    pub fn document(&self) -> String {
        // Neither a number nor a text without quotes needs an escape.
        format!(r#"{{"amount":{},"reference":"{}"}}"#, self.amount, self.reference)
    }
}

/// How long the reference must be for the document `{"amount":…,"reference":"…"}` to have a size.
fn reference_length(amount: i64, bytes: usize) -> usize {
    const EMPTY: usize = r#"{"amount":,"reference":""}"#.len();
    bytes.saturating_sub(EMPTY + amount.to_string().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_size_asked_for() {
        for (amount, bytes) in [(1, 200), (99, 200), (1_000_000, 64)] {
            let deposit = Deposit::of_size(amount, bytes);
            assert_eq!(deposit.document(), serde_json::to_string(&deposit).unwrap());
            assert_eq!(deposit.document().len(), bytes);
        }
    }
}
