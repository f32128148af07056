//! The task that a connection is driven by: it writes what is asked, and deals the answers out in the order of the questions.
//!
//! It never looks further into an answer than is needed to find its end, so that a large answer costs the others little. Of
//! one that has more rows than there is room for nothing is kept: whoever asked is told so at once, and what is still to come
//! is read and dropped, so that the connection need not be opened again for it. If that is as much again, or takes long, the
//! server is told, and those behind ask elsewhere, as with all answers that nobody waits for. The room is that of the
//! connection: an answer that does not fit beside those before it, because whoever asked has not fetched them yet, is dropped
//! as well, and is to be asked for elsewhere. They are not waited for, because whoever has not fetched one may himself
//! wait for what is behind it.
//!
//! How long questions take is measured here, where it is not blurred by when those who asked are woken: answers that come
//! together have taken equal parts of the time since those before. A question that gets no answer for long although it was
//! thought quick holds up what stands behind it, and those are told to ask elsewhere. They may be answered here all the same,
//! to nobody: a question may be asked twice.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::task::AtomicWaker;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::time::{Sleep, timeout};

use super::answer::complaint;
use super::open::{Opened, Process, Stream, cancel};
use super::statements::Statements;
use super::way::Way;
use super::{Address, Failure, Limits, Trouble};

/// A line that gives no answer for so long, although questions are under way, holds them up. It is long beside what a question
/// takes that shares its line, and beside what a busy machine lets a process wait for.
pub(in crate::postgres) const HELD_UP: Duration = Duration::from_millis(100);

/// One that nobody has asked anything for so long is closed.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// So much room there is for what is read at once.
const READ: usize = 16 << 10;

/// Messages are no longer than the server makes them: a value has at most a gigabyte.
const LONGEST: usize = 1 << 30;

/// So long the last words may take.
const LEAVING: Duration = Duration::from_secs(1);

/// What comes back for a question.
#[derive(Debug)]
pub(super) struct Heard {
    /// Everything up to the server's being ready for the next one.
    pub(super) bytes: Bytes,
    /// Whether there is a complaint in it.
    pub(super) failed: bool,
    /// How long it took the server, as far as can be told from here.
    pub(super) took: Duration,
    /// Goes when whoever asked has the answer.
    pub(super) unfetched: Unfetched,
}

/// How many bytes of rows an answer has that is whole, and that nobody has fetched yet.
#[derive(Debug)]
pub(super) struct Unfetched {
    rows: usize,
    all: Arc<AtomicUsize>,
}

impl Unfetched {
    /// Counts those of one more answer.
    fn of(rows: usize, all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(rows, Ordering::Relaxed);
        Self { rows, all: Arc::clone(all) }
    }
}

impl Drop for Unfetched {
    fn drop(&mut self) {
        self.all.fetch_sub(self.rows, Ordering::Relaxed);
    }
}

type Asker = oneshot::Sender<Result<Heard, Failure>>;

/// What those who ask and the task share.
#[derive(Debug)]
pub(super) struct Shared {
    traffic: Mutex<Traffic>,
    woken: AtomicWaker,
}

#[derive(Debug)]
pub(super) struct Traffic {
    /// What is to be written.
    pub(super) out: BytesMut,
    /// The questions that have no answer yet.
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) statements: Statements,
    pub(super) state: State,
    /// When the last answer came.
    pub(super) heard: Instant,
}

/// A question that has no answer yet.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Nobody, once it is known that there will be no answer, or that another connection has to be asked.
    asker: Option<Asker>,
    /// When it was written, if it was.
    written: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// Somebody waits who should not have to, and nothing more is asked meanwhile.
    HeldUp,
    /// Nobody asks any more.
    Closed,
}

impl Shared {
    pub(super) fn new(statements: Statements) -> Self {
        let traffic = Traffic {
            out: BytesMut::new(),
            waiting: VecDeque::new(),
            statements,
            state: State::Open,
            heard: Instant::now(),
        };
        Self { traffic: Mutex::new(traffic), woken: AtomicWaker::new() }
    }

    pub(super) fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the task look at what has changed.
    pub(super) fn wake(&self) {
        self.woken.wake();
    }
}

impl Traffic {
    /// What is to be written, as something that is written from now on.
    fn take(&mut self) -> BytesMut {
        if !self.out.is_empty() {
            let now = Some(Instant::now());
            let unwritten = self.waiting.iter_mut().rev().take_while(|waiting| waiting.written.is_none());
            unwritten.for_each(|waiting| waiting.written = now);
        }
        std::mem::take(&mut self.out)
    }
}

impl Waiting {
    pub(super) const fn new(asker: Asker) -> Self {
        Self { asker: Some(asker), written: None }
    }
}

/// How it came to an end.
enum End {
    /// Nobody asks any more, and all is answered.
    Left,
    /// Nobody wants the answer that is still to come.
    Abandoned,
    /// There is no connection any more.
    Broken,
}

pub(super) struct Driver {
    stream: Box<dyn Stream>,
    shared: Arc<Shared>,
    way: Way,
    /// What is being written.
    writing: BytesMut,
    /// What has been read; up to here it is whole messages of an answer that is not whole.
    reading: BytesMut,
    scanned: usize,
    failed: bool,
    /// How many bytes of rows the answer has so far, and how many it may have, together with those before it that nobody has
    /// fetched yet.
    rows: usize,
    most: usize,
    unfetched: Arc<AtomicUsize>,
    /// After so long without an answer those behind the first question ask elsewhere.
    held_up: Duration,
    /// What is dropped of it, if it has more: nothing of it is kept then.
    dropped: Option<Dropped>,
    /// Since when it is known that the server has something to do for us.
    busy: Option<Instant>,
    clock: Pin<Box<Sleep>>,
}

/// The rest of an answer for which there is no room.
struct Dropped {
    since: Instant,
    /// What whoever asked is told.
    reason: Failure,
    /// How many bytes of rows the answer has so far, those before it among them.
    rows: usize,
    /// So much of what comes next is of the last of them.
    surplus: usize,
}

/// An answer as it came.
struct Whole {
    bytes: Bytes,
    failed: bool,
    unfetched: Unfetched,
    /// Why it is not handed out.
    dropped: Option<Failure>,
}

/// Drives a connection until nobody asks any more, or there is none.
pub(super) async fn drive(opened: Opened, shared: Arc<Shared>, address: Address, limits: Limits) {
    let Opened { stream, process, reach } = opened;
    let mut driver = Driver {
        stream,
        shared,
        way: Way::tried(reach),
        writing: BytesMut::new(),
        reading: BytesMut::new(),
        scanned: 0,
        failed: false,
        rows: 0,
        most: limits.answer_bytes,
        unfetched: Arc::default(),
        held_up: limits.held_up,
        dropped: None,
        busy: None,
        clock: Box::pin(tokio::time::sleep(KEPT_FOR)),
    };
    let end = std::future::poll_fn(|context| driver.poll(context)).await;
    driver.leave(end, &address, process).await;
}

impl Driver {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        // First of all, so that nothing that is asked from here on goes unnoticed.
        self.shared.woken.register(context.waker());
        match self.advance(context) {
            Ok(None) => Poll::Pending,
            Ok(Some(end)) => Poll::Ready(end),
            Err(trouble) => {
                self.give_up(&trouble);
                Poll::Ready(End::Broken)
            }
        }
    }

    fn advance(&mut self, context: &mut Context<'_>) -> Result<Option<End>, Trouble> {
        self.read(context)?;
        if self.drops_too_much() {
            return Ok(Some(self.abandon()));
        }
        self.write(context)?;
        while self.clock.as_mut().poll(context).is_ready() {
            if let Some(end) = self.look_round() {
                return Ok(Some(end));
            }
        }
        let traffic = self.shared.traffic();
        Ok(match (traffic.state, traffic.waiting.is_empty()) {
            (State::Closed, true) => Some(End::Left),
            (State::Closed, false) => Some(End::Abandoned),
            _ => None,
        })
    }

    fn write(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        loop {
            if self.writing.is_empty() {
                self.writing = self.shared.traffic().take();
                if self.writing.is_empty() {
                    return Ok(());
                }
                if self.busy.is_none() {
                    self.begin();
                }
            }
            match Pin::new(&mut self.stream).poll_write(context, &self.writing) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => self.writing.advance(written?),
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// The server has something to do from now on.
    fn begin(&mut self) {
        let now = Instant::now();
        self.busy = Some(now);
        let look = now + self.held_up;
        if self.clock.deadline() > look.into() {
            self.clock.as_mut().reset(look.into());
        }
    }

    fn read(&mut self, context: &mut Context<'_>) -> Result<(), Trouble> {
        let mut answers = Vec::new();
        let outcome = loop {
            self.reading.reserve(READ);
            let read = std::pin::pin!(self.stream.read_buf(&mut self.reading));
            match read.poll(context) {
                Poll::Ready(Ok(0)) => break Err(self.farewell()),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => break Err(error.into()),
                Poll::Pending => break Ok(()),
            }
            while let Some(answer) = self.answer()? {
                answers.push(answer);
            }
            if self.drops_too_much() {
                break Ok(());
            }
        };
        if !answers.is_empty() {
            self.deal_out(answers)?;
        }
        if let Some(Dropped { reason, .. }) = &self.dropped {
            let asker = self.shared.traffic().waiting.front_mut().and_then(|first| first.asker.take());
            let _ = asker.map(|asker| asker.send(Err(reason.clone())));
        }
        outcome
    }

    /// The next answer, if all of it is there.
    fn answer(&mut self) -> Result<Option<Whole>, Trouble> {
        if let Some(Dropped { surplus, .. }) = &mut self.dropped {
            let here = (*surplus).min(self.reading.len());
            self.reading.advance(here);
            *surplus -= here;
        }
        while let Some([tag, length @ ..]) = self.reading.get(self.scanned..).and_then(|rest| rest.first_chunk::<5>()) {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            if !(4..=LONGEST).contains(&length) {
                return Err(nonsense());
            }
            if *tag == b'D'
                && let Some(reason) = self.has_no_room_for(length)
            {
                self.drop_row(1 + length, reason);
                continue;
            }
            let end = self.scanned + 1 + length;
            if self.reading.len() < end {
                self.reading.reserve(end - self.reading.len());
                return Ok(None);
            }
            match *tag {
                b'D' => self.rows += length,
                b'E' => self.failed = true,
                _ => {}
            }
            let last = *tag == b'Z';
            self.scanned = end;
            if last {
                let rows = std::mem::take(&mut self.rows);
                let dropped = self.dropped.take().map(|dropped| dropped.reason);
                return Ok(Some(Whole {
                    bytes: self.reading.split_to(std::mem::take(&mut self.scanned)).freeze(),
                    failed: std::mem::take(&mut self.failed),
                    unfetched: Unfetched::of(if dropped.is_some() { 0 } else { rows }, &self.unfetched),
                    dropped,
                }));
            }
        }
        Ok(None)
    }

    /// Why there is no room for so many bytes more of the answer; none if there is.
    fn has_no_room_for(&self, length: usize) -> Option<Failure> {
        let rows = self.rows.saturating_add(length);
        if rows > self.most {
            return Some(Failure::TooLarge);
        }
        let others = self.unfetched.load(Ordering::Relaxed);
        (rows.saturating_add(others) > self.most).then_some(Failure::HeldUp)
    }

    /// Keeps nothing of the answer, nor of its row that comes next and has so many bytes.
    fn drop_row(&mut self, row: usize, reason: Failure) {
        let rows = std::mem::replace(&mut self.rows, self.most);
        if self.dropped.is_none() {
            // What it has taken up is given back at once.
            self.reading = BytesMut::from(self.reading.get(std::mem::take(&mut self.scanned)..).unwrap_or_default());
        }
        let here = row.min(self.reading.len() - self.scanned);
        self.reading.advance(std::mem::take(&mut self.scanned) + here);
        let dropped = self.dropped.get_or_insert(Dropped { since: Instant::now(), reason, rows, surplus: 0 });
        dropped.rows = dropped.rows.saturating_add(row);
        dropped.surplus = row - here;
    }

    /// Whether an answer has more than twice what it may: to wait for the end of it might cost more than to open another
    /// connection.
    fn drops_too_much(&self) -> bool {
        self.dropped.as_ref().is_some_and(|dropped| dropped.rows > self.most.saturating_mul(2))
    }

    fn deal_out(&mut self, answers: Vec<Whole>) -> Result<(), Trouble> {
        let now = Instant::now();
        let count = u32::try_from(answers.len()).unwrap_or(u32::MAX);
        let mut traffic = self.shared.traffic();
        let written = traffic.waiting.front().and_then(|first| first.written);
        let Some(written) = written.filter(|_| answers.len() <= traffic.waiting.len()) else {
            return Err(nonsense());
        };
        let took = self.way.busy(written, self.busy, now) / count;
        let asked: Vec<_> = traffic.waiting.drain(..answers.len()).collect();
        traffic.heard = now;
        if traffic.state == State::HeldUp {
            traffic.state = State::Open;
        }
        self.busy = (!traffic.waiting.is_empty()).then_some(now);
        drop(traffic);
        for (Whole { bytes, failed, unfetched, dropped }, waiting) in answers.into_iter().zip(asked) {
            let answer = dropped.map_or(Ok(Heard { bytes, failed, took, unfetched }), Err);
            // Whoever has gone does not want it any more.
            let _ = waiting.asker.map(|asker| asker.send(answer));
        }
        Ok(())
    }

    /// What is to be seen to from time to time: whether somebody waits for long, and whether nobody asks.
    fn look_round(&mut self) -> Option<End> {
        let now = Instant::now();
        let mut traffic = self.shared.traffic();
        let next = match self.busy {
            Some(busy) if now.saturating_duration_since(busy) < self.held_up => busy + self.held_up,
            Some(_) => {
                let first = traffic.waiting.front().and_then(|first| first.asker.as_ref());
                let is_unwanted = first.is_none_or(oneshot::Sender::is_closed);
                // The rest of what is dropped has as long, from the moment on at which it was known that it would be.
                let last = self.dropped.as_ref().map(|dropped| dropped.since + self.held_up);
                let next = last.filter(|last| now < *last);
                if is_unwanted && next.is_none() {
                    drop(traffic);
                    return Some(self.abandon());
                }
                drop(traffic);
                self.send_on(State::HeldUp);
                next.unwrap_or(now + self.held_up)
            }
            None if now.saturating_duration_since(traffic.heard) < KEPT_FOR => traffic.heard + KEPT_FOR,
            None if traffic.waiting.is_empty() => {
                traffic.state = State::Closed;
                return Some(End::Left);
            }
            // Somebody asks just now.
            None => now + self.held_up,
        };
        self.clock.as_mut().reset(next.into());
        None
    }

    /// Nobody waits for the end of an answer that takes too long, and nothing more is asked.
    fn abandon(&self) -> End {
        self.send_on(State::Closed);
        End::Abandoned
    }

    /// Has all but the first ask elsewhere, and nobody ask anything here.
    fn send_on(&self, state: State) {
        let mut traffic = self.shared.traffic();
        if traffic.state != State::Closed {
            traffic.state = state;
        }
        let behind: Vec<_> = traffic.waiting.iter_mut().skip(1).filter_map(|waiting| waiting.asker.take()).collect();
        drop(traffic);
        behind.into_iter().for_each(|asker| drop(asker.send(Err(Failure::HeldUp))));
    }

    /// What the server has said before it hung up.
    fn farewell(&self) -> Trouble {
        match complaint(&self.reading) {
            Some(complaint) => Trouble::told(complaint).broken(),
            None => io::Error::from(io::ErrorKind::UnexpectedEof).into(),
        }
    }

    /// Tells all who wait that there is no connection any more.
    fn give_up(&self, trouble: &Trouble) {
        let mut traffic = self.shared.traffic();
        traffic.state = State::Closed;
        let waiting = std::mem::take(&mut traffic.waiting);
        drop(traffic);
        for asker in waiting.into_iter().filter_map(|waiting| waiting.asker) {
            let _ = asker.send(Err(Failure::Trouble(trouble.clone())));
        }
    }

    async fn leave(mut self, end: End, address: &Address, process: Process) {
        match end {
            End::Left => {
                let mut bytes = BytesMut::new();
                frontend::terminate(&mut bytes);
                let words = async {
                    self.stream.write_all(&bytes).await?;
                    self.stream.shutdown().await
                };
                // Nobody needs it any more, however it takes its leave.
                let _ = timeout(LEAVING, words).await;
            }
            End::Abandoned => cancel(address, process).await,
            End::Broken => {}
        }
    }
}

fn nonsense() -> Trouble {
    Trouble::from(io::Error::new(io::ErrorKind::InvalidData, "the server answers what was not asked"))
}
