//! `yado claims check | rebuild`: whether the table of claims says what the log says, and how to make it so.
//!
//! Who holds which value is told by the events; the table is an index of that, kept in the same transactions. A restored
//! backup, or a hand in the database, can make the two differ. Both commands work beside a server that runs: they see the
//! log as of one moment, and its appends wait only while the table is put right.

use std::fmt::Write as _;
use std::path::Path;

use yado_store::{ClaimDifference, ClaimsReport};

use crate::config::{Config, DatabaseUrl};
use crate::failure::{Doing as _, Failure, Result};
use crate::terminal;

/// Compares, and repairs if `apply`. A difference that is left is a failure.
pub(crate) async fn run(config: &Config, apply: bool) -> Result<()> {
    let log = &config.database_url;
    if let Some(path) = file(log).filter(|path| !path.exists()) {
        return Err(Failure::new(format!(
            "there is no event log {}: name its folder with --data, or its database with --database-url",
            path.display()
        )));
    }
    let events = yado_store::open_events(log.expose(), &config.database).await;
    let events = events
        .doing_or(|| format!("the event log in {log} can't be used"), "see to it, or name another --database-url")?;
    let report = events.rebuild_claims(apply).await.doing(|| format!("the claims in {log} can't be compared"));
    events.close().await;
    let report = report?;
    terminal::say(&describe(&report));
    if report.different > 0 && !report.repaired {
        return Err(Failure::new("the table of claims is not what the log says: `yado claims rebuild` makes it so"));
    }
    Ok(())
}

/// The file of an SQLite log.
fn file(log: &DatabaseUrl) -> Option<&Path> {
    let path = log.expose().strip_prefix("sqlite:")?;
    let path = path.split_once('?').map_or(path, |(path, _parameters)| path);
    Some(Path::new(path.strip_prefix("//").unwrap_or(path)))
}

fn describe(report: &ClaimsReport) -> String {
    let ClaimsReport { head, held, different, differences, repaired } = report;
    let mut text =
        format!("{held} value{} held, as the log says up to position {head}", if *held == 1 { " is" } else { "s are" });
    for ClaimDifference { tenant, constraint, value, by_log, by_table } in differences {
        let holder = by_log.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
        let kept = by_table.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
        // Writing into a string can't fail.
        let _ =
            write!(text, "\n  {constraint} {value:?} (tenant {tenant}): {holder} holds it, and the table says {kept}");
    }
    let untold = different.saturating_sub(differences.len() as u64);
    if untold > 0 {
        let _ = write!(text, "\n  and {untold} more");
    }
    if *repaired && *different > 0 {
        let differences =
            if *different == 1 { "1 difference is".to_owned() } else { format!("{different} differences are") };
        let _ = write!(text, "\n{differences} repaired");
    }
    text
}

#[cfg(test)]
mod tests {
    use yado_model::{Position, StreamId, TenantId};

    use super::*;

    #[test]
    fn a_file_is_named_without_the_parameters_of_its_url() {
        let file_of = |url: &str| file(&url.parse().unwrap()).map(|path| path.display().to_string());
        assert_eq!(file_of("sqlite:/data/log.db?mode=rwc").as_deref(), Some("/data/log.db"));
        assert_eq!(file_of("sqlite://log.db").as_deref(), Some("log.db"));
        assert_eq!(file_of("postgres://localhost/log"), None);
    }

    #[test]
    fn a_report_tells_what_differs_and_what_was_done() {
        let sound = ClaimsReport { head: Position::new(7), held: 1, different: 0, differences: vec![], repaired: true };
        assert_eq!(describe(&sound), "1 value is held, as the log says up to position 7");
        let difference = ClaimDifference {
            tenant: TenantId::default(),
            constraint: "unique_label".into(),
            value: "x".into(),
            by_log: Some(StreamId::parse("Counter-a").unwrap()),
            by_table: None,
        };
        let repaired = ClaimsReport { held: 2, different: 3, differences: vec![difference], ..sound };
        assert_eq!(
            describe(&repaired),
            "2 values are held, as the log says up to position 7\n  \
             unique_label \"x\" (tenant default): Counter-a holds it, and the table says nobody\n  \
             and 2 more\n\
             3 differences are repaired"
        );
    }
}
