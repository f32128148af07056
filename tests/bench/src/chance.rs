//! Chance that can be repeated: a generator, a choice of accounts, and an order of turns, all from a seed.

use std::sync::Arc;

use crate::work::Distribution;

/// SplitMix64: small, fast, and good enough to choose accounts.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below a bound, each as likely as the others but for one part in 2³².
    pub fn below(&mut self, bound: u32) -> u32 {
        let high = (self.bits() >> 32) * u64::from(bound);
        u32::try_from(high >> 32).unwrap_or(0)
    }

    /// A number of at least 0 and less than 1.
    pub fn fraction(&mut self) -> f64 {
        // The 53 bits that a double holds exactly.
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Puts things into an order in which each is as likely as any other.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for at in (1..things.len()).rev() {
            let other = self.below(u32::try_from(at + 1).unwrap_or(u32::MAX)) as usize;
            things.swap(at, other);
        }
    }
}

/// Which account is next. Clones share their table.
#[derive(Debug, Clone)]
pub struct Accounts {
    count: u32,
    distribution: Distribution,
    /// For each account, how likely it or one before it is taken; empty where that needs no table.
    cumulative: Arc<[f64]>,
}

impl Accounts {
    /// A choice among so many accounts.
    #[must_use]
    pub fn new(count: u32, distribution: Distribution) -> Self {
        let cumulative = match distribution {
            Distribution::Zipf => zipf(count),
            Distribution::Uniform | Distribution::Hot => Vec::new(),
        };
        Self { count, distribution, cumulative: cumulative.into() }
    }

    /// The next account.
    pub fn pick(&self, chance: &mut Chance) -> u32 {
        match self.distribution {
            Distribution::Hot => 0,
            Distribution::Uniform => chance.below(self.count),
            Distribution::Zipf => {
                let drawn = chance.fraction();
                let account = self.cumulative.partition_point(|up_to| *up_to <= drawn);
                u32::try_from(account).unwrap_or(0).min(self.count.saturating_sub(1))
            }
        }
    }
}

/// The cumulative distribution in which rank r has the weight 1/r.
fn zipf(count: u32) -> Vec<f64> {
    let mut sum = 0.0;
    let sums: Vec<f64> = (1..=count)
        .map(|rank| {
            sum += 1.0 / f64::from(rank);
            sum
        })
        .collect();
    sums.into_iter().map(|up_to| up_to / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(distribution: Distribution) -> Vec<u32> {
        let (accounts, mut chance) = (Accounts::new(100, distribution), Chance::new(7));
        let mut counts = vec![0; 100];
        (0..100_000).for_each(|_| counts[accounts.pick(&mut chance) as usize] += 1);
        counts
    }

    #[test]
    fn a_seed_says_everything_that_follows() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            let mut order: Vec<u32> = (0..20).collect();
            chance.shuffle(&mut order);
            (order, chance.bits())
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn shuffling_loses_nothing() {
        let mut order: Vec<u32> = (0..50).collect();
        Chance::new(3).shuffle(&mut order);
        assert_ne!(order, (0..50).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn uniform_takes_all_accounts_alike() {
        let counts = picked(Distribution::Uniform);
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn hot_is_one_account() {
        assert_eq!(picked(Distribution::Hot)[0], 100_000);
    }

    #[test]
    fn zipf_takes_the_tenth_account_a_tenth_as_often_as_the_first() {
        let counts = picked(Distribution::Zipf);
        // The weights of 100 ranks add up to 5.187.
        let expected = |rank: f64| 100_000.0 / (5.187 * rank);
        for rank in [1_u32, 2, 10, 100] {
            let (found, expected) = (f64::from(counts[rank as usize - 1]), expected(f64::from(rank)));
            assert!((found / expected - 1.0).abs() < 0.2, "rank {rank}: {found} instead of {expected}");
        }
    }
}
