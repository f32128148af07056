//! Places for those who read at the same time, and a bounded queue of those who wait for one.
//!
//! A request has one place for all of its reads. It takes it with the first of them and has it until its end. With a place
//! for each statement a request with a hundred fields would be a hundred strangers in the queue: when there is little room
//! all requests would get through half of what they need, and hold the rows of that half while they wait for the rest.
//! So whoever has been let in and only reads finishes, and who is too many is told before anything was done for them.
//!
//! A request that waits for anything else has no place meanwhile, unless one of its reads is under way: neither for a
//! command, nor for a read model to show a position, nor for a guest. Such a wait may take seconds, and would otherwise
//! keep those from reading who need a moment. When it reads again it takes a place like everybody else. A request that
//! waits therefore holds no place that another one waits for, so no two can wait for each other.
//!
//! Commands have a room of their own, in bytes, and guests have places of their own, of which there are as many as threads
//! for them. What a guest reads on the way to its answer is covered by that place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::stream::stopping;
use crate::{Error, Result};

/// When it is worth asking again while all places are taken.
pub(crate) const BUSY_MS: u64 = 100;

/// Places, and how many may wait for one.
#[derive(Clone)]
pub(crate) struct Places {
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Places {
    pub(crate) fn new(places: usize, waiting: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: Arc::new(Semaphore::new(waiting)) }
    }

    /// A place, now or when one is free. Whoever would be one too many to wait is refused at once.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let _turn = self.waiting.try_acquire().map_err(|_| Error::Unavailable {
            reason: "the queries that are under way take all the room that there is".into(),
            retry_after_ms: BUSY_MS,
        })?;
        self.places.clone().acquire_owned().await.map_err(|_| stopping())
    }
}

/// The place of one request.
#[derive(Default)]
pub(crate) struct Seat {
    held: Mutex<Held>,
    /// One read at a time takes the place.
    taking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Held {
    place: Option<OwnedSemaphorePermit>,
    /// How many reads are under way.
    reads: usize,
    /// For how many other things the request waits.
    waits: usize,
}

/// A read that is under way.
#[must_use]
pub(crate) struct Reading<'s>(&'s Seat);

/// A wait for something that is no read.
#[must_use]
pub(crate) struct Away<'s>(&'s Seat);

impl Seat {
    /// Takes a place, unless the request has one. Of several reads that begin at once one takes it for all of them.
    pub(crate) async fn take(&self, places: &Places) -> Result<Reading<'_>> {
        if let Some(reading) = self.join() {
            return Ok(reading);
        }
        let _taking = self.taking.lock().await;
        if let Some(reading) = self.join() {
            return Ok(reading);
        }
        let place = places.enter().await?;
        let mut held = self.held();
        held.place = Some(place);
        held.reads += 1;
        Ok(Reading(self))
    }

    /// Leaves the place to others for as long as the request waits for something else and reads nothing.
    pub(crate) fn away(&self) -> Away<'_> {
        let mut held = self.held();
        held.waits += 1;
        held.rest();
        Away(self)
    }

    /// Begins a read in the place that there is.
    fn join(&self) -> Option<Reading<'_>> {
        let mut held = self.held();
        held.place.as_ref()?;
        held.reads += 1;
        Some(Reading(self))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn rest(&mut self) {
        if self.reads == 0 && self.waits > 0 {
            self.place = None;
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut held = self.0.held();
        held.reads -= 1;
        held.rest();
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.0.held().waits -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use futures::FutureExt;
    use futures::future::join_all;

    use super::*;

    /// Somebody who is in, for as long as this lives.
    struct Inside(Arc<AtomicUsize>);

    impl Drop for Inside {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Relaxed);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn there_are_never_more_in_than_there_are_places_whoever_gives_up_on_the_way() {
        const PLACES: usize = 5;
        const REQUESTS: usize = 500;
        let places = Places::new(PLACES, REQUESTS);
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let requests: Vec<_> = (0..REQUESTS)
            .map(|number| {
                let (places, inside, most) = (places.clone(), inside.clone(), most.clone());
                tokio::spawn(async move {
                    let seat = Seat::default();
                    // Several reads of one request, at once.
                    let taken = join_all((0..3).map(|_| seat.take(&places))).await;
                    assert!(taken.iter().all(Result::is_ok));
                    drop(taken);
                    most.fetch_max(inside.fetch_add(1, Relaxed) + 1, Relaxed);
                    let _inside = Inside(inside);
                    for _ in 0..number % 7 {
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        // Every third is given up, wherever it has come to by then.
        requests.iter().step_by(3).for_each(tokio::task::JoinHandle::abort);
        for (number, request) in requests.into_iter().enumerate() {
            assert!(request.await.is_ok() || number % 3 == 0, "{number}");
        }
        assert!((1..=PLACES).contains(&most.load(Relaxed)), "{most:?}");
        // All of the places are free again, and all turns to wait.
        let held: Vec<_> = (0..PLACES).map(|_| places.enter().now_or_never().unwrap().unwrap()).collect();
        assert_eq!((held.len(), places.waiting.available_permits()), (PLACES, REQUESTS));
    }

    #[tokio::test]
    async fn a_request_waits_for_a_place_or_is_refused_where_too_many_wait() {
        let places = Places::new(1, 1);
        let place = places.enter().await.unwrap();
        let mut second = Box::pin(places.enter());
        assert!(second.as_mut().now_or_never().is_none());
        let refused = places.enter().await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable { retry_after_ms: BUSY_MS, .. }), "{refused}");
        drop(place);
        let place = second.await.unwrap();
        // Who waited has left room for another to wait.
        assert!(places.enter().now_or_never().is_none());
        drop(place);
        assert!(places.enter().await.is_ok());
    }

    #[tokio::test]
    async fn all_reads_of_a_request_share_its_place_until_it_ends() {
        let places = Places::new(1, 1);
        let (first, second) = (Seat::default(), Seat::default());
        for _ in 0..3 {
            drop(first.take(&places).await.unwrap());
        }
        let mut waits = Box::pin(second.take(&places));
        assert!(waits.as_mut().now_or_never().is_none());
        drop(first);
        drop(waits.await.unwrap());
        drop(second.away());
        assert!(places.enter().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_request_that_waits_for_something_else_leaves_its_place_once_it_reads_nothing() {
        let places = Places::new(1, 1);
        let seat = Seat::default();
        let (first, second) = (seat.take(&places).await.unwrap(), seat.take(&places).await.unwrap());
        let (away, away_too) = (seat.away(), seat.away());
        drop(first);
        assert!(places.enter().now_or_never().is_none(), "a read is under way");
        drop(second);
        let other = places.enter().now_or_never().unwrap().unwrap();
        // When it reads again, it waits for its turn.
        let mut again = Box::pin(seat.take(&places));
        assert!(again.as_mut().now_or_never().is_none());
        drop(other);
        drop(again.await.unwrap());
        assert!(places.enter().now_or_never().is_some(), "it still waits");
        drop((away, away_too));
        // Who waits for nothing has its place until the end.
        drop(seat.take(&places).await.unwrap());
        assert!(places.enter().now_or_never().is_none());
        drop(seat);
        assert!(places.enter().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_read_that_is_given_up_while_it_waits_leaves_the_turn_to_the_next() {
        let places = Places::new(1, 1);
        let place = places.enter().await.unwrap();
        let seat = Seat::default();
        assert!(seat.take(&places).now_or_never().is_none());
        let mut second = Box::pin(seat.take(&places));
        assert!(second.as_mut().now_or_never().is_none());
        drop(place);
        drop(second.await.unwrap());
    }
}
