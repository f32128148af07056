//! The figures that operators watch, at `/metrics`, in the form that Prometheus reads.
//!
//! The engine counts, and knows of no exporter. This one is the recorder of the whole process, so it is installed once,
//! by the binary, before there is an engine.

use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use yado_engine::Engine;

use crate::failure::{Doing as _, Result};

/// What a version of the text format is recognised by.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Durations from a tenth of a millisecond to the longest that a command may take, roughly doubling.
const SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0];
/// Events of one transaction, up to the most that one may have.
const EVENTS: [f64; 12] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0];
/// How often measured durations are counted into their buckets. They take memory until then.
const UPKEEP: Duration = Duration::from_secs(1);

/// A handle to the exporter.
#[derive(Clone)]
pub(crate) struct Metrics {
    exporter: PrometheusHandle,
}

impl Metrics {
    /// Makes the exporter the recorder of this process.
    pub(crate) fn install() -> Result<Self> {
        let installed = builder().and_then(PrometheusBuilder::install_recorder);
        Ok(Self { exporter: installed.doing(|| "figures can't be kept".to_owned())? })
    }

    /// Keeps the exporter's memory small for as long as the process runs.
    pub(crate) async fn keep(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.exporter.run_upkeep();
        }
    }

    /// `/metrics`, while there is no engine yet.
    pub(crate) fn starting(self) -> Router {
        Router::new().route("/metrics", get(async move || self.render()))
    }

    /// `/metrics`.
    pub(crate) fn router(self, engine: Engine) -> Router {
        let answer = async move || {
            engine.measure();
            self.render()
        };
        Router::new().route("/metrics", get(answer))
    }

    fn render(&self) -> impl IntoResponse + use<> {
        ([(CONTENT_TYPE, TEXT)], self.exporter.render())
    }

    /// An exporter that nothing reports to.
    #[cfg(test)]
    pub(crate) fn apart() -> Self {
        Self { exporter: builder().unwrap().build_recorder().handle() }
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_events".to_owned()), &EVENTS)
}
