//! What somebody who mistyped a name may have meant.

/// How alike two names must be for the one to be offered in place of the other, from 0 to 1.
const ALIKE: f64 = 0.6;

/// The known name that is nearest, if any is near.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let measured = known.into_iter().map(|known| (strsim::normalized_damerau_levenshtein(name, known), known));
    let (likeness, nearest) = measured.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (likeness >= ALIKE).then_some(nearest)
}
