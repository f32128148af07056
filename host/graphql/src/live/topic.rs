//! What a subscription asks for, and by what it is found when something has happened.
//!
//! Of ten thousand different subscriptions most are for one row, one thing or one kind of event, and what happens concerns
//! few of them. So each says at which places of an index it is to be looked for, and only those that are found at the places
//! of what has happened are asked whether they are told of it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;
use yado_engine::{ChangeKind, ColumnKind, Error, Filter, Op, Table};
use yado_model::Name;
use yado_model::schema::Problem;

use super::happening::{Happening, Occurred};
use super::source::Failure;

/// So many values of one field are looked for at places of their own; whoever asks for more is asked each time.
const VALUES_MOST: usize = 100;

/// What is followed, by all who ask for something of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// The events of the log.
    Events,
    /// The changes of a read model's rows.
    Changes(Name),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events => f.write_str("the events of the log"),
            Self::Changes(model) => write!(f, "the changes of {model}"),
        }
    }
}

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Topic {
    /// Events of the log; where something is given, only those that it holds of.
    Events {
        /// Of these aggregates.
        aggregates: Option<BTreeSet<String>>,
        /// Of these names.
        names: Option<BTreeSet<String>>,
        /// Of what has this id.
        id: Option<String>,
    },
    /// Changes of rows; where something is given, only those that it holds of.
    Changes {
        /// Of which read model.
        model: Name,
        /// What has become of the row.
        kind: ChangeKind,
        /// Of the row with this key.
        key: Option<String>,
        /// Of rows of which this holds, and what their columns are.
        filter: Option<(Filter, Arc<Table>)>,
    },
}

/// What the places of an index are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Index {
    /// Nothing: all events have one place.
    Events,
    /// The id of what it happened to.
    Id,
    /// What happened.
    Name,
    /// What kind of thing it happened to.
    Aggregate,
    /// Nothing: all changes of a kind have one place.
    Changes(ChangeKind),
    /// The key of the row.
    Key(ChangeKind),
    /// The text in a column of the row.
    Text(ChangeKind, String),
}

impl Topic {
    /// What it is of.
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::Events { .. } => Subject::Events,
            Self::Changes { model, .. } => Subject::Changes(model.clone()),
        }
    }

    /// At which places of which index it is to be found. It is told of nothing that has none of them.
    pub(super) fn places(&self) -> (Index, BTreeSet<String>) {
        let one = |text: &String| BTreeSet::from([text.clone()]);
        let all = || one(&String::new());
        match self {
            Self::Events { id: Some(id), .. } => (Index::Id, one(id)),
            Self::Events { names: Some(names), .. } => (Index::Name, names.clone()),
            Self::Events { aggregates: Some(aggregates), .. } => (Index::Aggregate, aggregates.clone()),
            Self::Events { .. } => (Index::Events, all()),
            Self::Changes { kind, key: Some(key), .. } => (Index::Key(*kind), one(key)),
            Self::Changes { kind, filter, .. } => {
                let texts = filter.as_ref().and_then(|(filter, table)| texts(filter, table));
                texts.map_or((Index::Changes(*kind), all()), |(field, texts)| (Index::Text(*kind, field), texts))
            }
        }
    }

    /// Whether something that has happened is to be told.
    ///
    /// # Errors
    /// If that can't be said.
    pub(super) fn holds_of(&self, happening: &Happening<'_>) -> Result<bool, Failure> {
        match (self, &happening.occurred) {
            (Self::Events { aggregates, names, id }, Occurred::Event(event)) => {
                let among = |wanted: &Option<BTreeSet<String>>, known: &str| {
                    wanted.as_ref().is_none_or(|wanted| wanted.contains(known))
                };
                Ok(among(names, &event.event.name)
                    && among(aggregates, event.stream.aggregate())
                    && id.as_ref().is_none_or(|id| id == event.stream.id()))
            }
            (Self::Changes { model, kind, key, filter }, Occurred::Changed(changed)) => {
                if changed.model != *model
                    || changed.kind != *kind
                    || key.as_ref().is_some_and(|key| *key != changed.key)
                {
                    return Ok(false);
                }
                let Some((filter, table)) = filter else { return Ok(true) };
                // A filter that the row can't be held against is the asker's.
                filter.matches(table, &*happening.row()?).map_err(|error| {
                    let problems = vec![Problem { path: Vec::new(), message: error.to_string() }];
                    Error::BadInput { what: "where".into(), problems }.into()
                })
            }
            _ => Ok(false),
        }
    }
}

impl Index {
    /// Whether its place of what has happened is in the row.
    pub(super) fn reads(&self, occurred: &Occurred<'_>) -> bool {
        matches!((self, occurred), (Self::Text(kind, _), Occurred::Changed(changed)) if changed.kind == *kind)
    }

    /// The place of what has happened; nothing, if it has none in this index.
    ///
    /// # Errors
    /// If what is kept of it can't be read.
    pub(super) fn place<'h>(&self, happening: &'h Happening<'_>) -> Result<Option<Cow<'h, str>>, Failure> {
        let nothing = || Some(Cow::Borrowed(""));
        Ok(match (self, &happening.occurred) {
            (Self::Events, Occurred::Event(_)) => nothing(),
            (Self::Id, Occurred::Event(event)) => Some(event.stream.id().into()),
            (Self::Name, Occurred::Event(event)) => Some(event.event.name.as_str().into()),
            (Self::Aggregate, Occurred::Event(event)) => Some(event.stream.aggregate().into()),
            (Self::Changes(kind), Occurred::Changed(changed)) if changed.kind == *kind => nothing(),
            (Self::Key(kind), Occurred::Changed(changed)) if changed.kind == *kind => Some(changed.key.as_str().into()),
            (Self::Text(kind, field), Occurred::Changed(changed)) if changed.kind == *kind => {
                match happening.told()?.value.get(field) {
                    Some(Json::String(text)) => Some(text.as_str().into()),
                    _ => None,
                }
            }
            _ => None,
        })
    }
}

/// The texts of which a row must have one in a column for a filter to hold of it, if it is such a filter. Only texts are
/// equal exactly where they are written alike.
fn texts(filter: &Filter, table: &Table) -> Option<(String, BTreeSet<String>)> {
    let (field, values) = match filter {
        Filter::All(parts) => return parts.iter().find_map(|part| texts(part, table)),
        Filter::Compare { field, op: Op::Equal, value } => (field, std::slice::from_ref(value)),
        Filter::In { field, values } if values.len() <= VALUES_MOST => (field, values.as_slice()),
        _ => return None,
    };
    table.column(field).filter(|column| column.kind == ColumnKind::Text)?;
    let values = values.iter().map(|value| value.as_str().map(str::to_owned));
    Some((field.clone(), values.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use yado_engine::{Changed, Column, Cursor};
    use yado_model::{Code, Position, TenantId};

    use super::*;

    fn table() -> Arc<Table> {
        let column = |(name, kind)| Column { name: Name::parse(name).unwrap(), kind, nullable: true };
        let columns = [("id", ColumnKind::Text), ("label", ColumnKind::Text), ("price", ColumnKind::Decimal)];
        Arc::new(Table {
            name: "tickets".into(),
            columns: columns.map(column).to_vec(),
            key: Name::parse("id").unwrap(),
            indexes: Vec::new(),
            unique: Vec::new(),
            search: Vec::new(),
        })
    }

    fn changed(kind: ChangeKind, row: &Json) -> Occurred<'static> {
        Occurred::Changed(Arc::new(Changed {
            position: Position::new(1),
            place: 3,
            tenant: TenantId::default(),
            model: Name::parse("Ticket").unwrap(),
            key: row["id"].as_str().unwrap_or_default().into(),
            kind,
            row: row.to_string().into(),
        }))
    }

    fn topic(kind: ChangeKind, key: Option<&str>, filter: Option<Filter>) -> Topic {
        let filter = filter.map(|filter| (filter, table()));
        Topic::Changes { model: Name::parse("Ticket").unwrap(), kind, key: key.map(str::to_owned), filter }
    }

    fn equal(field: &str, value: Json) -> Filter {
        Filter::Compare { field: field.into(), op: Op::Equal, value }
    }

    /// Whoever is told of something is looked for where that is.
    #[test]
    fn every_topic_is_found_by_all_that_it_holds_of() {
        let labels = ["a", "A", "", "b"];
        let among = |values: Vec<Json>| Filter::In { field: "label".into(), values };
        let filters = [
            None,
            Some(equal("label", json!("a"))),
            Some(equal("price", json!("1.0"))),
            Some(Filter::All(vec![equal("price", json!("1")), equal("label", json!("A"))])),
            Some(Filter::All(Vec::new())),
            Some(Filter::Any(vec![equal("label", json!("a")), equal("label", json!("b"))])),
            Some(Filter::Not(Box::new(equal("label", json!("a"))))),
            Some(among(vec![json!("a"), json!(""), json!("a")])),
            Some(among(Vec::new())),
            Some(Filter::Null { field: "label".into() }),
        ];
        let mut told = 0;
        for kind in [ChangeKind::Created, ChangeKind::Updated, ChangeKind::Deleted] {
            for filter in &filters {
                for key in [None, Some("t"), Some("u")] {
                    let topic = topic(kind, key, filter.clone());
                    let (index, places) = topic.places();
                    for of in [ChangeKind::Created, ChangeKind::Updated] {
                        for label in labels.map(Json::from).into_iter().chain([Json::Null]) {
                            let row = json!({ "id": "t", "label": label, "price": "1.00" });
                            let happening = Happening::new(changed(of, &row));
                            let place = index.place(&happening).unwrap();
                            let is_found = place.is_some_and(|place| places.contains(&*place));
                            let holds = topic.holds_of(&happening).unwrap();
                            assert!(!holds || is_found, "{topic:?}: {row}");
                            told += u32::from(holds);
                        }
                    }
                }
            }
        }
        assert!(told > 50, "{told}");
    }

    #[test]
    fn only_what_must_be_is_looked_for_by_a_text() {
        let kind = ChangeKind::Updated;
        let index = |filter| topic(kind, None, Some(filter)).places().0;
        assert_eq!(index(equal("label", json!("a"))), Index::Text(kind, "label".into()));
        // Numbers that are equal may be written in several ways.
        assert_eq!(index(equal("price", json!("1"))), Index::Changes(kind));
        assert_eq!(index(Filter::Any(vec![equal("label", json!("a"))])), Index::Changes(kind));
        let many = (0..=VALUES_MOST).map(|at| json!(at.to_string())).collect();
        assert_eq!(index(Filter::In { field: "label".into(), values: many }), Index::Changes(kind));
    }

    #[test]
    fn a_filter_that_can_not_be_held_against_a_row_lets_none_through() {
        let topic = topic(ChangeKind::Created, None, Some(equal("colour", json!("red"))));
        let happening = Happening::new(changed(ChangeKind::Created, &json!({ "id": "t" })));
        let failure = topic.holds_of(&happening).unwrap_err();
        assert_eq!((failure.error.code(), failure.passes), (Code::BadUserInput, false));
    }

    #[test]
    fn what_can_not_be_read_is_told_to_nobody_and_not_tried_again() {
        let Occurred::Changed(mut broken) = changed(ChangeKind::Created, &json!({ "id": "t" })) else { panic!() };
        Arc::get_mut(&mut broken).unwrap().row = "{".into();
        let happening = Happening::new(Occurred::Changed(broken));
        let by_text = topic(ChangeKind::Created, None, Some(equal("label", json!("a"))));
        let (index, _) = by_text.places();
        for failure in [happening.told().unwrap_err(), index.place(&happening).unwrap_err()] {
            assert_eq!((failure.error.code(), failure.passes), (Code::Unavailable, false));
        }
    }

    #[test]
    fn the_place_before_a_change_is_within_its_event() {
        let changed = changed(ChangeKind::Created, &json!({ "id": "t" }));
        assert_eq!(changed.before(), Cursor { position: Position::new(1), place: 2 });
    }
}
