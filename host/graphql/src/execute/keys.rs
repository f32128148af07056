//! What objects lead on by: the keys that they hold, each of them once.

use std::collections::HashMap;

use super::value::Value;

/// The keys that objects hold, numbered in the order in which they come.
pub(super) struct Keys<'p> {
    texts: Vec<&'p str>,
    numbers: HashMap<&'p str, usize>,
    /// Of each object the number of its key.
    of: Vec<Option<usize>>,
}

impl<'p> Keys<'p> {
    pub(super) fn held(values: impl ExactSizeIterator<Item = Value<'p>>) -> Self {
        let mut numbers = HashMap::with_capacity(values.len());
        let mut texts = Vec::with_capacity(values.len());
        let number = |value: Value<'p>| {
            let text = value.text()?;
            Some(*numbers.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() - 1
            }))
        };
        let of = values.map(number).collect();
        Self { texts, numbers, of }
    }

    /// All of them.
    pub(super) fn texts(&self) -> &[&'p str] {
        &self.texts
    }

    /// The number of one of them.
    pub(super) fn number(&self, text: &str) -> Option<usize> {
        self.numbers.get(text).copied()
    }

    /// For each object what there is for its key. `found` has it for each key.
    pub(super) fn each<T: Clone>(&self, found: &[Option<T>]) -> Vec<Option<T>> {
        self.of.iter().map(|number| found.get((*number)?).cloned().flatten()).collect()
    }
}
