//! `yado projection`: how the projections of a running server stand, and what they are to do.

use reqwest::Method;
use serde_json::Value;

use crate::client::{Remote, text};
use crate::failure::Result;
use crate::terminal;

/// `yado projection list`.
pub(crate) async fn list(remote: &Remote) -> Result<()> {
    let answer = remote.ask(Method::GET, "projections", |request| request).await?;
    let projections = answer.get("projections").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if projections.is_empty() {
        terminal::tell("no projection runs");
    }
    projections.iter().for_each(|projection| terminal::say(&line(projection)));
    Ok(())
}

/// `yado projection pause`, `resume` and `rebuild`.
pub(crate) async fn tell(name: &str, what: &str, remote: &Remote) -> Result<()> {
    remote.ask(Method::POST, &format!("projections/{name}/{what}"), |request| request).await?;
    terminal::say(&match what {
        "pause" => format!("{name} stands still until it is resumed"),
        "resume" => format!("{name} goes on"),
        _ => format!("{name} is filled anew, beside the tables that serve: `yado projection list` tells how far it is"),
    });
    Ok(())
}

/// `yado projection rebuild --cancel`.
pub(crate) async fn cancel(name: &str, remote: &Remote) -> Result<()> {
    remote.ask(Method::DELETE, &format!("projections/{name}/rebuild"), |request| request).await?;
    terminal::say(&format!("{name} is not filled anew any more; the tables that serve go on"));
    Ok(())
}

fn line(projection: &Value) -> String {
    let number = |name: &str| projection.get(name).and_then(Value::as_u64);
    let [name, key, state] = ["name", "key", "state"].map(|field| text(projection, field));
    let (position, target) = (number("position").unwrap_or_default(), number("target").unwrap_or_default());
    let mut line = format!("{name} ({key}): {state}, {position} of {target} events");
    if position < target {
        let rate = projection.get("rate").and_then(Value::as_f64).unwrap_or_default();
        line += &format!(", {rate:.0} a second");
        if let Some(left_ms) = number("leftMs") {
            line += &format!(", {} s left", left_ms.div_ceil(1_000));
        }
    }
    match number("parked") {
        None | Some(0) => {}
        Some(1) => line += "; a stream is parked",
        Some(count) => line += &format!("; {count} streams are parked"),
    }
    match number("parkedTenants") {
        None | Some(0) => {}
        Some(1) => line += "; a tenant is parked as a whole",
        Some(count) => line += &format!("; {count} tenants are parked as a whole"),
    }
    match projection.get("trouble").and_then(Value::as_str) {
        Some(trouble) => format!("{line}; {trouble}"),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_tells_how_far_a_projection_is_and_what_it_lacks() {
        let mut counts = json!({
            "name": "Counts", "key": "counters/Counts/0a1b2c3d", "state": "live", "position": 7, "target": 7,
            "rate": 0.0, "leftMs": 0, "parked": 0, "trouble": null
        });
        assert_eq!(line(&counts), "Counts (counters/Counts/0a1b2c3d): live, 7 of 7 events");
        for (field, value) in [
            ("state", json!("filling")),
            ("target", json!(5_007)),
            ("rate", json!(1_000.4)),
            ("leftMs", json!(4_998)),
            ("parked", json!(2)),
            ("parkedTenants", json!(1)),
            ("trouble", json!("the database fails")),
        ] {
            counts[field] = value;
        }
        assert_eq!(
            line(&counts),
            "Counts (counters/Counts/0a1b2c3d): filling, 7 of 5007 events, 1000 a second, 5 s left; 2 streams are \
             parked; a tenant is parked as a whole; the database fails"
        );
    }
}
