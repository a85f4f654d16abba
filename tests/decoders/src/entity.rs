//! A small entity to give bytes to: two voters, one of whom is a liar with a good key.

use std::collections::BTreeMap;

use althing_protocol::codec;
use althing_protocol::effect::{Input, Output};
use althing_protocol::governance::{Operator, OperatorKey, Operators};
use althing_protocol::hash::Hash;
use althing_protocol::identity::{Identity, Scheme};
use althing_protocol::limits;
use althing_protocol::member::saved::{Beginning, Head, Saved};
use althing_protocol::member::{Config, Member};
use althing_protocol::record::{Change, Genesis, Newcomer, Policy};
use althing_protocol::state::{Application, Role, Service, State, Terms};
use althing_protocol::statement::{Address, Checked, Envelope, Id16, Intent, Position, Signed, Statement};
use althing_protocol::time::{Instant, Now, WallTime};
use althing_protocol::trail::Trail;
use althing_protocol::wire::{Highest, Message};

/// Signatures are the simulator's: the liar has a good key anyhow.
pub(crate) const SCHEME: Scheme = Scheme::SimulatedHash;
/// The civil time of everything.
const WALL: WallTime = WallTime(1_800_000_000_000);

/// The honest member's key.
pub(crate) fn honest() -> Identity {
    Identity::from_seed([1; 32]).simulated()
}

/// The liar's key.
pub(crate) fn liar() -> Identity {
    Identity::from_seed([2; 32]).simulated()
}

fn store(of: &Identity) -> Id16 {
    Id16([of.id().0[0]; 16])
}

/// Where everybody listens.
pub(crate) fn address() -> Address {
    let control = std::net::SocketAddr::from(([10, 0, 0, 1], 7800));
    Address { control, bulk: control }
}

pub(crate) fn genesis() -> Genesis {
    let founder =
        Newcomer { member: honest().id(), store: store(&honest()), name: "web1".into(), address: address() };
    Genesis {
        format: Genesis::NEWEST,
        name: "demo".into(),
        founder,
        at: WALL,
        nonce: Id16([9; 16]),
        inherited: None,
        governance: Box::default(),
    }
}

/// Two of two.
pub(crate) fn operators() -> Operators {
    let one = |seed: u8| Operator {
        name: format!("op{seed}"),
        key: OperatorKey(Identity::from_seed([seed; 32]).id().0),
    };
    Operators { needed: 2, keys: vec![one(61), one(62)] }
}

/// The entity's id.
pub(crate) fn id() -> Hash {
    genesis().id()
}

/// Both are voters, and there is an application.
pub(crate) fn state() -> State {
    let mut state = State::genesis(&genesis());
    state.members.push(althing_protocol::state::Member {
        id: liar().id(),
        store: store(&liar()),
        name: "web2".into(),
        role: Role::Voter,
        addresses: vec![address()],
        since: 0,
        service: Service::In,
        labels: BTreeMap::new(),
    });
    let application = Application {
        root: "/srv/web".into(),
        policy: Policy::Majority,
        basis: 0,
        revisions: Vec::new(),
        window: None,
        paused: None,
        unmanaged: vec!["log/**".into()],
        adopts: false,
        terms: Terms::default(),
    };
    state.applications.insert("web".into(), application);
    state
}

/// Signs as the liar.
pub(crate) fn sign(sequence: u64, statement: Statement) -> Signed {
    let position = Position { incarnation: 1, sequence };
    let envelope = Envelope { entity: id(), store: store(&liar()), position, statement };
    Checked::sign(&liar(), envelope).signed().clone()
}

/// Any changes, signed by a member, applied to a state: none may panic, and what is valid leads to one state.
pub(crate) fn changes(bytes: &[u8]) {
    let Ok(changes) = codec::decode::<Vec<Change>>(bytes, limits::RECORD_BYTES) else { return };
    let state = state();
    let intent = |(at, change): (usize, Change)| {
        let id = Id16((at as u128).to_be_bytes());
        let intent = Intent { id, seen: 0, at: WALL, by: "fuzz".into(), change, mandate: Default::default() };
        sign(at as u64 + 1, Statement::Intent(Box::new(intent)))
    };
    let signed: Vec<Signed> = changes.into_iter().enumerate().map(intent).collect();
    if let Ok(next) = state.with_changes(&signed, SCHEME) {
        assert_eq!(state.with_changes(&signed, SCHEME).map(|again| again.hash()), Ok(next.hash()));
        assert_eq!(next.epoch, state.epoch + 1);
        assert!(next.voters().next().is_some(), "an entity without voters");
    }
}

/// A member of the entity, and what it wants done.
struct Fed {
    member: Member,
    now: Now,
}

impl Fed {
    fn new() -> Self {
        let now = Now { mono: Instant(1), wall: WALL };
        let life = althing_protocol::member::saved::Life { store: store(&honest()), ..Default::default() };
        let head = Head { state: state(), record: id(), trail: Trail::begin(&state(), id()) };
        let beginning = Beginning::of(genesis());
        let saved =
            Saved { life: Some(life), head: Some(head), beginning: Some(beginning), ..Saved::default() };
        let mut fed = Self { member: Member::restore(honest(), Config::default(), [3; 32], saved, now), now };
        fed.give(Input::Tick);
        fed.give(Input::Connected(liar().id()));
        fed.hear(&Message::Highest(Highest { incarnation: 1, said: Vec::new() }));
        fed
    }

    fn hear(&mut self, message: &Message) {
        self.give(Input::Received { from: liar().id(), bytes: message.encode() });
    }

    /// Every write is synced at once; everything else that a member wants done takes for ever.
    fn give(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            self.now.mono = Instant(self.now.mono.0 + 50);
            let mut out = Vec::new();
            self.member.step(self.now, input, &mut out);
            for output in out {
                match output {
                    Output::Persist { batch, .. } => inputs.push(Input::Persisted(batch)),
                    Output::Send { bytes, .. } => {
                        let sent = Message::decode(&bytes);
                        assert!(sent.is_ok(), "a member says what others refuse: {sent:?}");
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Any statements with good signatures, then any message, given to a member: it goes on.
pub(crate) fn member(bytes: &[u8]) {
    let mut fed = Fed::new();
    if let Ok(statements) = codec::decode::<Vec<Statement>>(bytes, limits::RECORD_BYTES) {
        let signed = statements.into_iter().take(64).enumerate();
        let signed = signed.map(|(at, statement)| sign(at as u64 + 1, statement)).collect();
        fed.hear(&Message::Push(signed));
        let chained: Vec<Signed> =
            fed.member.certificate().into_iter().flat_map(|c| c.votes.clone()).collect();
        fed.hear(&Message::Push(chained));
    }
    fed.give(Input::Received { from: liar().id(), bytes: bytes.to_vec() });
    fed.give(Input::JoinAsked { ticket: 1, bytes: bytes.to_vec() });
    fed.give(Input::Tick);
    let _: Option<_> = fed.member.status();
    let _: Option<_> = fed.member.why(Some("web2"));
    assert!(fed.member.deadline().is_some());
}
