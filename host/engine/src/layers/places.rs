//! Places for those who read at the same time, and a bounded queue of those who wait for one.
//!
//! A request has one place for all of its reads. It takes it with the first of them and has it until its end. With a place
//! for each statement a request with a hundred fields would be a hundred strangers in the queue: when there is little room
//! all requests would get through half of what they need, and hold the rows of that half while they wait for the rest.
//! So whoever has been let in finishes, and who is too many is told before anything was done for them. A request that waits
//! holds nothing that another one waits for, so no two can wait for each other.
//!
//! A command needs no place, and its request gives the one back that it may have: commands have a room of their own, in
//! bytes, and reading must not keep anybody from recording.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

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
pub(crate) struct Seat(Mutex<Option<OwnedSemaphorePermit>>);

impl Seat {
    /// Takes a place, unless the request has one. Of several reads that begin at once one takes it for all of them.
    pub(crate) async fn take(&self, places: &Places) -> Result<()> {
        let mut held = self.0.lock().await;
        if held.is_none() {
            *held = Some(places.enter().await?);
        }
        Ok(())
    }

    /// Gives it back, if there is one. A read that is just taking one keeps it.
    pub(crate) fn leave(&self) {
        if let Ok(mut held) = self.0.try_lock() {
            held.take();
        }
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
            first.take(&places).await.unwrap();
        }
        let mut waits = Box::pin(second.take(&places));
        assert!(waits.as_mut().now_or_never().is_none());
        drop(first);
        waits.await.unwrap();
        second.leave();
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
        second.await.unwrap();
    }
}
