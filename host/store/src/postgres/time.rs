//! `timestamptz` as what it is on the wire: microseconds, like our own times, but counted from 2000.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type, TypeInfo as _};
use yado_model::Timestamp;

/// From 1970 to 2000.
const EPOCH: i64 = 946_684_800_000_000;

/// What a time is on the wire.
pub(super) const fn since_epoch(time: Timestamp) -> i64 {
    time.micros() - EPOCH
}

/// A time that was read. The greatest and the least number are infinity; they are brought to what can be written.
pub(super) fn from_epoch(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros.saturating_add(EPOCH))
}

/// A time on its way to the database or back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(pub(super) Timestamp);

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        // The number of a built-in type never changes; by its name it would have to be looked up in each session.
        PgTypeInfo::with_oid(Oid(1184))
    }

    fn compatible(found: &PgTypeInfo) -> bool {
        found.name().eq_ignore_ascii_case("timestamptz")
    }
}

impl PgHasArrayType for Time {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

impl Encode<'_, Postgres> for Time {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<'_, Postgres>>::encode(since_epoch(self.0), buffer)
    }
}

impl Decode<'_, Postgres> for Time {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Err("a time came as text, which no prepared statement asks for".into());
        }
        let micros = <i64 as Decode<'_, Postgres>>::decode(value)?;
        Ok(Self(from_epoch(micros)))
    }
}
