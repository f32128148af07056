//! The component's exports, and the projection that is written by hand.

use yado_sdk::__private::bindings::manifest::exports::yado::domain::manifest;
use yado_sdk::__private::bindings::projections::exports::yado::domain::projections;
use yado_sdk::__private::bindings::projections::yado::domain::read_model;
use yado_sdk::__private::bindings::{aggregates::exports::yado::domain::aggregates, types};
use yado_sdk::__private::{guest, json};
use yado_sdk::prelude::*;

use crate::{Account, Balance};

const MODEL: &str = "Balance";

struct Plugin;

impl manifest::Guest for Plugin {
    fn describe() -> String {
        let manifest = yado_sdk::__private::manifest::Manifest::new(
            "bank",
            env!("CARGO_PKG_VERSION"),
            "Accounts, deposits, withdrawals.",
        );
        manifest.aggregate::<Account>().model::<Balance>().to_json()
    }
}

impl aggregates::Guest for Plugin {
    fn decide(
        _: String,
        state: Option<Vec<u8>>,
        command: types::Command,
    ) -> Result<aggregates::Decision, types::Rejection> {
        guest::decide::<Account>(state, command)
    }

    fn evolve(_: String, state: Option<Vec<u8>>, events: Vec<types::Event>) -> Option<Vec<u8>> {
        guest::evolve::<Account>(state, events)
    }

    fn upcast(_: String, events: Vec<types::Event>) -> Vec<Vec<types::Event>> {
        guest::upcast::<Account>(&events)
    }
}

impl projections::Guest for Plugin {
    fn project(_: String, events: Vec<types::RecordedEvent>) {
        for recorded in events {
            project(&recorded);
        }
    }
}

fn project(recorded: &types::RecordedEvent) {
    let id = recorded.stream.id.as_str();
    let payload: serde_json::Value = serde_json::from_str(&recorded.event.payload).expect("an event's payload is JSON");
    let at = Timestamp::from_micros(i64::try_from(recorded.recorded_at).unwrap_or(i64::MAX));
    let put = |owner: &str, balance: i64, movements: i64| {
        let row = Balance { id: Id::new(id), owner: owner.to_owned(), balance, movements, updated_at: at };
        read_model::put(MODEL, &json::write(&row));
    };
    match recorded.event.name.as_str() {
        "Opened" => put(payload["owner"].as_str().unwrap_or_default(), 0, 0),
        "Closed" => read_model::delete(MODEL, id),
        name => {
            let Some(row) = read_model::get(MODEL, id) else { return };
            let row: serde_json::Value = serde_json::from_str(&row).expect("a row is JSON");
            let number = |value: &serde_json::Value| value.as_i64().unwrap_or_default();
            let amount = if name == "Withdrawn" { -number(&payload["amount"]) } else { number(&payload["amount"]) };
            put(
                row["owner"].as_str().unwrap_or_default(),
                number(&row["balance"]) + amount,
                number(&row["movements"]) + 1,
            );
        }
    }
}

yado_sdk::__private::bindings::manifest::export_manifest!(Plugin with_types_in yado_sdk::__private::bindings::manifest);
yado_sdk::__private::bindings::aggregates::export_aggregates!(Plugin with_types_in yado_sdk::__private::bindings::aggregates);
yado_sdk::__private::bindings::projections::export_projections!(Plugin with_types_in yado_sdk::__private::bindings::projections);
