//! Rows as a projection holds them: JSON texts in one normal form.
//!
//! The normal form is what the tables give back: every column, in their order, without spaces, and each value written in
//! the one way in which the engines write it. So a guest can't tell a row that it has just written from one that was
//! read from its table, and rows made anew are those that grew, whatever was in memory at which moment.
//!
//! Guests of the SDK write the normal form by themselves. Such a row is looked over once, without taking it apart; it is
//! taken apart when it goes down, and most rows of a catch-up are written over before that.

mod places;
mod value;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;
use yado_model::schema::Object;
use yado_runtime::RowsError;
use yado_store::Row;

use crate::catalogue::Model;
use crate::reads;
use places::Places;

/// A row in its normal form.
pub(super) type Text = Arc<str>;

/// What the rows of a read model look like.
#[derive(Clone, Copy)]
pub(super) struct Form<'a> {
    pub(super) model: &'a str,
    pub(super) columns: &'a Object,
    /// How a row in its normal form names each of them.
    pub(super) labels: &'a [Box<str>],
    pub(super) key: &'a str,
}

/// New values of some columns, each in its normal form, by the columns' places.
pub(super) struct Changes(Vec<(usize, String)>);

impl<'a> Form<'a> {
    pub(super) fn of(model: &'a Model) -> Self {
        let (name, key) = (model.manifest.name.as_str(), model.manifest.key.as_str());
        Self { model: name, columns: &model.row, labels: &model.labels, key }
    }

    /// A row that a guest has written, and its key.
    pub(super) fn written<'t>(&self, text: &'t str) -> Result<(Cow<'t, str>, Text), RowsError> {
        if let Some(key) = places::key_of_written(self, text) {
            return Ok((key.into(), text.into()));
        }
        let fields = self.object(text)?;
        let mut row = String::with_capacity(text.len() + 16);
        for ((at, column), label) in self.columns.fields.iter().enumerate().zip(self.labels) {
            let value = match fields.get(column.name.as_str()) {
                Some(value) => self.value(at, value)?,
                None if !column.required || column.slot.nullable => "null".into(),
                None => return Err(misused(format!("a row of {} lacks {}", self.model, column.name))),
            };
            row.extend([label, value.as_str()]);
        }
        row.push('}');
        let key = fields.get(self.key).and_then(Value::as_str);
        let key = key.ok_or_else(|| misused(format!("a row of {} has no key", self.model)))?;
        Ok((key.to_owned().into(), row.into()))
    }

    /// Fields that a guest changes in the row of a key.
    pub(super) fn changes(&self, key: &str, text: &str) -> Result<Changes, RowsError> {
        let fields = self.object(text)?;
        if fields.get(self.key).is_some_and(|value| value.as_str() != Some(key)) {
            return Err(misused(format!("a patch of {} {key:?} changes the row's key", self.model)));
        }
        let changes = self.columns.fields.iter().enumerate().filter_map(|(at, column)| {
            let value = fields.get(column.name.as_str())?;
            Some(self.value(at, value).map(|value| (at, value)))
        });
        Ok(Changes(changes.collect::<Result<_, _>>()?))
    }

    /// A row with some of its columns changed.
    pub(super) fn changed(&self, row: &Text, changes: &Changes) -> Result<Text, RowsError> {
        let places = Places::of_normal(self, row).ok_or_else(|| self.broken())?;
        let mut text = String::with_capacity(row.len() + 16);
        let mut copied = 0;
        for (at, value) in &changes.0 {
            let place = places.get(*at).ok_or_else(|| self.broken())?;
            text.push_str(row.get(copied..place.start).ok_or_else(|| self.broken())?);
            text.push_str(value);
            copied = place.end;
        }
        text.push_str(row.get(copied..).ok_or_else(|| self.broken())?);
        Ok(text.into())
    }

    /// A row with an amount added to one of its columns. Nothing is added to a column that holds nothing.
    pub(super) fn added(&self, row: &Text, field: &str, amount: &str) -> Result<Text, RowsError> {
        let refused = || misused(format!("{amount:?} can't be added to {}.{field}", self.model));
        let at = self.columns.fields.iter().position(|column| column.name.as_str() == field).ok_or_else(refused)?;
        let places = Places::of_normal(self, row).ok_or_else(|| self.broken())?;
        let value = places.get(at).and_then(|place| row.get(place.clone())).ok_or_else(|| self.broken())?;
        let value: Value = serde_json::from_str(value).map_err(|_| self.broken())?;
        let sum = reads::sum(Some(&value), amount).ok_or_else(refused)?;
        self.changed(row, &Changes(vec![(at, self.value(at, &sum)?)]))
    }

    /// A row that was read from its table, and its key.
    pub(super) fn stored(&self, row: Row) -> Option<(Box<str>, Text)> {
        let key = row.get(self.key)?.as_str()?.into();
        Some((key, Value::Object(row).to_string().into()))
    }

    /// The fields of an object, all of which are columns.
    fn object(&self, text: &str) -> Result<Row, RowsError> {
        let fields = match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => return Err(misused("a row must be a JSON object".into())),
            Err(error) => return Err(misused(format!("a row must be JSON: {error}"))),
        };
        match fields.keys().find(|field| self.columns.fields.get(field).is_none()) {
            Some(stranger) => Err(misused(format!("{} has no field {stranger:?}", self.model))),
            None => Ok(fields),
        }
    }

    /// A value in its normal form. What the store can't keep is the guest's fault, and must be found before the database
    /// says so, because a failure of the database is tried again for ever.
    fn value(&self, at: usize, value: &Value) -> Result<String, RowsError> {
        let Some(column) = self.columns.fields.iter().nth(at) else { return Err(self.broken()) };
        let normal = if value.is_null() {
            (column.slot.nullable || !column.required).then(|| "null".to_owned())
        } else {
            value::normal(&column.slot.shape, value)
        };
        normal.ok_or_else(|| {
            // A hostile value may be megabytes long, and this one is shown to people.
            let shown: String = value.to_string().chars().take(80).collect();
            misused(format!("{}.{} can't hold {shown}", self.model, column.name))
        })
    }

    /// Nothing but what this module has made is ever taken for a row in its normal form.
    fn broken(&self) -> RowsError {
        misused(format!("a row of {} in memory is not in its normal form", self.model))
    }
}

/// A row as the store takes it.
pub(super) fn into_stored(text: &str) -> yado_store::Result<Row> {
    serde_json::from_str(text).map_err(|error| yado_store::Error::Invalid(format!("a row is no JSON object: {error}")))
}

fn misused(reason: String) -> RowsError {
    RowsError::Misused(reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use yado_model::schema::{Schema, Shape};

    use super::*;
    use crate::catalogue::labels;

    fn columns() -> Object {
        let schema: Schema = serde_json::from_value(json!({
            "type": "object",
            "properties": {
                "id": { "type": "string" },
                "label": { "type": ["string", "null"] },
                "count": { "type": "integer" },
                "weight": { "type": "number" },
                "price": { "type": "string", "format": "decimal" },
                "open": { "type": "boolean" },
                "at": { "type": "string", "format": "date-time" },
                "extra": {},
                "kind": { "type": "string", "enum": ["small", "large"] },
            },
            "required": ["id", "count", "weight", "price", "open", "at", "kind"],
        }))
        .unwrap();
        match schema.shape().unwrap().shape {
            Shape::Object(object) => object,
            other => panic!("{other:?}"),
        }
    }

    fn form(columns: &Object) -> Form<'_> {
        Form { model: "Ticket", columns, labels: labels(columns).leak(), key: "id" }
    }

    const NORMAL: &str = r#"{"id":"a","label":"é","count":-7,"weight":0.5,"price":"2.50","open":true,"at":"2026-01-31T09:30:00.000001Z","extra":null,"kind":"small"}"#;

    fn written(text: &str) -> Result<String, String> {
        let columns = columns();
        form(&columns).written(text).map(|(_, row)| row.to_string()).map_err(|error| error.to_string())
    }

    /// The normal row with a part of it written otherwise.
    fn otherwise(part: &str, with: &str) -> String {
        assert!(NORMAL.contains(part), "{part}");
        NORMAL.replace(part, with)
    }

    #[test]
    fn a_row_in_its_normal_form_stays_as_it_is() {
        let columns = columns();
        assert_eq!(places::key_of_written(&form(&columns), NORMAL), Some("a"));
        assert_eq!(written(NORMAL).unwrap(), NORMAL);
        assert_eq!(form(&columns).written(NORMAL).unwrap().0.as_ref(), "a");
    }

    #[test]
    fn whatever_way_a_row_is_written_in_it_comes_to_the_same() {
        let shuffled: Row = serde_json::from_str::<Row>(NORMAL).unwrap().into_iter().rev().collect();
        for other in [
            Value::Object(shuffled).to_string(),
            otherwise(",", " ,\n "),
            otherwise(r#""extra":null,"#, ""),
            otherwise(r#""é""#, r#""\u00e9""#),
            otherwise("0.5", "5e-1"),
            otherwise("2.50", "02.50"),
            otherwise("09:30:00.000001Z", "10:30:00.000001+01:00"),
            otherwise(r#""id""#, r#""id":"b","id""#),
        ] {
            assert_eq!(written(&other).unwrap(), NORMAL, "{other}");
        }
    }

    #[test]
    fn documents_in_a_row_have_one_form_too() {
        let row = otherwise(r#""extra":null"#, r#""extra":{"bb":[1.50e1,-0,2E+3,"\u0041"],"c":1e-2,"a":{},"a":5}"#);
        let normal = written(&row).unwrap();
        assert!(normal.contains(r#""extra":{"a":5,"c":0.01,"bb":[15.0,0,2000,"A"]}"#), "{normal}");
        assert_eq!(written(&normal).unwrap(), normal);
    }

    #[test]
    fn what_a_column_cannot_hold_is_refused_by_its_name() {
        for (part, with, at_fault) in [
            (r#""é""#, "5", "Ticket.label"),
            (r#""é""#, r#""\u0000""#, "Ticket.label"),
            ("-7", "7.5", "Ticket.count"),
            ("-7", "9223372036854775808", "Ticket.count"),
            ("-7", "null", "Ticket.count"),
            ("0.5", "1e999", "Ticket.weight"),
            ("2.50", "2,50", "Ticket.price"),
            ("true", "1", "Ticket.open"),
            ("2026-01-31", "2026-02-31", "Ticket.at"),
            (r#""small""#, r#""medium""#, "Ticket.kind"),
            (r#""extra":null"#, r#""extra":["\u0000"]"#, "Ticket.extra"),
            (r#""count":-7,"#, "", "lacks count"),
            ("extra", "other", "no field"),
            (r#""a""#, "null", "Ticket.id"),
            ("-7", "-07", "must be JSON"),
            ("}", "", "must be JSON"),
        ] {
            let refused = written(&otherwise(part, with)).unwrap_err();
            assert!(refused.contains(at_fault), "{with}: {refused}");
        }
        assert!(written("[]").unwrap_err().contains("object"));
    }

    #[test]
    fn some_columns_of_a_row_are_changed_and_the_others_stay() {
        let columns = columns();
        let form = form(&columns);
        let row: Text = otherwise(r#""extra":null"#, r#""extra":[{"}":"\"],"}]"#).into();
        let changes = form.changes("a", r#"{"count":8,"label":null}"#).unwrap();
        let changed = form.changed(&row, &changes).unwrap();
        assert_eq!(*changed, *row.replace("-7", "8").replace(r#""é""#, "null"));
        assert!(form.changes("a", r#"{"id":"b"}"#).is_err_and(|error| error.to_string().contains("key")));
        assert!(form.changes("a", r#"{"other":1}"#).is_err());
    }

    #[test]
    fn amounts_are_added_to_numbers_in_the_form_that_they_have() {
        let columns = columns();
        let form = form(&columns);
        let row: Text = NORMAL.into();
        assert_eq!(*form.added(&row, "count", "9").unwrap(), otherwise("-7", "2"));
        assert_eq!(*form.added(&row, "price", "0.5").unwrap(), otherwise("2.50", "3.00"));
        assert_eq!(*form.added(&row, "weight", "1").unwrap(), otherwise("0.5", "1.5"));
        assert!(form.added(&row, "label", "1").is_err());
        assert!(form.added(&row, "missing", "1").is_err());
        assert!(form.added(&row, "count", "9223372036854775807").is_ok());
        assert!(form.added(&row, "count", "one").is_err());
    }
}
