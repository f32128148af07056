//! From what a field has come to, to what is shown of it.

use async_graphql::dynamic::TypeRef;
use yado_engine::Shown;

use super::column::{Cell, Column};
use super::connection::Connection;
use super::objects::required;
use super::path::Places;
use super::resolve::{Group, Resolved, Shared};
use super::value::Value;
use super::{Execution, Spot};
use crate::api::{CURSOR, EDGES, NODES, PAGE_INFO, TOTAL_COUNT};

impl Execution<'_> {
    /// Brings what a field has come to for so many objects into the form of its type.
    pub(super) async fn shown(&self, spot: Spot<'_>, ty: &TypeRef, resolved: Resolved<'_>, count: usize) -> Column {
        let (mut fields, mut of) = (Vec::new(), None);
        let values = match &resolved {
            Resolved::Receipt(receipt) => {
                return match self.receipt(receipt, &spot) {
                    Some(text) => Column::same(text, count),
                    None => Column::nowhere(false, count),
                };
            }
            Resolved::Shared(shared) => return self.shared(spot, ty, shared).await,
            Resolved::Connection(connection) => return self.connected(spot, ty, connection, count).await,
            Resolved::Nothing => vec![Value::NULL; count],
            Resolved::Values(values) => values.clone(),
            Resolved::Each(all) => all.iter().map(Value::Json).collect(),
            Resolved::Json(json) => vec![Value::Json(json); count],
            Resolved::Computed(json, which) => {
                of = Some(&**which);
                vec![Value::Json(json); count]
            }
            Resolved::Row(rows) if rows.is_empty() => vec![Value::NULL; count],
            Resolved::Row(rows) => vec![Value::Row(rows, 0); count],
            Resolved::Rows(rows) => vec![Value::Rows(rows, 0, rows.len()); count],
            Resolved::Grouped(pages, groups) => {
                let group = |group: &Option<Group>| {
                    let Group { page, from, to } = (*group)?;
                    pages.get(page).map(|rows| Value::Rows(rows, from, to))
                };
                groups.iter().map(|own| group(own).unwrap_or(Value::List(&[]))).collect()
            }
            Resolved::Page { rows, listed, total } => {
                fields.push((*listed, Value::Rows(rows, 0, rows.len())));
                fields.extend(total.map(|(name, total)| (name, number(total))));
                vec![Value::Fields(&fields); count]
            }
        };
        self.complete(spot, ty, values, of).await
    }

    /// Rows that several objects share are completed once, and each object refers to the one that is its own.
    async fn shared(&self, spot: Spot<'_>, ty: &TypeRef, Shared { pages, rows, which }: &Shared) -> Column {
        let row = |(page, at): &(usize, usize)| pages.get(*page).map_or(Value::NULL, |rows| Value::Row(rows, *at));
        let places = Places::Shared(&spot.places, which);
        let column = match rows.is_empty() {
            true => Column::nowhere(true, 0),
            false => self.complete(Spot { places, ..spot }, ty, rows.iter().map(row).collect(), None).await,
        };
        let (must_be, _) = required(ty);
        let missing = if must_be { Cell::Failed } else { Cell::Null };
        if must_be {
            let nowhere = which.iter().enumerate().filter(|(_, which)| which.is_none());
            let nowhere: Vec<_> = nowhere.map(|(at, _)| (at, Value::NULL)).collect();
            self.bad_rows(&spot, &nowhere);
        }
        column.spread(which.iter().copied(), missing)
    }

    async fn connected(&self, spot: Spot<'_>, ty: &TypeRef, connection: &Connection, count: usize) -> Column {
        let Connection { rows, from, to, cursors, page, total } = connection;
        let edge = |at: usize| {
            // There are none where none are asked for.
            let cursor =
                cursors.get(at - from).map_or(Value::NULL, |cursor| Value::Shown(Shown::Text(cursor.as_str())));
            [(CURSOR, cursor), ("node", Value::Row(rows, at))]
        };
        let edges: Vec<_> = (*from..*to).map(edge).collect();
        let edges: Vec<_> = edges.iter().map(|edge| Value::Fields(edge)).collect();
        let mut fields = vec![(EDGES, Value::List(&edges)), (NODES, Value::Rows(rows, *from, *to))];
        fields.extend(page.as_ref().map(|page| (PAGE_INFO, Value::Json(page))));
        fields.extend(total.map(|total| (TOTAL_COUNT, number(total))));
        self.complete(spot, ty, vec![Value::Fields(&fields); count], None).await
    }
}

/// A number of the host's own.
fn number(number: u64) -> Value<'static> {
    // There are not as many of anything as would not fit.
    Value::Shown(Shown::Integer(i64::try_from(number).unwrap_or(i64::MAX)))
}
