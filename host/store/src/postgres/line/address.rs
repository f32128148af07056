//! Where the database is, and who asks: what sqlx has understood of a URL, of the environment and of the password file, so
//! that both ways to one database never end up at two.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

/// How a session with the database is begun.
#[derive(Clone)]
pub(in super::super) struct Address {
    pub(super) place: Place,
    pub(super) user: String,
    pub(super) password: String,
    /// Settings that go with the greeting, the database's name among them.
    pub(super) greeting: Vec<(&'static str, String)>,
    /// What is asked first.
    pub(super) session: &'static str,
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Socket(PathBuf),
    Host(String, u16),
}

impl Address {
    /// A session that is begun as sqlx would, and then with a statement.
    pub(in super::super) fn of(options: &PgConnectOptions, session: &'static str) -> Self {
        let port = options.get_port();
        let socket = |folder: PathBuf| Place::Socket(folder.join(format!(".s.PGSQL.{port}")));
        let place = match (options.get_socket(), options.get_host()) {
            (Some(folder), _) => socket(folder.clone()),
            (None, host) if host.starts_with('/') => socket(host.into()),
            (None, host) => Place::Host(host.to_owned(), port),
        };
        let mut greeting = vec![
            ("client_encoding", "UTF8".to_owned()),
            ("DateStyle", "ISO, MDY".to_owned()),
            ("TimeZone", "UTC".to_owned()),
            ("extra_float_digits", "2".to_owned()),
        ];
        let given = [
            ("database", options.get_database()),
            ("application_name", options.get_application_name()),
            ("options", options.get_options()),
        ];
        greeting.extend(given.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned()))));
        Self { place, user: options.get_username().to_owned(), password: password(options), greeting, session }
    }
}

/// Only a URL tells the password. Names would not be escaped in it, and the password is, so it gets plain ones.
fn password(options: &PgConnectOptions) -> String {
    let url = options.clone().host("localhost").username("yado").database("yado").to_url_lossy();
    let password = url.password().unwrap_or_default();
    percent_decode_str(password).decode_utf8_lossy().into_owned()
}

/// Without the password.
impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Address").field("place", &self.place).field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    fn address(url: &str) -> Address {
        Address::of(&PgConnectOptions::from_str(url).unwrap(), "")
    }

    fn greeting<'a>(address: &'a Address, name: &str) -> Option<&'a str> {
        address.greeting.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_url_means_the_same_as_to_sqlx() {
        let far = address(
            "postgres://me:p%40ss%3Aw%2Frd%25@db.example:6543/shop%20one?application_name=x&options=-c%20a%3Db",
        );
        assert_eq!(far.place, Place::Host("db.example".into(), 6543));
        assert_eq!((far.user.as_str(), far.password.as_str()), ("me", "p@ss:w/rd%"));
        assert_eq!(greeting(&far, "database"), Some("shop one"));
        assert_eq!(greeting(&far, "application_name"), Some("x"));
        assert_eq!(greeting(&far, "options"), Some("-c a=b"));
        for url in ["postgres://me@localhost/shop?host=/run/pg&port=6000", "postgres://me@%2Frun%2Fpg:6000/shop"] {
            let near = address(url);
            assert_eq!(near.place, Place::Socket("/run/pg/.s.PGSQL.6000".into()), "{url}");
            assert_eq!(greeting(&near, "database"), Some("shop"));
        }
        let odd = address("postgres://a%40b%2Fc:secret@localhost/shop");
        assert_eq!((odd.user.as_str(), odd.password.as_str()), ("a@b/c", "secret"));
    }

    #[test]
    fn an_address_does_not_show_its_password() {
        assert!(!format!("{:?}", address("postgres://me:secret@localhost/shop")).contains("secret"));
    }
}
