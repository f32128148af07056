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
    /// Where the first of so many values stands, in the order in which the answer has them.
    pub(super) fn first(&self, count: usize) -> Path {
        self.first_of((0..count).collect()).map_or_else(Path::new, |(_, path)| path)
    }

    /// Which of the values with these numbers, which ascend, stands first in the answer, and where. Only its path is put
    /// together, however many values there are and at however many places they stand.
    fn first_of(&self, numbers: Vec<usize>) -> Option<(usize, Path)> {
        match self {
            Self::Top => numbers.first().map(|first| (*first, Path::new())),
            Self::Field(objects, name) => {
                let (number, mut path) = objects.first_of(numbers)?;
                path.push(PathSegment::Field(name.to_string()));
                Some((number, path))
            }
            Self::Among(all, own) => {
                let (first, path) = all.first_of(numbers.iter().filter_map(|at| own.get(*at).copied()).collect())?;
                own.binary_search(&first).ok().map(|number| (number, path))
            }
            Self::Items(lists, ends) => {
                let list = |at: usize| ends.partition_point(|end| *end <= at);
                let mut of: Vec<usize> = numbers.iter().map(|at| list(*at)).collect();
                of.dedup();
                let (first, mut path) = lists.first_of(of)?;
                let number = numbers.into_iter().find(|at| list(*at) == first)?;
                path.push(PathSegment::Index(number - begin(ends, first)));
                Some((number, path))
            }
            Self::Shared(all, which) => {
                let is_wanted = |which: &Option<usize>| which.is_some_and(|at| numbers.binary_search(&at).is_ok());
                let places = which.iter().enumerate().filter(|(_, which)| is_wanted(which)).map(|(place, _)| place);
                let (place, path) = all.first_of(places.collect())?;
                which.get(place).copied().flatten().map(|number| (number, path))
            }
        }
    }

    /// Where the value with a number stands: everywhere, in the order in which the answer has it.
    pub(super) fn of(&self, at: usize) -> Vec<Path> {
        match self {
            Self::Top => vec![Path::new()],
            Self::Field(objects, name) => extended(objects.of(at), &PathSegment::Field(name.to_string())),
            Self::Among(all, numbers) => numbers.get(at).map_or_else(Vec::new, |at| all.of(*at)),
            Self::Items(lists, ends) => {
                let list = ends.partition_point(|end| *end <= at);
                extended(lists.of(list), &PathSegment::Index(at - begin(ends, list)))
            }
            Self::Shared(all, which) => {
                let own = which.iter().enumerate().filter(|(_, which)| **which == Some(at));
                own.flat_map(|(place, _)| all.of(place)).collect()
            }
        }
    }
}

/// Where in all items a list begins.
fn begin(ends: &[usize], list: usize) -> usize {
    list.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |end| *end)
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

    #[test]
    fn the_first_place_is_that_of_the_answer_and_not_of_the_first_value() {
        let (tickets, venue, seats) = (Name::new("tickets"), Name::new("venue"), Name::new("seats"));
        let lists = Places::Field(&Places::Top, &tickets);
        let rows = Places::Items(&lists, &[4]);
        let there = Places::Field(&rows, &venue);
        let shared = Places::Shared(&there, &[None, Some(2), Some(0), Some(1)]);
        let own = Places::Field(&shared, &seats);
        let some = Places::Among(&own, &[0, 1]);
        // The first has no list, so that the items are all of the second.
        let items = Places::Items(&some, &[0, 2]);
        for (places, count, first) in [
            (Places::Top, 3, ""),
            (rows, 4, "tickets.0"),
            (shared, 1, "tickets.2.venue"),
            (shared, 3, "tickets.1.venue"),
            (some, 2, "tickets.2.venue.seats"),
            (items, 2, "tickets.3.venue.seats.0"),
            (rows, 0, ""),
        ] {
            assert_eq!(shown(vec![places.first(count)]), [first]);
            let all = in_order(&places, 0..count).into_iter().next();
            assert_eq!(places.first(count), all.unwrap_or_default(), "{places:?}");
        }
    }
}
