//! What all follow who ask for something of the same subject: it is followed once, and brought to those whom it concerns.
//!
//! What happens is read once, whoever is told of it, and those whom it may concern are found by an index. So what one more
//! subscription costs does not hang on what happens, as long as that is nothing to it.
//!
//! Invariant: whoever has entered is brought everything that holds of its topic and lies behind the place that it was given
//! when it entered, in order and once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::watch;
use tokio::task::AbortHandle;
use yado_engine::{Cursor, Error as EngineError};
use yado_model::TenantId;

use super::Live;
use super::cohort::{AGAIN_MS, PAUSES};
use super::happening::{Happening, OnTheWay};
use super::inbox::Inbox;
use super::source::{Failure, Followed};
use super::topic::{Index, Subject, Topic};

/// So many are asked whether something holds of their topic before others come to their turn.
const ASKED_AT_ONCE: usize = 256;

/// What is followed, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) subject: Subject,
    pub(super) tenant: TenantId,
}

/// What is followed for all who ask for something of it.
pub(super) struct Hub {
    pub(super) place: Place,
    state: Mutex<State>,
    /// Whether what is followed has begun.
    begun: watch::Sender<bool>,
    task: OnceLock<AbortHandle>,
}

#[derive(Default)]
struct State {
    /// Those who are in, by what they are called.
    entries: HashMap<u64, (Index, Arc<Entry>)>,
    /// Where each of them is looked for.
    places: HashMap<Index, HashMap<String, HashMap<u64, Arc<Entry>>>>,
    /// What is being brought at present: those who come now are not brought that any more.
    taken: Option<Cursor>,
    /// Everything up to here has been brought.
    brought: Option<Cursor>,
    /// Where what is followed had come to when it was first known that it has begun.
    began: Option<Cursor>,
    /// Why nothing is brought any more.
    ended: Option<EngineError>,
}

/// One who is in.
struct Entry {
    topic: Arc<Topic>,
    inbox: Arc<Inbox>,
    /// At which places of its index it is.
    places: Vec<String>,
}

impl Hub {
    /// Begins to follow. From when this returns nothing is missed.
    pub(super) fn start(live: &Arc<Live>, place: Place) -> Result<Arc<Self>, EngineError> {
        let followed = live.source.follow(&place.subject, &place.tenant, None)?;
        let reached = followed.reached();
        let state = State { taken: reached, brought: reached, began: reached, ..State::default() };
        let begun = watch::Sender::new(reached.is_some());
        let hub = Arc::new(Self { place, state: Mutex::new(state), begun, task: OnceLock::new() });
        let course = Course { live: live.clone(), hub: hub.clone() };
        let task = tokio::spawn(Box::pin(follow(course, followed)));
        // It was empty.
        let _ = hub.task.set(task.abort_handle());
        Ok(hub)
    }

    /// Lets one in, or has it ask for something else from now on. It is brought everything behind the place that is returned;
    /// nothing is returned if that is not known yet.
    pub(super) fn enter(&self, id: u64, topic: &Arc<Topic>, inbox: &Arc<Inbox>) -> Option<Cursor> {
        let mut state = self.state();
        state.remove(id);
        if let Some(error) = &state.ended {
            inbox.fail(error.clone());
        }
        let (index, places) = topic.places();
        let places: Vec<String> = places.into_iter().collect();
        let entry = Arc::new(Entry { topic: topic.clone(), inbox: inbox.clone(), places });
        let of_index = state.places.entry(index.clone()).or_default();
        for place in &entry.places {
            of_index.entry(place.clone()).or_default().insert(id, entry.clone());
        }
        state.entries.insert(id, (index, entry));
        state.taken
    }

    pub(super) fn leave(&self, id: u64) {
        self.state().remove(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state().entries.is_empty()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().ended.is_some()
    }

    /// What has been brought last, or is being brought. Nothing, if it has not begun yet.
    pub(super) fn taken(&self) -> Option<Cursor> {
        self.state().taken
    }

    /// Everything up to here has been brought. Nothing, if it has not begun yet.
    pub(super) fn brought(&self) -> Option<Cursor> {
        self.state().brought
    }

    /// A place that what is followed has not begun behind, known as soon as it has begun. Whoever entered before that was
    /// known is brought everything behind the beginning, and so everything behind this place.
    pub(super) fn began(&self) -> Option<Cursor> {
        self.state().began
    }

    /// Waits until what is followed has begun.
    pub(super) async fn begun(&self) {
        // The sender is here.
        let _ = self.begun.subscribe().wait_for(|begun| *begun).await;
    }

    /// Follows nothing any more.
    pub(super) fn stop(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// Brings what has happened to those whom it concerns.
    async fn bring(&self, happening: Happening<'_>, on_the_way: &OnTheWay) {
        let (cursor, before) = (happening.occurred.cursor(), happening.occurred.before());
        let has_room = on_the_way.has_room();
        if self.state().reads(&happening) {
            // It is read before the index is looked at, so that nobody waits for that meanwhile. If it can't be read, whoever
            // needs it is told so.
            let _ = happening.told();
        }
        for (asked, entry) in (1_usize..).zip(self.take(cursor, &happening)) {
            match entry.topic.holds_of(&happening) {
                Ok(false) => {}
                Ok(true) if !has_room => entry.inbox.miss(before, cursor),
                Ok(true) => match happening.told() {
                    Ok(happened) => entry.inbox.offer(happened, before),
                    Err(failure) => entry.inbox.fail(failure.error),
                },
                Err(failure) => entry.inbox.fail(failure.error),
            }
            if asked.is_multiple_of(ASKED_AT_ONCE) {
                // There may be many whose filters have to be looked at, and others are to come to their turn.
                tokio::task::yield_now().await;
            }
        }
        self.state().brought = Some(cursor);
    }

    /// Those whom it may concern what has happened.
    fn take(&self, cursor: Cursor, happening: &Happening<'_>) -> Vec<Arc<Entry>> {
        let mut state = self.state();
        state.taken = Some(cursor);
        let mut found = Vec::new();
        for (index, places) in &state.places {
            match index.place(happening) {
                Ok(None) => {}
                Ok(Some(place)) => found.extend(places.get(&*place).into_iter().flat_map(HashMap::values).cloned()),
                // Each of them is told why.
                Err(_) => found.extend(places.values().flat_map(HashMap::values).cloned()),
            }
        }
        found
    }

    /// Everything up to here has been brought, if it concerned anybody.
    fn settle(&self, reached: Option<Cursor>) {
        {
            let mut state = self.state();
            state.taken = state.taken.max(reached);
            state.brought = state.brought.max(reached);
            state.began = state.began.or(reached);
        }
        self.begun.send_if_modified(|begun| !std::mem::replace(begun, reached.is_some()) && reached.is_some());
    }

    fn end(&self, error: &EngineError) {
        let mut state = self.state();
        let error = state.ended.get_or_insert_with(|| error.clone()).clone();
        state.entries.values().for_each(|(_, entry)| entry.inbox.fail(error.clone()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are looked for at places of their own.
    #[cfg(test)]
    pub(super) fn concerned(&self, happening: &Happening<'_>) -> usize {
        self.take(happening.occurred.cursor(), happening).len()
    }
}

impl State {
    /// Whether it takes what has happened itself to find whom it concerns.
    fn reads(&self, happening: &Happening<'_>) -> bool {
        self.places.keys().any(|index| index.reads(&happening.occurred))
    }

    fn remove(&mut self, id: u64) {
        let Some((index, entry)) = self.entries.remove(&id) else { return };
        let Some(of_index) = self.places.get_mut(&index) else { return };
        for place in &entry.places {
            if let Some(found) = of_index.get_mut(place) {
                found.remove(&id);
                if found.is_empty() {
                    of_index.remove(place);
                }
            }
        }
        if of_index.is_empty() {
            self.places.remove(&index);
        }
    }
}

/// A hub whose loop goes on. However that ends, those who are in it are told so, and whoever asks for the same from then on
/// begins anew.
struct Course {
    live: Arc<Live>,
    hub: Arc<Hub>,
}

impl Drop for Course {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Place { subject, tenant } = &self.hub.place;
            tracing::error!(%subject, %tenant, "the loop of a subscription has failed; all who follow it are told to subscribe again");
        }
        let reason = "what tells this subscription has stopped".into();
        // Only the first reason counts.
        self.hub.end(&EngineError::Unavailable { reason, retry_after_ms: AGAIN_MS });
        self.live.hub_is_over(&self.hub);
    }
}

/// The loop of a hub. It ends with the hub, or with the last that is in it.
async fn follow(course: Course, mut followed: Box<dyn Followed>) {
    let Course { live, hub } = &course;
    let on_the_way = live.on_the_way.of_another();
    let mut pause = PAUSES.0;
    loop {
        while let Some(occurred) = followed.take() {
            pause = PAUSES.0;
            hub.bring(Happening::on_the_way(occurred, &on_the_way), &on_the_way).await;
        }
        hub.settle(followed.reached());
        match followed.more(None).await {
            Ok(()) => {}
            Err(Failure { error, passes: true }) => {
                let Place { subject, tenant } = &hub.place;
                tracing::warn!(%subject, %tenant, %error, "what is subscribed to can't be read; it is tried again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
            Err(Failure { error, passes: false }) => return hub.end(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures::FutureExt as _;
    use uuid::Uuid;
    use yado_model::{CommandId, CommandMeta, NewEvent, Position, RecordedEvent, Revision, StreamId, Timestamp};

    use super::super::happening::Occurred;
    use super::super::inbox::Arrived;
    use super::super::source::Bound;
    use super::*;

    const ALL: Bound = Bound { most: 1_000, bytes: 1_000_000 };

    fn hub() -> Hub {
        let place = Place { subject: Subject::Events, tenant: TenantId::default() };
        Hub { place, state: Mutex::default(), begun: watch::Sender::new(false), task: OnceLock::new() }
    }

    fn event(position: u64, stream: &str, name: &str) -> RecordedEvent {
        let id = Uuid::from_u128(u128::from(position));
        RecordedEvent {
            tenant: TenantId::default(),
            stream: StreamId::parse(stream).unwrap(),
            revision: Revision::new(1),
            position: Position::new(position),
            recorded_at: Timestamp::from_micros(0),
            event: NewEvent { name: name.into(), version: 1, payload: "{}".into(), tags: Vec::new() },
            command: CommandMeta { command_id: CommandId(id), correlation_id: id, causation_id: None, actor: None },
        }
    }

    fn topic(aggregate: Option<&str>, name: Option<&str>, id: Option<&str>) -> Arc<Topic> {
        let one = |text: &str| BTreeSet::from([text.to_owned()]);
        Arc::new(Topic::Events { aggregates: aggregate.map(one), names: name.map(one), id: id.map(str::to_owned) })
    }

    fn inbox() -> Arc<Inbox> {
        Arc::new(Inbox::new(ALL))
    }

    async fn bring(hub: &Hub, event: &RecordedEvent, on_the_way: &OnTheWay) {
        hub.bring(Happening::on_the_way(Occurred::Event(event), on_the_way), on_the_way).await;
    }

    fn arrived(inbox: &Inbox) -> Vec<Arc<super::super::happening::Happened>> {
        match inbox.next(ALL).now_or_never() {
            Some(Arrived::Happened(all)) => all,
            None => Vec::new(),
            Some(other) => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_happens_is_read_once_for_all_whom_it_concerns() {
        let (hub, on_the_way) = (hub(), OnTheWay::default());
        let topics =
            [topic(None, None, None), topic(None, Some("Added"), None), topic(Some("Ticket"), None, Some("a"))];
        let inboxes: Vec<_> = (1..)
            .zip(&topics)
            .map(|(id, topic)| {
                let inbox = inbox();
                hub.enter(id, topic, &inbox);
                inbox
            })
            .collect();
        bring(&hub, &event(1, "Ticket-a", "Added"), &on_the_way).await;
        let told: Vec<_> = inboxes.iter().flat_map(|inbox| arrived(inbox)).collect();
        assert_eq!(told.len(), 3);
        assert!(told.iter().all(|happened| Arc::ptr_eq(happened, &told[0])), "each has read it for himself");
        assert_eq!(on_the_way.bytes(), 2);
        drop(told);
        assert_eq!(on_the_way.bytes(), 0, "what has been told is not on its way");
        bring(&hub, &event(2, "Venue-a", "Dropped"), &on_the_way).await;
        assert_eq!(inboxes.iter().map(|inbox| arrived(inbox).len()).collect::<Vec<_>>(), [1, 0, 0]);
        assert_eq!(hub.brought(), Some(Cursor::all_of(Position::new(2))));
    }

    #[test]
    fn nobody_is_asked_whom_it_can_not_concern() {
        let hub = hub();
        for id in 0..1_000 {
            hub.enter(id, &topic(None, None, Some(&id.to_string())), &inbox());
            hub.enter(1_000 + id, &topic(None, Some(&format!("Name{id}")), None), &inbox());
            hub.enter(2_000 + id, &topic(Some(&format!("Kind{id}")), None, None), &inbox());
        }
        let asked = |event: &RecordedEvent| hub.concerned(&Happening::new(Occurred::Event(event)));
        assert_eq!(asked(&event(1, "Ticket-a", "Added")), 0);
        assert_eq!(asked(&event(2, "Kind5-7", "Name9")), 3);
        // Whoever has gone, or asks for something else by now, is not asked either.
        hub.leave(7);
        hub.enter(1_009, &topic(None, Some("Name10"), None), &inbox());
        assert_eq!(asked(&event(3, "Kind5-7", "Name9")), 1);
        (0..3_000).for_each(|id| hub.leave(id));
        assert!(hub.is_empty() && hub.state().places.is_empty());
    }

    #[tokio::test]
    async fn whoever_enters_is_brought_what_lies_behind_the_place_that_he_is_given() {
        let (hub, on_the_way) = (hub(), OnTheWay::default());
        let (before, after) = (inbox(), inbox());
        assert_eq!(hub.enter(1, &topic(None, None, None), &before), None);
        bring(&hub, &event(1, "Ticket-a", "Added"), &on_the_way).await;
        assert_eq!(hub.enter(2, &topic(None, None, None), &after), Some(Cursor::all_of(Position::new(1))));
        hub.settle(Some(Cursor::all_of(Position::new(5))));
        assert_eq!(hub.brought(), Some(Cursor::all_of(Position::new(5))));
        bring(&hub, &event(6, "Ticket-a", "Added"), &on_the_way).await;
        assert_eq!((arrived(&before).len(), arrived(&after).len()), (2, 1));
    }

    #[tokio::test]
    async fn where_it_began_is_known_as_soon_as_it_is_said_to_have_begun() {
        let (hub, on_the_way) = (hub(), OnTheWay::default());
        let at = |position| Some(Cursor::all_of(Position::new(position)));
        hub.settle(None);
        assert!(hub.begun().now_or_never().is_none() && hub.began().is_none());
        hub.settle(at(3));
        assert!(hub.begun().now_or_never().is_some());
        bring(&hub, &event(4, "Ticket-a", "Added"), &on_the_way).await;
        hub.settle(at(5));
        assert_eq!((hub.began(), hub.brought()), (at(3), at(5)));
    }

    #[tokio::test]
    async fn what_is_too_much_at_once_is_left_to_be_read() {
        let (hub, on_the_way, inbox) = (hub(), OnTheWay::default(), inbox());
        hub.enter(1, &topic(None, None, None), &inbox);
        let mut large = event(1, "Ticket-a", "Added");
        large.event.payload = format!("\"{}\"", "x".repeat(40_000_000));
        bring(&hub, &large, &on_the_way).await;
        bring(&hub, &event(2, "Ticket-a", "Added"), &on_the_way).await;
        let told = arrived(&inbox);
        assert_eq!(told.len(), 1);
        let Some(Arrived::Missed(missed)) = inbox.next(ALL).now_or_never() else { panic!("it is kept") };
        let at = |position| Cursor::all_of(Position::new(position));
        assert_eq!((missed.after, missed.until), (at(1), at(2)));
    }

    #[tokio::test]
    async fn an_end_is_told_to_all_who_are_in_and_who_come() {
        let (hub, before, after) = (hub(), inbox(), inbox());
        hub.enter(1, &topic(None, None, None), &before);
        hub.end(&EngineError::SchemaChanged { model: "Ticket".into() });
        hub.enter(2, &topic(None, None, None), &after);
        for inbox in [before, after] {
            assert!(matches!(inbox.next(ALL).now_or_never(), Some(Arrived::Failed(_))));
        }
        assert!(hub.has_ended());
    }
}
