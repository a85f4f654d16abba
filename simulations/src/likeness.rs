//! A simulated entity that is like a real one: the same members by name, role and label, the same quorum rule, and the
//! same applications with their policies and as much content. What else there is of the real one stays there.

use std::collections::{BTreeMap, BTreeSet};

use althing_protocol::control::{Command, Outcome as Answer};
use althing_protocol::effect::Source;
use althing_protocol::governance::{Authority, Governance, QuorumRule};
use althing_protocol::handling::Handling;
use althing_protocol::manifest::Extent;
use althing_protocol::placement::{GROUP, Placement};
use althing_protocol::record::Policy;
use althing_protocol::rollout::Rollout;
use althing_protocol::state::{PROTOCOL, Role, Service, State};
use althing_protocol::time::Millis;
use serde::Serialize;

use crate::host::tree;
use crate::liveness;
use crate::run::ask;
use crate::world::{SECOND, World};

/// A simulated tree has at most so many items: of more, fewer and larger files are simulated.
const ITEMS: u64 = 200;
/// And so many bytes.
const BYTES: u64 = 256_000_000;
/// So many members can be simulated with everything they do.
const MEMBERS: usize = 1000;

/// What is taken over from a real entity.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Likeness {
    /// Its name.
    pub name: String,
    /// How many settled records it had.
    pub epoch: u64,
    /// How many voters settle.
    pub quorum: QuorumRule,
    /// In the order of the roster, a voter first.
    pub members: Vec<Like>,
    /// By name.
    pub applications: Vec<LikeApplication>,
    /// What was there and is not taken over, a line each.
    pub left_out: Vec<String>,
}

/// A member.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Like {
    /// Its name.
    pub name: String,
    /// It does not count.
    pub spare: bool,
    /// Why it is out of service, if it is.
    pub out: Option<String>,
    /// Its labels, groups among them.
    pub labels: BTreeMap<String, String>,
}

/// An application.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LikeApplication {
    /// Its name.
    pub name: String,
    /// Absolute path of its root.
    pub root: String,
    /// What drift on a majority means.
    pub policy: Policy,
    /// Patterns of paths that are not managed.
    pub unmanaged: Vec<String>,
    /// How members handle its tree.
    pub handling: Handling,
    /// Which members it goes to.
    pub placement: Placement,
    /// How its revisions get onto them.
    pub rollout: Rollout,
    /// Whether what a majority has there already becomes the first revision.
    pub adopts: bool,
    /// How much the revision in force is; absent before the first.
    pub extent: Option<Extent>,
}

impl Likeness {
    /// Of an entity's state.
    pub fn of(state: &State) -> Result<Self, String> {
        if state.voters().next().is_none() || state.members.len() > MEMBERS {
            let (count, voters) = (state.members.len(), state.voters().count());
            return Err(format!(
                "{count} members, {voters} of them voters: 1 to {MEMBERS} are simulated, with a voter"
            ));
        }
        let mut members: Vec<Like> = state.members.iter().map(like).collect();
        // Somebody that votes founds an entity, and is the first in its roster.
        let first = members.iter().position(|member| !member.spare).unwrap_or_default();
        members[..=first].rotate_right(1);
        let applications = state.applications.iter().map(|(name, application)| LikeApplication {
            name: name.clone(),
            root: application.root.clone(),
            policy: application.policy,
            unmanaged: application.unmanaged.clone(),
            handling: application.terms.handling.clone(),
            placement: application.placement().clone(),
            rollout: application.rollout().clone(),
            adopts: application.adopts,
            extent: application.settled().map(|revision| revision.extent),
        });
        Ok(Self {
            name: state.name.clone(),
            epoch: state.epoch,
            quorum: state.governance.quorum,
            members,
            applications: applications.collect(),
            left_out: left_out(state),
        })
    }

    /// The voters' number.
    pub fn voters(&self) -> usize {
        self.members.iter().filter(|member| !member.spare).count()
    }
}

fn like(member: &althing_protocol::state::Member) -> Like {
    let out = match &member.service {
        Service::Out(out) => Some(out.reason.clone()),
        Service::In | Service::Spare => None,
    };
    let (name, labels) = (member.name.clone(), member.labels.clone());
    Like { name, spare: member.role == Role::Follower, out, labels }
}

/// What is there and has no place in a simulation.
fn left_out(state: &State) -> Vec<String> {
    let mut lines = Vec::new();
    if let Authority::Operators(_) = state.governance.authority {
        lines.push("operators: any member may originate any change here".to_owned());
    }
    if state.protocol != PROTOCOL {
        lines.push(format!("protocol version {}: {PROTOCOL} is used here", state.protocol));
    }
    let joining = state.members.iter().filter(|member| member.role == Role::Learner).count();
    if joining > 0 {
        lines.push(format!("that {joining} are still joining: they have joined here"));
    }
    for (name, application) in &state.applications {
        if let Some(window) = &application.window {
            lines.push(format!("the window of {name} that is open on {}", state.name_of(&window.author)));
        }
        if application.paused.is_some() {
            lines.push(format!("the pause of {name}"));
        }
        let extent = application.settled().map(|revision| revision.extent).unwrap_or_default();
        if extent.items > ITEMS {
            lines.push(format!("the {} items of {name}: {ITEMS} are simulated", extent.items));
        }
        if extent.bytes > BYTES {
            lines.push(format!("the {} bytes of {name}: {BYTES} are simulated", extent.bytes));
        }
    }
    lines
}

/// Founds an entity that is like it: members join as what they are, and applications get content.
pub(crate) fn found(world: &mut World, likeness: &Likeness) {
    let address = world.hosts[0].address;
    let governance = Governance { quorum: world.options.rule(), ..Governance::default() };
    let (name, member) = (likeness.name.clone(), world.hosts[0].name.clone());
    ask(world, 0, Command::Init { name, member, address, governance });
    join(world, likeness);
    for (at, like) in likeness.members.iter().enumerate() {
        if !like.labels.is_empty() {
            let labels = like.labels.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
            let member = like.name.clone();
            ask(world, at, Command::Label { member, labels, keep_files: false });
        }
    }
    for like in &likeness.members {
        if let Some(reason) = &like.out {
            let (member, reason) = (like.name.clone(), reason.clone());
            ask(world, 0, Command::TakeOut { member, reason, lasts: None, anyway: true });
        }
    }
    for application in &likeness.applications {
        create(world, likeness, application);
    }
}

/// All but the founder join, one after the other, so that the roster has their order.
fn join(world: &mut World, likeness: &Likeness) {
    let mut invitations = BTreeMap::new();
    for (at, like) in likeness.members.iter().enumerate().skip(1) {
        let invitation = match invitations.get(&like.spare).cloned() {
            Some(invitation) => invitation,
            None => match invite(world, likeness, like.spare) {
                Some(invitation) => invitation,
                None => return,
            },
        };
        invitations.insert(like.spare, invitation.clone());
        let (member, address) = (world.hosts[at].name.clone(), world.hosts[at].address);
        ask(world, at, Command::Join { invitation, member, address });
    }
    let (count, voters) = (likeness.members.len(), likeness.voters());
    let joined = |world: &World| {
        let state = |at: usize| world.hosts[at].member.as_ref().and_then(|member| member.state());
        let whole = |state: &State| state.members.len() == count && state.voters().count() == voters;
        (0..count).all(|at| state(at).is_some_and(whole)) && liveness::stuck(world).is_empty()
    };
    if !world.run_until(120 * SECOND, joined) && world.violations.is_empty() {
        let reasons = liveness::stuck(world).join("; ");
        world.violate("§5.5.8", format!("not all joined: {reasons}"));
    }
}

/// An invitation for all voters, or all spares.
fn invite(world: &mut World, likeness: &Likeness, spare: bool) -> Option<String> {
    let uses = likeness.members.iter().skip(1).filter(|like| like.spare == spare).count() as u32;
    let invite = Command::Invite { uses, lasts: Millis::seconds(24 * 3600), note: String::new(), spare };
    match ask(world, 0, invite)? {
        Answer::Invitation { invitation, .. } => Some(invitation),
        _ => None,
    }
}

/// The first member that an application goes to.
fn home(likeness: &Likeness, application: &LikeApplication) -> Option<usize> {
    let groups = &application.placement.0;
    let is_in = |like: &Like| {
        let listed = like.labels.get(GROUP).map(String::as_str).unwrap_or_default();
        let listed: BTreeSet<&str> = listed.split(',').collect();
        groups.is_empty() || groups.iter().any(|group| listed.contains(group.as_str()))
    };
    likeness.members.iter().position(is_in)
}

fn create(world: &mut World, likeness: &Likeness, like: &LikeApplication) {
    let home = home(likeness, like);
    let source = home.zip(like.extent).map(|(at, extent)| {
        let path = format!("/home/admin/{}", like.name);
        let extent = Extent { items: extent.items.min(ITEMS), bytes: extent.bytes.min(BYTES) };
        let content = tree::of(extent, &mut world.workload.rng);
        world.hosts[at].directories.insert(path.clone(), content);
        Source::Directory(path)
    });
    let create = Command::Create {
        application: like.name.clone(),
        root: like.root.clone(),
        policy: like.policy,
        source,
        replace: false,
        unmanaged: like.unmanaged.clone(),
        handling: like.handling.clone(),
        placement: like.placement.clone(),
        adopts: Some(like.adopts),
        rollout: Some(like.rollout.clone()),
    };
    ask(world, home.unwrap_or(0), create);
    // Members take turns, and each takes its time for what it fetches and writes.
    let most = 120 + 10 * likeness.members.len() as u64;
    if !world.run_until(most * SECOND, |world| liveness::stuck(world).is_empty())
        && world.violations.is_empty()
    {
        let reasons = liveness::stuck(world).join("; ");
        world.violate("§5.5.8", format!("the first content of {} did not arrive: {reasons}", like.name));
    }
}
