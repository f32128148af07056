//! Who answers requests: the server's routes, and before they are there, one that says so.
//!
//! A start may take long, because every read model catches up first. Whatever watches over the process is to see that it
//! lives, and load balancers that it is not ready; a connection that nobody answers would tell neither.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use axum::{Json, Router};
use serde_json::json;
use tower::ServiceExt as _;
use yado_graphql::GraphQl;
use yado_model::Code;

use crate::health;
use crate::http::failure;
use crate::metrics::Metrics;

/// After how many seconds it is worth to ask again.
const RETRY_AFTER_S: u16 = 1;

/// What answers requests at this moment. Clones of it change together.
#[derive(Clone)]
pub(crate) struct Front {
    starting: Router,
    open: Arc<OnceLock<Open>>,
}

/// What stands behind a front that is open.
struct Open {
    routes: Router,
    /// What answers GraphQL's requests by POST, which nearly all are, without asking the routes where they lead: a router
    /// clones and boxes its services for each request. None if the routes do more for them than that.
    graphql: Option<GraphQl>,
}

/// Which way a request goes.
enum Way {
    GraphQl(GraphQl),
    Routes(Router),
}

impl Front {
    /// A front with nothing behind it yet.
    pub(crate) fn closed(metrics: Metrics) -> Self {
        let starting = health::starting().merge(metrics.starting()).route("/graphql", any(graphql)).fallback(other);
        Self { starting, open: Arc::default() }
    }

    /// Lets these routes answer from now on, and what is given beside them GraphQL's requests by POST. Only the first call
    /// counts: what has been shown stays.
    pub(crate) fn open(&self, routes: Router, graphql: Option<GraphQl>) {
        let _ = self.open.set(Open { routes, graphql });
    }

    /// Answers a request.
    pub(crate) fn answer(&self, request: Request<Body>) -> impl Future<Output = Response> + use<> {
        let way = self.way(&request);
        async move {
            let routes = match way {
                Way::GraphQl(graphql) => return yado_graphql::post(&graphql, request).await,
                Way::Routes(routes) => routes,
            };
            // Routes answer every request; their error has no values.
            match routes.oneshot(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            }
        }
    }

    fn way(&self, request: &Request<Body>) -> Way {
        let is_graphql = || request.method() == Method::POST && request.uri().path() == yado_graphql::PATH;
        match self.open.get() {
            Some(Open { graphql: Some(graphql), .. }) if is_graphql() => Way::GraphQl(graphql.clone()),
            Some(open) => Way::Routes(open.routes.clone()),
            None => Way::Routes(self.starting.clone()),
        }
    }
}

const STARTING: &str = "the server is starting: its read models are catching up; ask again soon";

/// GraphQL's clients look for errors in GraphQL's own form.
async fn graphql() -> Response {
    let extensions = json!({ "code": Code::Unavailable.as_str(), "retryAfterMs": u64::from(RETRY_AFTER_S) * 1_000 });
    let body = json!({ "errors": [{ "message": STARTING, "extensions": extensions }] });
    later((StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response())
}

async fn other() -> Response {
    later(failure(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, STARTING))
}

fn later(mut answer: Response) -> Response {
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    answer
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use serde_json::Value;

    use super::*;

    async fn get(front: &Front, path: &str) -> (StatusCode, Option<HeaderValue>, Value) {
        let answer = front.answer(Request::get(path).body(Body::empty()).unwrap()).await;
        let (status, after) = (answer.status(), answer.headers().get(RETRY_AFTER).cloned());
        let body = to_bytes(answer.into_body(), 1024 * 1024).await.unwrap();
        (status, after, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn until_it_is_open_it_lives_and_is_not_ready() {
        let front = Front::closed(Metrics::apart());
        assert_eq!(get(&front, "/health/live").await.0, StatusCode::OK);
        for path in ["/health", "/health/ready"] {
            let (status, _, body) = get(&front, path).await;
            assert_eq!((status, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &"starting".into()), "{path}");
        }
        for (path, code) in
            [("/graphql", "/errors/0/extensions/code"), ("/", "/error/code"), ("/admin/plugins", "/error/code")]
        {
            let (status, after, body) = get(&front, path).await;
            assert_eq!((status, after), (StatusCode::SERVICE_UNAVAILABLE, Some(HeaderValue::from(1))), "{path}");
            assert_eq!(body.pointer(code), Some(&"UNAVAILABLE".into()), "{path}: {body}");
        }
    }

    #[tokio::test]
    async fn what_is_opened_answers_for_all_clones() {
        let front = Front::closed(Metrics::apart());
        let clone = front.clone();
        front.open(Router::new().route("/", axum::routing::get(async || Json("here"))), None);
        assert_eq!(get(&clone, "/").await, (StatusCode::OK, None, "here".into()));
    }
}
