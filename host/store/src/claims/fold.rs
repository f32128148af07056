//! The fold over the log, page by page.
//!
//! A value belongs to whoever took it last, until that stream lets go of it. That others let go of it means nothing, and is
//! told all the same: only the fold knows who holds what, since a table may have been wrong about it at the time.

use std::collections::{BTreeSet, HashMap};

use futures::{Stream, TryStreamExt as _};

use super::{Change, Value};
use crate::limits::LARGEST_PAGE;
use crate::{Error, Result};

/// At most so many events that tell of claims are read at once.
pub(crate) const MOST_TOLD: i64 = 1_000;

/// An event that tells of claims: its position, tenant and stream, and what it tells.
pub(super) type Told = (i64, String, String, String);

/// A tenant, a constraint, a value, and a stream.
pub(crate) type Holding = [String; 4];

/// What a part of the log tells of claims.
#[derive(Debug, Default)]
pub(crate) struct Page {
    told: Vec<Told>,
    bytes: usize,
}

impl Page {
    /// Reads until there is no more, or enough of it. Whoever asks for at most [`MOST_TOLD`] has little to throw away
    /// then.
    pub(crate) async fn read(rows: impl Stream<Item = Result<Told, sqlx::Error>>) -> Result<Self> {
        futures::pin_mut!(rows);
        let mut page = Self::default();
        while let Some(told) = rows.try_next().await? {
            page.bytes += told.1.len() + told.2.len() + told.3.len();
            page.told.push(told);
            if page.bytes >= LARGEST_PAGE {
                break;
            }
        }
        Ok(page)
    }

    /// The position of its last event, if there may be more behind it.
    pub(super) fn cut(&self) -> Option<i64> {
        let full = self.bytes >= LARGEST_PAGE || self.told.len() as i64 >= MOST_TOLD;
        self.told.last().filter(|_| full).map(|(position, ..)| *position)
    }

    /// What it comes to: who takes what, and then who lets go of what if it is they who hold it.
    pub(super) fn fold(&self) -> Result<(Vec<Holding>, Vec<Holding>)> {
        let mut fold = Fold::default();
        for (position, tenant, stream, claims) in &self.told {
            fold.event(*position, tenant, stream, claims)?;
        }
        Ok(fold.into_parts())
    }
}

/// What a page comes to, for each value that it tells of.
#[derive(Debug, Default)]
struct Fold<'a> {
    words: HashMap<(&'a str, String, String), Word<'a>>,
}

/// What a page says of a value, from who has taken it last on; or from the page's beginning, if nobody has.
#[derive(Debug, Default)]
struct Word<'a> {
    taken: Option<&'a str>,
    released: BTreeSet<&'a str>,
}

impl<'a> Fold<'a> {
    /// Goes on by what one event tells.
    fn event(&mut self, position: i64, tenant: &'a str, stream: &'a str, claims: &str) -> Result<()> {
        let changes: Vec<Change> = serde_json::from_str(claims)
            .map_err(|error| Error::corrupt(format!("the claims of the event at position {position}"), error))?;
        for change in changes {
            let (Change::Take(Value { constraint, value }) | Change::Release(Value { constraint, value })) = &change;
            let word = self.words.entry((tenant, constraint.clone(), value.clone())).or_default();
            match change {
                Change::Take(_) => *word = Word { taken: Some(stream), released: BTreeSet::new() },
                Change::Release(_) => drop(word.released.insert(stream)),
            }
        }
        Ok(())
    }

    /// Takes, and releases by whoever may hold the value after them.
    fn into_parts(self) -> (Vec<Holding>, Vec<Holding>) {
        let (mut held, mut freed) = (Vec::new(), Vec::new());
        for ((tenant, constraint, value), Word { taken, released }) in self.words {
            let by = |stream: &str| [tenant.to_owned(), constraint.clone(), value.clone(), stream.to_owned()];
            held.extend(taken.map(by));
            // After a take, it can only be that stream's.
            freed.extend(released.into_iter().filter(|stream| taken.is_none_or(|taken| taken == *stream)).map(by));
        }
        (held, freed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(position: i64, stream: &str, changes: &[(&str, &str)]) -> Told {
        let changes: Vec<Change> = changes
            .iter()
            .map(|(change, value)| {
                let value = Value { constraint: "unique_label".into(), value: (*value).into() };
                if *change == "take" { Change::Take(value) } else { Change::Release(value) }
            })
            .collect();
        (position, "default".into(), stream.into(), super::super::told(&changes).unwrap().unwrap())
    }

    /// Values and streams of both parts, in order.
    fn folded(told: Vec<Told>) -> (Vec<String>, Vec<String>) {
        let (held, freed) = Page { told, bytes: 0 }.fold().unwrap();
        let brief = |holdings: Vec<Holding>| {
            let mut brief: Vec<_> = holdings.into_iter().map(|[_, _, value, by]| format!("{value} {by}")).collect();
            brief.sort_unstable();
            brief
        };
        (brief(held), brief(freed))
    }

    fn parts(held: &[&str], freed: &[&str]) -> (Vec<String>, Vec<String>) {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        (owned(held), owned(freed))
    }

    #[test]
    fn changes_are_stored_by_their_names() {
        assert_eq!(
            told(1, "Counter-a", &[("take", "x"), ("release", "y")]).3,
            r#"[{"take":{"constraint":"unique_label","value":"x"}},{"release":{"constraint":"unique_label","value":"y"}}]"#
        );
    }

    #[test]
    fn the_last_who_took_it_has_it_until_they_let_go() {
        let first = || told(1, "Counter-a", &[("take", "x"), ("take", "y")]);
        assert_eq!(folded(vec![first()]), parts(&["x Counter-a", "y Counter-a"], &[]));
        let then = |by: &str| vec![first(), told(2, by, &[("release", "x")])];
        assert_eq!(folded(then("Counter-a")), parts(&["x Counter-a", "y Counter-a"], &["x Counter-a"]));
        // Somebody else's word counts for nothing.
        assert_eq!(folded(then("Counter-b")), parts(&["x Counter-a", "y Counter-a"], &[]));
        let passed_on = [then("Counter-a"), vec![told(3, "Counter-b", &[("take", "x")])]].concat();
        assert_eq!(folded(passed_on), parts(&["x Counter-b", "y Counter-a"], &[]));
    }

    #[test]
    fn of_those_who_let_go_of_what_was_taken_before_the_page_anybody_may_have_held_it() {
        let released = vec![told(7, "Counter-a", &[("release", "x")]), told(8, "Counter-b", &[("release", "x")])];
        assert_eq!(folded(released), parts(&[], &["x Counter-a", "x Counter-b"]));
    }

    #[test]
    fn claims_that_can_not_be_read_are_damage() {
        let damaged = (7, "default".to_owned(), "Counter-a".to_owned(), r#"[{"steal":{}}]"#.to_owned());
        let damaged = Page { told: vec![damaged], bytes: 0 }.fold().unwrap_err();
        assert!(damaged.to_string().contains("position 7"), "{damaged}");
    }

    #[tokio::test]
    async fn a_page_ends_when_it_has_enough() {
        let read = async |rows: Vec<Told>| {
            let page = Page::read(futures::stream::iter(rows.into_iter().map(Ok))).await.unwrap();
            (page.told.len(), page.cut())
        };
        let row = |position: i64, bytes: usize| (position, String::new(), String::new(), "x".repeat(bytes));
        assert_eq!(read(vec![row(3, 10), row(5, 10)]).await, (2, None));
        assert_eq!(read(vec![row(3, LARGEST_PAGE), row(5, 10)]).await, (1, Some(3)));
        assert_eq!(read((1..=MOST_TOLD).map(|at| row(at, 1)).collect()).await, (1_000, Some(1_000)));
    }
}
