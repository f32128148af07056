//! Who holds which value, as the log tells it.
//!
//! An event carries what its stream takes and lets go of, as it was asked for. The table of claims decides whether it may,
//! and nothing else. So the mistakes of a table that was damaged for a while do not get into the log: who lets go of a value
//! says so even if the table has forgotten who had it, and who takes one says so even if the table has it under that name
//! already. (Where the table let somebody take what another stream had, two streams say so. The later one has it then, and
//! the earlier one can't let go of it any more.) Who holds what is thereby a plain fold over the log, and the table, which
//! is an index of it, can be held against it ([`rebuild`](rebuild())) and made again.

mod fold;
mod rebuild;

use serde::{Deserialize, Serialize};
use yado_model::{Claim, ClaimValue, Position, StreamId, TenantId};

pub(crate) use self::fold::{Holding, MOST_TOLD, Page};
pub(crate) use self::rebuild::{Difference, Folding, rebuild};

use crate::recorded;
use crate::{Error, Result};

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

/// What a stream does to a value, as its event tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Change {
    /// The stream holds it from here on.
    Take(Value),
    /// The stream does not hold it from here on.
    Release(Value),
}

/// A value of a constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Value {
    constraint: String,
    value: String,
}

impl Change {
    pub(crate) fn of(claim: &Claim) -> Self {
        let value = |of: &ClaimValue| Value { constraint: of.constraint.clone(), value: of.value.clone() };
        match claim {
            Claim::Take(claimed) => Self::Take(value(claimed)),
            Claim::Release(claimed) => Self::Release(value(claimed)),
        }
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
