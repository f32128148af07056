//! Reads a plugin's file from a request, within the server's limit.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, HttpBody as _};
use axum::http::StatusCode;

use crate::connections::is_stalled;

/// How many times the limit is read of a file that is too large, so that its sender gets an answer: who is still sending
/// when the connection closes never sees why it does.
const DRAINED: usize = 4;

/// Why there is no file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    #[error("the plugin has more than {0} bytes, which is this server's limit (guests.component_bytes)")]
    TooLarge(usize),
    #[error(
        "the rest of the plugin has not come in time: send it over a faster connection, or raise the server's limit \
         (http.body_ms)"
    )]
    Stalled,
    #[error("the plugin ended before its time: {0}")]
    Broken(String),
}

impl Unread {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Stalled => StatusCode::REQUEST_TIMEOUT,
            Self::Broken(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a body whole. How long that may take is the connection's business.
pub(super) async fn read(mut body: Body, limit: usize) -> Result<Vec<u8>, Unread> {
    let (mut file, mut length) = (Vec::new(), 0_usize);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = match frame {
            Ok(frame) => frame,
            // A file that is too large already stays so, however it ends.
            Err(_) if length > limit => break,
            Err(error) if is_stalled(&error) => return Err(Unread::Stalled),
            Err(error) => return Err(Unread::Broken(error.to_string())),
        };
        let Ok(part) = frame.into_data() else { continue };
        length = length.saturating_add(part.len());
        if length <= limit {
            file.extend_from_slice(&part);
        } else if length > limit.saturating_mul(DRAINED) {
            break;
        } else {
            file = Vec::new();
        }
    }
    if length > limit { Err(Unread::TooLarge(limit)) } else { Ok(file) }
}
