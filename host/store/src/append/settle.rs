//! Who of a batch wins: pure, and the same for every engine.
//!
//! An adapter opens its transaction and takes the log's lock. Then it looks up what [`Asked`] lists, hands the findings to
//! [`settle`] as [`Known`], and writes what [`Settled`] says. Nothing can change between the look and the writing,
//! because of the lock. Within the batch every append sees what those before it have left: revisions, answers, claims. An
//! append that loses leaves nothing behind, and those after it are settled as if it had not been there.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use yado_model::{Claim, ClaimValue, IdempotencyKey, NewEvent, Position, Revision, StreamId, TenantId};

use super::{Answer, Append, Appended, Idempotency};
use crate::claims::{self, Change};
use crate::limits::{self, LARGEST_BATCH};
use crate::{Error, Result};

/// A stream of a tenant.
pub(crate) type StreamKey<'a> = (&'a TenantId, &'a StreamId);
/// An idempotency key of a tenant.
pub(crate) type AnswerKey<'a> = (&'a TenantId, &'a IdempotencyKey);
/// A value of a constraint of a tenant.
pub(crate) type ClaimKey<'a> = (&'a TenantId, &'a str, &'a str);

/// What has to be looked up before a batch can be settled, each thing once.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) streams: Distinct<StreamKey<'a>>,
    pub(crate) answers: Distinct<AnswerKey<'a>>,
    pub(crate) claims: Distinct<ClaimKey<'a>>,
}

/// What was found, each list in the order of the one in [`Asked`].
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) head: Position,
    pub(crate) revisions: Vec<Revision>,
    pub(crate) answers: Vec<Option<Answer>>,
    pub(crate) holders: Vec<Option<StreamId>>,
}

/// What a batch comes to.
#[derive(Debug)]
pub(crate) struct Settled<'a> {
    /// One for each append.
    pub(crate) outcomes: Vec<Appended>,
    /// The events of those that won, in the order of their positions.
    pub(crate) events: Vec<EventRow<'a>>,
    /// The answers to be kept.
    pub(crate) answers: Vec<AnswerRow<'a>>,
    /// Values that have another holder after the batch than before it.
    pub(crate) taken: Vec<(ClaimKey<'a>, StreamId)>,
    /// Values that had a holder before the batch, and have none after it.
    pub(crate) released: Vec<ClaimKey<'a>>,
    /// Where the log ends after the batch.
    pub(crate) head: Position,
}

/// An event to be written.
#[derive(Debug, Clone)]
pub(crate) struct EventRow<'a> {
    pub(crate) append: &'a Append,
    pub(crate) event: &'a NewEvent,
    pub(crate) revision: Revision,
    pub(crate) position: Position,
    /// What the append takes and lets go of: on its first event, and only if there is something to tell.
    pub(crate) claims: Option<String>,
}

/// An answer to be written.
#[derive(Debug, Clone)]
pub(crate) struct AnswerRow<'a> {
    pub(crate) append: &'a Append,
    pub(crate) key: &'a IdempotencyKey,
    pub(crate) answer: Answer,
}

impl<'a> Asked<'a> {
    /// Lists what a batch is about.
    pub(crate) fn of(batch: &'a [Append]) -> Self {
        let mut asked =
            Self { streams: Distinct::default(), answers: Distinct::default(), claims: Distinct::default() };
        for append in batch {
            asked.streams.add((&append.tenant, &append.stream));
            if let Some(Idempotency { key, .. }) = &append.idempotency {
                asked.answers.add((&append.tenant, key));
            }
            for claim in &append.claims {
                asked.claims.add(claim_key(append, claim));
            }
        }
        asked
    }
}

/// Whether a batch is small enough. Each append has been checked when it was made.
pub(crate) fn check(batch: &[Append]) -> Result<()> {
    limits::within("the events of a batch", batch.iter().map(|append| append.events.len()).sum(), LARGEST_BATCH)?;
    limits::within("the claims of a batch", batch.iter().map(|append| append.claims.len()).sum(), LARGEST_BATCH)
}

/// Settles a batch, append by append.
pub(crate) fn settle<'a>(batch: &'a [Append], asked: &Asked<'a>, known: Known) -> Result<Settled<'a>> {
    let before = known.holders.clone();
    let Known { mut head, mut revisions, mut answers, mut holders } = known;
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut events = Vec::new();
    let mut kept = Vec::new();
    // Streams of which an append has lost. What comes after it in the batch may be built on it, and must not win only
    // because the stream happens to be where it would have left it.
    let mut lost = HashSet::new();

    for append in batch {
        let answer_at = append.idempotency.as_ref().and_then(|named| asked.answers.at(&(&append.tenant, &named.key)));
        // First of all: a repetition is meant to find the stream changed, by its own first attempt.
        if let Some(answer) = answer_at.and_then(|at| answers.get(at)).and_then(Option::as_ref) {
            outcomes.push(Appended::Repeated(answer.clone()));
            lost.insert((&append.tenant, &append.stream));
            continue;
        }
        let stream = (&append.tenant, &append.stream);
        let Some(revision) = asked.streams.at(&stream).and_then(|at| revisions.get_mut(at)) else {
            return Err(incomplete("revisions"));
        };
        if *revision != append.expected || lost.contains(&stream) {
            lost.insert(stream);
            outcomes.push(Appended::Conflict { actual: *revision });
            continue;
        }
        let mut told = match claims_of(append, asked, &holders)? {
            Ok(Claimed { after, told }) => {
                for (at, (holder, _)) in after {
                    if let Some(place) = holders.get_mut(at) {
                        *place = holder;
                    }
                }
                claims::told(&told)?
            }
            Err(ClaimValue { constraint, value }) => {
                outcomes.push(Appended::Taken { constraint, value });
                lost.insert(stream);
                continue;
            }
        };
        for event in &append.events {
            *revision = revision.plus(1);
            head = head.plus(1);
            events.push(EventRow { append, event, revision: *revision, position: head, claims: told.take() });
        }
        if let (Some(named), Some(place)) = (&append.idempotency, answer_at.and_then(|at| answers.get_mut(at))) {
            let answer =
                Answer { request: named.request, stream: append.stream.clone(), revision: *revision, position: head };
            *place = Some(answer.clone());
            kept.push(AnswerRow { append, key: &named.key, answer });
        }
        outcomes.push(Appended::Recorded { revision: *revision, position: head });
    }

    let mut taken = Vec::new();
    let mut released = Vec::new();
    for ((key, before), after) in asked.claims.iter().zip(before).zip(holders) {
        match after {
            Some(stream) if before.as_ref() != Some(&stream) => taken.push((*key, stream)),
            None if before.is_some() => released.push(*key),
            _ => {}
        }
    }
    Ok(Settled { outcomes, events, answers: kept, taken, released, head })
}

/// What an append does about claims.
struct Claimed<'a> {
    /// Who holds the values that it names once it is recorded, and its last word on each, by their places.
    after: HashMap<usize, (Option<StreamId>, &'a Claim)>,
    /// What its first event tells: everything that is asked for, whether or not it changes the table.
    told: Vec<Change>,
}

/// What an append does about claims, or the value that it wants and another stream holds.
fn claims_of<'a>(
    append: &'a Append,
    asked: &Asked<'_>,
    holders: &[Option<StreamId>],
) -> Result<std::result::Result<Claimed<'a>, ClaimValue>> {
    let mut claimed = Claimed { after: HashMap::with_capacity(append.claims.len()), told: Vec::new() };
    for claim in &append.claims {
        let at = asked.claims.at(&claim_key(append, claim));
        let (at, before) =
            at.and_then(|at| Some((at, holders.get(at)?))).ok_or_else(|| incomplete("holders of claims"))?;
        // A later claim of the same append sees what an earlier one has left.
        let staged = claimed.after.get(&at);
        let holder = staged.map_or(before.as_ref(), |(holder, _)| holder.as_ref());
        let own = holder == Some(&append.stream);
        let after = match claim {
            Claim::Take(wanted) if holder.is_some() && !own => return Ok(Err(wanted.clone())),
            Claim::Take(_) => Some(append.stream.clone()),
            Claim::Release(_) if own => None,
            // It belongs to another stream, or to none, and stays there.
            Claim::Release(_) => holder.cloned(),
        };
        // To say the same of a value twice adds nothing.
        if staged.is_none_or(|(_, last)| *last != claim) {
            claimed.told.push(Change::of(claim));
        }
        claimed.after.insert(at, (after, claim));
    }
    Ok(Ok(claimed))
}

fn claim_key<'a>(append: &'a Append, claim: &'a Claim) -> ClaimKey<'a> {
    let (Claim::Take(claimed) | Claim::Release(claimed)) = claim;
    (&append.tenant, &claimed.constraint, &claimed.value)
}

fn incomplete(what: &str) -> Error {
    Error::Engine(format!("the lookup before an append did not give all {what}"))
}

/// A list without repetitions, in the order of first appearance.
#[derive(Debug)]
pub(crate) struct Distinct<T> {
    list: Vec<T>,
    places: HashMap<T, usize>,
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Self { list: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Copy + Eq + Hash> Distinct<T> {
    fn add(&mut self, item: T) {
        self.places.entry(item).or_insert_with(|| {
            self.list.push(item);
            self.list.len() - 1
        });
    }

    pub(crate) fn at(&self, item: &T) -> Option<usize> {
        self.places.get(item).copied()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.list.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
