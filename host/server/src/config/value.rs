//! The types of values in the configuration. Each says what it expects, whether it comes from a flag, the environment or
//! the file.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// What stands in place of a secret wherever the configuration is shown.
const MASK: &str = "***";

/// A value that is written as a text: serde reads it in the same way as the command line does.
macro_rules! read_as_text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = <$name as FromStr>::Err;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    )*};
}

read_as_text!(Listen, DatabaseUrl, Secret, Origin);

/// Where the server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Listen(pub(crate) SocketAddr);

impl FromStr for Listen {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("{text:?} is no place to listen at: write an IP address and a port, such as 127.0.0.1:4000")
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A database's URL. It may hold a password, so it shows itself without one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL with its password, for the store alone.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The URL of an SQLite file.
    pub(crate) fn sqlite(path: &str) -> Self {
        Self(format!("sqlite:{path}"))
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(Self(text.to_owned()));
        }
        // The text is not repeated: it may hold a password.
        Err("this is no database URL: write sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME".to_owned())
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Covers the password of a URL, before the host and among the parameters.
fn mask(url: &str) -> String {
    let (address, parameters) = url.split_once('?').map_or((url, None), |(left, right)| (left, Some(right)));
    let mut shown = match address.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((credentials, place)) => match credentials.split_once(':') {
                Some((user, _)) => format!("{scheme}://{user}:{MASK}@{place}"),
                None => address.to_owned(),
            },
            None => address.to_owned(),
        },
        None => address.to_owned(),
    };
    if let Some(parameters) = parameters {
        let covered = parameters.split('&').map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("password") => format!("{name}={MASK}"),
            _ => parameter.to_owned(),
        });
        shown.push('?');
        shown.push_str(&covered.collect::<Vec<_>>().join("&"));
    }
    shown
}

/// A text that nobody is to see.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Secret(String);

impl Secret {
    /// The text, for the one place that compares it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        // Sixteen characters are what keeps guessing out of reach; whatever a header can't carry would never match.
        if text.len() < 16 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token has at least 16 characters, all of them ASCII letters, digits or signs".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// A site whose pages may call the API, as browsers name it: scheme, host, and the port if it is not the usual one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Origin(String);

impl Origin {
    /// The text that a browser sends.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let place = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let sound = |place: &str| {
            !place.is_empty() && place.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@*".contains(&byte))
        };
        if place.is_some_and(sound) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(format!("{text:?} is no origin: write scheme, host and port, such as http://localhost:5173"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How log lines look.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Text where a person reads it, JSON elsewhere.
    #[default]
    Auto,
    /// A line of text for each event.
    Text,
    /// A line of JSON for each event.
    Json,
}

/// Whether calls of guests share instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Isolation {
    /// An instance that has answered is used again, for the same plugin and the same tenant.
    Pooled,
    /// Every call gets a fresh instance.
    PerCall,
}

/// A whole number within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Number<const LEAST: u64, const MOST: u64>(u64);

/// The largest number that TOML can say.
const LARGEST: u64 = i64::MAX as u64;

/// A number that must not be zero.
pub(crate) type Positive = Number<1, LARGEST>;
/// A number that may be zero.
pub(crate) type Natural = Number<0, LARGEST>;
/// A number of 32 bits that must not be zero.
pub(crate) type SmallPositive = Number<1, { u32::MAX as u64 }>;
/// A number of 32 bits that may be zero.
pub(crate) type SmallNatural = Number<0, { u32::MAX as u64 }>;

impl<const LEAST: u64, const MOST: u64> Number<LEAST, MOST> {
    fn bounded(value: u64) -> Result<Self, String> {
        match value {
            _ if value < LEAST => Err(format!("{value} is too small: it must be at least {LEAST}")),
            _ if value > MOST => Err(format!("{value} is too large: it must be at most {MOST}")),
            _ => Ok(Self(value)),
        }
    }
}

impl<const LEAST: u64, const MOST: u64> FromStr for Number<LEAST, MOST> {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let value = text.parse().map_err(|_| format!("{text:?} is no whole number"))?;
        Self::bounded(value)
    }
}

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Number<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Whole;

        impl Visitor<'_> for Whole {
            type Value = u64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<u64, E> {
                u64::try_from(value).map_err(|_| E::custom(format!("{value} must not be negative")))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<u64, E> {
                Ok(value)
            }
        }

        Self::bounded(input.deserialize_u64(Whole)?).map_err(serde::de::Error::custom)
    }
}

/// How a value of the configuration stands in the settings of the part that it is for.
pub(crate) trait Held<T>: Sized {
    /// Puts the value in its place.
    fn put(self, place: &mut T);
    /// The value that stands in a place, if there is one.
    fn of(place: &T) -> Option<Self>;
}

macro_rules! held_as_number {
    ($($kind:ty),*) => {$(
        impl<const LEAST: u64, const MOST: u64> Held<$kind> for Number<LEAST, MOST> {
            fn put(self, place: &mut $kind) {
                // The bounds keep what does not fit out already; on a machine of 32 bits, the largest is meant.
                *place = <$kind>::try_from(self.0).unwrap_or(<$kind>::MAX);
            }

            fn of(place: &$kind) -> Option<Self> {
                u64::try_from(*place).ok().map(Self)
            }
        }
    )*};
}

held_as_number!(u32, u64, usize);

impl<const LEAST: u64, const MOST: u64> Held<Option<u64>> for Number<LEAST, MOST> {
    fn put(self, place: &mut Option<u64>) {
        *place = Some(self.0);
    }

    fn of(place: &Option<u64>) -> Option<Self> {
        place.map(Self)
    }
}

impl Held<bool> for bool {
    fn put(self, place: &mut bool) {
        *place = self;
    }

    fn of(place: &bool) -> Option<Self> {
        Some(*place)
    }
}

impl Held<yado_runtime::Isolation> for Isolation {
    fn put(self, place: &mut yado_runtime::Isolation) {
        *place = match self {
            Self::Pooled => yado_runtime::Isolation::Pooled,
            Self::PerCall => yado_runtime::Isolation::PerCall,
        };
    }

    fn of(place: &yado_runtime::Isolation) -> Option<Self> {
        Some(match place {
            yado_runtime::Isolation::Pooled => Self::Pooled,
            yado_runtime::Isolation::PerCall => Self::PerCall,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_itself_without_its_password() {
        for (url, shown) in [
            ("postgres://ada:s3cret@db:5432/yado", "postgres://ada:***@db:5432/yado"),
            ("postgres://ada:p@ss:w@db/yado?sslmode=require", "postgres://ada:***@db/yado?sslmode=require"),
            ("postgres://db/yado?user=ada&password=s3cret", "postgres://db/yado?user=ada&password=***"),
            ("postgres://ada@db/yado", "postgres://ada@db/yado"),
            ("sqlite:data/yado.db", "sqlite:data/yado.db"),
        ] {
            let parsed: DatabaseUrl = url.parse().unwrap();
            assert_eq!(parsed.to_string(), shown);
            assert_eq!(format!("{parsed:?}"), shown);
            assert_eq!(parsed.expose(), url);
        }
    }

    #[test]
    fn a_bad_url_is_not_repeated_because_it_may_hold_a_password() {
        let refused = "mysql://ada:s3cret@db/yado".parse::<DatabaseUrl>().unwrap_err();
        assert!(!refused.contains("s3cret"), "{refused}");
    }

    #[test]
    fn an_origin_has_a_scheme_and_no_path() {
        assert!("http://localhost:5173".parse::<Origin>().is_ok());
        for wrong in ["localhost:5173", "http://", "http://localhost/", "*", "https://*.example.com"] {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_token_that_can_be_guessed_is_refused() {
        assert!("short".parse::<Secret>().is_err());
        assert!("has a space in the midst".parse::<Secret>().is_err());
        assert_eq!(format!("{:?}", "0123456789abcdef".parse::<Secret>().unwrap()), "***");
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        assert_eq!("0".parse::<SmallNatural>().map(|n| n.0), Ok(0));
        assert_eq!("0".parse::<Positive>(), Err("0 is too small: it must be at least 1".into()));
        assert_eq!("64MB".parse::<Positive>(), Err("\"64MB\" is no whole number".into()));
        assert_eq!(
            "4294967296".parse::<SmallPositive>(),
            Err("4294967296 is too large: it must be at most 4294967295".into())
        );
    }
}
