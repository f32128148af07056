//! The query bus: reads of the tables. It never enters a guest.
//!
//! Nothing is read of tables that may show a history which is no more, are filled anew, or may have been dropped by another
//! process: it is refused with a word on when to come back, because a part of the rows would look like all of them.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rust_decimal::Decimal;
use serde_json::Value;
use tokio::sync::watch;
use yado_model::{Name, Position, StreamId, TenantId};
use yado_runtime::{Comparison, Condition, Selection};
use yado_store::{Aggregate, Checkpoint, Each, Filter, Group, Op, Order, ReadStore, Rows, Select, Table};

use crate::catalogue::Model;
use crate::error::question;
use crate::projection::{Stage, Status, Uses, Wanted};
use crate::{Error, Result, Settings, Until};

/// At most so many rows for one question. The surfaces have smaller limits of their own.
const MOST_ROWS: u32 = 10_000;

/// When it is worth asking again for what is filled anew.
const ANEW_MS: u64 = 1_000;

/// How a projection stands, and where to say that somebody waits for it.
type Followed = (watch::Receiver<Status>, Wanted);

/// The query bus.
#[derive(Clone)]
pub(crate) struct QueryBus {
    store: Arc<dyn ReadStore>,
    settings: Arc<Settings>,
    /// How the projections stand, by the name under which their progress is kept.
    progress: Arc<Mutex<HashMap<Arc<str>, Followed>>>,
    uses: Uses,
    /// Since how many lapses of what is said about tables it is known that all are there still.
    known: Arc<AtomicU64>,
}

impl QueryBus {
    pub(crate) fn new(store: Arc<dyn ReadStore>, settings: Arc<Settings>, uses: Uses) -> Self {
        Self { store, settings, progress: Arc::default(), uses, known: Arc::default() }
    }

    /// The same for one request, whose reads share the memory that the rows of one statement may take up.
    pub(crate) fn for_request(&self) -> Self {
        Self { store: self.store.for_request(), ..self.clone() }
    }

    /// Lets readers wait for a projection.
    pub(crate) fn follow(&self, projection: &Arc<str>, status: watch::Receiver<Status>, wanted: Wanted) {
        self.progress().insert(projection.clone(), (status, wanted));
    }

    /// Forgets a projection that has ended.
    pub(crate) fn forget(&self, projection: &str) {
        self.progress().remove(projection);
    }

    /// Waits until a read model shows everything up to a position.
    pub(crate) async fn caught_up(&self, model: &Model, position: Position, until: Option<Until>) -> Result<()> {
        self.caught_up_of(&model.projection, &model.manifest.name, position, until).await
    }

    async fn caught_up_of(
        &self,
        projection: &str,
        name: &Name,
        position: Position,
        until: Option<Until>,
    ) -> Result<()> {
        let followed = self.progress().get(projection).cloned();
        let Until { at, limit_ms } = Until::after(self.settings.caught_up_ms).or(until);
        let lagging = |reached| Error::Lagging { model: name.to_string(), wanted: position, reached, limit_ms };
        let Some((mut status, wanted)) = followed else { return Err(lagging(Position::ZERO)) };
        if status.borrow().shows(position) {
            return Ok(());
        }
        let _waiting = wanted.wait_for(position);
        let reached = status.wait_for(|status| status.shows(position));
        let waited = tokio::time::timeout_at(at, reached).await.is_ok_and(|known| known.is_ok());
        // One look for all of it. A second one during the first would wait behind the projection, as soon as that has
        // something to tell, and the projection waits until the first look ends.
        let status = status.borrow();
        if waited || status.shows(position) { Ok(()) } else { Err(lagging(status.position)) }
    }

    /// From which position on a model shows nothing of a stream, because it has been put aside.
    pub(crate) fn stands_from(&self, model: &Model, tenant: &TenantId, stream: &StreamId) -> Option<Position> {
        let progress = self.progress();
        let (status, _) = progress.get(&model.projection)?;
        status.borrow().parked.stands_from(tenant, stream)
    }

    /// The position up to which everything is in what is read of a model from now on; zero, if that is not known here.
    pub(crate) fn position(&self, model: &Model) -> Position {
        let progress = self.progress();
        let Some((status, _)) = progress.get(&model.projection) else { return Position::ZERO };
        let status = status.borrow();
        if status.stage == Stage::Following { status.position } else { Position::ZERO }
    }

    async fn read<T>(&self, model: &Model, read: impl Future<Output = yado_store::Result<T>> + Send) -> Result<T> {
        self.read_of(&model.projection, &model.manifest.name, read).await
    }

    /// Reads what a projection has filled, if it may be shown, and still may when it is there: a machine may stand still
    /// between the one and the other, and what is read may wait for its turn while the tables are emptied.
    async fn read_of<T>(
        &self,
        projection: &str,
        name: &Name,
        read: impl Future<Output = yado_store::Result<T>> + Send,
    ) -> Result<T> {
        let lapses = self.uses.lapses();
        self.find_all(lapses).await?;
        self.may_be_shown(projection, name)?;
        let read = read.await.map_err(question(name))?;
        self.find_still(lapses).await?;
        // Whoever empties tables has said so before.
        self.may_be_shown(projection, name)?;
        Ok(read)
    }

    /// Sees to it that nothing can have been dropped since there had been so many lapses.
    async fn find_still(&self, lapses: Option<u64>) -> Result<()> {
        match (lapses, self.uses.lapses()) {
            (Some(before), Some(after)) if before == after => Ok(()),
            // It could not be said before either, and reading goes on for as long as nothing is gone.
            (None, after) => self.find_all(after).await,
            _ => {
                let reason = "this server was frozen, or cut off from the database, while it read its read models, and another \
                              one may have dropped some meanwhile";
                Err(Error::Unavailable { reason: reason.to_owned(), retry_after_ms: ANEW_MS })
            }
        }
    }

    /// Sees to it that all tables are there still, whenever nobody was kept for a while from dropping them: where this process
    /// was frozen, or cut off from the database. They may be there and have a part of the rows, because others fill them; but
    /// whoever drops tables takes the checkpoint along, so that it tells. Projections find that out as well, a moment later,
    /// and fill them again. It is looked at all of them, because one read may join several, and nothing is shown until then.
    /// There have been so many lapses by now.
    async fn find_all(&self, lapses: Option<u64>) -> Result<()> {
        if lapses == Some(self.known.load(Ordering::Relaxed)) {
            return Ok(());
        }
        let shown = |(projection, (status, _)): (&Arc<str>, &Followed)| {
            let status = status.borrow();
            (status.stage == Stage::Following).then(|| (projection.clone(), status.kept))
        };
        let shown: Vec<_> = self.progress().iter().filter_map(shown).collect();
        let names: Vec<_> = shown.iter().map(|(projection, _)| &**projection).collect();
        let found = if names.is_empty() { Vec::new() } else { self.store.checkpoints(&names).await? };
        let is_gone = |((projection, kept), found): (&(Arc<str>, Position), Checkpoint)| {
            // What is replaced meanwhile goes rightly.
            found.position < *kept && self.progress().contains_key(projection)
        };
        if shown.iter().zip(found).any(is_gone) {
            let reason = "this server could not say for a while that it uses its read models, and another one has dropped \
                          some: they are about to be filled anew";
            return Err(Error::Unavailable { reason: reason.to_owned(), retry_after_ms: ANEW_MS });
        }
        if let Some(lapses) = lapses {
            self.known.fetch_max(lapses, Ordering::Relaxed);
        }
        Ok(())
    }

    fn progress(&self) -> MutexGuard<'_, HashMap<Arc<str>, Followed>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses to show what may be of a history that is no more, or has been filled anew in part.
    fn may_be_shown(&self, projection: &str, name: &Name) -> Result<()> {
        let progress = self.progress();
        let Some((status, _)) = progress.get(projection) else { return Ok(()) };
        let status = status.borrow();
        let position = status.position;
        let reason = match status.stage {
            Stage::Following => return Ok(()),
            Stage::Unknown => format!("what {name} shows has not been held against the log yet"),
            Stage::Anew { until } => format!(
                "{name} is filled anew, because what it showed was of a history that is no more, or has been dropped; it has \
                 come to position {position} of {until}"
            ),
        };
        Err(Error::Unavailable { reason, retry_after_ms: ANEW_MS })
    }

    pub(crate) async fn rows(
        &self,
        model: &Model,
        tenant: &TenantId,
        keys: &[String],
        columns: Option<&[String]>,
    ) -> Result<Rows> {
        self.read(model, self.store.rows(&model.table, tenant, keys, columns)).await
    }

    pub(crate) async fn select(&self, model: &Model, tenant: &TenantId, select: &Select) -> Result<Rows> {
        self.read(model, self.store.select(&model.table, tenant, select)).await
    }

    pub(crate) async fn select_each(
        &self,
        model: &Model,
        tenant: &TenantId,
        each: &Each,
        select: &Select,
    ) -> Result<Rows> {
        self.read(model, self.store.select_each(&model.table, tenant, each, select)).await
    }

    pub(crate) async fn count(&self, model: &Model, tenant: &TenantId, filter: Option<&Filter>) -> Result<u64> {
        self.read(model, self.store.count(&model.table, tenant, filter)).await
    }

    pub(crate) async fn aggregate(
        &self,
        model: &Model,
        tenant: &TenantId,
        aggregate: &Aggregate,
    ) -> Result<Vec<Group>> {
        self.read(model, self.store.aggregate(&model.table, tenant, aggregate)).await
    }

    pub(crate) async fn aggregate_each(
        &self,
        model: &Model,
        tenant: &TenantId,
        each: &Each,
        aggregate: &Aggregate,
    ) -> Result<Vec<(Value, Group)>> {
        self.read(model, self.store.aggregate_each(&model.table, tenant, each, aggregate)).await
    }

    /// The table of a model whose rows may be shown.
    pub(crate) fn table<'m>(&self, model: &'m Model) -> Result<&'m Table> {
        self.may_be_shown(&model.projection, &model.manifest.name)?;
        Ok(&model.table)
    }
}

/// A guest's selection as the store understands it; or what is wrong with it.
pub(crate) fn select(table: &Table, selection: Selection) -> Result<Select, String> {
    let order = selection.ordering.into_iter().map(|ordering| {
        known(table, &ordering.field)?;
        Ok(Order::by(ordering.field, ordering.descending))
    });
    Ok(Select {
        filter: filter(table, selection.conditions)?,
        order: order.collect::<Result<_, String>>()?,
        offset: selection.offset,
        ..Select::page(selection.limit.min(MOST_ROWS))
    })
}

/// A guest's conditions as the store understands them; or what is wrong with them. No conditions are no filter.
pub(crate) fn filter(table: &Table, conditions: Vec<Condition>) -> Result<Option<Filter>, String> {
    let compared = conditions.into_iter().map(|condition| {
        known(table, &condition.field)?;
        compare(condition)
    });
    let compared = compared.collect::<Result<Vec<_>, String>>()?;
    Ok((!compared.is_empty()).then_some(Filter::All(compared)))
}

fn known(table: &Table, field: &str) -> Result<(), String> {
    match table.column(field) {
        Some(_) => Ok(()),
        None => Err(format!("there is no field {field:?}")),
    }
}

fn compare(condition: Condition) -> Result<Filter, String> {
    let Condition { field, comparison, value } = condition;
    let value: Value =
        serde_json::from_str(&value).map_err(|error| format!("the value for {field} is not JSON: {error}"))?;
    let op = match (comparison, &value) {
        (Comparison::Equal, Value::Null) => return Ok(Filter::Null { field }),
        (Comparison::NotEqual, Value::Null) => return Ok(Filter::Not(Box::new(Filter::Null { field }))),
        (Comparison::Equal, _) => Op::Equal,
        (Comparison::NotEqual, _) => Op::NotEqual,
        (Comparison::Less, _) => Op::Less,
        (Comparison::LessOrEqual, _) => Op::LessOrEqual,
        (Comparison::Greater, _) => Op::Greater,
        (Comparison::GreaterOrEqual, _) => Op::GreaterOrEqual,
        (Comparison::Contains, _) => Op::Contains,
    };
    Ok(Filter::Compare { field, op, value })
}

/// A number plus another, in the form that the first one has: decimals stay texts. Nothing counts as zero.
pub(crate) fn sum(value: Option<&Value>, amount: &str) -> Option<Value> {
    match value {
        Some(Value::Number(number)) if number.is_i64() => {
            let sum = number.as_i64()?.checked_add(i64::from_str(amount).ok()?)?;
            Some(sum.into())
        }
        Some(Value::Number(number)) => Some((number.as_f64()? + f64::from_str(amount).ok()?).into()),
        Some(Value::String(text)) => {
            let sum = Decimal::from_str_exact(text).ok()?.checked_add(Decimal::from_str_exact(amount).ok()?)?;
            Some(sum.to_string().into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::time::Duration;

    use serde_json::json;
    use yado_store::{Column, Kind, Options, Progress, Step, open_reads};

    use super::*;

    #[test]
    fn a_guests_conditions_are_held_against_the_table() {
        let name = |text: &str| Name::parse(text).unwrap();
        let column = |text: &str| Column { name: name(text), kind: Kind::Text, nullable: true };
        let columns = vec![column("id"), column("label")];
        let table = Table {
            name: "rm_ticket".into(),
            columns,
            key: name("id"),
            indexes: Vec::new(),
            unique: Vec::new(),
            search: Vec::new(),
        };
        let is = |field: &str, value: &str| Condition {
            field: field.into(),
            comparison: Comparison::Equal,
            value: value.into(),
        };
        assert_eq!(filter(&table, Vec::new()), Ok(None));
        let no_label = Filter::All(vec![Filter::Null { field: "label".into() }]);
        assert_eq!(filter(&table, vec![is("label", "null")]), Ok(Some(no_label)));
        assert_eq!(filter(&table, vec![is("weight", "1")]), Err("there is no field \"weight\"".into()));
        assert!(filter(&table, vec![is("label", "pen")]).unwrap_err().starts_with("the value for label is not JSON"));
    }

    /// A bus that follows a projection of which everything up to a position is kept.
    async fn following(kept: Position) -> (QueryBus, watch::Sender<Status>) {
        let store = open_reads("sqlite::memory:", &Options::default()).await.unwrap();
        let uses = Uses::new(store.clone(), 0);
        // Nobody is to be told that it takes too long, wherever a thread stands for a while.
        let settings = Settings { caught_up_ms: 3_600_000, ..Settings::default() };
        let bus = QueryBus::new(store, Arc::new(settings), uses);
        let status = Status { stage: Stage::Following, position: kept, kept, ..Status::begin("tickets".into()) };
        let (report, status) = watch::channel(status);
        bus.follow(&"desk/tickets/1".into(), status, Wanted::default());
        (bus, report)
    }

    async fn reaches(bus: &QueryBus, from: Checkpoint, position: u64) {
        let to = Checkpoint { position: Position::new(position), ..Checkpoint::START };
        let progress = Progress { projection: "desk/tickets/1", from, to };
        bus.store.commit(&Step::new(progress, &[])).await.unwrap();
    }

    #[test]
    fn whoever_waits_for_a_projection_stands_in_nobodys_way_while_it_gets_on() {
        const WAITING: usize = 8;
        const WAITS: usize = 2_000;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let (bus, report) = runtime.block_on(following(Position::ZERO));
        // Threads, because one that stands here does so for good, and would keep the runtime from ending.
        let gets_on = std::thread::spawn(move || {
            while !report.is_closed() {
                report.send_modify(|status| status.position = status.position.plus(1));
            }
        });
        let (waits, ended) = mpsc::channel::<()>();
        let waiting = std::array::from_fn::<_, WAITING, _>(|_| {
            let (bus, waits, handle) = (bus.clone(), waits.clone(), runtime.handle().clone());
            std::thread::spawn(move || {
                let (name, projection) = (Name::parse("ticket").unwrap(), "desk/tickets/1");
                for _ in 0..WAITS {
                    let ahead = bus.progress()[projection].0.borrow().position.plus(100);
                    handle.block_on(bus.caught_up_of(projection, &name, ahead, None)).unwrap();
                }
                drop((bus, waits));
            })
        });
        drop((bus, waits));
        let ended = ended.recv_timeout(Duration::from_secs(600));
        assert_eq!(ended, Err(RecvTimeoutError::Disconnected), "they wait for each other");
        waiting.into_iter().chain([gets_on]).for_each(|thread| thread.join().unwrap());
    }

    #[tokio::test]
    async fn whoever_was_away_for_long_shows_nothing_that_another_process_has_dropped_meanwhile() {
        let (bus, report) = following(Position::new(5)).await;
        // It has just said what it uses, and need not look.
        assert!(bus.find_all(bus.uses.lapses()).await.is_ok());
        bus.uses.was_away_for(Duration::from_secs(3_600));
        let refused = bus.find_all(bus.uses.lapses()).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable { retry_after_ms: ANEW_MS, .. }), "{refused}");
        // To say it again brings nothing back, and neither does a process that fills the same tables, before it is done.
        assert!(!bus.uses.comes_back().await);
        reaches(&bus, Checkpoint::START, 4).await;
        assert!(bus.find_all(bus.uses.lapses()).await.is_err());
        // Once it is known, the projection itself tells what may be shown.
        report.send_modify(|status| status.stage = Stage::Anew { until: Position::new(5) });
        assert!(bus.find_all(bus.uses.lapses()).await.is_ok());
    }

    #[tokio::test]
    async fn whoever_was_away_while_it_read_does_not_show_what_it_has_read() {
        let (bus, _report) = following(Position::new(5)).await;
        reaches(&bus, Checkpoint::START, 5).await;
        let before = bus.uses.lapses();
        assert!(bus.find_still(before).await.is_ok());
        bus.uses.was_away_for(Duration::from_secs(3_600));
        // What was dropped may have been filled again since, so that there is nothing to be seen of it.
        assert!(matches!(bus.find_still(before).await, Err(Error::Unavailable { .. })));
        // Who reads while he can't say that he does is shown what is there.
        assert!(bus.find_still(bus.uses.lapses()).await.is_ok());
        assert!(!bus.uses.comes_back().await);
        assert!(matches!(bus.find_still(before).await, Err(Error::Unavailable { .. })));
        assert!(bus.find_still(bus.uses.lapses()).await.is_ok());
    }

    /// Reads nothing of the projection, and does something meanwhile.
    async fn reads_while(bus: &QueryBus, meanwhile: impl FnOnce() + Send) -> Result<()> {
        let read = async {
            meanwhile();
            Ok(())
        };
        bus.read_of("desk/tickets/1", &Name::parse("ticket").unwrap(), read).await
    }

    fn is_refused(read: Result<()>) -> bool {
        matches!(read, Err(Error::Unavailable { retry_after_ms: ANEW_MS, .. }))
    }

    #[tokio::test]
    async fn what_is_begun_anew_while_it_was_read_is_not_shown() {
        let (bus, report) = following(Position::new(5)).await;
        reaches(&bus, Checkpoint::START, 5).await;
        let becomes = |stage| report.send_modify(|status| status.stage = stage);
        let anew = Stage::Anew { until: Position::new(5) };
        assert!(reads_while(&bus, || ()).await.is_ok());
        // The tables are emptied as soon as that is said, and the statement may wait for its turn until then.
        assert!(is_refused(reads_while(&bus, || becomes(anew)).await));
        assert!(is_refused(reads_while(&bus, || panic!("nothing is read")).await));
        // Just so where it can't be said that they are used, and nobody looks at what is filled anew.
        becomes(Stage::Following);
        bus.uses.was_away_for(Duration::from_secs(3_600));
        assert!(is_refused(reads_while(&bus, || becomes(anew)).await));
    }

    #[tokio::test]
    async fn what_may_have_been_dropped_while_it_was_read_is_not_shown() {
        let (bus, _report) = following(Position::new(5)).await;
        reaches(&bus, Checkpoint::START, 5).await;
        assert!(is_refused(reads_while(&bus, || bus.uses.was_away_for(Duration::from_secs(3_600))).await));
        // From now on it can't be said that it is used: it is shown for as long as it is there.
        assert!(reads_while(&bus, || ()).await.is_ok());
        bus.store.forget_checkpoint("desk/tickets/1").await.unwrap();
        assert!(is_refused(reads_while(&bus, || panic!("nothing is read")).await));
    }

    #[tokio::test]
    async fn whoever_was_away_for_long_looks_once_where_nothing_was_dropped() {
        let (bus, _report) = following(Position::new(5)).await;
        reaches(&bus, Checkpoint::START, 7).await;
        bus.uses.was_away_for(Duration::from_secs(3_600));
        assert!(bus.find_all(bus.uses.lapses()).await.is_ok());
        assert_eq!(bus.known.load(Ordering::Relaxed), 0, "what is used may still be dropped");
        assert!(!bus.uses.comes_back().await);
        assert!(bus.for_request().find_all(bus.uses.lapses()).await.is_ok());
        // Nobody drops it from here on, so that it is not looked at each time.
        bus.store.forget_checkpoint("desk/tickets/1").await.unwrap();
        assert!(bus.uses.comes_back().await && bus.find_all(bus.uses.lapses()).await.is_ok());
    }

    #[test]
    fn sums_keep_the_form_of_the_number() {
        assert_eq!(sum(Some(&json!(40)), "2"), Some(json!(42)));
        assert_eq!(sum(Some(&json!("0.10")), "0.20"), Some(json!("0.30")));
        assert_eq!(sum(Some(&json!(i64::MAX)), "1"), None);
        assert_eq!(sum(Some(&json!("ten")), "1"), None);
        assert_eq!(sum(Some(&json!(true)), "1"), None);
    }
}
