//! Members in and out of service, spares, names and labels, by the rules alone.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::hash::Hash;
use crate::identity::{Identity, MemberId, Scheme};
use crate::record::{Change, Genesis, JoinRequest, Newcomer};
use crate::state::{Role, Service, State};
use crate::statement::{Address, Checked, Envelope, Holds, Id16, Intent, Position, Signed, Statement};
use crate::time::{Millis, WallTime};
use crate::validity::Invalid;

const NOW: WallTime = WallTime(1_795_442_400_000);

fn identity(number: u8) -> Identity {
    Identity::from_seed([number; 32])
}

fn id(number: u8) -> MemberId {
    identity(number).id()
}

fn newcomer(number: u8) -> Newcomer {
    let socket = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, number)), port);
    let address = Address { control: socket(7800), bulk: socket(7801) };
    Newcomer { member: id(number), store: Id16([number; 16]), name: format!("web{number}"), address }
}

/// An entity that settles by itself whatever is asked.
struct Chain {
    state: State,
    said: u64,
}

impl Chain {
    /// Members web1 to web`count`, all voters.
    fn of(count: u8) -> Self {
        let nonce = Id16([7; 16]);
        let genesis = Genesis {
            format: Genesis::NEWEST,
            name: "farm".into(),
            founder: newcomer(1),
            at: NOW,
            nonce,
            inherited: None,
            governance: Default::default(),
        };
        let mut chain = Self { state: State::genesis(&genesis), said: 0 };
        for number in 2..=count {
            chain.admit(number, false);
            chain.promote(number).expect("a learner");
        }
        chain
    }

    fn sign(&mut self, author: u8, statement: Statement) -> Signed {
        self.said += 1;
        let position = Position { incarnation: 1, sequence: self.said };
        let envelope = Envelope { entity: self.state.entity, store: Id16([author; 16]), position, statement };
        Checked::sign(&identity(author), envelope).signed().clone()
    }

    fn ask_by(&mut self, author: u8, by: &str, change: Change) -> Result<(), Invalid> {
        self.said += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.said.to_be_bytes());
        let intent = Intent {
            id: Id16(bytes),
            seen: self.state.epoch,
            at: NOW,
            by: by.into(),
            change,
            mandate: Default::default(),
        };
        let signed = self.sign(author, Statement::Intent(Box::new(intent)));
        self.state = self.state.with_changes(&[signed], Scheme::Ed25519)?;
        Ok(())
    }

    fn ask(&mut self, change: Change) -> Result<(), Invalid> {
        self.ask_by(1, "ada", change)
    }

    fn admit(&mut self, number: u8, spare: bool) {
        let key = identity(100 + number);
        let expires = NOW + Millis::seconds(60);
        self.ask(Change::Invite { key: key.id(), uses: 1, expires, note: String::new(), spare })
            .expect("an invitation");
        let request = JoinRequest::sign(self.state.entity, newcomer(number), &key, &identity(number));
        self.ask(Change::Admit(request)).expect("admitted");
    }

    fn promote(&mut self, number: u8) -> Result<(), Invalid> {
        let holds = Statement::Holds(Holds { epoch: self.state.epoch, head: Hash([0; 32]) });
        let holds = self.sign(number, holds);
        self.ask(Change::Promote { member: id(number), holds })
    }

    fn out(&mut self, number: u8, anyway: bool) -> Result<(), Invalid> {
        self.ask(Change::TakeOut { member: id(number), reason: "disk".into(), until: None, anyway })
    }

    fn role(&self, number: u8) -> Role {
        self.state.member(&id(number)).expect("a member").role
    }
}

#[test]
fn service_never_changes_who_counts() {
    let mut chain = Chain::of(3);
    chain.out(2, false).expect("others serve");
    let (quorum, placed) = (chain.state.quorum(), chain.state.content_quorum(chain.state.voters().count()));
    assert_eq!((quorum, placed, chain.role(2)), (2, 2, Role::Voter));
    assert_eq!(chain.state.in_service().count(), 2);
    let Service::Out(out) = &chain.state.member(&id(2)).expect("a member").service else { panic!("not out") };
    assert_eq!((out.by.as_str(), out.reason.as_str(), out.since), ("ada", "disk", NOW));
    chain.ask(Change::BringIn { member: id(2) }).expect("in");
    assert_eq!(chain.state.in_service().count(), 3);
}

#[test]
fn nobody_is_left_in_service_only_where_somebody_said_so() {
    let mut chain = Chain::of(2);
    chain.out(1, false).expect("web2 serves");
    let before = chain.state.clone();
    assert_eq!(chain.out(2, false), Err(Invalid::NobodyServes));
    let spare = Change::Spare { member: id(2), anyway: false };
    assert_eq!(chain.ask_by(1, "althing", spare), Err(Invalid::NobodyServes));
    assert_eq!(chain.state, before, "a refused change changes nothing");
    chain.out(2, true).expect("an administrator said so");
    assert_eq!(chain.state.in_service().count(), 0);
    // What is so already may be said again: the reason may be another.
    chain.out(2, false).expect("nobody serves anyhow");
}

#[test]
fn only_a_time_out_of_service_ends_by_itself() {
    let mut chain = Chain::of(2);
    let back = Change::Return { member: id(2) };
    assert!(matches!(chain.ask(back.clone()), Err(Invalid::NotSo(_))));
    chain.out(2, false).expect("out");
    assert!(matches!(chain.ask(back.clone()), Err(Invalid::NotSo(_))), "it has no end");
    let until = Some(NOW + Millis::seconds(60));
    chain.ask(Change::TakeOut { member: id(2), reason: String::new(), until, anyway: false }).expect("out");
    chain.ask(back).expect("back");
    assert!(chain.state.member(&id(2)).expect("a member").is_in_service());
}

#[test]
fn a_spare_holds_content_and_does_not_count() {
    let mut chain = Chain::of(3);
    chain.admit(4, true);
    assert_eq!((chain.role(4), chain.state.voters().count()), (Role::Follower, 3));
    assert!(matches!(chain.promote(4), Err(Invalid::Stale)), "a follower is not promoted by its word alone");
    let basis = |chain: &Chain| chain.state.applications["shop"].basis;
    chain
        .ask(Change::Create {
            application: "shop".into(),
            root: "/srv/shop".into(),
            policy: crate::record::Policy::Majority,
            unmanaged: Vec::new(),
            adopts: false,
            terms: crate::state::Terms::default(),
        })
        .expect("defined");
    let before = basis(&chain);
    chain.ask(Change::BringIn { member: id(4) }).expect("a spare may serve");
    assert_eq!((chain.role(4), basis(&chain)), (Role::Follower, before));
    chain.ask(Change::Spare { member: id(3), anyway: false }).expect("a voter steps back");
    assert_eq!((chain.role(3), chain.state.quorum()), (Role::Follower, 2));
    assert!(basis(&chain) > before, "Holdings were promised to another number of voters");
    chain.ask(Change::Enlist { member: id(4) }).expect("a spare");
    chain.promote(4).expect("a learner again");
    assert_eq!((chain.role(4), chain.state.voters().count()), (Role::Voter, 3));
    assert!(matches!(chain.ask(Change::Enlist { member: id(4) }), Err(Invalid::NotSo(_))));
}

#[test]
fn the_last_voter_is_no_spare() {
    let mut chain = Chain::of(1);
    chain.admit(2, true);
    assert_eq!(chain.ask(Change::Spare { member: id(1), anyway: true }), Err(Invalid::LastVoter));
}

#[test]
fn names_are_unique_and_labels_bounded() {
    let mut chain = Chain::of(2);
    let rename = |name: &str| Change::Rename { member: id(2), name: name.into() };
    assert_eq!(chain.ask(rename("web1")), Err(Invalid::Taken("web1".into())));
    assert!(matches!(chain.ask(rename("a b")), Err(Invalid::Text(_))));
    chain.ask(rename("shop2")).expect("free");
    assert_eq!(chain.state.member_named("shop2").map(|member| member.id), Some(id(2)));
    let label = |labels: &[(&str, Option<&str>)]| Change::Label {
        member: id(2),
        labels: labels.iter().map(|(key, value)| ((*key).into(), value.map(str::to_owned))).collect(),
        keep_files: false,
    };
    chain.ask(label(&[("zone", Some("b")), ("rack", Some("4"))])).expect("two");
    chain.ask(label(&[("rack", None)])).expect("one less");
    let labels = &chain.state.member(&id(2)).expect("a member").labels;
    assert_eq!(*labels, BTreeMap::from([("zone".to_owned(), "b".to_owned())]));
    assert!(matches!(chain.ask(label(&[("a b", Some("c"))])), Err(Invalid::Text(_))));
    let many: BTreeMap<String, Option<String>> =
        (0..33).map(|number| (format!("k{number}"), Some("v".to_owned()))).collect();
    assert!(matches!(
        chain.ask(Change::Label { member: id(2), labels: many, keep_files: false }),
        Err(Invalid::Full(_))
    ));
}
