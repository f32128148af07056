//! The task that a connection is driven by: it writes what is asked, and deals the answers out in the order of the questions.
//!
//! It never looks further into an answer than is needed to find its end, so that a large answer costs the others little. How
//! long questions take is measured here, where it is not blurred by when those who asked are woken: answers that come
//! together have taken equal parts of the time since those before. A question that gets no answer for long although it was
//! thought quick holds up what stands behind it, and those are told to ask elsewhere. They may be answered here all the same,
//! to nobody: a question may be asked twice.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
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
use super::{Address, Failure, Trouble};

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
    /// Those whose questions have no answer yet; none in the place of one who was told to ask elsewhere.
    pub(super) waiting: VecDeque<Option<Asker>>,
    pub(super) statements: Statements,
    pub(super) state: State,
    /// When the last answer came.
    pub(super) heard: Instant,
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
    reach: Duration,
    /// What is being written.
    writing: BytesMut,
    /// What has been read; up to here it is whole messages of an answer that is not whole.
    reading: BytesMut,
    scanned: usize,
    failed: bool,
    /// Since when it is known that the server has something to do for us.
    busy: Option<Instant>,
    clock: Pin<Box<Sleep>>,
}

/// Drives a connection until nobody asks any more, or there is none.
pub(super) async fn drive(opened: Opened, shared: Arc<Shared>, address: Address) {
    let Opened { stream, process, reach } = opened;
    let mut driver = Driver {
        stream,
        shared,
        reach,
        writing: BytesMut::new(),
        reading: BytesMut::new(),
        scanned: 0,
        failed: false,
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
                self.writing = std::mem::take(&mut self.shared.traffic().out);
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
        let look = now + HELD_UP;
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
        };
        if !answers.is_empty() {
            self.deal_out(answers)?;
        }
        outcome
    }

    /// The next answer, if all of it is there, and whether there is a complaint in it.
    fn answer(&mut self) -> Result<Option<(Bytes, bool)>, Trouble> {
        while let Some([tag, length @ ..]) = self.reading.get(self.scanned..).and_then(|rest| rest.first_chunk::<5>()) {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            if !(4..=LONGEST).contains(&length) {
                return Err(nonsense());
            }
            let end = self.scanned + 1 + length;
            if self.reading.len() < end {
                self.reading.reserve(end - self.reading.len());
                return Ok(None);
            }
            self.failed |= *tag == b'E';
            let last = *tag == b'Z';
            self.scanned = end;
            if last {
                let answer = self.reading.split_to(std::mem::take(&mut self.scanned)).freeze();
                return Ok(Some((answer, std::mem::take(&mut self.failed))));
            }
        }
        Ok(None)
    }

    fn deal_out(&mut self, answers: Vec<(Bytes, bool)>) -> Result<(), Trouble> {
        let now = Instant::now();
        let count = u32::try_from(answers.len()).unwrap_or(u32::MAX);
        let spent = self.busy.map_or(Duration::ZERO, |busy| now.saturating_duration_since(busy));
        let took = spent.saturating_sub(self.reach) / count;
        let mut traffic = self.shared.traffic();
        if answers.len() > traffic.waiting.len() {
            return Err(nonsense());
        }
        let askers: Vec<_> = traffic.waiting.drain(..answers.len()).collect();
        traffic.heard = now;
        if traffic.state == State::HeldUp {
            traffic.state = State::Open;
        }
        self.busy = (!traffic.waiting.is_empty()).then_some(now);
        drop(traffic);
        for ((bytes, failed), asker) in answers.into_iter().zip(askers) {
            // Whoever has gone does not want it any more.
            let _ = asker.map(|asker| asker.send(Ok(Heard { bytes, failed, took })));
        }
        Ok(())
    }

    /// What is to be seen to from time to time: whether somebody waits for long, and whether nobody asks.
    fn look_round(&mut self) -> Option<End> {
        let now = Instant::now();
        let mut traffic = self.shared.traffic();
        let next = match self.busy {
            Some(busy) if now.saturating_duration_since(busy) < HELD_UP => busy + HELD_UP,
            Some(_) => {
                let first = traffic.waiting.front().and_then(Option::as_ref);
                if first.is_none_or(oneshot::Sender::is_closed) {
                    traffic.state = State::Closed;
                }
                let behind: Vec<_> = traffic.waiting.iter_mut().skip(1).filter_map(Option::take).collect();
                if traffic.state == State::Open {
                    traffic.state = State::HeldUp;
                }
                let closed = traffic.state == State::Closed;
                drop(traffic);
                behind.into_iter().for_each(|asker| drop(asker.send(Err(Failure::HeldUp))));
                if closed {
                    return Some(End::Abandoned);
                }
                now + HELD_UP
            }
            None if now.saturating_duration_since(traffic.heard) < KEPT_FOR => traffic.heard + KEPT_FOR,
            None if traffic.waiting.is_empty() => {
                traffic.state = State::Closed;
                return Some(End::Left);
            }
            // Somebody asks just now.
            None => now + HELD_UP,
        };
        self.clock.as_mut().reset(next.into());
        None
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
        for asker in waiting.into_iter().flatten() {
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
