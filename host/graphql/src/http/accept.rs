//! Which media types a client sends and understands.

use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};

use super::Fault;

/// The media types of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/graphql-response+json`: the status says whether the request was at fault.
    GraphQlResponse,
    /// `application/json`: what clients get that name nothing else.
    Json,
    /// `text/event-stream`: each answer by itself, as long as there are any.
    EventStream,
}

impl Media {
    /// The type of an answer that comes at once. What is wrong with a request for a stream of events is JSON.
    pub(super) const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphQlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json | Self::EventStream => "application/json; charset=utf-8",
        })
    }

    const fn of(range: &str) -> Option<Self> {
        match range.as_bytes() {
            b"application/graphql-response+json" => Some(Self::GraphQlResponse),
            b"application/json" | b"application/*" | b"*/*" => Some(Self::Json),
            b"text/event-stream" => Some(Self::EventStream),
            _ => None,
        }
    }
}

/// The media type that a client likes best. Of two that it likes alike the first counts.
///
/// # Errors
/// If it understands none of ours.
pub(super) fn media(headers: &HeaderMap) -> Result<Media, Fault> {
    let mut best: Option<(Media, u16)> = None;
    let mut said = false;
    for value in headers.get_all(ACCEPT) {
        // What nearly every client sends is known without taking it apart.
        if best.is_none() && value == "application/json" {
            (best, said) = (Some((Media::Json, 1000)), true);
            continue;
        }
        for range in String::from_utf8_lossy(value.as_bytes()).split(',') {
            said = said || !range.trim().is_empty();
            let (name, quality, utf_8) = read(range);
            let better = quality > best.map_or(0, |(_, quality)| quality);
            if let Some(media) = Media::of(&name).filter(|_| better && utf_8) {
                best = Some((media, quality));
            }
        }
    }
    match best {
        Some((media, _)) => Ok(media),
        None if !said => Ok(Media::Json),
        None => Err(Fault::new(
            StatusCode::NOT_ACCEPTABLE,
            "answers are application/graphql-response+json, application/json or text/event-stream, in UTF-8: accept one of them",
        )),
    }
}

/// Refuses what is not JSON.
pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Fault> {
    if headers.get(CONTENT_TYPE).is_some_and(|value| value == "application/json") {
        return Ok(());
    }
    let value = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    match value.as_deref().map(read) {
        Some((name, _, true)) if name == "application/json" => Ok(()),
        _ => Err(Fault::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be JSON in UTF-8: send it with the header Content-Type: application/json",
        )),
    }
}

/// A media range with its quality in thousandths, and whether it has the only character set that there is.
fn read(range: &str) -> (String, u16, bool) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let (mut quality, mut utf_8) = (1000, true);
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"').to_ascii_lowercase();
        match key.trim().to_ascii_lowercase().as_str() {
            "q" => quality = thousandths(&value),
            "charset" => utf_8 = ["utf-8", "utf8"].contains(&value.as_str()),
            _ => {}
        }
    }
    (name, quality, utf_8)
}

fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    match (whole, fraction.parse()) {
        ("0", Ok(thousandths)) => thousandths,
        _ => 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        media(&headers).ok()
    }

    #[test]
    fn the_client_chooses_the_media_type() {
        for (accept, expected) in [
            ("", Some(Media::Json)),
            ("*/*", Some(Media::Json)),
            ("application/json", Some(Media::Json)),
            ("application/graphql-response+json", Some(Media::GraphQlResponse)),
            (
                "application/graphql-response+json; charset=utf-8, application/json; charset=utf-8",
                Some(Media::GraphQlResponse),
            ),
            ("application/json, application/graphql-response+json", Some(Media::Json)),
            ("application/graphql-response+json;q=0.5, application/json;q=0.9", Some(Media::Json)),
            ("text/html, application/xhtml+xml, */*;q=0.8", Some(Media::Json)),
            ("text/html", None),
            ("text/event-stream", Some(Media::EventStream)),
            ("application/json, text/event-stream", Some(Media::Json)),
            ("text/event-stream, application/json;q=0.9", Some(Media::EventStream)),
            ("application/json;q=0", None),
            ("application/json; charset=iso-8859-1", None),
        ] {
            assert_eq!(chosen(accept), expected, "{accept}");
        }
    }

    #[test]
    fn only_json_is_read() {
        for (content, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=\"UTF-8\"", true),
            ("application/json; charset=utf-16", false),
            ("application/graphql", false),
            ("text/plain", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(content).unwrap());
            assert_eq!(is_json(&headers).is_ok(), expected, "{content}");
        }
        assert!(is_json(&HeaderMap::new()).is_err());
    }
}
