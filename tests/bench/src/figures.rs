//! Medians, and ratios that are not shown before there are enough rounds.

use serde::Serialize;

/// From fewer rounds no ratio is shown: the machine's moods would be all that it tells.
pub const ROUNDS_FOR_A_RATIO: usize = 5;

/// The middle of some numbers, or the mean of the two in the middle; none of none.
#[must_use]
pub fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle)) {
        (1, Some(number)) => Some(*number),
        (0, Some(upper)) => Some(f64::midpoint(*upper, *sorted.get(middle.checked_sub(1)?)?)),
        _ => None,
    }
}

/// How one thing compares with another over all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// The median of the rounds' ratios.
    pub median: f64,
    /// The least of them.
    pub least: f64,
    /// The greatest of them.
    pub greatest: f64,
    /// How many rounds there were.
    pub rounds: usize,
}

impl Ratio {
    /// The ratio of two series, round by round. Rounds in which either is missing don't count.
    ///
    /// # Errors
    /// Says why there is none.
    pub fn of(numerators: &[Option<f64>], denominators: &[Option<f64>]) -> Result<Self, String> {
        let ratios: Vec<f64> = numerators
            .iter()
            .zip(denominators)
            .filter_map(|(numerator, denominator)| Some((*numerator)? / denominator.filter(|figure| *figure > 0.0)?))
            .collect();
        let (rounds, wanted) = (ratios.len(), ROUNDS_FOR_A_RATIO);
        if rounds < wanted {
            return Err(format!("no ratio: {rounds} of the {wanted} rounds that it takes"));
        }
        let median = median(&ratios).ok_or("no ratio: nothing was measured")?;
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = ratios.iter().copied().fold(0.0, f64::max);
        Ok(Self { median, least, greatest, rounds })
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.median, self.least, self.greatest)
    }
}

/// A whole number with its thousands set apart, as in 12,345.
#[must_use]
pub fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_the_medians() {
        let some = |figures: [f64; 5]| figures.map(Some).to_vec();
        let ratio = Ratio::of(&some([10.0, 20.0, 30.0, 40.0, 50.0]), &some([10.0, 10.0, 10.0, 10.0, 100.0])).unwrap();
        assert_eq!(ratio, Ratio { median: 2.0, least: 0.5, greatest: 4.0, rounds: 5 });
        assert_eq!(ratio.to_string(), "2.00 (0.50 to 4.00)");
    }

    #[test]
    fn four_rounds_make_no_ratio() {
        let some = |rounds: usize| vec![Some(1.0); rounds];
        assert_eq!(Ratio::of(&some(4), &some(4)).unwrap_err(), "no ratio: 4 of the 5 rounds that it takes");
        // A round in which one of them failed, or did nothing, is no round.
        let mut failed = some(5);
        failed[2] = None;
        assert!(Ratio::of(&failed, &some(5)).is_err() && Ratio::of(&some(5), &failed).is_err());
        failed[2] = Some(0.0);
        assert!(Ratio::of(&some(5), &failed).is_err());
        assert!(Ratio::of(&some(5), &some(5)).is_ok());
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0.4, 999.0, 1_000.0, 1_234_567.0].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
