//! What the surfaces use: one request, by one caller, against one deployment.
//!
//! A session is opened when a request comes and dropped when it has been answered. It knows on whose behalf it asks and
//! by when the answer has to be there, and it asks one catalogue from its beginning to its end: commands, read models and
//! relations that belong together. Whatever goes through it goes through the [layers](crate::layers), so that no surface
//! can leave one out.
//!
//! A read model is guarded wherever something of it can be learnt: where its rows are read, by key or through a relation;
//! where they decide which rows of another one are shown, or in which order; where they are counted or summed up; and where a named query
//! answers with them. What a guest reads on its way to an answer is its author's business, who says by `roles` who may
//! ask.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;
use yado_model::{Actor, IdempotencyKey, Name, Position, Revision, StreamId, TenantId};
use yado_store::{Aggregate, Each, Filter, Group, Link, Order, Rows, Select, Table};

use crate::bus::CommandBus;
use crate::catalogue::Model;
use crate::error::rewound;
use crate::feed::Feed;
use crate::layers::places::{Places, Seat};
use crate::layers::{Layers, Reply};
use crate::queries::{Ask, Queries};
use crate::reads::QueryBus;
use crate::stream::stopping;
use crate::vigil::Vigil;
use crate::{
    Answered, Asked, Catalogue, Dispatch, DispatchOptions, Error, PageOptions, Receipt, Result, Settings, Until, What,
};

/// On whose behalf a session asks, and how long it may.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// Whose data it is about.
    pub tenant: TenantId,
    /// Who asks, where that is known.
    pub actor: Option<Actor>,
    /// What ties the request to others; by default each command and query begins a correlation of its own.
    pub correlation_id: Option<Uuid>,
    /// When the request's time is over. Nothing that is asked of the session takes longer, and without it each thing takes
    /// as long as the settings let it.
    pub until: Option<Until>,
}

/// What a caller may want beside a command itself.
#[derive(Debug, Clone, Default)]
pub struct CommandOptions {
    /// The caller's name for the request: see [`DispatchOptions::idempotency_key`].
    pub idempotency_key: Option<IdempotencyKey>,
    /// The revision that the stream must be at.
    pub expected_revision: Option<Revision>,
    /// The event or command that caused this one.
    pub causation_id: Option<Uuid>,
}

/// What sessions stand on. It ends with the engine.
pub(crate) struct Ground {
    /// The way for commands. It is closed first.
    pub(crate) commands: Mutex<Option<CommandBus>>,
    pub(crate) live: Arc<ArcSwap<Catalogue>>,
    pub(crate) reads: QueryBus,
    pub(crate) named: Queries,
    pub(crate) feed: Feed,
    pub(crate) layers: Layers,
    pub(crate) places: Places,
    pub(crate) settings: Arc<Settings>,
    /// The loops of both sides: whether one of them has found that the log has gone back.
    pub(crate) loops: [Vigil; 2],
}

impl Ground {
    /// The position that the log has gone back behind, if any loop has found that it has.
    fn has_rewound(&self) -> Option<Position> {
        self.loops.iter().find_map(Vigil::has_rewound)
    }

    /// Runs a command of a catalogue.
    pub(crate) async fn dispatch(
        &self,
        catalogue: &Arc<Catalogue>,
        dispatch: &Dispatch,
        until: Option<Until>,
    ) -> Result<Receipt> {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(commands) = commands else { return Err(stopping()) };
        let began = Instant::now();
        let asked = Asked {
            what: What::Command(&dispatch.command),
            roles: catalogue.command(&dispatch.command).map_or(&[], |command| &command.manifest.roles),
            tenant: &dispatch.tenant,
            actor: dispatch.options.actor.as_ref(),
            correlation_id: dispatch.options.correlation_id,
        };
        let until = Until::since(began, self.settings.command_ms).or(until);
        let run = async {
            let answer = match self.has_rewound() {
                Some(seen) => Err(rewound(seen)),
                None => self.decided(&commands, catalogue, dispatch).await,
            };
            match self.has_rewound() {
                // What has been recorded is in the log that there is. Everything else may rest on the one that there was.
                Some(seen) if !answer.as_ref().is_ok_and(|receipt| receipt.changed) => Err(rewound(seen)),
                _ => answer,
            }
        };
        let answer = self.layers.around(&asked, began, until, run).await;
        if let Ok(receipt) = &answer {
            // It may be the answer of another process, or rest on what another process has recorded.
            self.feed.heard(receipt.position);
        }
        answer
    }

    async fn decided(&self, commands: &CommandBus, catalogue: &Arc<Catalogue>, dispatch: &Dispatch) -> Result<Receipt> {
        match commands.dispatch(catalogue, dispatch).await {
            // Between two versions of a plugin: the new one has recorded what the old one can't read.
            Err(Error::Superseded { .. }) => {
                let done = commands.dispatch(&self.live.load_full(), dispatch).await;
                if let Err(error @ Error::Superseded { .. }) = &done {
                    tracing::error!(%error, "the version of a plugin that runs is older than what is recorded");
                }
                done
            }
            done => done,
        }
    }

    /// Waits until a read model shows everything up to a position.
    pub(crate) async fn caught_up(&self, model: &Model, position: Position, until: Option<Until>) -> Result<()> {
        if *self.feed.head().borrow() < position
            && let Err(error) = self.feed.look().await
        {
            // Another process may have recorded it. Whether it has will be known a little later.
            tracing::debug!(%error, "the log's end could not be read");
        }
        self.reads.caught_up(model, position, until).await
    }
}

/// One request, by one caller, against one deployment.
pub struct Session {
    ground: Arc<Ground>,
    catalogue: Arc<Catalogue>,
    circumstances: Circumstances,
    reads: QueryBus,
    seat: Seat,
}

impl Session {
    pub(crate) fn new(ground: Arc<Ground>, catalogue: Arc<Catalogue>, circumstances: Circumstances) -> Self {
        let reads = ground.reads.for_request();
        Self { ground, catalogue, circumstances, reads, seat: Seat::default() }
    }

    /// What it asks.
    #[must_use]
    pub const fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// Runs a command.
    ///
    /// # Errors
    /// Says why nothing was recorded; or, if it is not known whether something was, that it is not.
    pub async fn dispatch(&self, command: &Name, payload: Value, options: CommandOptions) -> Result<Receipt> {
        // Whoever waits for a decision keeps nobody from reading.
        let _away = self.seat.away();
        let CommandOptions { idempotency_key, expected_revision, causation_id } = options;
        let Circumstances { tenant, actor, correlation_id, until } = &self.circumstances;
        let dispatch = Dispatch {
            tenant: tenant.clone(),
            command: command.clone(),
            payload,
            options: DispatchOptions {
                idempotency_key,
                expected_revision,
                actor: actor.clone(),
                correlation_id: *correlation_id,
                causation_id,
            },
        };
        self.ground.dispatch(&self.catalogue, &dispatch, *until).await
    }

    /// Waits until a read model shows what has been recorded of a stream.
    ///
    /// # Errors
    /// `LAGGING` when it takes too long, or when the stream has been put aside.
    pub async fn shows(&self, model: &Name, stream: &StreamId, position: Position) -> Result<()> {
        self.caught_up(model, position).await?;
        let from = self.reads.stands_from(self.model(model)?, &self.circumstances.tenant, stream);
        match from.filter(|from| *from <= position) {
            Some(from) => {
                let (model, stream) = (model.to_string(), stream.to_string());
                Err(Error::Aside { model, stream, wanted: position, from })
            }
            None => Ok(()),
        }
    }

    /// Waits until a read model shows everything up to a position.
    ///
    /// # Errors
    /// `LAGGING` when it takes too long.
    pub async fn caught_up(&self, model: &Name, position: Position) -> Result<()> {
        let known = self.model(model)?;
        // What is shown already is not waited for, and needs no place to be left.
        let _away = (self.position(model) < position).then(|| self.seat.away());
        self.ground.caught_up(known, position, self.circumstances.until).await
    }

    /// The position up to which everything is in what is read of a read model from now on, as far as this process knows:
    /// there may be more in it.
    #[must_use]
    pub fn position(&self, model: &Name) -> Position {
        self.catalogue.model(model).map_or(Position::ZERO, |model| self.ground.reads.position(model))
    }

    /// Rows by their keys, in any order, with these columns and the key, or with all columns, by one statement; keys
    /// without a row are left out.
    ///
    /// # Errors
    /// When they may not be read, or the database can't be.
    pub async fn rows(&self, model: &Name, keys: &[String], columns: Option<&[String]>) -> Result<Rows> {
        let model = self.model(model)?;
        let reads = &self.reads;
        self.read(model, None, &[], reads.rows(model, &self.circumstances.tenant, keys, columns)).await
    }

    /// Rows that meet a selection, in its order, by one statement.
    ///
    /// # Errors
    /// When they may not be read, or the database can't be.
    pub async fn select(&self, model: &Name, select: &Select) -> Result<Rows> {
        let model = self.model(model)?;
        let reads = &self.reads;
        let rows = reads.select(model, &self.circumstances.tenant, select);
        self.read(model, select.filter.as_ref(), &select.order, rows).await
    }

    /// Rows that meet a selection for each of several values of a field, by one statement: limit and offset are those of
    /// one value. Rows of one value are together, in the selection's order.
    ///
    /// # Errors
    /// When they may not be read, or the database can't be.
    pub async fn select_each(&self, model: &Name, each: &Each, select: &Select) -> Result<Rows> {
        let model = self.model(model)?;
        let reads = &self.reads;
        let rows = reads.select_each(model, &self.circumstances.tenant, each, select);
        self.read(model, select.filter.as_ref(), &select.order, rows).await
    }

    /// How many rows meet a filter, by one statement.
    ///
    /// # Errors
    /// When they may not be read, or the database can't be.
    pub async fn count(&self, model: &Name, filter: Option<&Filter>) -> Result<u64> {
        let model = self.model(model)?;
        let reads = &self.reads;
        self.read(model, filter, &[], reads.count(model, &self.circumstances.tenant, filter)).await
    }

    /// What is computed of the rows that meet a filter, all together or in groups, by one statement.
    ///
    /// # Errors
    /// When they may not be read, or the database can't be.
    pub async fn aggregate(&self, model: &Name, aggregate: &Aggregate) -> Result<Vec<Group>> {
        let model = self.model(model)?;
        let reads = &self.reads;
        let groups = reads.aggregate(model, &self.circumstances.tenant, aggregate);
        self.read(model, aggregate.filter.as_ref(), &[], groups).await
    }

    /// The same for each of several values of a field, by one statement, each group with its value.
    ///
    /// # Errors
    /// When they may not be read, or the database can't be.
    pub async fn aggregate_each(
        &self,
        model: &Name,
        each: &Each,
        aggregate: &Aggregate,
    ) -> Result<Vec<(Value, Group)>> {
        let model = self.model(model)?;
        let reads = &self.reads;
        let groups = reads.aggregate_each(model, &self.circumstances.tenant, each, aggregate);
        self.read(model, aggregate.filter.as_ref(), &[], groups).await
    }

    /// The table of a read model, for conditions on rows that are related to others. Whoever reads by such a condition
    /// must be allowed to read this read model as well.
    ///
    /// # Errors
    /// While its rows may not be shown.
    pub fn table(&self, model: &Name) -> Result<&Table> {
        self.ground.reads.table(self.model(model)?)
    }

    /// Asks a named query. Rows answer it if it is a declared one, of which `page` says how many; and otherwise a guest.
    ///
    /// # Errors
    /// Says what is wrong with the arguments, what the domain has against it, or why there is no answer.
    pub async fn ask(&self, query: &Name, arguments: Value, page: PageOptions) -> Result<Answered> {
        let known = self.catalogue.query(query);
        let known = known.ok_or_else(|| Error::Unknown { kind: "query", name: query.to_string() })?;
        let Circumstances { tenant, actor, correlation_id, .. } = &self.circumstances;
        let ask = Ask {
            tenant: tenant.clone(),
            query: query.clone(),
            arguments,
            page,
            actor: actor.clone(),
            correlation_id: *correlation_id,
        };
        let answer = async {
            known.shows.iter().try_for_each(|model| self.may_read(model))?;
            self.may_follow(&ask.page.order)?;
            if known.declared().is_some() {
                let _reading = self.seat.take(&self.ground.places).await?;
                return self.ground.named.ask(known, &self.reads, ask).await;
            }
            // A guest has a place of its own, and those who wait for one keep nobody from reading.
            let _away = self.seat.away();
            self.ground.named.ask(known, &self.reads, ask).await
        };
        self.around(What::Query(query), &known.manifest.roles, answer).await
    }

    /// Lets a subscription begin, or refuses it. Many may follow the same thing together, so each is let in by itself, and
    /// what it follows is opened elsewhere; what is looked up for each message is asked of a session of its own.
    ///
    /// # Errors
    /// When it may not be had.
    pub fn admit(&self, what: What<'_>) -> Result<()> {
        self.ground.layers.at_once(&self.asked(what, &[]), || match what {
            // What has changed in a row is told by showing the row.
            What::Changes(model) => self.may_read(model),
            _ => Ok(()),
        })
    }

    /// Asks whether rows of a read model may be read, without reading any.
    ///
    /// # Errors
    /// When they may not.
    pub fn may_read(&self, model: &Name) -> Result<()> {
        self.ground.layers.allow(&self.asked(What::Model(model), &[]))
    }

    /// Reads a read model, by a filter and in an order that may look at others.
    async fn read<T: Reply>(
        &self,
        model: &Model,
        filter: Option<&Filter>,
        order: &[Order],
        read: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let run = async {
            if let Some(filter) = filter {
                self.may_look(filter)?;
            }
            self.may_follow(order)?;
            let _reading = self.seat.take(&self.ground.places).await?;
            read.await
        };
        self.around(What::Model(&model.manifest.name), &[], run).await
    }

    async fn around<T: Reply>(
        &self,
        what: What<'_>,
        roles: &[Name],
        run: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        let until = Until::since(began, self.ground.settings.query_ms).or(self.circumstances.until);
        self.ground.layers.around(&self.asked(what, roles), began, until, run).await
    }

    fn asked<'a>(&'a self, what: What<'a>, roles: &'a [Name]) -> Asked<'a> {
        let Circumstances { tenant, actor, correlation_id, .. } = &self.circumstances;
        Asked { what, roles, tenant, actor: actor.as_ref(), correlation_id: *correlation_id }
    }

    /// Asks the guard for every read model that a filter looks at.
    fn may_look(&self, filter: &Filter) -> Result<()> {
        match filter {
            Filter::All(parts) | Filter::Any(parts) => parts.iter().try_for_each(|part| self.may_look(part)),
            Filter::Not(inner) => self.may_look(inner),
            Filter::Related { link, filter, .. } => {
                self.may_reach(link)?;
                filter.as_ref().map_or(Ok(()), |filter| self.may_look(filter))
            }
            Filter::Compare { .. } | Filter::In { .. } | Filter::Null { .. } | Filter::Search { .. } => Ok(()),
        }
    }

    /// The same for those that an order leads to: where a row comes says something of what it is related to.
    fn may_follow(&self, order: &[Order]) -> Result<()> {
        order.iter().flat_map(|order| &order.through).try_for_each(|link| self.may_reach(link))
    }

    /// A table that nobody knows is nobody's to look at.
    fn may_reach(&self, link: &Link) -> Result<()> {
        let model = self.catalogue.models().find(|model| model.table.name == link.table.name);
        let model = model.ok_or_else(|| Error::Forbidden { what: format!("reading {}", link.table.name) })?;
        self.may_read(&model.manifest.name)
    }

    fn model(&self, name: &Name) -> Result<&Arc<Model>> {
        let known = self.catalogue.model(name);
        known.ok_or_else(|| Error::Unknown { kind: "read model", name: name.to_string() })
    }
}
