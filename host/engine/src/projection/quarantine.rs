//! The streams that a projection has put aside: events of theirs wait, and all others go on. Of a tenant of which too many
//! are, everything waits from some event on.

use std::collections::HashMap;
use std::sync::Arc;

use yado_model::{Digest, Position, RecordedEvent, StreamId, TenantId};
use yado_store::limits::LONGEST_PAGE;
use yado_store::{Held, Parked, ReadStore, Result, Scope};

/// The streams that a projection has put aside. A copy shares them until one of the two changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Quarantine {
    tenants: Arc<HashMap<TenantId, OfTenant>>,
    count: Count,
}

/// What waits of a tenant.
#[derive(Debug, Clone, Default)]
struct OfTenant {
    streams: HashMap<StreamId, Arc<Parked>>,
    /// All of it, from the position of this letter on.
    whole: Option<Arc<Parked>>,
}

/// How much is put aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Streams, each by itself.
    pub(crate) streams: usize,
    /// Tenants, each as a whole.
    pub(crate) tenants: usize,
}

/// What becomes of streams with a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Letters {
    /// What waits from now on, or still does.
    pub(super) parked: Vec<Parked>,
    /// What waits no more.
    pub(super) released: Vec<Held>,
    /// The tenant of which rows are others than before, because of events that have waited.
    pub(super) again: Option<TenantId>,
}

/// Two are the same if they share what they have.
impl PartialEq for Quarantine {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tenants, &other.tenants)
    }
}

impl Eq for Quarantine {}

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
        let Letters { parked, released, .. } = letters;
        if parked.is_empty() && released.is_empty() {
            return;
        }
        let tenants = Arc::make_mut(&mut self.tenants);
        for Held { tenant, stream } in released {
            let Some(of_tenant) = tenants.get_mut(&tenant) else { continue };
            match stream {
                Some(stream) => self.count.streams -= usize::from(of_tenant.streams.remove(&stream).is_some()),
                None => self.count.tenants -= usize::from(of_tenant.whole.take().is_some()),
            }
            if of_tenant.streams.is_empty() && of_tenant.whole.is_none() {
                tenants.remove(&tenant);
            }
        }
        for parked in parked {
            let of_tenant = tenants.entry(parked.tenant.clone()).or_default();
            match parked.scope {
                Scope::Stream => {
                    let before = of_tenant.streams.insert(parked.stream.clone(), Arc::new(parked));
                    self.count.streams += usize::from(before.is_none());
                }
                Scope::Tenant => self.count.tenants += usize::from(of_tenant.whole.replace(Arc::new(parked)).is_none()),
            }
        }
    }

    /// Whether an event has to wait.
    pub(super) fn holds(&self, event: &RecordedEvent) -> bool {
        let of_tenant = || self.tenants.get(&event.tenant);
        self.len() > 0 && of_tenant().is_some_and(|of| of.whole.is_some() || of.streams.contains_key(&event.stream))
    }

    /// Whether an event has to wait because its stream does, and not only because all of the tenant's do.
    pub(super) fn holds_stream(&self, event: &RecordedEvent) -> bool {
        self.tenants.get(&event.tenant).is_some_and(|of| of.streams.contains_key(&event.stream))
    }

    /// The dead letter of what waits, if it does.
    pub(super) fn get(&self, Held { tenant, stream }: &Held) -> Option<&Parked> {
        let of_tenant = self.tenants.get(tenant)?;
        match stream {
            Some(stream) => of_tenant.streams.get(stream).map(Arc::as_ref),
            None => of_tenant.whole.as_deref(),
        }
    }

    /// From which position on nothing is shown of a stream, because it waits or all of its tenant does.
    pub(crate) fn stands_from(&self, tenant: &TenantId, stream: &StreamId) -> Option<Position> {
        let of_tenant = self.tenants.get(tenant)?;
        let letters = of_tenant.streams.get(stream).into_iter().chain(&of_tenant.whole);
        letters.map(|parked| parked.position).min()
    }

    /// How many streams of a tenant wait, each by itself.
    pub(super) fn streams_of(&self, tenant: &TenantId) -> usize {
        self.tenants.get(tenant).map_or(0, |of| of.streams.len())
    }

    /// From where on everything of a tenant waits, if it does.
    pub(super) fn waits_from(&self, tenant: &TenantId) -> Option<Position> {
        self.tenants.get(tenant)?.whole.as_ref().map(|whole| whole.position)
    }

    /// How much waits.
    pub(crate) const fn count(&self) -> Count {
        self.count
    }

    /// How many dead letters there are.
    pub(super) const fn len(&self) -> usize {
        self.count.streams + self.count.tenants
    }

    /// What waits of which something holds, in the order of the events that wait.
    pub(super) fn in_order(&self, holds: impl Fn(&Parked) -> bool) -> Vec<&Parked> {
        let all = self.tenants.values().flat_map(OfTenant::letters);
        let mut those: Vec<_> = all.filter(|parked| holds(parked)).collect();
        those.sort_unstable_by_key(|parked| parked.position);
        those
    }

    /// Whether code has failed at a stream of a tenant that waits.
    pub(super) fn has_failed(&self, code: Digest, tenant: &TenantId) -> bool {
        self.tenants.get(tenant).is_some_and(|of| of.letters().any(|parked| parked.digest == code))
    }
}

impl OfTenant {
    fn letters(&self) -> impl Iterator<Item = &Parked> {
        self.streams.values().chain(&self.whole).map(Arc::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use yado_model::{Position, Revision, Timestamp};

    use super::*;

    fn letter(tenant: &str, stream: &str, position: u64) -> Parked {
        Parked {
            scope: Scope::Stream,
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
        let gone = vec![both[1].held()];
        for _ in 0..2 {
            quarantine.take(Letters { released: gone.clone(), ..Letters::default() });
            assert_eq!(quarantine.len(), 1);
        }
        assert_eq!(quarantine.in_order(|_| true), [&both[0]]);
        assert!(!quarantine.has_failed(both[1].digest, &both[1].tenant));
        assert_eq!(quarantine.get(&both[1].held()), None);
        // A call that began before sees what it saw.
        assert_eq!(before.len(), 2);
        assert_eq!(before.get(&both[1].held()), Some(&both[1]));
    }

    #[test]
    fn a_tenant_that_waits_as_a_whole_does_not_hold_up_others() {
        let mut quarantine = Quarantine::default();
        let stream = letter("a", "Counter-x", 3);
        let whole = Parked { scope: Scope::Tenant, ..letter("a", "Counter-y", 5) };
        quarantine.take(Letters { parked: vec![stream.clone(), whole.clone()], ..Letters::default() });
        assert_eq!(quarantine.count(), Count { streams: 1, tenants: 1 });
        assert_eq!((quarantine.streams_of(&whole.tenant), quarantine.len()), (1, 2));
        assert_eq!(quarantine.waits_from(&whole.tenant), Some(whole.position));
        assert_eq!(quarantine.waits_from(&TenantId::default()), None);
        assert_eq!(quarantine.in_order(|_| true), [&stream, &whole]);
        assert_eq!(quarantine.get(&whole.held()), Some(&whole));
        quarantine.take(Letters { released: vec![whole.held()], ..Letters::default() });
        assert_eq!((quarantine.waits_from(&whole.tenant), quarantine.len()), (None, 1));
        assert_eq!(quarantine.get(&stream.held()), Some(&stream));
    }
}
