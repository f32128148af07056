//! Randomness for ids, seeds and pauses.
//!
//! A command needs a few dozen random bytes, and asking the operating system for so few costs more than using them. So
//! each thread asks for a page at a time, and forgets every byte that it has given away.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

/// Bytes that are asked for at once.
const PAGE: usize = 1_024;

struct Page {
    bytes: [u8; PAGE],
    used: usize,
}

thread_local! {
    static PAGE_OF_THREAD: RefCell<Page> = const { RefCell::new(Page { bytes: [0; PAGE], used: PAGE }) };
}

/// Random bytes, fit for what nobody may guess.
///
/// # Panics
/// When the operating system has no randomness to give: nothing that is safe could be done without.
fn bytes<const N: usize>() -> [u8; N] {
    PAGE_OF_THREAD.with_borrow_mut(|page| {
        if PAGE - page.used < N {
            // A system without randomness can't serve anybody; uuid and the standard library give up as well.
            #[allow(clippy::expect_used)]
            getrandom::fill(&mut page.bytes).expect("the operating system gives randomness");
            page.used = 0;
        }
        let mut taken = [0; N];
        let from = &mut page.bytes[page.used..page.used + N];
        taken.copy_from_slice(from);
        from.fill(0);
        page.used += N;
        taken
    })
}

/// 128 bits.
pub(crate) fn seed() -> (u64, u64) {
    (u64::from_le_bytes(bytes()), u64::from_le_bytes(bytes()))
}

/// A number from 0 up to, but not including, 1.
pub(crate) fn fraction() -> f64 {
    f64::from(u32::from_le_bytes(bytes())) / (f64::from(u32::MAX) + 1.0)
}

/// A new UUIDv7. Of those that one process makes, later ones sort after earlier ones: the twelve bits behind the
/// milliseconds count, and when a millisecond has no more numbers the next one begins early.
pub(crate) fn uuid_v7() -> Uuid {
    /// The milliseconds and the count of the last one.
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let now = u64::try_from(now_ms).unwrap_or(u64::MAX) << 12;
    let mut last = LAST.load(Ordering::Relaxed);
    let next = loop {
        let next = now.max(last + 1);
        match LAST.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => break next,
            Err(changed) => last = changed,
        }
    };
    let mut random: [u8; 10] = bytes();
    let [high, low] = ((next & 0xfff) as u16).to_be_bytes();
    (random[0], random[1]) = (high, low);
    Builder::from_unix_timestamp_millis(next >> 12, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_of_version_7_and_sort_in_the_order_in_which_they_are_made() {
        let ids: Vec<Uuid> = (0..10_000).map(|_| uuid_v7()).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let (seconds, nanos) = ids[0].get_timestamp().unwrap().to_unix();
        assert!(now_ms.abs_diff(seconds * 1_000 + u64::from(nanos) / 1_000_000) < 60_000);
    }

    #[test]
    fn no_randomness_is_given_twice() {
        let seeds: HashSet<(u64, u64)> = (0..1_000).map(|_| seed()).collect();
        assert_eq!(seeds.len(), 1_000);
        assert!((0..1_000).map(|_| fraction()).all(|fraction| (0.0..1.0).contains(&fraction)));
    }
}
