//! The figures of the engine, for the few that the bench compares with what it measures itself.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Keeps gauges by name. What else is recorded goes nowhere.
#[derive(Clone, Default)]
pub(crate) struct Figures {
    gauges: Arc<Mutex<HashMap<String, Arc<AtomicU64>>>>,
}

impl Figures {
    /// A recorder that the whole process uses from now on.
    pub(crate) fn install() -> Self {
        let figures = Self::default();
        metrics::set_global_recorder(figures.clone()).unwrap();
        figures
    }

    pub(crate) fn gauge(&self, name: &str) -> f64 {
        let gauges = self.gauges.lock().unwrap();
        gauges.get(name).map_or(0.0, |gauge| f64::from_bits(gauge.load(Ordering::Relaxed)))
    }
}

impl Recorder for Figures {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(AtomicU64::new(0)))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.gauges.lock().unwrap().entry(key.name().to_owned()).or_default().clone())
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
