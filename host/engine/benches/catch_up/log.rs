//! A log with a long history.

use yado_model::{CommandId, CommandMeta, EntityId, Name, NewEvent, Revision, StreamId, TenantId, Timestamp};
use yado_store::{Append, Appended, Draft, EventStore, PluginVersion};

const BATCH: u64 = 5_000;

/// Opens accounts, and then puts money into one after the other, at random.
pub(crate) async fn fill(log: &dyn EventStore, events: u64, accounts: u64) {
    let mut revisions = vec![0; usize::try_from(accounts).unwrap()];
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut written = 0;
    while written < events {
        let batch: Vec<_> = (written..events.min(written + BATCH))
            .map(|number| {
                // xorshift: the same log every time.
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let account = if number < accounts { number } else { random % accounts };
                let revision = &mut revisions[usize::try_from(account).unwrap()];
                *revision += 1;
                append(account, *revision - 1, number)
            })
            .collect();
        let outcomes = log.append(&batch).await.unwrap();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Appended::Recorded { .. })));
        written += batch.len() as u64;
    }
}

fn append(account: u64, expected: u64, number: u64) -> Append {
    let id = EntityId::parse(&format!("0197a1b2-7c3d-7e4f-8a5b-{account:012x}")).unwrap();
    let (name, payload) = if expected == 0 {
        ("Opened", format!(r#"{{"owner":"Owner of account {account}"}}"#))
    } else {
        ("Deposited", format!(r#"{{"amount":{},"reference":"{:x<150}"}}"#, 1 + number % 1_000, format!("{number} ")))
    };
    let command_id = CommandId::generate();
    let draft = Draft {
        tenant: TenantId::default(),
        stream: StreamId::new(&Name::parse("Account").unwrap(), &id),
        expected: Revision::new(expected),
        events: vec![NewEvent { name: name.into(), version: 1, payload, tags: Vec::new() }],
        claims: Vec::new(),
        recorded_at: Timestamp::now(),
        command: CommandMeta { command_id, correlation_id: command_id.0, causation_id: None, actor: None },
        plugin: PluginVersion(1),
        idempotency: None,
    };
    draft.check().unwrap()
}
