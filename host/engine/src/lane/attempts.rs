//! What is known of attempts at a transaction that have failed.
//!
//! Most of them are at their end: the database has said that nothing was done. Of one that was never answered that can't be
//! said. It may be recorded, and it may still be on its way and be recorded later, whatever the next one is told meanwhile.

use yado_store::Error;

/// Attempts at the same appends that have failed.
#[derive(Debug, Clone, Default)]
pub(super) struct Attempts {
    any: bool,
    /// Why the first of them that was never answered was not.
    unheard: Option<Error>,
}

impl Attempts {
    /// One more has failed.
    pub(super) fn failed(&mut self, error: &Error) {
        self.any = true;
        if matches!(error, Error::Unheard(_)) {
            self.unheard.get_or_insert_with(|| error.clone());
        }
    }

    /// Whether there are any.
    pub(super) const fn have_failed(&self) -> bool {
        self.any
    }

    /// The failure of one that may still be recorded, if there is one.
    pub(super) const fn unheard(&self) -> Option<&Error> {
        self.unheard.as_ref()
    }

    /// What is to be said after the last of them: that nothing was recorded must be true of all.
    pub(super) fn last_word(&self, error: Error) -> Error {
        match &self.unheard {
            Some(Error::Unheard(earlier))
                if matches!(error, Error::Full(_) | Error::Unavailable(_) | Error::OutOfUse(_)) =>
            {
                Error::Unheard(format!("{earlier}; and after that: {error}"))
            }
            _ => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_nothing_was_recorded_is_said_only_if_every_attempt_has_said_so() {
        let (full, gone) = (Error::Full("53100".into()), Error::Unheard("reset".into()));
        let mut attempts = Attempts::default();
        attempts.failed(&full);
        assert_eq!((attempts.have_failed(), attempts.last_word(full.clone())), (true, full.clone()));
        attempts.failed(&gone);
        attempts.failed(&full);
        assert_eq!(attempts.unheard(), Some(&gone));
        let told = attempts.last_word(full).to_string();
        assert!(told.contains("did not answer: reset") && told.contains("53100"), "{told}");
        let told = attempts.last_word(Error::OutOfUse("fsync".into())).to_string();
        assert!(told.contains("did not answer: reset") && told.contains("fsync"), "{told}");
        let refused = Error::Invalid("too large".into());
        assert_eq!(attempts.last_word(refused.clone()), refused);
    }
}
