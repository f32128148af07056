//! Events for a guest, in pieces that fit a call.

use std::borrow::Borrow;

use yado_model::NewEvent;
use yado_runtime::{Fault, FaultKind};

/// Events of one call. A guest has a deadline for a call, and a stream may be of any length.
const EVENTS: usize = 250;
/// Bytes of payload of one call, unless one event alone has more.
const BYTES: usize = 512 * 1024;

/// A piece that the guest did not stand.
#[derive(Debug)]
pub(crate) struct Failed {
    /// The place of its first event.
    pub(crate) at: usize,
    /// What the guest failed with.
    pub(crate) fault: Box<Fault>,
}

/// Hands events to a call piece by piece. A piece that asks too much of the guest is halved, for as long as that is
/// possible.
pub(crate) fn each<E: Borrow<NewEvent>>(
    events: &[E],
    call: impl FnMut(&[E]) -> Result<(), Fault>,
) -> Result<(), Failed> {
    halving(events, is_overrun, call)
}

/// Does the same, and halves a piece whatever fails, so that what has failed in the end is a single event.
pub(crate) fn each_to_the_event<E: Borrow<NewEvent>>(
    events: &[E],
    call: impl FnMut(&[E]) -> Result<(), Fault>,
) -> Result<(), Failed> {
    halving(events, |_| true, call)
}

fn halving<E: Borrow<NewEvent>>(
    events: &[E],
    worth_halving: impl Fn(FaultKind) -> bool,
    mut call: impl FnMut(&[E]) -> Result<(), Fault>,
) -> Result<(), Failed> {
    let mut at = 0;
    let mut most = EVENTS;
    while at < events.len() {
        let piece = piece(&events[at..], most);
        match call(&events[at..at + piece]) {
            Ok(()) => at += piece,
            Err(fault) if piece > 1 && worth_halving(fault.kind) => most = piece / 2,
            Err(fault) => return Err(Failed { at, fault: Box::new(fault) }),
        }
    }
    Ok(())
}

/// How many of the first events make one call.
fn piece<E: Borrow<NewEvent>>(events: &[E], most: usize) -> usize {
    let mut bytes = 0;
    let fitting = events.iter().take(most).take_while(|event| {
        bytes += (*event).borrow().payload.len();
        bytes <= BYTES
    });
    fitting.count().max(1)
}

/// Whether fewer events might have done.
const fn is_overrun(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Deadline | FaultKind::Memory | FaultKind::Fuel | FaultKind::Output)
}

#[cfg(test)]
mod tests {
    use yado_model::Digest;

    use super::*;

    fn event(bytes: usize) -> NewEvent {
        NewEvent { name: "Counted".into(), version: 1, payload: "x".repeat(bytes), tags: Vec::new() }
    }

    fn fault(kind: FaultKind) -> Fault {
        let (plugin, detail) = ("counter".into(), String::new());
        Fault { plugin, digest: Digest::of(b""), function: "aggregates.evolve", kind, detail, source: None }
    }

    #[test]
    fn a_piece_has_as_many_events_as_fit_and_at_least_one() {
        assert_eq!(piece(&vec![event(10); 1_000], EVENTS), EVENTS);
        assert_eq!(piece(&vec![event(BYTES / 4); 10], EVENTS), 4);
        assert_eq!(piece(&[event(BYTES * 2), event(1)], EVENTS), 1);
        assert_eq!(piece(&vec![event(10); 10], 3), 3);
    }

    #[test]
    fn every_event_comes_once_and_in_order_also_when_pieces_are_halved() {
        let events: Vec<NewEvent> = (0..1_000).map(event).collect();
        let mut seen = Vec::new();
        let outcome = each(&events, |piece| {
            if piece.len() > 20 {
                return Err(fault(FaultKind::Deadline));
            }
            seen.extend(piece.iter().map(|event| event.payload.len()));
            Ok(())
        });
        assert!(outcome.is_ok());
        assert!(seen.into_iter().eq(0..1_000));
    }

    #[test]
    fn the_event_that_a_guest_does_not_stand_is_found() {
        let events: Vec<NewEvent> = (0..1_000).map(event).collect();
        let call = |piece: &[NewEvent]| match piece.iter().any(|event| event.payload.len() == 617) {
            true => Err(fault(FaultKind::Panic)),
            false => Ok(()),
        };
        assert_eq!(each_to_the_event(&events, call).unwrap_err().at, 617);
        assert_eq!(each(&events, call).unwrap_err().at, 500);
    }
}
