//! What no index serves: told when a plugin is deployed, before there are rows enough for anybody to notice.
//!
//! What a plugin declares can be held against its indexes without asking any database: the relations that lead to rows, and
//! the queries that are data. For each way of asking (a declared query without an optional argument, and with each of
//! them) the conditions that always hold are laid beside the indexes of the table. An index serves if it begins with the
//! columns that are compared for equality, in whichever order, and goes on with the column that is compared by a range;
//! or, where there is none, with those by which rows are put in order, so that a page is read from its beginning and not
//! out of all rows. What is searched for is served by the index for searches, where the database has one.
//!
//! It is advice. A read model of a few rows needs none of it, so nothing is refused for its sake, and where a caller
//! chooses what to filter by, as in the lists that every read model has, there is nothing to be said beforehand. Nor is there
//! where a caller chooses the order, which may be by what a relation leads to, and which no index serves then: a declared
//! query's own order is by properties of its rows alone.

use std::collections::BTreeSet;
use std::fmt;

use yado_model::Name;
use yado_model::manifest::{CompareOp, Condition, RowsQuery};
use yado_model::schema::{Object, Shape};
use yado_store::{ReadStore, Table};

use crate::catalogue::{Catalogue, Model, QueryType};

/// Something that is asked of a read model and that no index serves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Advice {
    /// What asks: "the query searchTickets", "the relation tickets of Venue".
    pub of: String,
    /// The read model that it asks.
    pub model: Name,
    /// The columns that an index would have to begin with. None, if no index would help.
    pub columns: Vec<Name>,
    /// What happens without one, and what to do.
    pub why: String,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.of, self.why)
    }
}

/// What no index serves of what a plugin declares, each thing once, in order. Whether one serves searches is the
/// database's to say.
#[must_use]
pub fn of(catalogue: &Catalogue, plugin: &str, searches_by_index: bool) -> Vec<Advice> {
    let mut advice = BTreeSet::new();
    for model in catalogue.models().filter(|model| model.deployed.manifest().name == plugin) {
        relations(catalogue, model, &mut advice);
        if !searches_by_index && !model.table.search.is_empty() {
            advice.insert(searches(model));
        }
    }
    for query in catalogue.queries().filter(|query| query.deployed.manifest().name == plugin) {
        declared(query, &mut advice);
    }
    advice.into_iter().collect()
}

/// Whether an index serves searches. Where the database does not say, there is no advice to give.
pub(crate) async fn searches_by_index(reads: &dyn ReadStore) -> bool {
    reads.searches_by_index().await.unwrap_or_else(|error| {
        tracing::debug!(%error, "it is not known whether an index serves searches");
        true
    })
}

/// A relation to many looks for rows by the property that leads back. One to a single row looks for it by its key.
fn relations(catalogue: &Catalogue, model: &Model, advice: &mut BTreeSet<Advice>) {
    for relation in model.manifest.relations.iter().filter(|relation| relation.many) {
        let Some(target) = catalogue.model(&relation.model) else { continue };
        let asked = Asked { equal: vec![relation.field.clone()], ..Asked::default() };
        if !asked.is_served(&target.table) {
            let of = format!("the relation {} of {}", relation.name, model.manifest.name);
            advice.insert(asked.advice(of, target));
        }
    }
}

/// A search looks within texts, which takes an index of a kind that not every database has.
fn searches(model: &Model) -> Advice {
    let name = &model.manifest.name;
    Advice {
        of: format!("the search in {name}"),
        model: name.clone(),
        columns: model.table.search.clone(),
        why: "is served by no index of this database: it reads all of a tenant's rows, which is slow beyond some ten \
              thousand of them; PostgreSQL with pg_trgm has one"
            .to_owned(),
    }
}

fn declared(query: &QueryType, advice: &mut BTreeSet<Advice>) {
    let Some((rows, model)) = query.declared() else { return };
    let of = || format!("the query {}", query.manifest.name);
    // That it is an object was made sure of when the plugin was loaded.
    let slot = query.manifest.arguments.shape().ok();
    let arguments = slot.as_ref().and_then(|slot| match &slot.shape {
        Shape::Object(object) => Some(object),
        _ => None,
    });
    let mut always = Asked::of(rows);
    let mut sometimes = Vec::new();
    for condition in &rows.conditions {
        if is_always_there(condition, arguments) {
            always.add(condition);
        } else {
            sometimes.push(condition);
        }
    }
    let mut ways = vec![always.clone()];
    for condition in sometimes {
        let mut way = always.clone();
        way.add(condition);
        ways.push(way);
    }
    for way in ways {
        for text in way.texts.iter().filter(|text| !model.table.search.contains(text)) {
            advice.insert(Advice {
                of: of(),
                model: model.manifest.name.clone(),
                columns: Vec::new(),
                why: format!(
                    "looks for a text within {text} of {}, which no index helps with: it reads all of a tenant's rows, \
                     unless {text} is one of those that {} is searched by",
                    model.manifest.name, model.manifest.name
                ),
            });
        }
        if !way.is_served(&model.table) {
            advice.insert(way.advice(of(), model));
        }
    }
}

/// Whether a condition holds in every call: what it compares with is always the same, or an argument that must be given.
fn is_always_there(condition: &Condition, arguments: Option<&Object>) -> bool {
    match condition {
        Condition::Value { .. } => true,
        Condition::Argument { argument, .. } | Condition::Search { search: argument } => {
            arguments.is_some_and(|arguments| is_given(argument.steps(), arguments))
        }
        Condition::Any { any } => any.iter().all(|condition| is_always_there(condition, arguments)),
        Condition::Not { not } => is_always_there(not, arguments),
    }
}

/// Whether an argument must be given, and with it all those that it lies in.
fn is_given(path: &[Name], object: &Object) -> bool {
    let [first, rest @ ..] = path else { return true };
    let field = object.fields.get(first.as_str()).filter(|field| field.required && !field.slot.nullable);
    field.is_some_and(|field| match &field.slot.shape {
        Shape::Object(inner) => is_given(rest, inner),
        _ => rest.is_empty(),
    })
}

/// One way of asking for rows: what is compared how, in every case.
#[derive(Debug, Clone, Default)]
struct Asked {
    /// Columns that are equal to something.
    equal: Vec<Name>,
    /// Columns that lie within a range.
    within: Vec<Name>,
    /// Columns that a text is looked for in.
    texts: Vec<Name>,
    /// Whether the columns are searched that the read model is searched by.
    searched: bool,
    /// By which columns, and whether all in the same direction, rows are put in order.
    order: Vec<Name>,
    /// Alternatives, each of which has to be served by itself.
    any: Vec<Self>,
}

impl Asked {
    fn of(rows: &RowsQuery) -> Self {
        // Indexes are read forwards or backwards, and not both at once.
        let same =
            rows.order_by.windows(2).all(|two| matches!(two, [one, other] if one.descending == other.descending));
        let order = rows.order_by.iter().filter(|_| same).map(|order| order.field.clone());
        Self { order: order.collect(), ..Self::default() }
    }

    fn add(&mut self, condition: &Condition) {
        match condition {
            Condition::Argument { field, op, .. } | Condition::Value { field, op, .. } => self.compare(field, *op),
            Condition::Search { .. } => self.searched = true,
            Condition::Any { any } => {
                let one = |condition| {
                    let mut one = Self::default();
                    one.add(condition);
                    one
                };
                self.any.extend(any.iter().map(one));
            }
            // What something is not is most of what there is.
            Condition::Not { .. } => {}
        }
    }

    fn compare(&mut self, field: &Name, op: CompareOp) {
        let fields = match op {
            CompareOp::Eq | CompareOp::In | CompareOp::IsNull => &mut self.equal,
            CompareOp::Lt | CompareOp::Lte | CompareOp::Gt | CompareOp::Gte | CompareOp::StartsWith => &mut self.within,
            CompareOp::Contains | CompareOp::EndsWith => &mut self.texts,
            CompareOp::Ne => return,
        };
        if !fields.contains(field) {
            fields.push(field.clone());
        }
    }

    /// Whether nothing says which rows.
    const fn is_of_all(&self) -> bool {
        self.equal.is_empty()
            && self.within.is_empty()
            && self.texts.is_empty()
            && self.any.is_empty()
            && !self.searched
    }

    /// Whether an index of a table leads to the rows, or something else does that needs none.
    fn is_served(&self, table: &Table) -> bool {
        let key = &table.key;
        // Whatever the index, rows that it holds to be equal are in the order of their keys.
        let declared = table.indexes.iter().chain(&table.unique).map(Vec::as_slice);
        let mut indexes = declared.chain([[].as_slice()]).map(|index| index.iter().chain([key]).collect::<Vec<_>>());
        if self.is_of_all() {
            // Without an order rows come by key.
            return self.order.is_empty() || indexes.any(|index| begins_with(&index, &self.order));
        }
        if !self.equal.is_empty() || !self.within.is_empty() {
            // At most one row is equal to all of a key.
            let is_one = |unique: &[Name]| unique.iter().all(|column| self.equal.contains(column));
            return is_one(std::slice::from_ref(key))
                || table.unique.iter().any(|unique| is_one(unique))
                || indexes.any(|index| self.is_served_by(&index));
        }
        // A search, or a text that is looked for: what is to be said of that is said elsewhere.
        self.any.iter().all(|one| one.is_served(table))
    }

    /// Whether an index begins with the columns that are equal to something, and goes on with a range, or else the order.
    fn is_served_by(&self, index: &[&Name]) -> bool {
        let equal = index.iter().take_while(|column| self.equal.contains(column)).count();
        let Some(rest) = index.get(equal..).filter(|_| equal == self.equal.len()) else { return false };
        match self.within.as_slice() {
            [] => begins_with(rest, &self.order),
            within => rest.first().is_some_and(|next| within.contains(next)),
        }
    }

    /// What to say of it.
    fn advice(&self, of: String, target: &Model) -> Advice {
        let model = &target.manifest.name;
        let unserved = |one: &&Self| !one.is_served(&target.table);
        if self.equal.is_empty()
            && self.within.is_empty()
            && let Some(one) = self.any.iter().find(unserved)
        {
            return one.advice(of, target);
        }
        let wanted = self.equal.iter().chain(self.within.first());
        let order = if self.within.is_empty() { self.order.as_slice() } else { &[] };
        let columns: Vec<Name> =
            wanted.chain(order.iter().filter(|column| !self.equal.contains(column))).cloned().collect();
        let list = columns.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
        let looks = if self.is_of_all() { "puts rows" } else { "looks for rows" };
        let why = format!(
            "{looks} of {model} by {list}, and no index begins like that: it reads all of a tenant's rows, unless {model} \
             has an index [{list}]"
        );
        Advice { of, model: model.clone(), columns, why }
    }
}

/// Whether an index puts rows in an order. What comes after the key makes no difference to it: no two rows have the same.
fn begins_with(index: &[&Name], order: &[Name]) -> bool {
    index.iter().zip(order).all(|(column, wanted)| *column == wanted)
}

#[cfg(test)]
mod tests {
    use yado_store::{Column, Kind};

    use super::*;

    fn names(names: &[&str]) -> Vec<Name> {
        names.iter().map(|name| Name::parse(name).unwrap()).collect()
    }

    fn table(indexes: &[&[&str]], unique: &[&[&str]]) -> Table {
        let column = |name: Name| Column { name, kind: Kind::Text, nullable: false };
        Table {
            name: "rm_ticket".into(),
            columns: names(&["id", "venue", "price", "label"]).into_iter().map(column).collect(),
            key: Name::parse("id").unwrap(),
            indexes: indexes.iter().map(|index| names(index)).collect(),
            unique: unique.iter().map(|unique| names(unique)).collect(),
            search: Vec::new(),
        }
    }

    fn asked(equal: &[&str], within: &[&str], order: &[&str]) -> Asked {
        Asked { equal: names(equal), within: names(within), order: names(order), ..Asked::default() }
    }

    #[test]
    fn an_index_serves_if_it_begins_with_what_is_equal_and_goes_on_with_a_range_or_the_order() {
        let table = table(&[&["venue", "price"], &["label"]], &[]);
        for (asked, served) in [
            (asked(&["venue"], &[], &[]), true),
            (asked(&["venue"], &["price"], &[]), true),
            (asked(&["venue"], &[], &["price"]), true),
            (asked(&["price", "venue"], &[], &[]), true),
            (asked(&["label"], &[], &[]), true),
            (asked(&[], &["label"], &["price"]), true),
            (asked(&["price"], &[], &[]), false),
            (asked(&[], &["price"], &[]), false),
            (asked(&["venue"], &[], &["label"]), false),
            (asked(&["venue", "label"], &[], &[]), false),
            (asked(&["label"], &["price"], &[]), false),
        ] {
            assert_eq!(asked.is_served(&table), served, "{asked:?}");
        }
    }

    #[test]
    fn a_key_and_what_is_unique_serve_whatever_else_is_asked() {
        let table = table(&[], &[&["venue", "label"]]);
        for (asked, served) in [
            (asked(&["id"], &["price"], &["label"]), true),
            (asked(&["label", "venue", "price"], &[], &["price"]), true),
            (asked(&["venue"], &[], &["label"]), true),
            (asked(&["label"], &[], &[]), false),
            (asked(&[], &["id"], &[]), true),
        ] {
            assert_eq!(asked.is_served(&table), served, "{asked:?}");
        }
    }

    #[test]
    fn all_rows_are_served_by_key_and_in_the_order_of_an_index() {
        let table = table(&[&["price", "label"]], &[]);
        for (order, served) in
            [(&[][..], true), (&["id"], true), (&["id", "label"], true), (&["price"], true), (&["label"], false)]
        {
            assert_eq!(asked(&[], &[], order).is_served(&table), served, "{order:?}");
        }
    }

    #[test]
    fn of_alternatives_each_must_be_served() {
        let table = table(&[&["price"]], &[]);
        let either = |one: Asked, other: Asked| Asked { any: vec![one, other], ..Asked::default() };
        assert!(either(asked(&["price"], &[], &[]), asked(&["id"], &[], &[])).is_served(&table));
        assert!(!either(asked(&["price"], &[], &[]), asked(&["venue"], &[], &[])).is_served(&table));
    }
}
