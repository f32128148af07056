//! The chart: bars for deposits a second, drawn as SVG by hand, readable on light and dark ground, without scripts.

use std::fmt::Write as _;

use super::Report;
use crate::contender::System::{
    self, BusPostgres, BusPostgresBalances, BusSqlite, BusSqliteBalances, Emmett, GraphqlPostgres,
    GraphqlPostgresBalances, GraphqlSqlite, NoopGraphql, Pgbench, PostgresEs, SqliteEach, Umadb,
};
use crate::figures::grouped;
use crate::rounds::{Leg, Series};
use crate::work::Distribution::{Hot, Zipf};

const WIDTH: f64 = 860.0;
/// Where bars begin; names stand to the left.
const LEFT: f64 = 290.0;
/// Where the longest bar ends; figures stand to the right.
const RIGHT: f64 = 770.0;
const BAR: f64 = 16.0;
const STEP: f64 = 24.0;
const HEADING: f64 = 34.0;
const TOP: f64 = 44.0;

/// Colours in words, for one ground and for the other.
const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-size:15px;font-weight:600}.heading{font-weight:600}\
.note{font-size:12px;fill:#57606a}.ours{fill:#0a7c66}.theirs{fill:#9aa4b0}.range{stroke:#24292f;stroke-width:1.5}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9198a1}.ours{fill:#2fbf9f}.theirs{fill:#6b7785}\
.range{stroke:#e6edf3}}";

/// A bar: its name, the median, and the range of the rounds.
struct Bar {
    name: String,
    ours: bool,
    median: f64,
    least: f64,
    greatest: f64,
}

/// The report as SVG.
#[must_use]
pub fn chart(report: &Report) -> String {
    let all = report.throughput.as_ref().map_or(&[][..], |throughput| &throughput.series);
    let groups: Vec<(&str, Vec<Bar>)> = groups()
        .into_iter()
        .map(|(title, legs)| (title, legs.iter().filter_map(|(leg, name)| bar(all, *leg, name)).collect()))
        .filter(|(_, bars): &(_, Vec<_>)| !bars.is_empty())
        .collect();
    draw(&groups, &note(report))
}

fn groups() -> Vec<(&'static str, Vec<(Leg, &'static str)>)> {
    let leg = |system: System, clients| (Leg::uniform(system, clients), system.title());
    let named = |leg: Leg, name| (leg, name);
    vec![
        (
            "PostgreSQL, 32 clients",
            [
                BusPostgres,
                BusPostgresBalances,
                GraphqlPostgres,
                GraphqlPostgresBalances,
                Pgbench,
                NoopGraphql,
                Umadb,
                PostgresEs,
                Emmett,
            ]
            .map(|system| leg(system, 32))
            .to_vec(),
        ),
        (
            "PostgreSQL, 128 and 256 clients",
            vec![
                named(Leg::uniform(BusPostgres, 256), "Yado bus, 256"),
                named(Leg::uniform(GraphqlPostgres, 128), "Yado GraphQL, 128"),
                named(Leg::uniform(Pgbench, 128), "pgbench, 128"),
                named(Leg::uniform(NoopGraphql, 128), "no-op GraphQL, nothing stored, 128"),
                named(Leg::uniform(Umadb, 128), "UmaDB, 128"),
            ],
        ),
        (
            "SQLite, 32 clients",
            [BusSqlite, BusSqliteBalances, GraphqlSqlite, SqliteEach].map(|system| leg(system, 32)).to_vec(),
        ),
        (
            "Bus, 32 clients, how accounts are chosen",
            vec![
                named(Leg::spread(BusPostgres, 32, Zipf), "PostgreSQL, Zipf"),
                named(Leg::spread(BusPostgres, 32, Hot), "PostgreSQL, one account"),
                named(Leg::spread(BusSqlite, 32, Zipf), "SQLite, Zipf"),
                named(Leg::spread(BusSqlite, 32, Hot), "SQLite, one account"),
            ],
        ),
    ]
}

fn bar(all: &[Series], leg: Leg, name: &str) -> Option<Bar> {
    let series = all.iter().find(|series| series.leg == leg)?;
    let rates: Vec<f64> = series.rates().into_iter().flatten().collect();
    Some(Bar {
        name: name.to_owned(),
        ours: leg.system.is_ours(),
        median: series.rate()?,
        least: rates.iter().copied().reduce(f64::min)?,
        greatest: rates.iter().copied().reduce(f64::max)?,
    })
}

fn note(report: &Report) -> String {
    let machine = &report.machine;
    let bars = match report.rounds {
        1 => "one round".to_owned(),
        rounds => format!("bars are medians of {rounds} rounds, lines their range"),
    };
    let (memory, fsync) = (machine.memory_bytes / 1_000_000_000, report.fsync_us / 1_000.0);
    format!("{} cores, {memory} GB, fsync {fsync:.2} ms; {bars}", machine.cores)
}

fn draw(groups: &[(&str, Vec<Bar>)], note: &str) -> String {
    let bars = groups.iter().map(|(_, bars)| bars.len()).sum::<usize>() as f64;
    let height = TOP + bars * STEP + groups.len() as f64 * HEADING + 20.0;
    let longest = groups.iter().flat_map(|(_, bars)| bars).map(|bar| bar.greatest).fold(1.0, f64::max);
    let x = |rate: f64| LEFT + (RIGHT - LEFT) * rate / longest;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>Durable deposits a second</title>\n<style>{STYLE}</style>\n\
         <text class=\"title\" x=\"12\" y=\"24\">Durable deposits a second</text>\n"
    );
    let mut y = TOP;
    // Writing into a text can't fail.
    for (title, bars) in groups {
        let _ = writeln!(svg, "<text class=\"heading\" x=\"12\" y=\"{:.0}\">{}</text>", y + 14.0, escaped(title));
        y += HEADING - 10.0;
        for bar in bars {
            let (class, baseline, middle) = (if bar.ours { "ours" } else { "theirs" }, y + BAR - 3.5, y + BAR / 2.0);
            let _ = writeln!(
                svg,
                "<text x=\"{:.0}\" y=\"{baseline:.1}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"{class}\" x=\"{LEFT:.0}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR:.0}\" rx=\"2\"/>\
                 <path class=\"range\" d=\"M{:.1} {middle:.1}H{:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{baseline:.1}\">{}</text>",
                LEFT - 8.0,
                escaped(&bar.name),
                (x(bar.median) - LEFT).max(1.0),
                x(bar.least),
                x(bar.greatest),
                x(bar.greatest.max(bar.median)) + 8.0,
                grouped(bar.median),
            );
            y += STEP;
        }
        y += 10.0;
    }
    let _ = writeln!(svg, "<text class=\"note\" x=\"12\" y=\"{:.0}\">{}</text>\n</svg>", height - 10.0, escaped(note));
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, median: f64) -> Bar {
        Bar { name: name.into(), ours: name == "Yado", median, least: median * 0.9, greatest: median * 1.1 }
    }

    #[test]
    fn bars_are_as_long_as_their_figures() {
        let svg = draw(&[("A & B", vec![bar("Yado", 20_000.0), bar("<other>", 10_000.0)])], "two cores");
        let widths: Vec<f64> = svg
            .split("<rect ")
            .skip(1)
            .map(|rest| rest.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert!((widths[0] / widths[1] - 2.0).abs() < 0.01, "{widths:?}");
        assert!(svg.contains("class=\"ours\"") && svg.contains("class=\"theirs\""));
        assert!(svg.contains("A &amp; B") && svg.contains("&lt;other&gt;") && svg.contains("20,000"));
        assert!(!svg.contains("<script") && svg.contains("prefers-color-scheme:dark"));
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    }

    #[test]
    fn an_empty_chart_is_still_one() {
        assert!(draw(&[], "").ends_with("</svg>\n"));
    }
}
