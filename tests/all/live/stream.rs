//! A stream of events, as a client reads it that does no more than it is told.

use serde_json::{Value, json};

use crate::support::PATIENCE;

/// A subscription over `text/event-stream`.
pub(super) struct Stream {
    answer: reqwest::Response,
    text: String,
}

/// What comes over a stream of events.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// An answer.
    Next(Value),
    /// There are no more of them.
    Complete,
    /// It has ended without a word.
    BrokenOff,
}

impl Stream {
    /// Begins a subscription. It is in force when this returns.
    pub(super) async fn open(url: &str, document: &str, variables: &Value) -> Self {
        let body = json!({ "query": document, "variables": variables });
        let request = reqwest::Client::new().post(format!("{url}/graphql")).header("accept", "text/event-stream");
        let answer = request.json(&body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        Self { answer, text: String::new() }
    }

    /// What comes next.
    pub(super) async fn event(&mut self) -> Event {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some((_, data)) = event.split_once("event: next\ndata: ") {
                    return Event::Next(serde_json::from_str(data).unwrap());
                }
                if event == "event: complete\ndata: " {
                    return Event::Complete;
                }
                assert_eq!(event, ":", "nothing else is sent but signs of life");
            }
            match tokio::time::timeout(PATIENCE, self.answer.chunk()).await.expect("the server says nothing") {
                Ok(Some(part)) => self.text.push_str(std::str::from_utf8(&part).unwrap()),
                Ok(None) | Err(_) => return Event::BrokenOff,
            }
        }
    }

    /// The next answer.
    pub(super) async fn next(&mut self) -> Value {
        match self.event().await {
            Event::Next(answer) => answer,
            other => panic!("{other:?}"),
        }
    }
}
