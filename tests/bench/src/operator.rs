//! What an operator does to a server that is running, over its HTTP API.

use serde_json::Value;

use crate::Result;
use crate::http::{Connection, Url};

/// The operator of a server.
#[derive(Debug)]
pub struct Operator {
    host: String,
    token: String,
}

impl Operator {
    /// The operator of the server at `host:port`.
    pub(crate) fn new(host: String, token: String) -> Self {
        Self { host, token }
    }

    /// Has a projection's tables filled anew. It returns as soon as that is noted.
    ///
    /// # Errors
    /// When the server refuses it.
    pub async fn rebuild(&self, projection: &str) -> Result<()> {
        let mut connection = self.connect(&format!("projections/{projection}/rebuild"), "POST").await?;
        match connection.send(b"").await? {
            (200, _) => Ok(()),
            (status, said) => {
                Err(format!("{projection} is not rebuilt, status {status}: {}", String::from_utf8_lossy(said)))
            }
        }
    }

    /// What the server says of its projections, again and again.
    ///
    /// # Errors
    /// When it can't be reached.
    pub async fn watch(&self) -> Result<Watch> {
        Ok(Watch(self.connect("projections", "GET").await?))
    }

    async fn connect(&self, path: &str, method: &str) -> Result<Connection> {
        let url = Url { host: self.host.clone(), path: format!("/admin/{path}") };
        Connection::open_bearing(&url, method, &self.token).await
    }
}

/// Looks at how projections stand, over a connection of its own.
#[derive(Debug)]
pub struct Watch(Connection);

impl Watch {
    /// The keys of a projection's tables: one while they serve, two while others are filled to take their place.
    ///
    /// # Errors
    /// When the server does not say it, or something troubles one of them.
    pub async fn keys(&mut self, projection: &str) -> Result<Vec<String>> {
        let (status, said) = self.0.send(b"").await?;
        keys(said, projection)
            .ok_or_else(|| format!("projections stand badly, status {status}: {}", String::from_utf8_lossy(said)))
    }
}

fn keys(said: &[u8], projection: &str) -> Option<Vec<String>> {
    let said: Value = serde_json::from_slice(said).ok()?;
    let all = said["projections"].as_array()?.iter().filter(|status| status["name"] == projection);
    all.map(|status| status["key"].as_str().filter(|_| status["trouble"].is_null()).map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_those_of_one_projection_and_trouble_is_none() {
        let said =
            br#"{"projections":[{"name":"A","key":"p/A/1","trouble":null},{"name":"A","key":"p/A/2","trouble":null},
            {"name":"B","key":"p/B/1","trouble":"the database fails"}]}"#;
        assert_eq!(keys(said, "A"), Some(vec!["p/A/1".to_owned(), "p/A/2".to_owned()]));
        assert_eq!(keys(said, "B"), None);
        assert_eq!(keys(b"{}", "A"), None);
    }
}
