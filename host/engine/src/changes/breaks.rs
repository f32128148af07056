//! Whose rows have changed without anything being told of it.
//!
//! What was put aside of a tenant is shown again at positions that were told long ago. Whoever listens to that tenant has to
//! read anew, and nobody else. Where it is not known whose rows have changed, all tenants' may have.

use std::collections::HashMap;

use yado_model::{Position, TenantId};

/// Of so many tenants it is known apart, which is as many as may have something put aside. With one more of them it counts
/// for all.
const TENANTS: usize = 10_000;

/// Breaks of the telling, the last one of each tenant.
#[derive(Debug, Default)]
pub(super) struct Breaks {
    count: u64,
    /// The last that counts for all. Those of tenants have come later.
    of_all: Break,
    of_tenants: HashMap<TenantId, Break>,
}

/// A break of the telling.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Break {
    /// Which one it is, counted from one.
    pub(super) number: u64,
    /// Whoever has seen less than all of this position has not seen what rows were then.
    pub(super) unseen: Position,
}

impl Breaks {
    /// Rows of a tenant have changed at a position that was told already, or rows of any.
    pub(super) fn add(&mut self, tenant: Option<&TenantId>, settled: Position) {
        self.count += 1;
        let one = Break { number: self.count, unseen: settled.plus(1) };
        match tenant {
            Some(tenant) if self.of_tenants.len() < TENANTS || self.of_tenants.contains_key(tenant) => {
                self.of_tenants.insert(tenant.clone(), one);
            }
            _ => {
                self.of_all = one;
                self.of_tenants.clear();
            }
        }
    }

    /// How many there have been.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The last one that a tenant is concerned in.
    pub(super) fn last(&self, tenant: &TenantId) -> Break {
        self.of_tenants.get(tenant).copied().unwrap_or(self.of_all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(number: usize) -> TenantId {
        TenantId::parse(&format!("tenant-{number}")).unwrap()
    }

    #[test]
    fn a_tenant_is_concerned_in_its_own_breaks_and_in_those_of_all() {
        let mut breaks = Breaks::default();
        let last = |breaks: &Breaks, number| {
            let Break { number, unseen } = breaks.last(&tenant(number));
            (number, unseen.get())
        };
        assert_eq!(last(&breaks, 1), (0, 0));
        breaks.add(Some(&tenant(1)), Position::new(4));
        assert_eq!([last(&breaks, 1), last(&breaks, 2)], [(1, 5), (0, 0)]);
        breaks.add(None, Position::new(6));
        assert_eq!([last(&breaks, 1), last(&breaks, 2)], [(2, 7), (2, 7)]);
        breaks.add(Some(&tenant(2)), Position::new(8));
        assert_eq!([last(&breaks, 1), last(&breaks, 2)], [(2, 7), (3, 9)]);
        assert_eq!(breaks.count(), 3);
    }

    #[test]
    fn where_there_are_too_many_tenants_to_tell_them_apart_it_counts_for_all() {
        let mut breaks = Breaks::default();
        for number in 0..TENANTS {
            breaks.add(Some(&tenant(number)), Position::new(1));
        }
        breaks.add(Some(&tenant(0)), Position::new(2));
        assert_eq!(breaks.last(&tenant(TENANTS + 1)), Break::default());
        breaks.add(Some(&tenant(TENANTS)), Position::new(3));
        for number in [0, 1, TENANTS, TENANTS + 1] {
            assert_eq!(breaks.last(&tenant(number)).unseen, Position::new(4));
        }
        assert!(breaks.of_tenants.is_empty());
    }
}
