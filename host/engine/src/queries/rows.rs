//! What a guest reads while it answers a query: the tables of its plugin's read models, for one tenant.

use std::sync::Arc;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;
use yado_model::TenantId;
use yado_runtime::{Condition, Rows, RowsError, Selection};
use yado_store::Row;

use crate::catalogue::Model;
use crate::reads::{self, QueryBus};
use crate::{Error, Result};

/// The tables of one plugin, for one tenant and one query.
pub(super) struct ReadRows {
    models: Vec<Arc<Model>>,
    tenant: TenantId,
    reads: QueryBus,
    runtime: Handle,
    /// Whose other end is gone once nobody waits for the answer any more.
    caller: watch::Receiver<()>,
    most: usize,
    /// How many bytes of rows may still be read.
    left: usize,
}

impl ReadRows {
    pub(super) fn new(
        models: Vec<Arc<Model>>,
        tenant: TenantId,
        reads: QueryBus,
        runtime: Handle,
        caller: watch::Receiver<()>,
        most: usize,
    ) -> Self {
        Self { models, tenant, reads, runtime, caller, most, left: most }
    }

    fn model(&self, name: &str) -> Result<Arc<Model>, RowsError> {
        let known = self.models.iter().find(|model| model.manifest.name.as_str() == name);
        known.cloned().ok_or_else(|| RowsError::Misused(format!("the plugin has no read model {name}")))
    }

    /// Waits for an answer of the database, for as long as somebody waits for the guest's.
    fn wait<T>(&self, asked: impl Future<Output = Result<T>>) -> Result<T, RowsError> {
        let mut caller = self.caller.clone();
        let answer = self.runtime.block_on(async {
            tokio::select! {
                biased;
                // Nothing is ever sent: this ends when the other end is gone.
                _ = caller.changed() => Err(Error::Unavailable {
                    reason: "nobody waits for the answer any more".to_owned(),
                    retry_after_ms: 0,
                }),
                answer = asked => answer,
            }
        });
        answer.map_err(|error| match error {
            // The question is the guest's, so this is its mistake and not the caller's.
            Error::BadInput { .. } => RowsError::Misused(error.to_string()),
            // How much it comes to depends on what is in the tables, and on what the caller wants of them: that one is told as
            // it is of any other answer.
            error => RowsError::Unavailable(Box::new(error)),
        })
    }

    /// A row as the guest gets it.
    fn text(&mut self, row: Row) -> Result<String, RowsError> {
        let text = Value::Object(row).to_string();
        let left = self.left.checked_sub(text.len());
        self.left = left.ok_or_else(|| {
            RowsError::Misused(format!("a query may read {} bytes of rows, and this one reads more", self.most))
        })?;
        Ok(text)
    }
}

impl Rows for ReadRows {
    fn get(&mut self, model: &str, key: &str) -> Result<Option<Arc<str>>, RowsError> {
        let model = self.model(model)?;
        let found = self.wait(self.reads.rows(&model, &self.tenant, &[key.to_owned()], None))?;
        maps(found)?.into_iter().next().map(|row| self.text(row).map(Into::into)).transpose()
    }

    fn find(&mut self, model: &str, selection: Selection) -> Result<Vec<String>, RowsError> {
        let model = self.model(model)?;
        let select = reads::select(&model.table, selection).map_err(RowsError::Misused)?;
        let found = self.wait(self.reads.select(&model, &self.tenant, &select))?;
        maps(found)?.into_iter().map(|row| self.text(row)).collect()
    }

    fn count(&mut self, model: &str, conditions: Vec<Condition>) -> Result<u64, RowsError> {
        let model = self.model(model)?;
        let filter = reads::filter(&model.table, conditions).map_err(RowsError::Misused)?;
        self.wait(self.reads.count(&model, &self.tenant, filter.as_ref()))
    }

    fn at(&mut self, _: u64) -> Result<(), RowsError> {
        Err(RowsError::Misused("a query has no events".into()))
    }

    fn put(&mut self, model: &str, _: &str) -> Result<(), RowsError> {
        Err(read_only(model))
    }

    fn patch(&mut self, model: &str, _: &str, _: &str) -> Result<(), RowsError> {
        Err(read_only(model))
    }

    fn add(&mut self, model: &str, _: &str, _: &str, _: &str) -> Result<(), RowsError> {
        Err(read_only(model))
    }

    fn delete(&mut self, model: &str, _: &str) -> Result<(), RowsError> {
        Err(read_only(model))
    }
}

/// Rows as guests get them, each by itself.
fn maps(rows: yado_store::Rows) -> Result<Vec<Row>, RowsError> {
    rows.into_maps().map_err(|error| RowsError::Unavailable(Box::new(error)))
}

fn read_only(model: &str) -> RowsError {
    RowsError::Misused(format!("a query tried to write to {model}"))
}
