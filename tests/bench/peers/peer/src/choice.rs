//! Which account comes next.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::protocol::Distribution;

/// The accounts of a round, with what all clients share.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    /// One of so many, all alike.
    Uniform(u32),
    /// The first.
    Hot,
    /// By the sum of the weights up to each account.
    Weighted(Arc<[f64]>),
}

impl Choice {
    /// Of `accounts`, of which there is at least one.
    pub(crate) fn new(distribution: Distribution, accounts: u32) -> Self {
        match distribution {
            Distribution::Uniform => Self::Uniform(accounts.max(1)),
            Distribution::Hot => Self::Hot,
            Distribution::Zipf => {
                let weights = (1..=accounts.max(1)).scan(0.0, |sum, rank| {
                    *sum += 1.0 / f64::from(rank);
                    Some(*sum)
                });
                Self::Weighted(weights.collect())
            }
        }
    }

    /// The next account.
    pub(crate) fn next(&self, random: &mut SmallRng) -> u32 {
        match self {
            Self::Uniform(accounts) => random.random_range(0..*accounts),
            Self::Hot => 0,
            Self::Weighted(sums) => {
                let point = random.random::<f64>() * sums.last().copied().unwrap_or_default();
                let rank = sums.partition_point(|sum| *sum <= point).min(sums.len().saturating_sub(1));
                u32::try_from(rank).unwrap_or_default()
            }
        }
    }
}

/// A client's own generator. Neighbouring seeds give unlike ones: the generator mixes what it begins with.
pub(crate) fn generator(seed: u64, client: usize) -> SmallRng {
    SmallRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(client as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(distribution: Distribution) -> Vec<u32> {
        let (choice, mut random) = (Choice::new(distribution, 100), generator(7, 3));
        let mut taken = vec![0; 100];
        for _ in 0..100_000 {
            taken[choice.next(&mut random) as usize] += 1;
        }
        taken
    }

    #[test]
    fn accounts_are_taken_as_often_as_their_distribution_says() {
        let uniform = taken(Distribution::Uniform);
        assert!(uniform.iter().all(|count| (800..1_200).contains(count)), "{uniform:?}");
        // The sum of 1/r up to 100 is 5.187.
        let zipf = taken(Distribution::Zipf);
        assert!((18_700..19_900).contains(&zipf[0]) && (9_300..10_000).contains(&zipf[1]), "{zipf:?}");
        assert!((130..260).contains(&zipf[99]), "{zipf:?}");
        assert_eq!(taken(Distribution::Hot)[0], 100_000);
    }

    #[test]
    fn a_seed_makes_the_choice_repeatable_and_clients_choose_differently() {
        let choice = Choice::new(Distribution::Uniform, 10_000);
        let first = |seed, client| {
            let mut random = generator(seed, client);
            [choice.next(&mut random), choice.next(&mut random), choice.next(&mut random)]
        };
        assert_eq!(first(1, 0), first(1, 0));
        assert_ne!(first(1, 0), first(1, 1));
        assert_ne!(first(1, 0), first(2, 0));
    }
}
