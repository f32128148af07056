//! Asks rustup for a target, and does not wait for ever: a machine without a network may never get an answer.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a download may take.
const LIMIT: Duration = Duration::from_secs(180);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(50);
/// How much of what rustup says is shown if it fails.
const LINES: usize = 4;

/// `rustup target add`, for the toolchain that is in use.
pub(crate) fn add(target: &str) -> Result<(), String> {
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", target]);
    // A backtrace would only bury the reason.
    rustup.env("RUST_BACKTRACE", "0");
    within(&mut rustup, LIMIT)
}

/// Runs a program to its end, or until its time is over. What it says is shown if it fails.
fn within(command: &mut Command, limit: Duration) -> Result<(), String> {
    let began = Instant::now();
    let failed = |error: std::io::Error| format!("it can't be run: {error}");
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let said = child.stderr.take().map(|mut pipe| {
        thread::spawn(move || {
            let mut said = Vec::new();
            let _ = pipe.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        })
    });
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if began.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("it has not come to an end within {} s", limit.as_secs()));
        }
        thread::sleep(LOOK);
    };
    if status.success() {
        return Ok(());
    }
    let said = said.and_then(|said| said.join().ok()).unwrap_or_default();
    Err(said.lines().filter(|line| !line.trim().is_empty()).take(LINES).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<(), String> {
        within(Command::new("sh").args(["-c", script]), limit)
    }

    #[test]
    fn a_failure_is_told_in_the_programs_own_words() {
        assert_eq!(shell("exit 0", LIMIT), Ok(()));
        assert_eq!(
            shell("echo 'info: asking' >&2; echo 'error: no network' >&2; exit 1", LIMIT),
            Err("info: asking\nerror: no network".to_owned())
        );
    }

    #[test]
    fn who_does_not_come_to_an_end_is_ended() {
        assert!(shell("exec sleep 3600", Duration::ZERO).unwrap_err().contains("within 0 s"));
    }
}
