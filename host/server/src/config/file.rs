//! Reads the configuration file.
//!
//! Whoever mistypes a key is told where, and what they may have meant: a key that is silently ignored is worse than
//! none.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::keys::Keys;
use super::nearest::nearest;
use crate::failure::{Doing as _, Failure, Result};

/// The file that is read if it is there and no other is asked for.
pub(super) const USUAL: &str = "yado.toml";

/// Reads a file. The usual one need not be there.
pub(super) fn read(path: Option<&Path>) -> Result<Keys> {
    let file = path.unwrap_or(Path::new(USUAL));
    match std::fs::read_to_string(file) {
        Ok(text) => parse(&file.display(), &text),
        Err(error) if path.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(Keys::default()),
        Err(error) => Err(error).doing(|| format!("the configuration file {} can't be read", file.display())),
    }
}

fn parse(file: &impl Display, text: &str) -> Result<Keys> {
    let failure = |at: Range<usize>, reason: &str| {
        let line = text.bytes().take(at.start).filter(|byte| *byte == b'\n').count() + 1;
        Failure::new(format!("{file}:{line}: {reason}"))
    };
    let broken = |error: &toml::de::Error| error.span().unwrap_or_default();
    let table = DeTable::parse(text).map_err(|error| failure(broken(&error), error.message()))?;
    unknown(table.get_ref()).map_err(|(at, reason)| failure(at, &reason))?;
    Keys::deserialize(Deserializer::from(table.clone())).map_err(|error| {
        let at = broken(&error);
        match key(table.get_ref(), &at) {
            Some(key) => failure(at, &format!("{key}: {}", error.message())),
            None => failure(at, error.message()),
        }
    })
}

/// The first key that nothing here knows.
fn unknown(table: &DeTable<'_>) -> Result<(), (Range<usize>, String)> {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let known = Keys::TABLES.iter().find(|(table, _)| *table == name);
        match (known, value.get_ref()) {
            (Some((_, names)), DeValue::Table(inner)) => {
                if let Some((key, _)) = inner.iter().find(|(key, _)| !names.contains(&key.get_ref().as_ref())) {
                    let reason =
                        format!("there is no key {} in [{name}]{}", key.get_ref(), meant(key.get_ref(), names));
                    return Err((key.span(), reason));
                }
            }
            (Some(_), _) => return Err((key.span(), format!("{name} is a table: write [{name}] and its keys below"))),
            (None, _) if Keys::NAMES.contains(&name) => {}
            (None, value) => {
                let tables: Vec<&str> = Keys::TABLES.iter().map(|(table, _)| *table).collect();
                let (kind, names) = if value.is_table() { ("table", tables.as_slice()) } else { ("key", Keys::NAMES) };
                return Err((key.span(), format!("there is no {kind} {name}{}", meant(name, names))));
            }
        }
    }
    Ok(())
}

/// What may have been meant, as the end of a sentence.
fn meant(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(known) => format!("; did you mean {known}?"),
        None => format!("; there are {}", known.join(", ")),
    }
}

/// The key whose value stands at a place.
fn key(table: &DeTable<'_>, at: &Range<usize>) -> Option<String> {
    let within = |value: &Spanned<DeValue<'_>>| value.span().start <= at.start && at.end <= value.span().end;
    table.iter().find_map(|(key, value)| match value.get_ref() {
        DeValue::Table(inner) => self::key(inner, at).map(|rest| format!("{}.{rest}", key.get_ref())),
        _ => within(value).then(|| key.get_ref().to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(&"yado.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
        assert_eq!(
            refused("data = \"d\"\nlisen = \"x\"\n"),
            "yado.toml:2: there is no key lisen; did you mean listen?"
        );
        assert_eq!(
            refused("\n[guests]\ndecide_ms = 5\nmemory_byte = 1\n"),
            "yado.toml:4: there is no key memory_byte in [guests]; did you mean memory_bytes?"
        );
        assert_eq!(refused("[guest]\n"), "yado.toml:1: there is no table guest; did you mean guests?");
    }

    #[test]
    fn a_key_that_is_like_no_other_gets_the_whole_list() {
        let refused = refused("[http]\nzzz = 1\n");
        assert_eq!(
            refused,
            "yado.toml:2: there is no key zzz in [http]; there are connections, idle_ms, body_ms, drain_ms"
        );
    }

    #[test]
    fn a_wrong_value_is_named_with_its_key_and_what_is_expected() {
        assert_eq!(
            refused("listen = \"localhost\"\n"),
            "yado.toml:1: listen: \"localhost\" is no place to listen at: write an IP address and a port, such as \
             127.0.0.1:4000"
        );
        assert_eq!(
            refused("[guests]\nmemory_bytes = \"64MB\"\n"),
            "yado.toml:2: guests.memory_bytes: invalid type: string \"64MB\", expected a whole number"
        );
        assert_eq!(
            refused("[limits]\nshards = 0\n"),
            "yado.toml:2: limits.shards: 0 is too small: it must be at least 1"
        );
        assert_eq!(refused("guests = 3\n"), "yado.toml:1: guests is a table: write [guests] and its keys below");
    }

    #[test]
    fn what_is_no_toml_is_refused_with_its_line() {
        assert!(
            refused("data = \"d\"\nlisten =\n").starts_with("yado.toml:2: "),
            "{}",
            refused("data = \"d\"\nlisten =\n")
        );
    }

    #[test]
    fn the_usual_file_need_not_be_there_but_one_that_is_asked_for_must() {
        let missing = Path::new("there/is/no/such.toml");
        assert!(read(Some(missing)).unwrap_err().to_string().contains("there/is/no/such.toml"));
    }
}
