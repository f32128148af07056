//! One decision: from a state and a command to events, an answer, or a refusal.

use std::time::Instant;

use yado_model::schema::Problem;
use yado_model::{Claim, ClaimValue, Decision, NewEvent, Rejection, Timestamp};
use yado_runtime::FaultKind;
use yado_store::limits::LONGEST_CLAIM;
use yado_store::{Append, Draft};

use super::Job;
use super::load::Tip;
use crate::error::{fault, misbehaved};
use crate::{Error, Result, Settings};

/// What an event or a claim takes beside its texts: itself, and what an allocator notes for each of its texts.
const EACH: usize = size_of::<NewEvent>() + 3 * size_of::<usize>();

/// What a command comes to, on a given state.
pub(super) enum Decided {
    /// Events to record, and where the stream will stand then.
    Append(Box<Append>, Tip),
    /// Nothing is to be recorded: the command changes nothing, or it is refused.
    Answer(Result<()>),
}

pub(super) fn decide(job: &Job, tip: &Tip, settings: &Settings) -> Decided {
    match attempt(job, tip, settings) {
        Ok(Some((append, after))) => Decided::Append(Box::new(append), after),
        Ok(None) => Decided::Answer(Ok(())),
        Err(error) => Decided::Answer(Err(error)),
    }
}

fn attempt(job: &Job, tip: &Tip, settings: &Settings) -> Result<Option<(Append, Tip)>> {
    if job.must_exist && tip.state.is_none() {
        let (kind, id) = (job.key.stream.aggregate().to_owned(), job.key.stream.id().to_owned());
        return Err(Error::NotFound { kind, id });
    }
    if let Some(expected) = job.expected
        && expected != tip.revision
    {
        return Err(Error::Conflict { stream: job.key.stream.clone(), expected, actual: tip.revision });
    }
    let (aggregate, plugin) = (job.aggregate.manifest.name.as_str(), &job.aggregate.deployed.plugin);
    let decision = ask(job, tip)?.map_err(|rejection| Error::Rejected(Box::new(rejection)))?;
    if decision.events.is_empty() && decision.claims.is_empty() {
        return Ok(None);
    }
    check(job, &decision, settings)?;
    // The fold runs before anything is recorded: an event that its own code can't fold never reaches the log.
    let state = plugin
        .evolve(&job.key.tenant, aggregate, tip.state.as_deref(), &decision.events)
        .map_err(|error| fault(&error))?;
    let after = Tip {
        state: state.map(Into::into),
        revision: tip.revision.plus(decision.events.len() as u64),
        position: tip.position,
        command: job.meta.command_id,
    };
    let draft = Draft {
        tenant: job.key.tenant.clone(),
        stream: job.key.stream.clone(),
        expected: tip.revision,
        events: decision.events,
        claims: decision.claims,
        recorded_at: Timestamp::now(),
        command: job.meta.clone(),
        plugin: job.aggregate.deployed.version,
        idempotency: job.idempotency.clone(),
    };
    // The store refuses a batch as a whole for content that no engine can keep. Such content must not get there. That
    // payloads are JSON has been seen when they were read for their schema.
    let unfit = |error: yado_store::Error| misbehaved(&job.aggregate.deployed, "decide", &error.to_string());
    let append = draft.check_parsed().map_err(unfit)?;
    Ok(Some((append, after)))
}

/// What events and claims take in memory.
pub(super) fn weight(append: &Append) -> usize {
    let of_event = |event: &NewEvent| {
        let tags: usize = event.tags.iter().map(|tag| size_of::<String>() + tag.len()).sum();
        EACH + event.name.len() + event.payload.len() + tags
    };
    let of_claim = |claim: &Claim| {
        let (Claim::Take(value) | Claim::Release(value)) = claim;
        EACH + value.constraint.len() + value.value.len()
    };
    size_of::<Append>()
        + append.events.iter().map(of_event).sum::<usize>()
        + append.claims.iter().map(of_claim).sum::<usize>()
}

/// Asks the guest, unless it has run past its deadline at this too often of late.
fn ask(job: &Job, tip: &Tip) -> Result<Result<Decision, Rejection>> {
    let (tenant, command, breaker) = (&job.key.tenant, job.command.name.as_str(), &job.aggregate.breaker);
    let plugin = &job.aggregate.deployed.plugin;
    breaker.admit(tenant, command, Instant::now()).map_err(|retry_after_ms| Error::Unavailable {
        reason: format!(
            "the plugin {} has run past its deadline at {command} again and again, and is left alone for a moment",
            job.aggregate.deployed.manifest().name
        ),
        retry_after_ms,
    })?;
    let asked = plugin.decide(tenant, job.aggregate.manifest.name.as_str(), tip.state.as_deref(), &job.command);
    match &asked {
        Err(fault) if fault.kind == FaultKind::Deadline => breaker.overran(tenant, command, Instant::now()),
        _ => breaker.ended(tenant, command),
    }
    asked.map_err(|error| fault(&error))
}

/// Holds a decision against what the manifest promises.
fn check(job: &Job, decision: &Decision, settings: &Settings) -> Result<()> {
    let deployed = &job.aggregate.deployed;
    let refuse = |reason: String| misbehaved(deployed, "decide", &reason);
    if decision.events.is_empty() {
        return Err(refuse("the decision has claims and no event: a claim must be told by an event".into()));
    }
    if decision.events.len() > settings.decision_events {
        let (count, most) = (decision.events.len(), settings.decision_events);
        return Err(refuse(format!("the decision has {count} events, and {most} is the most")));
    }
    for event in &decision.events {
        job.aggregate.check_event(event).map_err(refuse)?;
    }
    if decision.claims.len() > settings.decision_events {
        let (count, most) = (decision.claims.len(), settings.decision_events);
        return Err(refuse(format!("the decision has {count} claims, and {most} is the most")));
    }
    for claim in &decision.claims {
        let (Claim::Take(value) | Claim::Release(value)) = claim;
        if !job.aggregate.manifest.constraints.iter().any(|known| known.name.as_str() == value.constraint) {
            return Err(refuse(format!("the manifest declares no constraint {:?}", value.constraint)));
        }
        check_value(job, value)?;
    }
    Ok(())
}

/// Refuses a value that no engine can hold. Values are made of what callers give, and no manifest says how long they may
/// become; so it is the caller's to give another one.
fn check_value(job: &Job, ClaimValue { constraint, value }: &ClaimValue) -> Result<()> {
    let wrong = if value.len() > LONGEST_CLAIM {
        format!("has {} bytes, and {LONGEST_CLAIM} is the most", value.len())
    } else if value.contains('\0') {
        "contains the character NUL".to_owned()
    } else {
        return Ok(());
    };
    let message = format!("the value for {constraint} {wrong}");
    let problems = vec![Problem { path: Vec::new(), message }];
    Err(Error::BadInput { what: job.command.name.clone(), problems })
}
