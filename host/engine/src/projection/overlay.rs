//! What a projection writes, before it is committed: a layer over the tables.
//!
//! The guest sees its own writes of the same batch. Rows that it is likely to ask for are fetched for the whole batch
//! at once; any other is fetched when it is asked for.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::runtime::Handle;
use yado_model::TenantId;
use yado_model::schema::{Shape, Slot};
use yado_runtime::{Condition, Rows, RowsError, Selection};
use yado_store::{ReadStore, Row, Write};

use crate::catalogue::Model;
use crate::reads;

/// A layer over the tables of one projection, for one tenant.
pub(super) struct Overlay {
    models: Vec<Layer>,
    tenant: TenantId,
    reads: Arc<dyn ReadStore>,
    runtime: Handle,
    /// Whether the batch is a single event.
    alone: bool,
    /// Whether the guest has asked for something that it may only ask for at a single event.
    asked_too_early: bool,
}

struct Layer {
    model: Arc<Model>,
    /// Rows by key: what is stored, or what the guest has made of it. None is no row.
    rows: HashMap<String, Cached>,
}

struct Cached {
    row: Option<Row>,
    changed: bool,
}

impl Overlay {
    pub(super) fn new(models: &[Arc<Model>], tenant: TenantId, reads: Arc<dyn ReadStore>, alone: bool) -> Self {
        let models = models.iter().map(|model| Layer { model: model.clone(), rows: HashMap::new() }).collect();
        Self { models, tenant, reads, runtime: Handle::current(), alone, asked_too_early: false }
    }

    /// Fetches rows that the guest is likely to ask for: those whose key is a stream's id.
    pub(super) async fn prefetch(&mut self, keys: &[String]) -> yado_store::Result<()> {
        for layer in &mut self.models {
            let found = self.reads.rows(&layer.model.table, &self.tenant, keys).await?;
            layer.rows = keys.iter().map(|key| (key.clone(), Cached { row: None, changed: false })).collect();
            let key_field = layer.model.table.key.as_str().to_owned();
            for row in found {
                if let Some(key) = row.get(&key_field).and_then(Value::as_str) {
                    layer.rows.insert(key.to_owned(), Cached { row: Some(row), changed: false });
                }
            }
        }
        Ok(())
    }

    /// What has been written, by model.
    pub(super) fn finish(self) -> Vec<(Arc<Model>, Vec<Write>)> {
        let written = self.models.into_iter().map(|layer| {
            let changed = layer.rows.into_iter().filter(|(_, cached)| cached.changed);
            let mut writes: Vec<_> = changed.map(|(key, cached)| (key, cached.row)).collect();
            // In the order of keys, so that two processes never lock rows crosswise.
            writes.sort_by(|(a, _), (b, _)| a.cmp(b));
            let writes = writes.into_iter().map(|(key, row)| row.map_or(Write::Delete(key), Write::Put));
            (layer.model, writes.collect())
        });
        written.collect()
    }

    /// Whether the guest has asked for something that depends on where a batch begins, so that its events have to be shown
    /// to it one by one.
    pub(super) const fn wants_single_events(&self) -> bool {
        self.asked_too_early
    }

    /// A search reads the table as it was before the batch. What it finds must not depend on how events happen to be
    /// batched, or rows made anew would differ from those that grew; so it is for batches of one event.
    fn may_search(&mut self) -> Result<(), RowsError> {
        if self.alone {
            return Ok(());
        }
        self.asked_too_early = true;
        Err(RowsError::Misused("the projection searches; its events are shown to it one by one".into()))
    }

    fn layer(&mut self, model: &str) -> Result<&mut Layer, RowsError> {
        self.models.iter_mut().find(|layer| layer.model.manifest.name.as_str() == model).ok_or_else(|| {
            RowsError::Misused(format!("the projection's manifest entry does not name the read model {model}"))
        })
    }

    fn row(&mut self, model: &str, key: &str) -> Result<&mut Cached, RowsError> {
        let (reads, tenant, runtime) = (self.reads.clone(), self.tenant.clone(), self.runtime.clone());
        let layer = self.layer(model)?;
        if !layer.rows.contains_key(key) {
            let table = layer.model.table.clone();
            let fetched = runtime.block_on(reads.rows(&table, &tenant, &[key.to_owned()]));
            let row = fetched.map_err(unavailable)?.into_iter().next();
            self.layer(model)?.rows.insert(key.to_owned(), Cached { row, changed: false });
        }
        let layer = self.layer(model)?;
        Ok(layer.rows.entry(key.to_owned()).or_insert(Cached { row: None, changed: false }))
    }
}

impl Rows for Overlay {
    fn get(&mut self, model: &str, key: &str) -> Result<Option<String>, RowsError> {
        Ok(self.row(model, key)?.row.as_ref().map(|row| Value::Object(row.clone()).to_string()))
    }

    fn put(&mut self, model: &str, row: String) -> Result<(), RowsError> {
        let layer = self.layer(model)?;
        let row = object(&row)?;
        check(&layer.model, &row, true)?;
        let key = row.get(layer.model.table.key.as_str()).and_then(Value::as_str).map(str::to_owned);
        let key = key.ok_or_else(|| RowsError::Misused(format!("a row of {model} has no key")))?;
        layer.rows.insert(key, Cached { row: Some(row), changed: true });
        Ok(())
    }

    fn patch(&mut self, model: &str, key: &str, fields: String) -> Result<(), RowsError> {
        let fields = object(&fields)?;
        let layer = self.layer(model)?;
        check(&layer.model, &fields, false)?;
        if fields.get(layer.model.table.key.as_str()).is_some_and(|value| value.as_str() != Some(key)) {
            return Err(RowsError::Misused(format!("a patch of {model} {key:?} changes the row's key")));
        }
        let cached = self.row(model, key)?;
        if let Some(row) = &mut cached.row {
            row.extend(fields);
            cached.changed = true;
        }
        Ok(())
    }

    fn add(&mut self, model: &str, key: &str, field: &str, amount: &str) -> Result<(), RowsError> {
        let cached = self.row(model, key)?;
        if let Some(row) = &mut cached.row {
            let sum = reads::sum(row.get(field), amount)
                .ok_or_else(|| RowsError::Misused(format!("{amount:?} can't be added to {model}.{field}")))?;
            row.insert(field.to_owned(), sum);
            cached.changed = true;
        }
        Ok(())
    }

    fn delete(&mut self, model: &str, key: &str) -> Result<(), RowsError> {
        self.layer(model)?.rows.insert(key.to_owned(), Cached { row: None, changed: true });
        Ok(())
    }

    fn find(&mut self, model: &str, selection: Selection) -> Result<Vec<String>, RowsError> {
        self.may_search()?;
        let (reads, tenant, runtime) = (self.reads.clone(), self.tenant.clone(), self.runtime.clone());
        let table = self.layer(model)?.model.table.clone();
        let select = reads::select(&table, selection).map_err(RowsError::Misused)?;
        let rows = runtime.block_on(reads.select(&table, &tenant, &select)).map_err(unavailable)?;
        Ok(rows.into_iter().map(|row| Value::Object(row).to_string()).collect())
    }

    fn count(&mut self, model: &str, conditions: Vec<Condition>) -> Result<u64, RowsError> {
        self.may_search()?;
        let (reads, tenant, runtime) = (self.reads.clone(), self.tenant.clone(), self.runtime.clone());
        let table = self.layer(model)?.model.table.clone();
        let filter = reads::filter(&table, conditions).map_err(RowsError::Misused)?;
        runtime.block_on(reads.count(&table, &tenant, filter.as_ref())).map_err(unavailable)
    }
}

fn unavailable(error: yado_store::Error) -> RowsError {
    RowsError::Unavailable(Box::new(error))
}

fn object(text: &str) -> Result<Row, RowsError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(row)) => Ok(row),
        Ok(_) => Err(RowsError::Misused("a row must be a JSON object".into())),
        Err(error) => Err(RowsError::Misused(format!("a row must be JSON: {error}"))),
    }
}

/// Holds fields against the columns. What the store can't keep is the guest's fault, and must be found before the
/// database says so, because a failure of the database is tried again for ever.
fn check(model: &Model, fields: &Row, whole: bool) -> Result<(), RowsError> {
    let name = &model.manifest.name;
    for (field, value) in fields {
        let Some(known) = model.row.fields.get(field) else {
            return Err(RowsError::Misused(format!("{name} has no field {field}")));
        };
        let optional = known.slot.nullable || !known.required;
        if !(value.is_null() && optional || fits(&known.slot, value)) {
            return Err(RowsError::Misused(format!("{name}.{field} can't hold {value}")));
        }
    }
    if whole {
        let missing = model
            .row
            .fields
            .iter()
            .find(|field| field.required && !field.slot.nullable && !fields.contains_key(field.name.as_str()));
        if let Some(missing) = missing {
            return Err(RowsError::Misused(format!("a row of {name} lacks {}", missing.name)));
        }
    }
    Ok(())
}

fn fits(slot: &Slot, value: &Value) -> bool {
    match &slot.shape {
        // PostgreSQL's texts can't hold a zero byte.
        Shape::Text | Shape::Id { .. } => value.as_str().is_some_and(|text| !text.contains('\0')),
        Shape::Enumeration(known) => value.as_str().is_some_and(|text| known.values.iter().any(|v| v == text)),
        Shape::Integer { .. } => value.is_i64(),
        Shape::Float => value.is_number(),
        Shape::Decimal => value.as_str().is_some_and(reads::is_decimal),
        Shape::Boolean => value.is_boolean(),
        Shape::Timestamp => value.as_str().is_some_and(|text| text.parse::<yado_model::Timestamp>().is_ok()),
        Shape::List(_) => value.is_array(),
        Shape::Object(_) => value.is_object(),
        Shape::Json => true,
    }
}
