//! The token that callers of the admin API show.
//!
//! It is the configured one, or one that is made at the first start and kept in the data folder, where only the user
//! that the server runs as can read it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use yado_model::Digest;

use crate::config::Secret;
use crate::failure::{Doing as _, Failure, Result};

/// What a token is held against. The token itself is not kept.
#[derive(Debug, Clone)]
pub(crate) struct AdminToken(Digest);

impl AdminToken {
    /// What shown tokens are held against.
    pub(crate) fn new(token: &Secret) -> Self {
        Self(Digest::of(token.expose().as_bytes()))
    }

    /// Whether the token that is shown is the right one. How long the answer takes does not tell how much of it is
    /// right: what is compared are digests, and all of their bytes.
    pub(crate) fn matches(&self, shown: &str) -> bool {
        let shown = Digest::of(shown.as_bytes());
        let difference = self.0.bytes().iter().zip(shown.bytes()).fold(0, |all, (left, right)| all | (left ^ right));
        difference == 0
    }
}

/// Where a data folder keeps its token.
fn file(data: &Path) -> PathBuf {
    data.join("admin-token")
}

/// The token that a data folder keeps.
pub(crate) fn kept(data: &Path) -> Result<Option<Secret>> {
    let file = file(data);
    let shown = file.display();
    match std::fs::read_to_string(&file) {
        Ok(text) => {
            let token =
                text.trim().parse().doing_or(|| format!("{shown} holds no token"), "remove it to get a new one")?;
            Ok(Some(token))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).doing(|| format!("the admin token in {shown} can't be read")),
    }
}

/// The token that a data folder keeps; it is made if there is none.
pub(crate) fn keep(data: &Path) -> Result<Secret> {
    if let Some(token) = kept(data)? {
        return Ok(token);
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).doing(|| "this machine gives no randomness for an admin token".to_owned())?;
    let token = Digest::from_bytes(bytes).to_string();
    let file = file(data);
    OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut opened| opened.write_all(token.as_bytes()))
        .doing(|| format!("the admin token can't be written to {}", file.display()))?;
    token.parse().map_err(Failure::new)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_whole_token_matches() {
        let token = AdminToken::new(&"0123456789abcdef".parse().unwrap());
        assert!(token.matches("0123456789abcdef"));
        for wrong in ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef0", "0123456789abcdef "] {
            assert!(!token.matches(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_token_is_made_once_and_only_its_owner_can_read_it() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(kept(place.path()).unwrap(), None);
        let made = keep(place.path()).unwrap();
        assert_eq!(made.expose().len(), 64);
        assert_eq!(keep(place.path()).unwrap(), made);
        assert_eq!(file(place.path()).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
