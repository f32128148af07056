//! How much processor time this process and those that it has started have taken.

use std::fs;

/// The unit in which Linux tells times of processes to programs, whatever it counts in itself.
const TICKS_PER_SECOND: f64 = 100.0;

/// The seconds that these processes have taken, in the system and out of it; this process is one of them. None where there
/// is no `/proc`.
pub(crate) fn seconds(others: &[u32]) -> Option<f64> {
    let ids = std::iter::once(std::process::id()).chain(others.iter().copied());
    let ticks = ids.map(|id| ticks(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)).sum::<Option<u64>>()?;
    #[expect(clippy::cast_precision_loss, reason = "a few billion at most")]
    Some(ticks as f64 / TICKS_PER_SECOND)
}

/// The fourteenth and fifteenth field. The second is the program's name in parentheses, which may hold blanks.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_names_of_any_kind() {
        let stat = "12 (a (b) c) S 1 12 12 0 -1 4194560 100 0 0 0 250 50 7 8 20 0 3 0 100 200 300";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("12 (cut"), None);
    }
}
