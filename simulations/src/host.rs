//! A simulated server: a [`Member`], its disk, its live trees, and what is under way on it.

pub(crate) mod content;
pub(crate) mod disk;
pub(crate) mod tree;
pub(crate) mod vices;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use althing_protocol::effect::Family;
use althing_protocol::hash::Hash;
use althing_protocol::identity::{Identity, MemberId};
use althing_protocol::member::Member;
use althing_protocol::state::PROTOCOL;
use althing_protocol::statement::Address;
use althing_protocol::time::{Instant, Millis, Now, WallTime};

use content::Content;
use disk::Disk;
use tree::Live;
use vices::Vices;

/// The civil time at which every world begins: 2026-11-23T14:00:00Z.
const BEGINNING: u64 = 1_795_442_400_000;

/// Whether what a host signed is what its disk says it signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Standing {
    /// It is.
    #[default]
    Sound,
    /// Its disk was put back to an earlier state by an administrator: it must not vote.
    PutBack,
    /// Its disk lied, or it was copied: nobody can know before it contradicts itself, and then it is named.
    Forgetful,
}

/// An image of a disk.
pub(crate) struct Image {
    pub(crate) keys: BTreeMap<(Family, Vec<u8>), Vec<u8>>,
    pub(crate) content: content::Pieces,
    pub(crate) at: u64,
    /// The process that ran then.
    pub(crate) life: u64,
}

/// One server.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) identity: Identity,
    pub(crate) id: MemberId,
    pub(crate) address: Address,
    /// The running process, if it runs.
    pub(crate) member: Option<Member>,
    /// Counts processes: completions of an earlier one do not arrive.
    pub(crate) life: u64,
    /// Microseconds of the world at which this process' monotonic clock stood at zero, as an addition.
    pub(crate) mono: u64,
    /// How far the civil clock is off, in milliseconds.
    pub(crate) skew: i64,
    /// By how many millionths its clocks run faster than the world's.
    pub(crate) faster: i64,
    /// Until then the process stands still.
    pub(crate) frozen: u64,
    /// There is no room for content.
    pub(crate) full: bool,
    pub(crate) disk: Disk,
    pub(crate) content: Content,
    /// Live trees by application.
    pub(crate) live: BTreeMap<String, Live>,
    /// Directories of administrators, by path.
    pub(crate) directories: BTreeMap<String, tree::Tree>,
    /// Whom this process accepts and dials.
    pub(crate) peers: BTreeSet<MemberId>,
    /// Where it dials them.
    pub(crate) dials: BTreeMap<MemberId, Vec<Address>>,
    /// Applications to watch.
    pub(crate) places: BTreeSet<String>,
    /// When the process is to be woken, in microseconds of the world.
    pub(crate) wake: Option<u64>,
    /// What the member said of that when it was asked last: after each step.
    pub(crate) deadline: Option<Instant>,
    /// It crashes after so many outputs more.
    pub(crate) doomed: Option<u64>,
    pub(crate) standing: Standing,
    /// Processes that could tell it what it said before its disk was put back, by host and life.
    pub(crate) witnesses: BTreeMap<usize, u64>,
    /// Its standing was another one once.
    pub(crate) was_unsound: bool,
    /// Some of its content rotted once.
    pub(crate) has_rotted: bool,
    /// An image of its disk, to be put back later.
    pub(crate) image: Option<Image>,
    /// There is no such machine now.
    pub(crate) absent: bool,
    /// How long each step of its process takes, in microseconds, and until when the last one does.
    pub(crate) slow: u64,
    pub(crate) busy_until: u64,
    /// Until when nothing can be read from its disk.
    pub(crate) unreadable_until: u64,
    /// Until when the machine is not started.
    pub(crate) away_until: u64,
    /// The process dies in its next write.
    pub(crate) tear: bool,
    /// What it does that it should not.
    pub(crate) vices: Vices,
    /// Whom it has nothing to do with, and until when.
    pub(crate) shunned: BTreeMap<usize, u64>,
    /// Until when its disk is full, in microseconds of the world.
    pub(crate) full_until: u64,
    /// The newest protocol version that its program speaks.
    pub(crate) speaks: u32,
    /// Its key is in the hands of somebody who lies: others may name it.
    pub(crate) liar: bool,
    /// Until when every hook fails, in microseconds of the world.
    pub(crate) hooks_fail_until: u64,
    /// How long it may be away and believe what it is shown.
    pub(crate) trusting_period: Option<Millis>,
    /// Roots that the protocol wants kept.
    pub(crate) keep: BTreeSet<Hash>,
}

impl Host {
    pub(crate) fn new(index: usize, identity: Identity) -> Self {
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, (index / 250) as u8, (index % 250) as u8 + 1));
        let address = Address { control: SocketAddr::new(ip, 7800), bulk: SocketAddr::new(ip, 7801) };
        Self {
            name: format!("m{}", index + 1),
            id: identity.id(),
            identity,
            address,
            member: None,
            life: 0,
            mono: 0,
            skew: 0,
            faster: 0,
            frozen: 0,
            full: false,
            disk: Disk::default(),
            content: Content::default(),
            live: BTreeMap::new(),
            directories: BTreeMap::new(),
            peers: BTreeSet::new(),
            dials: BTreeMap::new(),
            places: BTreeSet::new(),
            wake: None,
            deadline: None,
            doomed: None,
            standing: Standing::Sound,
            witnesses: BTreeMap::new(),
            was_unsound: false,
            has_rotted: false,
            image: None,
            absent: false,
            slow: 0,
            busy_until: 0,
            unreadable_until: 0,
            away_until: 0,
            tear: false,
            vices: Vices::default(),
            shunned: BTreeMap::new(),
            full_until: 0,
            speaks: PROTOCOL,
            liar: false,
            hooks_fail_until: 0,
            trusting_period: None,
            keep: BTreeSet::new(),
        }
    }

    /// Both clocks of this host.
    pub(crate) fn now(&self, world: u64) -> Now {
        let own = self.own(world);
        let wall = BEGINNING.saturating_add(own / 1000).saturating_add_signed(self.skew);
        Now { mono: Instant((own + self.mono) / 1000), wall: WallTime(wall) }
    }

    /// Microseconds of this host's clocks after so many of the world.
    fn own(&self, world: u64) -> u64 {
        scale(world, 1_000_000 + self.faster, 1_000_000)
    }

    /// When this host's monotonic clock shows `at`, in microseconds of the world.
    pub(crate) fn when(&self, at: Instant) -> u64 {
        let own = at.0.saturating_mul(1000).saturating_sub(self.mono);
        scale(own, 1_000_000, 1_000_000 + self.faster) + u64::from(self.faster != 0)
    }

    /// The process runs.
    pub(crate) fn is_up(&self) -> bool {
        self.member.is_some()
    }

    /// Somebody speaks with its key: its process, or who has taken it.
    pub(crate) fn is_on(&self) -> bool {
        self.is_up() || self.vices.agent.is_some()
    }

    /// What it signs from now on may not be what its disk says it signed.
    pub(crate) fn spoil(&mut self, standing: Standing) {
        self.standing = standing;
        self.was_unsound = true;
    }

    /// Another address from now on.
    pub(crate) fn relocate(&mut self) {
        let next = |at: SocketAddr| match at.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b.wrapping_add(1), c, d)), at.port())
            }
            IpAddr::V6(_) => at,
        };
        self.address = Address { control: next(self.address.control), bulk: next(self.address.bulk) };
    }

    /// Whether it knows where another one listens now, or expects to be dialled by it.
    pub(crate) fn finds(&self, other: &Self) -> bool {
        self.dials.get(&other.id).is_some_and(|addresses| addresses.contains(&other.address))
    }

    /// The process runs, is not held up, and is in an entity.
    pub(crate) fn is_member(&self) -> bool {
        self.member.as_ref().is_some_and(|member| member.state().is_some())
    }

    /// The live tree of an application, made when it is asked for.
    pub(crate) fn live(&mut self, application: &str) -> &mut Live {
        self.live.entry(application.to_owned()).or_default()
    }
}

/// `value * by / of`.
fn scale(value: u64, by: i64, of: i64) -> u64 {
    if by == of {
        return value;
    }
    let scaled = i128::from(value) * i128::from(by) / i128::from(of);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}
