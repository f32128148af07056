//! A log with a long history.

use yado_model::{CommandId, CommandMeta, EntityId, Name, NewEvent, Revision, StreamId, TenantId, Timestamp};
use yado_store::{Append, Appended, Draft, EventStore, PluginVersion};

const BATCH: u64 = 5_000;

/// Accounts that are opened, and then get money, one after the other, at random.
pub(crate) struct History {
    revisions: Vec<u64>,
    random: u64,
    written: u64,
}

impl History {
    pub(crate) fn new(accounts: u64) -> Self {
        Self { revisions: vec![0; usize::try_from(accounts).unwrap()], random: 0x9E37_79B9_7F4A_7C15, written: 0 }
    }

    /// Writes so many more events.
    pub(crate) async fn go_on(&mut self, log: &dyn EventStore, events: u64) {
        let end = self.written + events;
        while self.written < end {
            let batch: Vec<_> = (self.written..end.min(self.written + BATCH)).map(|_| self.happens()).collect();
            let outcomes = log.append(&batch).await.unwrap();
            assert!(outcomes.iter().all(|outcome| matches!(outcome, Appended::Recorded { .. })));
        }
    }

    fn happens(&mut self) -> Append {
        let (number, accounts) = (self.written, self.revisions.len() as u64);
        self.written += 1;
        // xorshift: the same log every time.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let account = if number < accounts { number } else { self.random % accounts };
        let revision = &mut self.revisions[usize::try_from(account).unwrap()];
        *revision += 1;
        append(account, *revision - 1, number)
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
