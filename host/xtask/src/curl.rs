//! curl, which one of the tests plays a shell script with.

use std::process::Command;

use crate::debian::{self, Rights};
use crate::step::LeftOut;
use crate::workspace::is_there;

/// Installs it on a Debian machine that lacks it, if that may be done.
pub(crate) fn ensure(left_out: &mut LeftOut) -> Result<(), String> {
    if is_there(Command::new("curl").arg("--version")) {
        return Ok(());
    }
    let what = "curl, and the test with it";
    match Rights::find().filter(|_| debian::is_here()) {
        Some(rights) => left_out.unless(what, || rights.install(&["curl"])).map(drop),
        None => {
            left_out.add(what, "because it is not installed");
            Ok(())
        }
    }
}
