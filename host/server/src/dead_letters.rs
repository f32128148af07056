//! `yado dead-letters`: what projections of a running server could not be shown.

use reqwest::Method;
use serde_json::Value;

use crate::client::{Remote, short, text};
use crate::failure::{Failure, Result};
use crate::terminal;

/// `yado dead-letters list`.
pub(crate) async fn list(remote: &Remote) -> Result<()> {
    let answer = remote.ask(Method::GET, "dead-letters", |request| request).await?;
    let letters = answer.get("deadLetters").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if letters.is_empty() {
        terminal::tell("no stream is parked");
    }
    letters.iter().for_each(|letter| terminal::say(&line(letter)));
    Ok(())
}

/// `yado dead-letters show`.
pub(crate) async fn show(id: &str, remote: &Remote) -> Result<()> {
    let answer = remote.ask(Method::GET, &format!("dead-letters/{id}"), |request| request).await?;
    terminal::say(&format!("{answer:#}"));
    Ok(())
}

/// `yado dead-letters replay`.
pub(crate) async fn replay(id: &str, remote: &Remote) -> Result<()> {
    let answer = remote.ask(Method::POST, &format!("dead-letters/{id}/replay"), |request| request).await?;
    match answer.get("deadLetter") {
        None => {
            let apart = if id.contains(":tenant:") { ", but for streams that are parked by themselves" } else { "" };
            terminal::say(&format!("{id} is shown, and all that waited behind it{apart}"));
            Ok(())
        }
        Some(letter) => Err(Failure::new(format!("it fails again: {}", line(letter)))),
    }
}

fn line(letter: &Value) -> String {
    let number = |name: &str| letter.get(name).and_then(Value::as_u64).unwrap_or_default();
    let [id, tenant, stream, event, error] =
        ["id", "tenant", "stream", "event", "error"].map(|name| text(letter, name));
    let waits = if text(letter, "waits") == "tenant" { ", of which everything waits" } else { "" };
    let (plugin, version, digest) = (text(letter, "plugin"), text(letter, "pluginVersion"), short(letter, "digest"));
    let (revision, attempts, at) = (number("revision"), number("attempts"), text(letter, "at"));
    format!(
        "{id}: {event} of {stream} (tenant {tenant}{waits}), revision {revision}, tried {attempts} times by {plugin} {version} \
         ({digest}), last at {at}: {error}"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_tells_of_the_event_the_code_and_the_reason() {
        let letter = json!({
            "id": "Counts:17", "tenant": "acme", "stream": "Counter-a", "event": "Counted", "revision": 3,
            "attempts": 5, "plugin": "counters", "pluginVersion": "1.2.3", "digest": "0123456789abcdef0123",
            "at": "2026-01-31T09:30:00.000000Z", "error": "it panicked: no"
        });
        assert_eq!(
            line(&letter),
            "Counts:17: Counted of Counter-a (tenant acme), revision 3, tried 5 times by counters 1.2.3 (0123456789ab), \
             last at 2026-01-31T09:30:00.000000Z: it panicked: no"
        );
    }
}
