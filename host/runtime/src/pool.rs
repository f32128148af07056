//! Idle instances, kept for the next call of the same plugin for the same tenant.
//!
//! What a guest leaves in its memory is seen by its next call, so an instance never changes tenants, and one that has
//! failed is never put here. The lock is held to move an instance in or out, never while a guest runs or while an
//! instance is taken apart.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use yado_model::TenantId;

use crate::instance::Instance;
use crate::settings::Limits;

/// Which instances are alike: those of one loaded plugin, by its number, for one tenant.
type Key = (u64, TenantId);

pub(crate) struct Pool {
    shelves: Mutex<Shelves>,
    per_key: usize,
    limit: usize,
}

struct Shelves {
    by_key: LruCache<Key, Vec<Instance>>,
    count: usize,
}

impl Pool {
    pub(crate) fn new(limits: &Limits) -> Self {
        // No more keys than instances are ever needed: a shelf that becomes empty is kept only while its instance is
        // in use.
        let keys = NonZeroUsize::new(limits.idle).unwrap_or(NonZeroUsize::MIN);
        let shelves = Mutex::new(Shelves { by_key: LruCache::new(keys), count: 0 });
        Self { shelves, per_key: limits.idle_per_tenant, limit: limits.idle }
    }

    /// An idle instance, if there is one. The one used last comes first: its memory is likely to be in the cache.
    pub(crate) fn take(&self, plugin: u64, tenant: &TenantId) -> Option<Instance> {
        let mut shelves = self.lock();
        let instance = shelves.by_key.get_mut(&(plugin, tenant.clone()))?.pop()?;
        shelves.count -= 1;
        Some(instance)
    }

    /// Keeps an instance that has answered. Where there is no room, the shelf that was not used for the longest time
    /// gives way.
    pub(crate) fn put(&self, plugin: u64, tenant: &TenantId, instance: Instance) {
        if self.limit == 0 {
            return;
        }
        let key = (plugin, tenant.clone());
        let mut leaving = Vec::new();
        let mut shelves = self.lock();
        match shelves.by_key.get_mut(&key) {
            Some(shelf) if shelf.len() >= self.per_key => leaving.push(instance),
            Some(shelf) => {
                shelf.push(instance);
                shelves.count += 1;
            }
            None => {
                if let Some((_, shelf)) = shelves.by_key.push(key, vec![instance]) {
                    shelves.count -= shelf.len();
                    leaving.extend(shelf);
                }
                shelves.count += 1;
            }
        }
        while shelves.count > self.limit
            && let Some((_, shelf)) = shelves.by_key.pop_lru()
        {
            shelves.count -= shelf.len();
            leaving.extend(shelf);
        }
        drop(shelves);
        drop(leaving);
    }

    /// Takes apart what is idle of a plugin that is no longer in use.
    pub(crate) fn forget(&self, plugin: u64) {
        let mut shelves = self.lock();
        let keys: Vec<Key> = shelves.by_key.iter().map(|(key, _)| key).filter(|key| key.0 == plugin).cloned().collect();
        let leaving: Vec<Vec<Instance>> = keys.iter().filter_map(|key| shelves.by_key.pop(key)).collect();
        shelves.count -= leaving.iter().map(Vec::len).sum::<usize>();
        drop(shelves);
        drop(leaving);
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        // Nothing in here runs foreign code with the lock held; were it to panic all the same, the shelves would still
        // be shelves.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
