//! Who holds which value, as the log tells it.
//!
//! An event carries what its append has changed about claims: not what the guest asked for, but what came of it. So who
//! holds what is a plain fold over the log, without a question to what was there before, and the table of claims can be
//! checked against it and made again.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use yado_model::{ClaimValue, Position, StreamId, TenantId};

use crate::recorded;
use crate::{Error, Result};

/// So many positions of the log are folded at a time.
pub(crate) const PAGE: u64 = 10_000;
/// At most so many differences are told one by one.
pub(crate) const MOST_DIFFERENCES: i64 = 100;

/// How the table of claims compares with the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimsReport {
    /// Up to which position the log was read.
    pub head: Position,
    /// How many values are held, by the log.
    pub held: u64,
    /// How many values the table lacks, has under another stream, or has though nobody holds them.
    pub different: u64,
    /// The first of the differences.
    pub differences: Vec<ClaimDifference>,
    /// Whether the table has been made to agree with the log.
    pub repaired: bool,
}

/// A value of which table and log tell different things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimDifference {
    /// Whose.
    pub tenant: TenantId,
    /// Of which constraint.
    pub constraint: String,
    /// Which value.
    pub value: String,
    /// Who holds it, by the log.
    pub by_log: Option<StreamId>,
    /// Who holds it, by the table.
    pub by_table: Option<StreamId>,
}

/// A change to who holds a value, as an event tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Change {
    /// The stream holds it from here on.
    Take(Value),
    /// Nobody holds it from here on.
    Release(Value),
}

/// A value of a constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Value {
    constraint: String,
    value: String,
}

impl Value {
    pub(crate) fn of(claimed: &ClaimValue) -> Self {
        Self { constraint: claimed.constraint.clone(), value: claimed.value.clone() }
    }
}

/// The changes as they are stored; nothing where there are none.
pub(crate) fn told(changes: &[Change]) -> Result<Option<String>> {
    if changes.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_string(changes);
    text.map(Some).map_err(|error| Error::Invalid(format!("claims can't be written down: {error}")))
}

/// What a page of the log comes to: for each value that it changes, who holds it in the end.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    holders: HashMap<(String, String, String), Option<String>>,
}

impl Fold {
    /// Goes on by what one event tells.
    pub(crate) fn event(&mut self, position: i64, tenant: &str, stream: &str, claims: &str) -> Result<()> {
        let changes: Vec<Change> = serde_json::from_str(claims)
            .map_err(|error| Error::corrupt(format!("the claims of the event at position {position}"), error))?;
        for change in changes {
            let (Value { constraint, value }, holder) = match change {
                Change::Take(value) => (value, Some(stream.to_owned())),
                Change::Release(value) => (value, None),
            };
            self.holders.insert((tenant.to_owned(), constraint, value), holder);
        }
        Ok(())
    }

    /// Values with their holders, and values that nobody holds any more.
    pub(crate) fn into_parts(self) -> (Vec<[String; 4]>, Vec<[String; 3]>) {
        let (mut held, mut free) = (Vec::new(), Vec::new());
        for ((tenant, constraint, value), holder) in self.holders {
            match holder {
                Some(stream) => held.push([tenant, constraint, value, stream]),
                None => free.push([tenant, constraint, value]),
            }
        }
        (held, free)
    }
}

impl ClaimDifference {
    /// From the columns of a comparison.
    pub(crate) fn of(
        (tenant, constraint, value, by_log, by_table): (String, String, String, Option<String>, Option<String>),
    ) -> Result<Self> {
        const PLACE: &str = "the claims";
        let holder = |stream: Option<String>| stream.map(|stream| recorded::stream(&stream, PLACE)).transpose();
        Ok(Self {
            tenant: TenantId::parse(&tenant).map_err(|error| Error::corrupt(PLACE, error))?,
            constraint,
            value,
            by_log: holder(by_log)?,
            by_table: holder(by_table)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts() {
        let value = |value: &str| Value { constraint: "unique_label".into(), value: value.into() };
        let told = |changes: &[Change]| told(changes).unwrap().unwrap();
        let first = told(&[Change::Take(value("x")), Change::Take(value("y"))]);
        assert_eq!(
            first,
            r#"[{"take":{"constraint":"unique_label","value":"x"}},{"take":{"constraint":"unique_label","value":"y"}}]"#
        );
        let mut fold = Fold::default();
        fold.event(1, "default", "Counter-a", &first).unwrap();
        fold.event(2, "default", "Counter-a", &told(&[Change::Release(value("x"))])).unwrap();
        let (held, free) = fold.into_parts();
        assert_eq!(held, [["default", "unique_label", "y", "Counter-a"]]);
        assert_eq!(free, [["default", "unique_label", "x"]]);
    }

    #[test]
    fn claims_that_can_not_be_read_are_damage() {
        let damaged = Fold::default().event(7, "default", "Counter-a", r#"[{"steal":{}}]"#).unwrap_err();
        assert!(damaged.to_string().contains("position 7"), "{damaged}");
    }
}
