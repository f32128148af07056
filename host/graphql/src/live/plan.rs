//! What a subscription asks for: read, checked, and ready to be told by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Name, Positioned, ServerError};
use async_graphql_value::Value;
use serde_json::Value as Json;
use yado_engine::{Cursor, Table, Until, What};
use yado_model::{Actor, Code, Position, TenantId};

use super::Live;
use super::cohort::AT_ONCE_BYTES;
use super::happening::Happened;
use super::memory::Memory;
use super::patience::Patience;
use super::source::Bound;
use super::subscriber::Message;
use super::topic::Topic;
use crate::api::{AFTER, Resolve, SUBSCRIPTION};
use crate::backend::Backend;
use crate::error::Error;
use crate::graphql::Served;
use crate::input::{Arguments, Variables};
use crate::opened::{Opened, Sound};
use crate::request::Response;
use crate::select::{self, Ground, Tables};
use crate::{Limits, cost};

/// What makes two subscriptions the same: they are told the same. The place from which one is to go on is not of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    document: String,
    operation: Option<String>,
    variables: String,
    tenant: TenantId,
    actor: Option<Actor>,
}

/// What a subscription asks for.
pub(crate) struct Plan {
    opened: Opened,
    pub(crate) key: Arc<Key>,
    pub(super) topic: Arc<Topic>,
    /// So much of what has happened is brought into form at once.
    at_once: usize,
    /// The read models that are shown beside what has happened.
    related: BTreeSet<yado_model::Name>,
    /// Whether what could not be read the last time could not be read however often it was tried.
    is_tired: AtomicBool,
}

/// Read models that are to be waited for, so that they show what is told as it was by then.
pub(super) struct Behind {
    models: Vec<yado_model::Name>,
    /// The position that they are to come to.
    pub(super) wanted: Position,
}

/// What has happened in the form that was asked for.
struct Formed {
    messages: Vec<Message>,
    /// Whether something has gone wrong with any of it.
    is_wrong: bool,
    /// Whether another attempt may do better.
    passes: bool,
}

/// More than so much is not brought into form at once, however little it is.
const AT_ONCE_MOST: u64 = 100;

/// Nothing can be learnt of what a row is related to by the row alone.
struct Alone;

impl Tables for Alone {
    fn table(&self, model: &yado_model::Name) -> Result<Table, Error> {
        Err(Error::input(format!(
            "where asks for what is related in {model}, which a subscription can't: it is told of a row by the row alone"
        )))
    }
}

impl Plan {
    /// Reads what a subscription asks for, and after which place.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) async fn new(
        opened: Opened,
        limits: &Limits,
        backend: &dyn Backend,
    ) -> Result<(Self, Option<Cursor>), Vec<ServerError>> {
        let operation = opened.operation()?;
        let variables = Variables::new(&operation.node, &opened.variables);
        let Sound { roots, .. } = opened.check(limits, &variables).await?;
        let object = opened.served.api.object(SUBSCRIPTION);
        let found = match (roots.as_slice(), object) {
            ([root], Some(object)) => root.field(object).map(|found| (root, found)),
            _ => None,
        };
        let Some((root, (field, arguments))) = found else {
            return Err(vec![Error::input("a subscription asks for exactly one field of Subscription").whole()]);
        };
        let at = |error: Error| vec![error.at(Some(root.position()), root.path())];
        let topic = Arc::new(topic(&opened, limits, backend, &field.resolve, arguments).map_err(at)?);
        let asked = after(arguments.get(AFTER)).map_err(at)?;
        let after = opened.caller.told.or(asked);
        // Where to go on from is left out of what subscriptions have in common, if nothing else is said by it.
        let own = root.variable(AFTER).filter(|name| uses(&opened.prepared.document, name) == 1);
        let given: BTreeMap<&str, &Json> = opened
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .filter(|(name, _)| own.is_none_or(|own| own.as_str() != *name))
            .collect();
        let key = Key {
            document: opened.prepared.text().to_owned(),
            operation: opened.prepared.operation_name().map(str::to_owned),
            variables: serde_json::to_string(&given).unwrap_or_default(),
            tenant: opened.caller.tenant.clone(),
            actor: opened.caller.actor.clone(),
        };
        drop(roots);
        // Together they are no more than one answer may be.
        let (api, document) = (&opened.served.api, &opened.prepared.document);
        let weight = cost::check(api, limits, document, operation, &variables).map_err(|error| vec![error.whole()])?;
        let at_once = (limits.complexity_max / weight.max(1)).clamp(1, AT_ONCE_MOST);
        let at_once = usize::try_from(at_once).unwrap_or(1);
        let related = {
            let (until, null) = (Until::after(limits.timeout_ms), async_graphql::Value::Null);
            let session = opened.session(backend, until);
            opened.execution(limits, &*session, &variables, null, until).related(operation)
        };
        drop(variables);
        let (key, is_tired) = (Arc::new(key), AtomicBool::new(false));
        Ok((Self { opened, key, topic, at_once, related, is_tired }, after))
    }

    /// The same by another deployment.
    ///
    /// # Errors
    /// Why it is not sound any more.
    pub(super) async fn by(&self, served: Arc<Served>, live: &Live) -> Result<Self, Vec<ServerError>> {
        let (plan, _) = Self::new(self.opened.by(served), &live.limits, live.backend.as_ref()).await?;
        if plan.topic.subject() == self.topic.subject() {
            Ok(plan)
        } else {
            Err(vec![Error::input("what is asked for is of another read model by now").whole()])
        }
    }

    /// How much is brought into form at once.
    pub(super) const fn at_once(&self) -> Bound {
        Bound { most: self.at_once, bytes: AT_ONCE_BYTES }
    }

    /// Whether it was read by a deployment.
    pub(crate) fn is_by(&self, served: &Arc<Served>) -> bool {
        Arc::ptr_eq(&self.opened.served, served)
    }

    pub(crate) fn tenant(&self) -> &TenantId {
        &self.opened.caller.tenant
    }

    /// Lets one more follow it, or refuses.
    ///
    /// # Errors
    /// If the asker may not see what is asked for.
    pub(crate) fn admit(&self, limits: &Limits, backend: &dyn Backend) -> Result<(), Error> {
        let what = match &*self.topic {
            Topic::Events { .. } => What::Events,
            Topic::Changes { model, .. } => What::Changes(model),
        };
        Ok(self.opened.session(backend, Until::after(limits.timeout_ms)).admit(what)?)
    }

    /// Brings what has happened into the form that was asked for. The messages take their part of a memory. Before that it
    /// waits for what is shown beside it; and what can't be looked up is tried again for a while, since whoever is told
    /// something goes on behind it, and is not told it again.
    pub(super) async fn tell(&self, happened: &[Arc<Happened>], live: &Live, memory: &Memory) -> Vec<Message> {
        let mut patience = Patience::new();
        loop {
            if let Some(behind) = self.behind(happened, live) {
                self.wait_for(&behind, live).await;
            }
            if let Some(messages) = self.attempt(happened, live, memory, &mut patience).await {
                return messages;
            }
            patience.rest().await;
        }
    }

    /// What is to be waited for before what has happened is told; nothing, if there is nothing that is worth it.
    pub(super) fn behind(&self, happened: &[Arc<Happened>], live: &Live) -> Option<Behind> {
        let wanted = happened.last()?.cursor.position;
        if self.related.is_empty() {
            return None;
        }
        let session = self.opened.session(live.backend.as_ref(), Until::after(live.limits.timeout_ms));
        let models = live.lagged.behind(&*session, &self.related, wanted);
        (!models.is_empty()).then_some(Behind { models, wanted })
    }

    /// Waits for what is shown beside what has happened.
    pub(super) async fn wait_for(&self, behind: &Behind, live: &Live) {
        let session = self.opened.session(live.backend.as_ref(), Until::after(live.limits.timeout_ms));
        live.lagged.wait(&*session, &behind.models, behind.wanted).await;
    }

    /// Brings what has happened into form, without waiting for anything. There is nothing if it fails for a reason that
    /// passes: then it is to be tried again after a rest, and with the same patience. What has not passed by the end of that
    /// is told as it is, and not tried again before it has.
    pub(super) async fn attempt(
        &self,
        happened: &[Arc<Happened>],
        live: &Live,
        memory: &Memory,
        patience: &mut Patience,
    ) -> Option<Vec<Message>> {
        if happened.is_empty() {
            return Some(Vec::new());
        }
        let until = Until::after(live.limits.timeout_ms);
        let formed = self.form(happened, live, memory, until).await;
        if formed.passes && !self.is_tired.load(Ordering::Relaxed) {
            if patience.is_new() {
                let (subject, tenant) = (self.topic.subject(), self.tenant());
                tracing::warn!(%subject, %tenant, "what a subscription is told can't be looked up; it is tried again");
            }
            if patience.is_left(Duration::from_millis(live.limits.slow_ms)) {
                return None;
            }
        }
        *patience = Patience::new();
        self.is_tired.store(formed.passes, Ordering::Relaxed);
        if happened.len() == 1 || !formed.is_wrong {
            return Some(formed.messages);
        }
        // It is not known with which of them it has gone wrong, and so each is told by itself. What took too long at once need
        // not one by one, and so each has time of its own. But where a database says nothing at all others wait for their
        // turn: once one has failed for a reason that passes, those behind it have what is left of its time.
        let (mut all, mut shared) = (Vec::with_capacity(happened.len()), None);
        for one in happened {
            let until = shared.unwrap_or_else(|| Until::after(live.limits.timeout_ms));
            let formed = self.form(std::slice::from_ref(one), live, memory, until).await;
            if formed.passes {
                shared = Some(until);
            }
            all.extend(formed.messages);
        }
        Some(all)
    }

    async fn form(&self, happened: &[Arc<Happened>], live: &Live, memory: &Memory, until: Until) -> Formed {
        let nothing = || Formed { messages: Vec::new(), is_wrong: false, passes: false };
        let values: Vec<&Json> = happened.iter().map(|happened| &happened.value).collect();
        // It was found when the plan was made.
        let Ok(operation) = self.opened.operation() else { return nothing() };
        let variables = Variables::new(&operation.node, &self.opened.variables);
        let session = self.opened.session(live.backend.as_ref(), until);
        let execution = self.opened.execution(&live.limits, &*session, &variables, async_graphql::Value::Null, until);
        let (told, errors) = execution.told(operation, &values).await;
        let (is_wrong, passes) = (!errors.is_empty(), errors.iter().any(passes));
        let message = |(happened, data): (&Arc<Happened>, _)| {
            let cursor = happened.cursor;
            Message::new(cursor, Response::new(data, errors.clone()).at(cursor).to_text(), memory)
        };
        Formed { messages: happened.iter().zip(told).map(message).collect(), is_wrong, passes }
    }
}

/// Whether what an error is about may be had by another attempt.
fn passes(error: &ServerError) -> bool {
    let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
    let passing = [Code::Unavailable, Code::Timeout].map(Code::as_str);
    matches!(code, Some(async_graphql::Value::String(code)) if passing.contains(&code.as_str()))
}

fn topic(
    opened: &Opened,
    limits: &Limits,
    backend: &dyn Backend,
    resolve: &Resolve,
    arguments: &Arguments<'_>,
) -> Result<Topic, Error> {
    let text = |name: &str| arguments.get(name).and_then(Json::as_str).map(str::to_owned);
    let texts = |name: &str| {
        let items = arguments.get(name)?.as_array()?;
        Some(items.iter().filter_map(Json::as_str).map(str::to_owned).collect())
    };
    match resolve {
        Resolve::Events => Ok(Topic::Events { aggregates: texts("aggregates"), names: texts("names"), id: text("id") }),
        Resolve::Changes { model, kind, key } => {
            let ground = Ground { api: &opened.served.api, limits, tables: &Alone };
            let filter = match select::which(&ground, model, &[], arguments)?.filter {
                Some(filter) => {
                    let session = opened.session(backend, Until::after(limits.timeout_ms));
                    Some((filter, opened.served.table(model, || session.table(model))?))
                }
                None => None,
            };
            Ok(Topic::Changes { model: model.clone(), kind: *kind, key: text(key), filter })
        }
        _ => Err(Error::input("a subscription asks for exactly one field of Subscription")),
    }
}

/// The place to go on from: a cursor, or a position, which is a number where it is asked for as one.
fn after(given: Option<&Json>) -> Result<Option<Cursor>, Error> {
    let wrong = || Error::input(format!("{AFTER} must be a position, or the cursor of an earlier message"));
    match given {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => text.parse().map(Some).map_err(|_| wrong()),
        Some(value) => value.as_u64().map(|position| Some(Cursor::all_of(Position::new(position)))).ok_or_else(wrong),
    }
}

/// How often a document uses a variable.
fn uses(document: &ExecutableDocument, name: &Name) -> usize {
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
    let operations: Vec<&SelectionSet> = match &document.operations {
        DocumentOperations::Single(operation) => vec![&operation.node.selection_set.node],
        DocumentOperations::Multiple(all) => all.values().map(|operation| &operation.node.selection_set.node).collect(),
    };
    let mut uses = Uses { of: name, count: 0 };
    operations.into_iter().chain(fragments).for_each(|set| uses.set(set));
    uses.count
}

struct Uses<'n> {
    of: &'n Name,
    count: usize,
}

impl Uses<'_> {
    fn set(&mut self, set: &SelectionSet) {
        for selection in &set.items {
            let (directives, below) = match &selection.node {
                Selection::Field(field) => {
                    field.node.arguments.iter().for_each(|(_, value)| self.value(&value.node));
                    (&field.node.directives, Some(&field.node.selection_set.node))
                }
                Selection::FragmentSpread(spread) => (&spread.node.directives, None),
                Selection::InlineFragment(inline) => (&inline.node.directives, Some(&inline.node.selection_set.node)),
            };
            let given = directives.iter().flat_map(|directive| &directive.node.arguments);
            given.for_each(|(_, value): &(_, Positioned<Value>)| self.value(&value.node));
            below.into_iter().for_each(|set| self.set(set));
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Variable(name) if name == self.of => self.count += 1,
            Value::List(items) => items.iter().for_each(|item| self.value(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.value(field)),
            _ => {}
        }
    }
}
