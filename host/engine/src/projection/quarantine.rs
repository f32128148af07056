//! The streams that a projection has put aside: events of theirs wait, and all others go on.

use std::collections::HashMap;
use std::sync::Arc;

use yado_model::{Digest, RecordedEvent, StreamId, TenantId};
use yado_store::limits::LONGEST_PAGE;
use yado_store::{Parked, ReadStore, Result};

/// The streams that a projection has put aside. A copy shares them until one of the two changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Quarantine {
    tenants: Arc<HashMap<TenantId, HashMap<StreamId, Parked>>>,
    count: usize,
}

/// What becomes of streams with a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Letters {
    /// Streams that wait from now on, or still do.
    pub(super) parked: Vec<Parked>,
    /// Streams that wait no more.
    pub(super) released: Vec<(TenantId, StreamId)>,
}

impl Quarantine {
    /// What is put aside by now, by this process or another one.
    pub(super) async fn load(reads: &dyn ReadStore, projection: &str) -> Result<Self> {
        let mut quarantine = Self::default();
        let parked = reads.parked(Some(projection), LONGEST_PAGE).await?;
        quarantine
            .take(Letters { parked: parked.into_iter().map(|(_, parked)| parked).collect(), ..Letters::default() });
        Ok(quarantine)
    }

    /// Takes note of what has become of streams.
    pub(super) fn take(&mut self, letters: Letters) {
        let Letters { parked, released } = letters;
        if parked.is_empty() && released.is_empty() {
            return;
        }
        let tenants = Arc::make_mut(&mut self.tenants);
        for (tenant, stream) in released {
            if let Some(streams) = tenants.get_mut(&tenant) {
                self.count -= usize::from(streams.remove(&stream).is_some());
            }
        }
        for parked in parked {
            let streams = tenants.entry(parked.tenant.clone()).or_default();
            self.count += usize::from(streams.insert(parked.stream.clone(), parked).is_none());
        }
    }

    /// Whether an event has to wait.
    pub(super) fn holds(&self, event: &RecordedEvent) -> bool {
        self.count > 0 && self.get(&event.tenant, &event.stream).is_some()
    }

    /// The dead letter of a stream, if that waits.
    pub(super) fn get(&self, tenant: &TenantId, stream: &StreamId) -> Option<&Parked> {
        self.tenants.get(tenant)?.get(stream)
    }

    /// How many streams wait.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// The streams of which something holds, in the order of the events that wait.
    pub(super) fn in_order(&self, holds: impl Fn(&Parked) -> bool) -> Vec<&Parked> {
        let all = self.tenants.values().flat_map(HashMap::values);
        let mut those: Vec<_> = all.filter(|parked| holds(parked)).collect();
        those.sort_unstable_by_key(|parked| parked.position);
        those
    }

    /// Whether code has failed at a stream of a tenant that waits.
    pub(super) fn has_failed(&self, code: Digest, tenant: &TenantId) -> bool {
        self.tenants.get(tenant).is_some_and(|streams| streams.values().any(|parked| parked.digest == code))
    }
}

#[cfg(test)]
mod tests {
    use yado_model::{Position, Revision, Timestamp};

    use super::*;

    fn letter(tenant: &str, stream: &str, position: u64) -> Parked {
        Parked {
            tenant: TenantId::parse(tenant).unwrap(),
            stream: StreamId::parse(stream).unwrap(),
            position: Position::new(position),
            revision: Revision::new(1),
            event: "Counted".into(),
            version: 1,
            error: "no".into(),
            plugin: "counters".into(),
            plugin_version: "1.0.0".into(),
            digest: Digest::of(b"code"),
            attempts: 5,
            at: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn streams_are_counted_once_however_often_they_are_parked_and_let_go() {
        let mut quarantine = Quarantine::default();
        let both = vec![letter("a", "Counter-x", 4), letter("b", "Counter-x", 3)];
        for _ in 0..2 {
            quarantine.take(Letters { parked: both.clone(), ..Letters::default() });
            assert_eq!(quarantine.len(), 2);
        }
        let before = quarantine.clone();
        assert_eq!(quarantine.in_order(|_| true), [&both[1], &both[0]]);
        assert_eq!(quarantine.in_order(|parked| parked.tenant == both[0].tenant), [&both[0]]);
        assert!(quarantine.has_failed(both[0].digest, &both[1].tenant));
        assert!(!quarantine.has_failed(Digest::of(b"other code"), &both[1].tenant));
        let gone = vec![(both[1].tenant.clone(), both[1].stream.clone())];
        for _ in 0..2 {
            quarantine.take(Letters { released: gone.clone(), ..Letters::default() });
            assert_eq!(quarantine.len(), 1);
        }
        assert_eq!(quarantine.in_order(|_| true), [&both[0]]);
        assert!(!quarantine.has_failed(both[1].digest, &both[1].tenant));
        assert_eq!(quarantine.get(&both[1].tenant, &both[1].stream), None);
        // A call that began before sees what it saw.
        assert_eq!(before.len(), 2);
        assert_eq!(before.get(&both[1].tenant, &both[1].stream), Some(&both[1]));
    }
}
