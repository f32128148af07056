//! Whether a query with `one` names its row. The host asks the same when a plugin is deployed, and knows more of rows that
//! another plugin keeps; here it is found out while the plugin compiles.

use crate::ReadModel;

/// Whether the key is among columns that are equal to something in every call, or all of what is unique together.
#[must_use]
pub const fn names_a_row<M: ReadModel>(equal: &[&str]) -> bool {
    // What is unique in rows of another plugin is not known.
    if M::FOREIGN || has(equal, M::KEY) {
        return true;
    }
    let mut at = 0;
    while at < M::UNIQUE.len() {
        if has_all(equal, M::UNIQUE[at]) {
            return true;
        }
        at += 1;
    }
    false
}

const fn has_all(columns: &[&str], wanted: &[&str]) -> bool {
    let mut at = 0;
    while at < wanted.len() {
        if !has(columns, wanted[at]) {
            return false;
        }
        at += 1;
    }
    true
}

const fn has(columns: &[&str], wanted: &str) -> bool {
    let mut at = 0;
    while at < columns.len() {
        if is(columns[at].as_bytes(), wanted.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

const fn is(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}
