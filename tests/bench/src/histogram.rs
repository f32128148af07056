//! How long things took: counts in buckets whose width grows with the value, so that every percentile is known to within a
//! hundredth, and recording costs an addition.

use std::time::Duration;

/// Each power of two is divided into so many buckets.
const STEPS: u64 = 128;
/// Its exponent.
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Up to 2⁴⁰ microseconds, which is twelve days.
const POWERS: u32 = 40;

/// Counts of durations in microseconds.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; bucket(1 << POWERS) + 1], total: 0 }
    }
}

impl Histogram {
    /// Counts a duration.
    pub fn record(&mut self, took: Duration) {
        self.record_us(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts a duration in microseconds.
    pub fn record_us(&mut self, us: u64) {
        let last = self.counts.len() - 1;
        self.counts[bucket(us.min(1 << POWERS)).min(last)] += 1;
        self.total += 1;
    }

    /// Adds the counts of another.
    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(mine, its)| *mine += its);
        self.total += other.total;
    }

    /// How many durations were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// So large a part of all durations (0.99 of them, say) took no longer than this, in microseconds; zero if there are none.
    #[must_use]
    pub fn percentile(&self, part: f64) -> u64 {
        let wanted = (self.total as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return longest(bucket as u64);
            }
        }
        0
    }
}

/// The bucket of a value: small values have one each, larger ones share theirs with those that begin with the same bits.
fn bucket(us: u64) -> usize {
    let shift = (u64::BITS - us.leading_zeros()).saturating_sub(STEP_BITS + 1);
    (u64::from(shift) * STEPS + (us >> shift)) as usize
}

/// The largest value of a bucket.
fn longest(bucket: u64) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    ((bucket - shift * STEPS + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_within_its_bucket_and_that_is_narrow() {
        for us in (0..10_000).chain([1 << 20, (1 << 20) + 12_345, (1 << 39) + 1]) {
            let at = bucket(us);
            assert!(longest(at as u64) >= us, "{us} is beyond its bucket");
            assert!(at == 0 || longest(at as u64 - 1) < us, "{us} belongs into an earlier bucket");
            assert!((longest(at as u64) - us) as f64 <= us as f64 / 100.0, "the bucket of {us} is wide");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_values() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|us| histogram.record_us(us));
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|part| histogram.percentile(part)), [1, 50, 99, 100]);
        assert_eq!(Histogram::default().percentile(0.5), 0);
    }

    #[test]
    fn histograms_add_up() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        one.record(Duration::from_micros(10));
        other.record(Duration::from_secs(10_000_000));
        one.add(&other);
        assert_eq!(one.total(), 2);
        assert_eq!(one.percentile(0.5), 10);
        assert!(one.percentile(1.0) > 1 << 39);
    }
}
