//! A page to try the API on: GraphiQL, with everything that it needs within the program.
//!
//! It asks no other server for anything, so it works where there is no internet. It is built from npm packages where Node
//! is there; a program that was built without it says how to get it.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::{Html, IntoResponse};
use axum::routing::get;

/// The names and contents of the page's files; all but the page itself are compressed.
const ASSETS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/graphiql.rs"));

const MISSING: &str = include_str!("graphiql/missing.html");

/// The page talks to its own server only. Styles are set by its scripts, and its editor runs in workers.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; \
                      img-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn router() -> Router {
    Router::new().route("/graphiql", get(page)).route("/graphiql/{file}", get(file))
}

async fn page() -> Response<Body> {
    asset("index.html").unwrap_or_else(|| (StatusCode::NOT_FOUND, Html(MISSING)).into_response())
}

async fn file(Path(file): Path<String>) -> Response<Body> {
    asset(&file).unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

fn asset(name: &str) -> Option<Response<Body>> {
    let packed = |known: &str| known.strip_suffix(".gz") == Some(name);
    let (known, content) = ASSETS.iter().find(|(known, _)| *known == name || packed(known))?;
    let kind = match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "ttf" => "font/ttf",
        _ => "application/octet-stream",
    };
    let headers = [
        (CONTENT_TYPE, kind),
        // The next build has other files under the same names.
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let mut response = (headers, *content).into_response();
    if packed(known) {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_the_page_says_how_to_get_it() {
        assert!(MISSING.contains("cargo xtask graphiql"));
    }

    #[test]
    fn files_that_are_not_there_are_not_found() {
        assert!(asset("../Cargo.toml").is_none());
        assert!(asset("nothing").is_none());
    }

    #[test]
    fn what_is_embedded_has_a_page_that_needs_no_other_server() {
        if let Some((_, page)) = ASSETS.iter().find(|(name, _)| *name == "index.html") {
            let page = String::from_utf8_lossy(page);
            assert!(!page.contains("https://") && !page.contains("http://"), "{page}");
        }
    }
}
