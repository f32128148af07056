//! A shard: the loop that owns the state of its streams.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;
use yado_model::Revision;
use yado_store::{Appended, EventStore};

use super::active::{Active, Flown, Next};
use super::figures::Figures;
use super::key::StreamMap;
use super::load::{Loaded, Loader, Tip};
use super::resident::Resident;
use super::room::Room;
use super::snapshot::Snapshots;
use super::told::{Refused, refuse};
use super::{Job, Message, StreamKey};
use crate::catalogue::AggregateType;
use crate::lane::Lane;
use crate::{Result, Settings};

/// The pause between two looks for commands that nobody waits for any more. They are looked for only when room is short.
const LOOK: Duration = Duration::from_millis(100);

/// Something that a shard has waited for.
enum Done {
    /// What the log had when it was asked at that time.
    Loaded(StreamKey, Arc<AggregateType>, Instant, Result<Loaded>),
    /// What has come of the group that was sent at that time.
    Flown(StreamKey, Instant, yado_store::Result<Vec<Appended>>),
    Paused(StreamKey),
    Turn(StreamKey),
}

/// What a shard works with.
pub(super) struct Surroundings {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) lane: Lane,
    pub(super) snapshots: Snapshots,
    pub(super) figures: Figures,
    /// Room for what is decided, which all shards share.
    pub(super) room: Arc<Room>,
    pub(super) settings: Arc<Settings>,
}

pub(super) struct Shard {
    loader: Loader,
    lane: Lane,
    settings: Arc<Settings>,
    snapshots: Snapshots,
    figures: Figures,
    room: Arc<Room>,
    resident: Resident,
    active: StreamMap<Active>,
    /// What is under way outside: reads and appends.
    under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Commands taken in and not answered yet. When there are too many the shard takes in no more, its queue fills, and
    /// whoever comes then is refused at once.
    unanswered: usize,
    /// How many may wait at one stream. Others are to find room too, whatever happens to this one.
    crowd: usize,
    /// Whether one of them was refused because so many do.
    crowded: bool,
    /// When abandoned commands were last looked for.
    looked: tokio::time::Instant,
}

impl Shard {
    pub(super) fn new(surroundings: Surroundings) -> Self {
        let Surroundings { store, lane, snapshots, figures, room, settings } = surroundings;
        let resident = Resident::new(settings.resident_bytes / settings.shards.max(1));
        let (active, under_way) = (StreamMap::default(), FuturesUnordered::new());
        let loader = Loader { store, figures: figures.clone(), page: settings.batch };
        let crowd = (settings.shard_queue / 2).max(1);
        let looked = tokio::time::Instant::now();
        Self {
            loader,
            lane,
            settings,
            snapshots,
            figures,
            room,
            resident,
            active,
            under_way,
            unanswered: 0,
            crowd,
            crowded: false,
            looked,
        }
    }

    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut open = true;
        while open || !self.under_way.is_empty() {
            let short = self.crowded || !self.has_room();
            if short && self.looked.elapsed() >= LOOK {
                self.forget_abandoned();
            }
            tokio::select! {
                biased;
                Some(done) = self.under_way.next() => self.finish(done),
                message = messages.recv(), if open && self.has_room() => match message {
                    Some(message) => self.take(message),
                    None => open = false,
                },
                () = tokio::time::sleep_until(self.looked + LOOK), if short => {}
                // There is nothing else to do.
                () = std::future::ready(()), if self.resident.has_news() => self.figures.add(self.resident.news()),
            }
        }
        self.figures.add(self.resident.news());
    }

    /// Whether more can be taken in. Probes need no answer of the lane, but the reads that they cause are bounded too.
    fn has_room(&self) -> bool {
        self.unanswered.max(self.under_way.len()) < self.settings.shard_queue
    }

    /// Makes room of what nobody waits for any more. A stream whose state can't be had does not do it by itself.
    fn forget_abandoned(&mut self) {
        self.unanswered -= self.active.values_mut().map(Active::forget_abandoned).sum::<usize>();
        self.crowded = false;
        self.looked = tokio::time::Instant::now();
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Decide(job) => self.decide(job),
            Message::Exists { key, aggregate, reply } => {
                if let Some(active) = self.active.get_mut(&key) {
                    if active.is_crowded(self.crowd) {
                        self.crowded = true;
                        let _ = reply.send(Err(Refused::Crowded.into()));
                    } else {
                        active.probe(reply);
                    }
                    return;
                }
                let from = self.resident.take(&key, aggregate.state_encoding()).unwrap_or_default();
                let mut active = Active::new(aggregate.clone(), &self.settings);
                active.probe(reply);
                self.active.insert(key.clone(), active);
                self.load(key, aggregate, from, Duration::ZERO);
            }
        }
    }

    fn decide(&mut self, job: Box<Job>) {
        let key = job.key.clone();
        if let Some(active) = self.active.get_mut(&key) {
            if active.is_crowded(self.crowd) {
                self.crowded = true;
                refuse(*job, Refused::Crowded);
                return;
            }
            if active.durable().is_some() {
                self.resident.met();
            }
            active.push(job);
        } else {
            let mut active = Active::new(job.aggregate.clone(), &self.settings);
            // A stream that the host has just made an id for has no events, and need not be looked for.
            let known = if job.fresh { None } else { self.resident.take(&key, job.aggregate.state_encoding()) };
            match known {
                Some(tip) => active.woken(tip),
                None if job.fresh => active.loaded(Tip::default(), Instant::now()),
                None => self.load(key.clone(), active.aggregate.clone(), Tip::default(), Duration::ZERO),
            }
            active.push(job);
            self.active.insert(key.clone(), active);
        }
        self.unanswered += 1;
        self.advance(key);
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Loaded(key, aggregate, asked, Ok(Loaded { tip, folded })) => {
                self.snapshots.folded(&key, &aggregate, folded, &tip);
                if let Some(active) = self.active.get_mut(&key) {
                    active.loaded(tip, asked);
                }
                self.advance(key);
            }
            Done::Loaded(key, _, _, Err(error)) => {
                if let Some(active) = self.active.remove(&key) {
                    self.unanswered -= active.failed(&error);
                }
            }
            Done::Flown(key, sent, outcome) => {
                let Some(active) = self.active.get_mut(&key) else { return };
                let mut answered = 0;
                let before = active.durable().map(|tip| tip.revision).unwrap_or_default();
                let flown = active.flown(sent, outcome, &self.settings, &mut answered);
                let aggregate = active.aggregate.clone();
                self.unanswered -= answered;
                match flown {
                    Flown::Well => {
                        self.snapshots.passed(&key, &aggregate, before, active.durable());
                        self.advance(key);
                    }
                    Flown::Reload(from, pause) => {
                        // What had won before something lost counts as well.
                        self.snapshots.passed(&key, &aggregate, before, Some(&from));
                        self.load(key, aggregate, from, pause);
                    }
                }
            }
            Done::Paused(key) => {
                if let Some(active) = self.active.get_mut(&key) {
                    active.paused();
                }
                self.advance(key);
            }
            Done::Turn(key) => self.advance(key),
        }
    }

    fn advance(&mut self, key: StreamKey) {
        let Some(active) = self.active.get_mut(&key) else { return };
        let mut answered = 0;
        let next = active.advance(&self.settings, &self.room, &mut answered);
        self.unanswered -= answered;
        match next {
            Next::Wait => {}
            Next::Turn => self.under_way.push(Box::pin(async move {
                tokio::task::yield_now().await;
                Done::Turn(key)
            })),
            Next::Pause(pause) => self.under_way.push(Box::pin(async move {
                tokio::time::sleep(pause).await;
                Done::Paused(key)
            })),
            Next::Load(from) => {
                let aggregate = active.aggregate.clone();
                self.load(key, aggregate, from, Duration::ZERO);
            }
            Next::Fly(appends) => {
                let (lane, sent) = (self.lane.clone(), Instant::now());
                self.under_way.push(Box::pin(async move { Done::Flown(key, sent, lane.append(appends).await) }));
            }
            Next::Rest => {
                if let Some(active) = self.active.remove(&key) {
                    let encoding = active.aggregate.state_encoding().clone();
                    // What is not there takes no room from what is: ids can be guessed by the million.
                    if let Some(tip) = active.into_base().filter(|tip| tip.revision > Revision::ZERO) {
                        self.resident.put(key, encoding, tip);
                    }
                }
            }
        }
    }

    fn load(&mut self, key: StreamKey, aggregate: Arc<AggregateType>, from: Tip, pause: Duration) {
        let loader = self.loader.clone();
        self.under_way.push(Box::pin(async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let asked = Instant::now();
            let loaded = loader.load(&aggregate, &key, from).await;
            Done::Loaded(key, aggregate, asked, loaded)
        }));
    }
}
