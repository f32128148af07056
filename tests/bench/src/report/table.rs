//! The figures as tables: for the terminal, and for a page.

use super::Report;
use crate::figures::{grouped, median};
use crate::parts::{Sides, Throughput};
use crate::rounds::Series;

/// A table: its heading and its rows. The first column is text, and so is the last of the verdicts.
struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

/// The report for a terminal.
#[must_use]
pub fn terminal(report: &Report) -> String {
    render(report, plain)
}

/// The report as Markdown.
#[must_use]
pub fn markdown(report: &Report) -> String {
    format!("# The bench's last result\n\n{}", render(report, pipes))
}

fn render(report: &Report, table: fn(&Table) -> String) -> String {
    let mut text = about(report);
    let mut section = |title: &str, body: Table| {
        if !body.rows.is_empty() {
            text.push_str(&format!("\n{title}\n\n{}", table(&body)));
        }
    };
    section("What has to come out", verdicts(report));
    if let Some(throughput) = &report.throughput {
        section("Deposits a second", series(&throughput.series));
    }
    if let Some(throughput) = &report.throughput {
        section("What more than appending costs: told, not judged", prices(throughput));
    }
    section("Other figures", others(report));
    if let Some(throughput) = &report.throughput {
        let rows = throughput.participants.iter().map(|participant| {
            let word = if participant.took_part { "" } else { "did not take part: " };
            vec![participant.system.title().to_owned(), format!("{word}{}", one_line(&participant.about))]
        });
        section("Who took part", Table { heading: vec!["system", "version and settings"], rows: rows.collect() });
    }
    for failed in &report.failed {
        text.push_str(&format!("\nFailed: {failed}\n"));
    }
    text
}

/// Where and how it was measured, in sentences.
pub(super) fn about(report: &Report) -> String {
    let machine = &report.machine;
    format!(
        "Measured at {} on commit {}: {} cores of {}, {} GB of memory, Linux {}, {}; an fsync of 8 KB costs {:.2} ms \
         (the median). {}, with its defaults but {}; fsync and synchronous_commit are on. {} rounds of {} s, {} accounts, \
         payloads of {} bytes, seed {}.\n",
        report.begun_at,
        report.commit,
        machine.cores,
        machine.processor,
        machine.memory_bytes / 1_000_000_000,
        machine.kernel,
        machine.file_system,
        report.fsync_us / 1_000.0,
        report.postgres,
        report.postgres_settings.join(", "),
        report.rounds,
        report.spec.seconds,
        grouped(f64::from(report.spec.accounts)),
        report.spec.payload_bytes,
        report.spec.seed,
    )
}

fn verdicts(report: &Report) -> Table {
    let rows = report.verdicts.iter().map(|verdict| {
        vec![verdict.what.clone(), verdict.required.clone(), shortened(&verdict.found), verdict.word().to_owned()]
    });
    Table { heading: vec!["what", "required", "found: median (least to greatest)", "so"], rows: rows.collect() }
}

fn series(all: &[Series]) -> Table {
    let figure = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), grouped);
    let rows = all.iter().map(|series| {
        let rates: Vec<f64> = series.rates().into_iter().flatten().collect();
        let least = rates.iter().copied().reduce(f64::min);
        let greatest = rates.iter().copied().reduce(f64::max);
        let busy = series.median_of(|turn| turn.busy.bench + turn.busy.contender);
        let cores = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.1}"));
        vec![
            series.leg.system.title().to_owned(),
            series.leg.clients.to_string(),
            series.leg.distribution.to_string(),
            figure(series.rate()),
            figure(least),
            figure(greatest),
            figure(series.median_of(|turn| turn.outcome.p50_us as f64)),
            figure(series.median_of(|turn| turn.outcome.p99_us as f64)),
            cores(busy),
            cores(series.median_of(|turn| turn.busy.database)),
            shortened(series.trouble.as_deref().unwrap_or_default()),
        ]
    });
    let heading = vec![
        "system",
        "clients",
        "accounts",
        "median",
        "least",
        "greatest",
        "p50 us",
        "p99 us",
        "cores",
        "cores of PostgreSQL",
        "trouble",
    ];
    Table { heading, rows: rows.collect() }
}

fn prices(throughput: &Throughput) -> Table {
    let rows = throughput.prices().map(|(what, found)| vec![what.to_owned(), found]);
    Table { heading: vec!["what is done", "found: median (least to greatest)"], rows: rows.collect() }
}

fn others(report: &Report) -> Table {
    let mut rows = Vec::new();
    let mut row = |what: &str, figure: String| rows.push(vec![what.to_owned(), figure]);
    if let Some(catch_up) = &report.catch_up {
        let rate = catch_up.rate().map_or_else(|| "nothing".into(), |rate| format!("{} events/s", grouped(rate)));
        row("catch-up into PostgreSQL", format!("{rate}, of a log of {}", grouped(catch_up.events as f64)));
    }
    if let Some(rebuild) = &report.rebuild {
        let [alone, while_read] = rebuild
            .rates()
            .map(|rate| rate.map_or_else(|| "nothing".into(), |rate| format!("{} events/s", grouped(rate))));
        row("rebuild in a server on PostgreSQL", format!("{alone}, of a log of {}", grouped(rebuild.events as f64)));
        row(&format!("the same while {} clients read", rebuild.readers), while_read);
        let pauses: Vec<f64> = rebuild.longest_pause_us.iter().map(|us| *us as f64 / 1_000.0).collect();
        let p99s: Vec<f64> = rebuild.answers_p99_us.iter().map(|us| *us as f64).collect();
        let shown = |figures: &[f64]| median(figures).map_or_else(|| "-".into(), grouped);
        row("their answers meanwhile, p99", format!("{} us, the median of rounds", shown(&p99s)));
        row("their longest pause between two answers", format!("{} ms, the median of rounds", shown(&pauses)));
    }
    if let Some(lag) = &report.lag {
        row("command to acknowledgement, p50", format!("{} us", grouped(lag.acknowledged_p50_us as f64)));
        row("command to visible row, p50", format!("{} us", grouped(lag.visible_p50_us as f64)));
        row("command to visible row, p99", format!("{} us", grouped(lag.visible_p99_us as f64)));
    }
    if let Some(reads) = &report.reads {
        let shown = |sides: &Sides| sides.rates().map(|rate| rate.map_or_else(|| "nothing".into(), grouped));
        let [graphql, statements] = shown(&reads.any);
        let what = format!("any of {} pages of 50 products with their category, over GraphQL", reads.pages);
        row(&what, format!("{graphql} a second"));
        row("the same rows by two statements, pgbench", format!("{statements} a second"));
        let [graphql, statements] = shown(&reads.first);
        let ratio = reads.first.ratio().map_or_else(|reason| reason, |ratio| ratio.to_string());
        row(
            "the first of these pages again and again, over GraphQL and by pgbench",
            format!("{graphql} and {statements} a second; {ratio}"),
        );
    }
    if let Some(sockets) = &report.sockets {
        row(
            &format!("memory with {} subscriptions", grouped(f64::from(sockets.sockets))),
            format!(
                "{} MB, {} MB at the start; {} messages a second to all of them",
                sockets.bytes() / 1_000_000,
                sockets.at_start_bytes / 1_000_000,
                grouped(sockets.rate())
            ),
        );
    }
    for memory in &report.memory {
        row(
            &format!("memory of a server on {}", memory.database),
            format!(
                "{} MB at the start, {} MB with {} accounts in state",
                memory.at_start_bytes / 1_000_000,
                memory.resident_bytes / 1_000_000,
                grouped(memory.in_state as f64)
            ),
        );
    }
    for storage in &report.storage {
        let indexes = storage.index_bytes.map(|bytes| format!(" and {bytes:.0} in indexes"));
        row(
            &format!("an event of 200 bytes on {}", storage.database),
            format!("{:.0} bytes{}", storage.table_bytes, indexes.unwrap_or_else(|| " with its indexes".into())),
        );
        let rate = |series: &Series| series.rate().map_or_else(|| "-".into(), grouped);
        row(
            &format!("deposits a second, bus, {}, 32 clients", storage.database),
            format!(
                "{} into a log that is new each round, {} into one of {}",
                rate(&storage.empty),
                rate(&storage.long),
                grouped(storage.events as f64)
            ),
        );
    }
    Table { heading: vec!["what", "figure"], rows }
}

/// Columns as wide as they must be; numbers at the right. Of what is long only the last column is.
fn plain(table: &Table) -> String {
    let heading: Vec<String> = table.heading.iter().map(|text| (*text).to_owned()).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&heading).chain(&table.rows).collect();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| if is_number(cell) { format!("{cell:>width$}") } else { format!("{cell:<width$}") });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn pipes(table: &Table) -> String {
    let mut text = format!("| {} |\n|", table.heading.join(" | "));
    for column in 0..table.heading.len() {
        let numbers = table.rows.iter().filter_map(|row| row.get(column)).all(|cell| is_number(cell));
        text.push_str(if numbers { " ---: |" } else { " --- |" });
    }
    text.push('\n');
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

/// Texts that come from elsewhere may be long; the JSON has all of them.
fn shortened(text: &str) -> String {
    const MOST: usize = 90;
    let line = one_line(text);
    if line.chars().count() <= MOST { line } else { line.chars().take(MOST - 1).chain(['…']).collect() }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a cell is a number, or stands where one would.
fn is_number(cell: &str) -> bool {
    cell == "-" || (!cell.is_empty() && cell.chars().all(|c| c.is_ascii_digit() || c == ',' || c == '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |name: &str, figure: &str| vec![name.to_owned(), figure.to_owned()];
        Table { heading: vec!["who", "how much"], rows: vec![row("Ann", "1,200"), row("B|b", "-")] }
    }

    #[test]
    fn numbers_stand_at_the_right() {
        assert_eq!(plain(&table()), "who  how much\nAnn     1,200\nB|b         -\n");
    }

    #[test]
    fn a_page_has_pipes_between_cells_and_not_in_them() {
        assert_eq!(pipes(&table()), "| who | how much |\n| --- | ---: |\n| Ann | 1,200 |\n| B\\|b | - |\n");
    }
}
