//! Identifiers. Each is parsed once, at the edge, and is valid from then on.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {kind}: {rule}")]
pub struct Invalid {
    kind: &'static str,
    rule: &'static str,
    text: String,
}

impl Invalid {
    pub(crate) fn new(kind: &'static str, rule: &'static str, text: &str) -> Self {
        // A hostile text may be megabytes long, and this one is shown to people.
        let text = text.chars().take(80).collect();
        Self { kind, rule, text }
    }
}

/// A text type: shared, cheap to clone, checked when made.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text and makes it one of these.
            ///
            /// # Errors
            /// Says which rule the text breaks.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(Invalid::new($kind, $rule, text)) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

fn printable(text: &str, longest: usize) -> bool {
    !text.is_empty() && text.len() <= longest && text.chars().all(|c| !c.is_control())
}

text_id!(
    /// Whose data something is. Part of every key.
    TenantId, "a tenant id", "1 to 64 characters of a-z, 0-9, '-' and '_', beginning with a letter or digit",
    |t| (1..=64).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        && !t.starts_with(['-', '_'])
);

impl Default for TenantId {
    fn default() -> Self {
        Self("default".into())
    }
}

text_id!(
    /// The id of one instance of an aggregate.
    EntityId, "an id", "1 to 128 printable characters", |t| printable(t, 128)
);

text_id!(
    /// The name of an aggregate, command, event, field, read model and so on: what becomes a name in GraphQL and gRPC.
    Name, "a name", "1 to 64 letters, digits and '_', beginning with a letter",
    |t| (1..=64).contains(&t.len())
        && t.starts_with(|c: char| c.is_ascii_alphabetic())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !t.contains("__")
);

text_id!(
    /// A caller's name for one request, under which a repetition gets the first answer.
    IdempotencyKey, "an idempotency key", "1 to 200 printable characters", |t| printable(t, 200)
);

text_id!(
    /// Who asks.
    Actor, "an actor", "1 to 200 printable characters", |t| printable(t, 200)
);

impl schemars::JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[A-Za-z](?!.*__)[A-Za-z0-9_]{0,63}$" })
    }
}

/// One instance of one aggregate, and so one stream of events: `Ticket-018f…`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    text: Arc<str>,
    /// Where the aggregate's name ends. A name has no `-`, so the text can be taken apart again.
    split: usize,
}

impl StreamId {
    /// The stream of an instance.
    #[must_use]
    pub fn new(aggregate: &Name, id: &EntityId) -> Self {
        Self { split: aggregate.as_str().len(), text: [aggregate.as_str(), "-", id.as_str()].concat().into() }
    }

    /// Takes a stream's text apart.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let rule = "an aggregate's name, '-', and an id";
        let (aggregate, id) = text.split_once('-').ok_or_else(|| Invalid::new("a stream id", rule, text))?;
        Name::parse(aggregate)?;
        EntityId::parse(id)?;
        Ok(Self { split: aggregate.len(), text: text.into() })
    }

    /// The aggregate's name.
    #[must_use]
    pub fn aggregate(&self) -> &str {
        &self.text[..self.split]
    }

    /// The instance's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.text[self.split + 1..]
    }

    /// Both, as one text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

/// The id of one command, and of the correlation that it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub Uuid);

impl CommandId {
    /// A new one; later ones sort after earlier ones.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_id_comes_apart_as_it_was_put_together() {
        let stream = StreamId::new(&Name::parse("Ticket").unwrap(), &EntityId::parse("a-b-c").unwrap());
        let parsed = StreamId::parse(stream.as_str()).unwrap();
        assert_eq!((parsed.aggregate(), parsed.id()), ("Ticket", "a-b-c"));
        assert_eq!(parsed, stream);
    }

    #[test]
    fn what_breaks_a_rule_is_refused_with_the_rule() {
        assert!(TenantId::parse("Acme").unwrap_err().to_string().contains("a-z"));
        assert!(Name::parse("9lives").is_err());
        assert!(Name::parse("__schema").is_err());
        assert!(EntityId::parse("").is_err());
        assert!(EntityId::parse("line\nbreak").is_err());
        assert!(StreamId::parse("nodash").is_err());
    }
}
