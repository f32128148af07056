//! Where in an answer values stand.
//!
//! Where something stands is told only of what goes wrong. So there is no path for each value: the values of a level know in
//! common how they come of those of the level above, and a path is put together when it is asked for.

use async_graphql::{Name, PathSegment};

/// Where the values of a level stand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Places<'p> {
    /// Each is a whole answer.
    Top,
    /// Each is a field of one of these, in their order.
    Field(&'p Places<'p>, &'p Name),
    /// They are some of these: those with these numbers.
    Among(&'p Places<'p>, &'p [usize]),
    /// They are the items of lists that stand here. Of each list it is said behind which of all items it ends.
    Items(&'p Places<'p>, &'p [usize]),
    /// Each stands at several of these: at each of these it is said which one it is, if any.
    Shared(&'p Places<'p>, &'p [Option<usize>]),
}

/// A path as an error has it.
pub(super) type Path = Vec<PathSegment>;

impl Places<'_> {
    /// Where the first of so many values stands.
    pub(super) fn first(&self, count: usize) -> Path {
        in_order(self, 0..count).into_iter().next().unwrap_or_default()
    }

    /// Where the value with a number stands: everywhere, in the order in which the answer has it.
    pub(super) fn of(&self, at: usize) -> Vec<Path> {
        match self {
            Self::Top => vec![Path::new()],
            Self::Field(objects, name) => extended(objects.of(at), &PathSegment::Field(name.to_string())),
            Self::Among(all, numbers) => numbers.get(at).map_or_else(Vec::new, |at| all.of(*at)),
            Self::Items(lists, ends) => {
                let list = ends.partition_point(|end| *end <= at);
                let begin = list.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |end| *end);
                extended(lists.of(list), &PathSegment::Index(at - begin))
            }
            Self::Shared(all, which) => {
                let own = which.iter().enumerate().filter(|(_, which)| **which == Some(at));
                own.flat_map(|(place, _)| all.of(place)).collect()
            }
        }
    }
}

fn extended(mut paths: Vec<Path>, by: &PathSegment) -> Vec<Path> {
    paths.iter_mut().for_each(|path| path.push(by.clone()));
    paths
}

/// Where values with these numbers stand, in the order in which the answer has them.
pub(super) fn in_order(places: &Places<'_>, numbers: impl Iterator<Item = usize>) -> Vec<Path> {
    let mut paths: Vec<Path> = numbers.flat_map(|at| places.of(at)).collect();
    // All of them are of one field, and differ by where in lists they stand.
    let indices = |path: &Path| {
        let index = |segment: &PathSegment| match segment {
            PathSegment::Index(index) => Some(*index),
            PathSegment::Field(_) => None,
        };
        path.iter().filter_map(index).collect::<Vec<_>>()
    };
    paths.sort_by_cached_key(indices);
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(paths: Vec<Path>) -> Vec<String> {
        let segment = |segment: PathSegment| match segment {
            PathSegment::Field(name) => name,
            PathSegment::Index(index) => index.to_string(),
        };
        paths.into_iter().map(|path| path.into_iter().map(segment).collect::<Vec<_>>().join(".")).collect()
    }

    #[test]
    fn a_place_is_told_by_how_its_level_has_come_about() {
        let (tickets, venue, seats) = (Name::new("tickets"), Name::new("venue"), Name::new("seats"));
        let lists = Places::Field(&Places::Top, &tickets);
        let rows = Places::Items(&lists, &[4]);
        assert_eq!(shown(rows.of(3)), ["tickets.3"]);
        let there = Places::Field(&rows, &venue);
        // The rows 1 and 3 lead to the first, row 0 to the second, and row 2 nowhere.
        let shared = Places::Shared(&there, &[Some(1), Some(0), None, Some(0)]);
        assert_eq!(shown(shared.of(0)), ["tickets.1.venue", "tickets.3.venue"]);
        assert_eq!(shown(in_order(&shared, 0..2)), ["tickets.0.venue", "tickets.1.venue", "tickets.3.venue"]);
        // The first has no list, and that of the second has two items.
        let own = Places::Field(&shared, &seats);
        let some = Places::Among(&own, &[1]);
        assert_eq!(shown(Places::Items(&some, &[2]).of(1)), ["tickets.0.venue.seats.1"]);
        assert_eq!(shown(Places::Items(&own, &[0, 2]).of(0)), ["tickets.0.venue.seats.0"]);
    }
}
