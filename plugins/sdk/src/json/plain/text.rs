//! Texts without escapes.

const WORD: usize = size_of::<u64>();
const ONES: u64 = u64::from_ne_bytes([0x01; WORD]);
const HIGH: u64 = u64::from_ne_bytes([0x80; WORD]);

/// How many bytes there are before the first that ends a text or that JSON escapes in it: a quote, a backslash, or a
/// control character. They are looked at eight at a time.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<WORD>();
    let mut length = 0;
    for word in words {
        let found = special(u64::from_le_bytes(*word));
        if found != 0 {
            return length + (found.trailing_zeros() / 8) as usize;
        }
        length += WORD;
    }
    length + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' ')).unwrap_or(rest.len())
}

/// The high bit of each byte that is special. Borrows may set bits of bytes behind the first one that is, and never of one
/// before it.
const fn special(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let control = word.wrapping_sub(ONES * b' ' as u64) & !word;
    (zero(quote) | zero(backslash) | control) & HIGH
}

const fn zero(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for length in 0..20 {
            for other in [b'a', b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xa2, 0xdc, 0xff] {
                let plain = vec![other; length];
                assert_eq!(plain_length(&plain), length, "{other}");
                for at in 0..length {
                    for special in [b'"', b'\\', 0, b'\n', 0x1f] {
                        let mut bytes = plain.clone();
                        bytes[at] = special;
                        assert_eq!(plain_length(&bytes), at, "{special} at {at} among {other}");
                        bytes[length - 1] = b'"';
                        assert_eq!(plain_length(&bytes), at, "{special} at {at} among {other}");
                    }
                }
            }
        }
    }
}
