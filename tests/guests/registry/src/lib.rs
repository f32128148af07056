//! Members, each with an address that nobody else has.

use yado_sdk::prelude::*;

use MemberCommand::{Leave, Move, Register};
use MemberEvent::{Left, Moved, Registered};

/// A member.
#[derive(State)]
#[state(unique(address = "Somebody else is registered with this address."))]
pub struct Member {
    address: String,
}

/// What can be asked of a member.
#[derive(Command)]
pub enum MemberCommand {
    /// Takes an address.
    #[command(creates, returns = Entry)]
    Register {
        /// Which address. It may be longer than a value of a constraint.
        #[schema(length(1..=2_000))]
        address: String,
    },
    /// Takes another address in place of the one that it has.
    #[command(returns = Entry)]
    Move {
        /// Which member.
        id: Id<Member>,
        /// Which address from now on.
        #[schema(length(1..=200))]
        address: String,
    },
    /// Lets go of everything.
    Leave {
        /// Which member.
        id: Id<Member>,
    },
}

/// What can happen to a member.
#[derive(Event)]
pub enum MemberEvent {
    /// It was registered.
    Registered {
        /// With this address.
        address: String,
    },
    /// It got another address.
    Moved {
        /// Which it has from now on.
        address: String,
    },
    /// It left.
    Left,
}

impl Aggregate for Member {
    type Command = MemberCommand;
    type Event = MemberEvent;

    fn decide(member: Option<&Self>, command: MemberCommand, _: &Context) -> Decision<MemberEvent> {
        match (member, command) {
            (None, Register { address }) => {
                let address = address.to_lowercase();
                record(Registered { address: address.clone() }).take(Self::ADDRESS, address)
            }
            (Some(now), Move { address, .. }) => {
                let address = address.to_lowercase();
                record(Moved { address: address.clone() }).exchange(Self::ADDRESS, &now.address, address)
            }
            (Some(now), Leave { .. }) => record(Left).release(Self::ADDRESS, &now.address),
            (None, _) => reject("member_unknown", "There is no such member."),
            (Some(_), Register { .. }) => reject("member_exists", "The member is registered already."),
        }
    }

    fn evolve(_: Option<Self>, event: MemberEvent) -> Option<Self> {
        match event {
            Registered { address } | Moved { address } => Some(Self { address }),
            Left => None,
        }
    }
}

/// A member as the register shows it.
#[derive(ReadModel)]
pub struct Entry {
    /// Names the member.
    #[key]
    id: Id<Member>,
    /// The address that it has.
    #[unique]
    #[schema(length(1..=200))]
    address: String,
}

impl Projection for Entry {
    type Event = Recorded<MemberEvent>;

    fn project(recorded: &Recorded<MemberEvent>, rows: &mut Rows<Self>) {
        match &recorded.event {
            Registered { address } | Moved { address } => {
                rows.put(Self { id: recorded.id(), address: address.clone() });
            }
            Left => rows.delete(&recorded.id()),
        }
    }
}

plugin! { name: "registry", aggregates: [Member], models: [Entry] }

#[cfg(test)]
mod tests {
    use yado_sdk::test_kit::{plugin as registry, released, taken};

    use super::*;

    fn ada() -> Id<Member> {
        Id::new("ada")
    }

    fn registered(address: &str) -> MemberEvent {
        Registered { address: address.into() }
    }

    #[test]
    fn whoever_registers_takes_the_address_in_lower_case() {
        let register = Register { address: "Ada@Example.org".into() };
        registry().when(register).then_claims([taken(Member::ADDRESS, "ada@example.org")]);
    }

    #[test]
    fn whoever_moves_lets_go_of_the_old_address_and_takes_the_new_one() {
        let given = || registry().given(&ada(), [registered("old@example.org")]);
        let to = |address: &str| Move { id: ada(), address: address.into() };
        given()
            .when(to("new@example.org"))
            .then_claims([released(Member::ADDRESS, "old@example.org"), taken(Member::ADDRESS, "new@example.org")]);
        given().when(to("OLD@example.org")).then_claims([]);
    }

    #[test]
    fn whoever_leaves_lets_go_of_the_address() {
        let given = registry().given(&ada(), [registered("ada@example.org")]);
        given.when(Leave { id: ada() }).then_claims([released(Member::ADDRESS, "ada@example.org")]);
    }
}
