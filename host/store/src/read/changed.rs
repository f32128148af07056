//! What a projection tells of the rows that it changes: the journal from which whoever wants to hear of changes is fed.

use std::sync::Arc;

use yado_model::{Name, Position, TenantId};

use super::Step;
use crate::limits::LARGEST_PAGE;
use crate::number::loaded;
use crate::{Error, Result};

/// A change of one row by one event. What an event does to a row in several strokes is one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Of which event it comes.
    pub position: Position,
    /// Which of the event's changes it is, counted from zero.
    pub place: u32,
    /// Whose row it is.
    pub tenant: TenantId,
    /// The read model.
    pub model: Name,
    /// The row's key.
    pub key: String,
    /// What has become of the row.
    pub kind: ChangeKind,
    /// The row as it is from then on, a JSON object with all columns in their order; if it is gone, as it was before.
    pub row: Arc<str>,
}

/// What has become of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// There was none with its key before.
    Created,
    /// It is another than before.
    Updated,
    /// It is gone.
    Deleted,
}

/// Which changes of a projection are asked for.
#[derive(Debug, Clone, Copy)]
pub struct ChangeQuery<'a> {
    /// Those after a place: an event, and which of its changes.
    pub after: (Position, u32),
    /// Only those of rows of this read model and this tenant; of all rows, if nothing is said.
    pub of: Option<(&'a Name, &'a TenantId)>,
    /// So many changes are gone through, whosever they are, and one at least.
    pub limit: u32,
    /// The page ends once keys and rows on it have so many bytes. However large, one change has room on it.
    pub most_bytes: usize,
}

/// Some of the changes that a projection has told, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePage {
    /// All changes after this position are kept that the projection has told up to `settled`. Nothing, if none are.
    pub floor: Option<Position>,
    /// How far the projection has come.
    pub settled: Position,
    /// The changes, in the order of positions and places.
    pub changes: Vec<Changed>,
    /// Where the page ends, if it ends at a limit: what comes after this place has not been looked at. If there is no such
    /// place, everything up to `settled` has been.
    pub more_after: Option<(Position, u32)>,
}

impl ChangeQuery<'_> {
    /// The changes of all rows after a place.
    #[must_use]
    pub const fn of_all(after: (Position, u32), limit: u32) -> Self {
        Self { after, of: None, limit, most_bytes: LARGEST_PAGE }
    }
}

impl ChangeKind {
    /// What is stored for it.
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::Created => 1,
            Self::Updated => 2,
            Self::Deleted => 3,
        }
    }

    /// From what is stored.
    pub(crate) const fn of(code: i16) -> Option<Self> {
        match code {
            1 => Some(Self::Created),
            2 => Some(Self::Updated),
            3 => Some(Self::Deleted),
            _ => None,
        }
    }
}

/// So many changes are forgotten in one go. Whoever takes a step meanwhile waits for them.
pub(crate) const FORGOTTEN_AT_ONCE: i64 = 5_000;

/// A row of a page as the engines give it: the floor, how far the projection has come, and what a change is made of, if
/// there is one; whether it was asked for, and whether the page ends at a limit with it.
pub(crate) type StoredChange = (
    Option<i64>,
    i64,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i16>,
    Option<String>,
    Option<bool>,
    Option<bool>,
);

impl ChangePage {
    /// From what is stored. There is one row at least.
    pub(crate) fn loaded(rows: Vec<StoredChange>) -> Result<Self> {
        const PLACE: &str = "the changes of rows";
        let position = |number: i64| Ok::<_, Error>(Position::new(loaded(number, PLACE)?));
        let (floor, settled) = rows.first().map_or((None, 0), |(floor, settled, ..)| (*floor, *settled));
        let (floor, settled) = (floor.map(position).transpose()?, position(settled)?);
        let (mut changes, mut more_after) = (Vec::with_capacity(rows.len()), None);
        for (_, _, at, place, tenant, model, key, kind, row, is_asked_for, is_end) in rows {
            let Some(at) = at else { continue };
            let lacking = || Error::corrupt(PLACE, "a column is null, or holds what it can't");
            let at = position(at)?;
            let place = place.and_then(|place| u32::try_from(place).ok()).ok_or_else(lacking)?;
            if is_end == Some(true) {
                more_after = Some((at, place));
            }
            if is_asked_for != Some(true) {
                continue;
            }
            changes.push(Changed {
                position: at,
                place,
                tenant: tenant.and_then(|tenant| TenantId::parse(&tenant).ok()).ok_or_else(lacking)?,
                model: model.and_then(|model| Name::parse(&model).ok()).ok_or_else(lacking)?,
                key: key.ok_or_else(lacking)?,
                kind: kind.and_then(ChangeKind::of).ok_or_else(lacking)?,
                row: row.ok_or_else(lacking)?.into(),
            });
        }
        Ok(Self { floor, settled, changes, more_after })
    }
}

/// Whether what a step tells is in order, and of what the step has passed.
pub(crate) fn check(step: &Step<'_>) -> Result<()> {
    let (projection, to) = (step.progress.projection, step.progress.to.position);
    let refused = |reason: String| Err(Error::Invalid(format!("what {projection} tells of rows {reason}")));
    let Some(from) = step.changes_from else {
        return if step.changes.is_empty() { Ok(()) } else { refused("has no beginning".into()) };
    };
    let within = |changed: &Arc<Changed>| changed.position > from && changed.position <= to;
    let place = |changed: &Arc<Changed>| (changed.position, changed.place);
    if from > to || !step.changes.iter().all(within) {
        return refused(format!("must be of what is after {from} and up to {to}"));
    }
    if step.changes.is_sorted_by(|a, b| place(a) < place(b)) { Ok(()) } else { refused("is not in order".into()) }
}
