//! Which tables of read models are in use.
//!
//! A table outlives the process that has made it, and another process may fill it or answer from it. So whoever uses tables
//! says so again and again, by the database's clock; and of which nobody has said so for long enough, nobody does.

use crate::limits::{self, LONGEST_NAME};
use crate::table::check_name;
use crate::{Error, Result};

/// What stands between two names.
const BETWEEN: &str = ",";

/// The tables that a projection fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablesInUse {
    /// The name under which the projection's progress is kept.
    pub projection: String,
    /// The names of its tables.
    pub tables: Vec<String>,
}

impl TablesInUse {
    /// Whether it can be kept, and as what.
    pub(crate) fn stored(&self) -> Result<String> {
        limits::text("the name of a projection", &self.projection, LONGEST_NAME)?;
        self.tables.iter().try_for_each(|name| check_name(name))?;
        Ok(self.tables.join(BETWEEN))
    }

    /// From what is stored.
    pub(crate) fn loaded((projection, tables): (String, String)) -> Result<Self> {
        let tables: Vec<_> = tables.split(BETWEEN).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let sound = tables.iter().try_for_each(|name| check_name(name));
        sound.map_err(|error| Error::corrupt("the tables in use", error))?;
        Ok(Self { projection, tables })
    }
}

/// A time as the engines have it. What is longer than ten years is no other: counted back from now, it must not lie before
/// 1970, which is when tables were used last of which that has been taken back.
pub(crate) fn micros(ms: u64) -> i64 {
    const LONGEST: u64 = 10 * 366 * 24 * 60 * 60 * 1_000;
    i64::try_from(ms.min(LONGEST)).unwrap_or(i64::MAX).saturating_mul(1_000)
}
