//! The newest changes of a projection, in bounded memory.

use std::collections::VecDeque;
use std::sync::Arc;

use yado_model::{Name, Position, TenantId};
use yado_store::Changed;

use super::Cursor;
use super::breaks::Breaks;

/// What a change takes beside its texts.
const OVERHEAD: usize = 160;

/// The newest changes: all of those after `from` and up to `settled`.
#[derive(Debug, Default)]
pub(super) struct Ring {
    from: Position,
    settled: Position,
    breaks: Breaks,
    changes: VecDeque<Arc<Changed>>,
    bytes: usize,
    room: usize,
}

/// What a listener is given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) changes: Vec<Arc<Changed>>,
    /// What has been seen with them.
    pub(super) reached: Cursor,
}

/// Which changes, and how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) model: &'a Name,
    pub(super) tenant: &'a TenantId,
    pub(super) after: Cursor,
    /// Whether the listener has begun since something was last not told, and has seen all of it.
    pub(super) begun_since: bool,
    /// None beyond this position.
    pub(super) until: Option<Position>,
    /// So many are looked at.
    pub(super) limit: usize,
}

impl Ring {
    pub(super) fn set_room(&mut self, bytes: usize) -> Vec<Arc<Changed>> {
        self.room = bytes;
        self.evict()
    }

    /// Nothing is known of what was before a position.
    pub(super) fn begin_at(&mut self, position: Position) -> VecDeque<Arc<Changed>> {
        (self.from, self.settled, self.bytes) = (position, position, 0);
        std::mem::take(&mut self.changes)
    }

    /// Rows of a tenant, or of any, have changed without anything being told of it, at the position that is settled. Who has
    /// seen all of that may have done so before, and is given nothing from here on; nor is anybody who has seen less than all
    /// of the next one, but for those who begin from now on, and for whoever listens to another tenant.
    pub(super) fn break_off(&mut self, tenant: Option<&TenantId>) {
        self.breaks.add(tenant, self.settled);
    }

    /// How often that has been so, and the last time that a tenant was concerned in.
    pub(super) const fn breaks(&self) -> &Breaks {
        &self.breaks
    }

    /// Takes in all changes after one position and up to another. Returns what has had to make room, to be freed where no
    /// lock is held.
    pub(super) fn push(&mut self, from: Position, to: Position, changes: &[Arc<Changed>]) -> Vec<Arc<Changed>> {
        let mut gone = Vec::new();
        if from != self.settled {
            gone.extend(self.begin_at(from));
        }
        self.settled = to;
        self.bytes += changes.iter().map(|changed| size(changed)).sum::<usize>();
        self.changes.extend(changes.iter().cloned());
        gone.extend(self.evict());
        gone
    }

    /// The changes after a place; nothing, if they are not all here.
    pub(super) fn read(&self, wanted: &Wanted<'_>) -> Option<Piece> {
        let Wanted { model, tenant, after, begun_since, until, limit } = *wanted;
        let unseen = self.breaks.last(tenant).unseen;
        // Who has begun since then has done so where it was settled, which is the position before.
        let unseen = if begun_since { Position::new(unseen.get().saturating_sub(1)) } else { unseen };
        let from = self.from.max(unseen);
        if after < Cursor::all_of(from) {
            return None;
        }
        let end = until.map_or(self.settled, |until| until.min(self.settled));
        let begin = self.changes.partition_point(|changed| Cursor::from(&**changed) <= after);
        let looked_at = || self.changes.iter().skip(begin).take(limit).take_while(|changed| changed.position <= end);
        let reached = match looked_at().count() {
            count if count < limit => Cursor::all_of(end),
            _ => looked_at().last().map_or(after, |last| Cursor::from(&**last)),
        };
        let changes = looked_at().filter(|changed| changed.model == *model && changed.tenant == *tenant);
        Some(Piece { changes: changes.cloned().collect(), reached: reached.max(after) })
    }

    fn evict(&mut self) -> Vec<Arc<Changed>> {
        let mut gone = Vec::new();
        while self.bytes > self.room
            && let Some(oldest) = self.changes.pop_front()
        {
            self.bytes -= size(&oldest);
            self.from = oldest.position;
            gone.push(oldest);
        }
        gone
    }
}

fn size(changed: &Changed) -> usize {
    OVERHEAD + changed.key.len() + changed.row.len()
}

#[cfg(test)]
mod tests {
    use yado_store::ChangeKind;

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn changed(at: &str, tenant: &str) -> Arc<Changed> {
        let Cursor { position, place } = at.parse().unwrap();
        Arc::new(Changed {
            position,
            place,
            tenant: TenantId::parse(tenant).unwrap(),
            model: name("Ticket"),
            key: "a".into(),
            kind: ChangeKind::Created,
            row: "{}".into(),
        })
    }

    fn ring(room: usize) -> Ring {
        let mut ring = Ring::default();
        ring.set_room(room);
        ring
    }

    fn push(ring: &mut Ring, from: u64, to: u64, changes: &[&str]) {
        let changes: Vec<_> = changes.iter().map(|at| changed(at, "a")).collect();
        ring.push(Position::new(from), Position::new(to), &changes);
    }

    fn read(ring: &Ring, after: &str, until: Option<u64>, limit: usize) -> Option<(Vec<String>, String)> {
        read_by(ring, after, false, until, limit)
    }

    fn read_by(
        ring: &Ring,
        after: &str,
        begun_since: bool,
        until: Option<u64>,
        limit: usize,
    ) -> Option<(Vec<String>, String)> {
        let (model, tenant) = (name("Ticket"), TenantId::parse("a").unwrap());
        let (after, until) = (after.parse().unwrap(), until.map(Position::new));
        let piece = ring.read(&Wanted { model: &model, tenant: &tenant, after, begun_since, until, limit })?;
        let changes = piece.changes.iter().map(|changed| Cursor::from(&**changed).to_string()).collect();
        Some((changes, piece.reached.to_string()))
    }

    fn piece(changes: &[&str], reached: &str) -> Option<(Vec<String>, String)> {
        Some((changes.iter().map(ToString::to_string).collect(), reached.to_owned()))
    }

    #[test]
    fn changes_come_in_order_from_any_place_on() {
        let mut ring = ring(1 << 20);
        push(&mut ring, 0, 4, &["2.0", "2.1", "3.0"]);
        push(&mut ring, 4, 9, &["7.0"]);
        assert_eq!(read(&ring, "0", None, 10), piece(&["2.0", "2.1", "3.0", "7.0"], "9"));
        assert_eq!(read(&ring, "2.0", None, 2), piece(&["2.1", "3.0"], "3.0"));
        assert_eq!(read(&ring, "2", None, 10), piece(&["3.0", "7.0"], "9"));
        assert_eq!(read(&ring, "7", None, 10), piece(&[], "9"));
        assert_eq!(read(&ring, "0", Some(2), 10), piece(&["2.0", "2.1"], "2"));
        // Whoever is further than the projection is stays there.
        assert_eq!(read(&ring, "12.3", None, 10), piece(&[], "12.3"));
    }

    #[test]
    fn what_others_are_told_is_passed_over() {
        let mut ring = ring(1 << 20);
        let changes = [changed("1.0", "a"), changed("2.0", "b"), changed("3.0", "a")];
        ring.push(Position::ZERO, Position::new(3), &changes);
        assert_eq!(read(&ring, "0", None, 2), piece(&["1.0"], "2.0"));
        assert_eq!(read(&ring, "2.0", None, 2), piece(&["3.0"], "3"));
    }

    #[test]
    fn nothing_is_handed_out_across_a_gap() {
        let mut ring = ring(1 << 20);
        push(&mut ring, 0, 4, &["2.0"]);
        push(&mut ring, 6, 8, &["7.0"]);
        assert_eq!(read(&ring, "4", None, 10), None);
        assert_eq!(read(&ring, "5.3", None, 10), None);
        assert_eq!(read(&ring, "6", None, 10), piece(&["7.0"], "8"));
        ring.begin_at(Position::new(9));
        assert_eq!(read(&ring, "8", None, 10), None);
        assert_eq!(read(&ring, "9", None, 10), piece(&[], "9"));
    }

    #[test]
    fn nothing_is_handed_out_across_what_was_not_told_although_the_position_stays() {
        let mut ring = ring(1 << 20);
        push(&mut ring, 0, 5, &["4.0"]);
        ring.break_off(None);
        push(&mut ring, 5, 8, &["6.0", "7.0"]);
        for seen in ["4", "5", "6.0"] {
            assert_eq!(read(&ring, seen, None, 10), None, "{seen}");
        }
        assert_eq!(read(&ring, "6", None, 10), piece(&["7.0"], "8"));
        // Who began after that has seen it.
        assert_eq!(read_by(&ring, "5", true, None, 10), piece(&["6.0", "7.0"], "8"));
        assert_eq!(read_by(&ring, "4", true, None, 10), None);
        // That the telling begins again below does not heal it.
        ring.begin_at(Position::new(5));
        assert_eq!(read(&ring, "5", None, 10), None);
        ring.begin_at(Position::new(9));
        assert_eq!(read(&ring, "9", None, 10), piece(&[], "9"));
    }

    #[test]
    fn what_was_not_told_of_one_tenant_is_no_matter_to_others() {
        let mut ring = ring(1 << 20);
        let changes = [changed("1.0", "a"), changed("2.0", "b"), changed("3.0", "a")];
        ring.push(Position::ZERO, Position::new(3), &changes);
        ring.break_off(Some(&TenantId::parse("b").unwrap()));
        push(&mut ring, 3, 5, &["4.0"]);
        assert_eq!(read(&ring, "0", None, 10), piece(&["1.0", "3.0", "4.0"], "5"));
        ring.break_off(Some(&TenantId::parse("a").unwrap()));
        assert_eq!([read(&ring, "0", None, 10), read_by(&ring, "4", true, None, 10)], [None, None]);
        assert_eq!(read_by(&ring, "5", true, None, 10), piece(&[], "5"));
    }

    #[test]
    fn the_oldest_make_room_and_are_not_taken_for_none() {
        let mut ring = ring(3 * (OVERHEAD + 3));
        push(&mut ring, 0, 5, &["1.0", "2.0", "2.1", "3.0", "4.0"]);
        assert_eq!(read(&ring, "1", None, 10), None);
        // One of the two at this position is gone, and which of them a listener has seen does not matter.
        assert_eq!(read(&ring, "2.0", None, 10), None);
        assert_eq!(read(&ring, "2", None, 10), piece(&["3.0", "4.0"], "5"));
        let bytes: usize = ring.changes.iter().map(|changed| size(changed)).sum();
        assert_eq!(ring.bytes, bytes);
    }
}
