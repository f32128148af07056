//! A history that nobody has planned: accounts of several tenants, under the same names, with whatever happens to them.

use std::collections::HashMap;

use serde_json::{Value, json};
use yado_model::{CommandId, CommandMeta, EntityId, Name, NewEvent, Revision, StreamId, TenantId, Timestamp};
use yado_store::{Append, Appended, Draft, EventStore, PluginVersion};

/// Accounts of each tenant.
const ACCOUNTS: u64 = 25;

/// Numbers that look random, and are the same for the same seed.
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

pub(crate) fn tenants() -> Vec<TenantId> {
    ["default", "acme", "zeta"].map(|name| TenantId::parse(name).unwrap()).into()
}

pub(crate) struct History {
    random: Random,
    tenants: Vec<TenantId>,
    /// Whether nothing but new accounts comes of it.
    only_opening: bool,
    revisions: HashMap<(TenantId, StreamId), u64>,
    now: i64,
}

impl History {
    pub(crate) fn new(seed: u64) -> Self {
        let (random, revisions) = (Random(seed), HashMap::new());
        Self { random, tenants: tenants(), only_opening: false, revisions, now: 1_769_851_800_000_000 }
    }

    /// A history of one tenant alone.
    pub(crate) fn of_one(seed: u64) -> Self {
        Self { tenants: vec![TenantId::default()], ..Self::new(seed) }
    }

    /// The same of a tenant that does nothing but open accounts.
    pub(crate) fn only_opening(self, tenant: TenantId) -> Self {
        Self { tenants: vec![tenant], only_opening: true, ..self }
    }

    /// The same so far, which goes on in another way.
    pub(crate) fn otherwise(&self, seed: u64) -> Self {
        let (tenants, revisions) = (self.tenants.clone(), self.revisions.clone());
        Self { random: Random(seed), tenants, only_opening: self.only_opening, revisions, now: self.now }
    }

    /// Records so many more events.
    pub(crate) async fn go_on(&mut self, log: &dyn EventStore, events: u64) {
        let batch: Vec<_> = (0..events).map(|_| self.happens()).collect();
        let outcomes = log.append(&batch).await.unwrap();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Appended::Recorded { .. })), "{outcomes:?}");
    }

    fn happens(&mut self) -> Append {
        let tenant = self.random.below(self.tenants.len() as u64);
        let tenant = self.tenants[usize::try_from(tenant).unwrap()].clone();
        let id = EntityId::parse(&format!("account-{}", self.random.below(ACCOUNTS))).unwrap();
        let stream = StreamId::new(&Name::parse("Account").unwrap(), &id);
        let amount = 1 + self.random.below(1_000);
        let moved = json!({ "amount": amount, "reference": format!("\"{amount}\" é\n") });
        let (name, payload) = match self.random.below(10) {
            kind if kind < 2 || self.only_opening => ("Opened", json!({ "owner": format!("owner \\ {amount}") })),
            2 => ("Closed", json!({})),
            3..=5 => ("Withdrawn", moved),
            _ => ("Deposited", moved),
        };
        let revision = self.revisions.entry((tenant.clone(), stream.clone())).or_default();
        *revision += 1;
        self.now += i64::try_from(amount).unwrap();
        happened(&tenant, &stream, *revision, (name, 1, &payload), self.now)
    }
}

/// An event of a stream.
pub(crate) fn happened(
    tenant: &TenantId,
    stream: &StreamId,
    revision: u64,
    (name, version, payload): (&str, u32, &Value),
    at: i64,
) -> Append {
    let command_id = CommandId::generate();
    let draft = Draft {
        tenant: tenant.clone(),
        stream: stream.clone(),
        expected: Revision::new(revision - 1),
        events: vec![NewEvent { name: name.into(), version, payload: payload.to_string(), tags: Vec::new() }],
        claims: Vec::new(),
        recorded_at: Timestamp::from_micros(at),
        command: CommandMeta { command_id, correlation_id: command_id.0, causation_id: None, actor: None },
        plugin: PluginVersion(1),
        idempotency: None,
    };
    draft.check().unwrap()
}
