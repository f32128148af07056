//! How much is followed, and by how many, in figures.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

/// Handles to the figures.
#[derive(Clone)]
pub(super) struct Figures {
    pub(super) sockets: Gauge,
    pub(super) subscriptions: Gauge,
    pub(super) cohorts: Gauge,
    pub(super) messages: Counter,
    pub(super) told: Counter,
    pub(super) slow: Counter,
    pub(super) live_bytes: Gauge,
    pub(super) behind_bytes: Gauge,
}

impl Figures {
    /// Makes the figures known.
    pub(super) fn register() -> Self {
        describe_gauge!("yado_sockets", "WebSockets and streams of events that are open.");
        describe_gauge!("yado_subscriptions", "Subscriptions.");
        describe_gauge!("yado_subscription_cohorts", "Different subscriptions: those that ask for the same are one.");
        describe_counter!(
            "yado_subscription_messages_total",
            "Messages that were made, each once for all who are told it."
        );
        describe_counter!("yado_subscription_deliveries_total", "Messages that were taken by subscribers.");
        describe_counter!(
            "yado_slow_readers_total",
            "Subscribers that were told more than they have taken, and ended."
        );
        describe_gauge!(
            "yado_subscription_bytes",
            "What is taken by messages that not everybody has taken who is live, and by those that are ready for subscribers \
             that catch up (behind)."
        );
        Self {
            sockets: gauge!("yado_sockets"),
            subscriptions: gauge!("yado_subscriptions"),
            cohorts: gauge!("yado_subscription_cohorts"),
            messages: counter!("yado_subscription_messages_total"),
            told: counter!("yado_subscription_deliveries_total"),
            slow: counter!("yado_slow_readers_total"),
            live_bytes: gauge!("yado_subscription_bytes", "of" => "live"),
            behind_bytes: gauge!("yado_subscription_bytes", "of" => "behind"),
        }
    }
}
