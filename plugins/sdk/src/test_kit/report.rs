//! What a failed test says: what was given and asked, what was expected, and what came.

use std::fmt::Write as _;

use serde_json::Value;
use yado_model::schema::Problem;
use yado_model::{Claim, Decision, NewEvent, RecordedEvent, Rejection};

/// What came of a command.
#[derive(Debug)]
pub(super) enum Came {
    /// The host would not have asked the plugin.
    Invalid(Vec<Problem>),
    /// The domain said no.
    Rejected(Rejection),
    /// The domain said yes.
    Decided(Decision),
}

pub(super) fn given(events: &[RecordedEvent]) -> String {
    let lines = events.iter().map(|event| format!("{}  {}", event.stream, self::event(&event.event)));
    part("given", lines, "nothing")
}

pub(super) fn when(name: &str, payload: &str) -> String {
    part("when", [format!("{name} {payload}")], "nothing")
}

pub(super) fn events(title: &str, events: &[NewEvent]) -> String {
    part(title, events.iter().map(event), "no events")
}

pub(super) fn rows(title: &str, rows: &[Value]) -> String {
    part(title, rows.iter().map(Value::to_string), "no rows")
}

pub(super) fn claims(title: &str, claims: &[Claim]) -> String {
    let line = |claim: &Claim| match claim {
        Claim::Take(claim) => format!("takes {} {:?}", claim.constraint, claim.value),
        Claim::Release(claim) => format!("releases {} {:?}", claim.constraint, claim.value),
    };
    part(title, claims.iter().map(line), "no claims")
}

pub(super) fn came(came: &Came) -> String {
    match came {
        Came::Invalid(problems) => {
            let line = |problem: &Problem| format!("{}: {}", problem.pointer(), problem.message);
            part("came", std::iter::once("refused by its schema".to_owned()).chain(problems.iter().map(line)), "")
        }
        Came::Rejected(rejection) => {
            part("came", [format!("rejected: {}, {:?}", rejection.code, rejection.message)], "")
        }
        Came::Decided(decision) => events("came", &decision.events),
    }
}

/// Lines under a title; each after the first is indented as the first is.
pub(super) fn part(title: &str, lines: impl IntoIterator<Item = String>, none: &str) -> String {
    let mut text = String::new();
    let mut title = title;
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_none() {
        let _ = writeln!(text, "  {title:<9}{none}");
    }
    for line in lines {
        let _ = writeln!(text, "  {title:<9}{line}");
        title = "";
    }
    text
}

fn event(event: &NewEvent) -> String {
    let NewEvent { name, version, payload, .. } = event;
    if *version == 1 { format!("{name} {payload}") } else { format!("{name} (version {version}) {payload}") }
}
