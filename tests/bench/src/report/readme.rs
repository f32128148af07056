//! The README's section: the chart, what is reached, what more than that costs, and the machine that it was measured on.

use super::{Report, table};

const BEGIN: &str = "<!-- bench: what stands up to the next such line is written by `cargo xtask bench` -->";
const END: &str = "<!-- bench: end -->";

/// What was done to compare like with like, and where it was not done.
const ALIKE: &str = "\
The others only append, so where it is compared with them Yado only appends as well: the bank is deployed without its read
model. What it costs Yado to keep that live beside the same deposits, and what other commands than deposits cost, is
measured too, and not judged. Catching up, rebuilding, the time to a visible row and memory are of the bank with its read
model.";

/// The section, without its marks.
pub(super) fn section(report: &Report) -> String {
    let mut text = String::from("![Durable deposits a second, of Yado and of others](tests/bench/last/chart.svg)\n\n");
    text.push_str("| what | at least | found | so |\n| --- | --- | --- | --- |\n");
    for verdict in &report.verdicts {
        let required = verdict.required.trim_start_matches("at least ");
        text.push_str(&format!("| {} | {required} | {} | {} |\n", verdict.what, verdict.found, verdict.word()));
    }
    if let Some(throughput) = &report.throughput {
        text.push_str(&format!("\n{ALIKE}\n\n| what is done | found |\n| --- | --- |\n"));
        throughput.prices().for_each(|(what, found)| text.push_str(&format!("| {what} | {found} |\n")));
    }
    text.push_str(&format!("\n{}\nAll figures: [table](tests/bench/last/table.md), ", table::about(report)));
    text.push_str("[JSON](tests/bench/last/result.json).\n");
    text
}

/// The README with a section in the place of the one that it has.
///
/// # Errors
/// When it has no place for one.
pub(super) fn put(readme: &str, section: &str) -> Result<String, String> {
    let missing = || format!("it has no section between {BEGIN} and {END}");
    let (before, rest) = readme.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n\n{section}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_the_one_before() {
        let readme = format!("# A\n\n{BEGIN}\n\nold\n\n{END}\n\n## B\n");
        let once = put(&readme, "new\n").unwrap();
        assert_eq!(once, format!("# A\n\n{BEGIN}\n\nnew\n\n{END}\n\n## B\n"));
        assert_eq!(put(&once, "new\n").unwrap(), once);
        assert!(put("# A\n", "new\n").is_err());
    }
}
