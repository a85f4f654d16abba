//! What administrators do: deployments from anywhere, windows, rollbacks, and edits behind everybody's back.

use althing_protocol::control::{Command, Outcome as Answer};
use althing_protocol::effect::Source;
use althing_protocol::handling::Handling;
use althing_protocol::placement::Placement;
use althing_protocol::record::{Definition, Policy};
use althing_protocol::rng::Rng;
use althing_protocol::rollout::{AS_BEFORE, Batch, Hook, NEW, Rollout, Wish};
use althing_protocol::time::Millis;

use crate::host::tree;
use crate::plan::Plan;
use crate::world::World;

/// The administrators.
pub(crate) struct Workload {
    pub(crate) rng: Rng,
    /// They work.
    pub(crate) on: bool,
    /// Files are changed behind everybody's back.
    pub(crate) drift: bool,
    /// Members come and go.
    churn: bool,
    /// The newcomer that an invitation is asked for, and the request.
    inviting: Option<(usize, u64)>,
    deployed: u64,
    /// Draws of its own, so that the rest of a seed is the same with and without groups.
    groups: Rng,
    /// Applications are placed on groups, and members change them.
    regroups: bool,
}

impl Workload {
    pub(crate) fn new(rng: Rng, mut groups: Rng, plan: &Plan) -> Self {
        let (drift, churn) = (plan.has("drift"), plan.has("churn"));
        let regroups = groups.chance(400);
        Self { rng, on: false, drift, churn, inviting: None, deployed: 0, groups, regroups }
    }
}

/// One thing that an administrator does.
pub(crate) fn work(world: &mut World) {
    if world.workload.drift && world.workload.rng.chance(400) {
        return meddle(world);
    }
    if world.workload.churn && world.workload.rng.chance(150) {
        return churn(world);
    }
    if world.workload.regroups && world.workload.groups.chance(150) {
        return regroup(world);
    }
    let Some(at) = somebody(world) else { return };
    if let Some(command) = choose(world, at) {
        world.request(at, command);
    }
}

/// A host whose process answers and is in an entity.
fn somebody(world: &mut World) -> Option<usize> {
    let ready = |at: &usize| {
        world.hosts[*at].is_member() && world.hosts[*at].frozen <= world.now && !world.is_twin(*at)
    };
    let up: Vec<usize> = (0..world.hosts.len()).filter(ready).collect();
    world.workload.rng.pick(&up).copied()
}

/// Somebody joins, leaves or is removed.
fn churn(world: &mut World) {
    if let Some((newcomer, request)) = world.workload.inviting.take()
        && let Some(Ok(Answer::Invitation { invitation, .. })) = world.replies.get(&request).cloned()
        && world.hosts[newcomer].is_up()
        && world.hosts[newcomer].frozen <= world.now
    {
        let (member, address) = (world.hosts[newcomer].name.clone(), world.hosts[newcomer].address);
        world.request(newcomer, Command::Join { invitation, member, address });
        return;
    }
    let Some(at) = somebody(world) else { return };
    let outside = (0..world.hosts.len())
        .find(|at| world.hosts[*at].is_up() && !world.hosts[*at].is_member() && !world.is_twin(*at));
    match (outside, world.workload.rng.below(4)) {
        (Some(newcomer), 0..=2) => {
            let lasts = Millis::seconds(600);
            let request =
                world.request(at, Command::Invite { uses: 1, lasts, note: String::new(), spare: false });
            world.workload.inviting = Some((newcomer, request));
        }
        // One member must be left that was there from the beginning, for those that were away.
        _ if crate::faults::stores::may_shrink(world) => {
            let command = if world.workload.rng.chance(500) {
                Command::Leave
            } else {
                let other = world.workload.rng.below(world.hosts.len() as u64) as usize;
                Command::Remove { member: world.hosts[other].name.clone() }
            };
            world.request(at, command);
        }
        _ => {}
    }
}

/// Some application that a member knows of.
pub(crate) fn application(world: &mut World, at: usize) -> Option<String> {
    let state = world.hosts[at].member.as_ref()?.state()?;
    let names: Vec<String> = state.applications.keys().cloned().collect();
    world.workload.rng.pick(&names).cloned()
}

/// A member gets other groups, or an application goes elsewhere.
fn regroup(world: &mut World) {
    let ready = |at: &usize| {
        world.hosts[*at].is_member() && world.hosts[*at].frozen <= world.now && !world.is_twin(*at)
    };
    let up: Vec<usize> = (0..world.hosts.len()).filter(ready).collect();
    let Some(at) = world.workload.groups.pick(&up).copied() else { return };
    let keep_files = world.workload.groups.chance(200);
    let groups = ["", "a", "b", "a,b"][world.workload.groups.below(4) as usize];
    let names: Vec<String> =
        world.reference.state().map_or_else(Vec::new, |state| state.applications.keys().cloned().collect());
    let application =
        world.workload.groups.pick(&names).cloned().filter(|_| world.workload.groups.chance(400));
    let command = if let Some(application) = application {
        let placement = Placement::of(groups.split(',').filter(|group| !group.is_empty()));
        let (placement, definition) = (Some(placement), Definition::default());
        world.count("an application was placed elsewhere");
        Command::Arrange { application, placement, definition, keep_files, rollout: None }
    } else {
        let member = world.workload.groups.below(world.hosts.len() as u64) as usize;
        let labels = [("group".to_owned(), Some(groups.to_owned()))].into();
        world.count("a member got other groups");
        Command::Label { member: world.hosts[member].name.clone(), labels, keep_files }
    };
    world.request(at, command);
}

/// What is asked of this member next.
fn choose(world: &mut World, at: usize) -> Option<Command> {
    let id = world.hosts[at].id;
    let state = world.hosts[at].member.as_ref()?.state()?;
    let names: Vec<String> = state.applications.keys().cloned().collect();
    let Some(application) = world.workload.rng.pick(&names).cloned() else { return Some(create(world, at)) };
    if world.workload.rng.chance(60) {
        let (placement, definition, keep_files) = (None, Definition::default(), false);
        let rollout = Some(rollout(world));
        return Some(Command::Arrange { application, placement, definition, keep_files, rollout });
    }
    if world.workload.rng.chance(20) {
        let keep_files = world.workload.rng.chance(500);
        return Some(Command::Discard { application, keep_files });
    }
    let known = state.applications.get(&application)?;
    let own = known.window.as_ref().is_some_and(|window| window.author == id && !window.implicit);
    let numbers: Vec<u64> = known.revisions.iter().map(|revision| revision.number).collect();
    if own {
        return Some(match world.workload.rng.below(6) {
            0 | 1 => Command::Stage { application, source: source(world, at) },
            2 | 3 => Command::Commit { application, expect: None, wish: wish(world) },
            4 => Command::Extend { application, lasts: Millis(5_000 + world.workload.rng.below(60_000)) },
            _ => Command::Abort { application },
        });
    }
    Some(match world.workload.rng.below(13) {
        0..=4 => Command::Deploy {
            application,
            source: source(world, at),
            reason: "better".into(),
            replace: false,
            wish: wish(world),
        },
        5 | 6 => {
            let to = world.workload.rng.pick(&numbers).copied()?;
            Command::Rollback { application, to, wish: wish(world) }
        }
        7 | 8 => {
            let lasts = Millis(5_000 + world.workload.rng.below(60_000));
            let adopt = world.workload.rng.chance(300);
            let auto = world.workload.rng.chance(250).then(|| Millis(300 + world.workload.rng.below(4_000)));
            Command::Open { application, lasts, reason: "by hand".into(), adopt, auto }
        }
        9 if world.workload.rng.chance(500) => Command::GoOn { application },
        9 => Command::Verify { application },
        10 => Command::Repair { application },
        11 => {
            let lasts =
                world.workload.rng.chance(500).then_some(Millis(1_000 + world.workload.rng.below(30_000)));
            Command::Pause { application, lasts }
        }
        _ => Command::Abort { application },
    })
}

/// Somebody deploys something new at a host, as was asked for: of an application that goes there, if none was named.
pub(crate) fn deploy(world: &mut World, at: usize, application: Option<String>) {
    let id = world.hosts[at].id;
    let placed = world.reference.state().and_then(|state| {
        let mut all = state.applications.iter();
        all.find(|(_, application)| state.is_placed(application, &id)).map(|(name, _)| name.clone())
    });
    let Some(application) = application.or(placed) else {
        return world.note(Some(at), "something was to be deployed here, and no application goes here");
    };
    if !world.hosts[at].is_up() || world.hosts[at].frozen > world.now {
        return world.note(Some(at), format!("{application} was to be deployed here, and nobody answers"));
    }
    let source = revised(world, at, &application).unwrap_or_else(|| source(world, at));
    let (reason, wish) = ("asked for".to_owned(), Wish::default());
    world.request(at, Command::Deploy { application, source, reason, replace: false, wish });
}

/// Where an entity is like a real one: what is there, and some of it new.
fn revised(world: &mut World, at: usize, application: &str) -> Option<Source> {
    world.options.likeness.as_ref()?;
    let tree = world.hosts[at].live(application).tree.clone()?;
    world.workload.deployed += 1;
    let path = format!("/home/admin/{}", world.workload.deployed);
    let revised = tree::revised(&tree, &mut world.workload.rng);
    world.hosts[at].directories.insert(path.clone(), revised);
    Some(Source::Directory(path))
}

/// The application that everybody works on, again.
fn create(world: &mut World, at: usize) -> Command {
    let (application, root, unmanaged) = ("web".to_owned(), "/srv/web".to_owned(), Vec::new());
    let source = Some(source(world, at));
    let rollout = Some(rollout(world));
    Command::Create {
        application,
        root,
        policy: Policy::Majority,
        source,
        replace: true,
        unmanaged,
        handling: Handling::default(),
        placement: Placement::default(),
        adopts: None,
        rollout,
    }
}

/// What an administrator says of how a revision gets onto the members.
fn wish(world: &mut World) -> Wish {
    let rng = &mut world.workload.rng;
    let batch = rng.chance(300).then(|| Batch::Members(1 + rng.below(3) as u32));
    let probation = if rng.chance(500) { Millis(5_000 + rng.below(120_000)) } else { Millis(0) };
    Wish { batch, probation, again: rng.chance(50) }
}

/// How revisions of an application get onto the members: with or without hooks, which fail as hosts have it.
pub(crate) fn rollout(world: &mut World) -> Rollout {
    let rng = &mut world.workload.rng;
    let hook = |path: &str| Hook { path: path.to_owned(), arguments: Vec::new(), limit: Millis(2_000) };
    let batch = match rng.below(4) {
        0 => AS_BEFORE,
        1 => Batch::Members(2),
        2 => Batch::Percent(25),
        _ => NEW,
    };
    let check = if rng.chance(400) { vec![hook("hooks/check")] } else { Vec::new() };
    let after = if rng.chance(600) { vec![hook("hooks/after")] } else { Vec::new() };
    Rollout { batch, check, after }
}

/// A directory of the administrator with something new.
pub(crate) fn source(world: &mut World, at: usize) -> Source {
    world.workload.deployed += 1;
    let path = format!("/home/admin/{}", world.workload.deployed);
    let mut tree = tree::random(&mut world.workload.rng);
    if world.options.has_large_files() {
        tree::enlarge(&mut tree);
    }
    world.hosts[at].directories.insert(path.clone(), tree);
    Source::Directory(path)
}

/// Somebody changes files on one member, or the same on several.
fn meddle(world: &mut World) {
    let at = world.workload.rng.below(world.hosts.len() as u64) as usize;
    let names: Vec<String> = world.hosts[at].live.keys().cloned().collect();
    let Some(application) = world.workload.rng.pick(&names).cloned() else { return };
    let Some(tree) = world.hosts[at].live(&application).tree.clone() else { return };
    let edited = tree::meddle(&tree, &mut world.workload.rng);
    let count = match world.workload.rng.below(10) {
        0 => world.hosts.len(),
        1 => world.hosts.len() / 2 + 1,
        2 => world.hosts.len() / 2,
        _ => 1,
    };
    let mut all: Vec<usize> = (0..world.hosts.len()).filter(|other| *other != at).collect();
    world.workload.rng.shuffle(&mut all);
    let some: Vec<usize> = std::iter::once(at).chain(all).take(count).collect();
    edit(world, &some, &application, edited);
}

/// Puts this tree at the application's root on these hosts, behind everybody's back.
pub(crate) fn edit(world: &mut World, on: &[usize], application: &str, tree: Option<tree::Tree>) {
    let names: Vec<&str> = on.iter().map(|at| world.hosts[*at].name.as_str()).collect();
    world.note(None, format!("somebody edits {application} on {}", names.join(" ")));
    for at in on {
        world.hosts[*at].live(application).set(tree.clone());
        crate::invariants::meddled(world, *at, application);
        world.changed(*at, application);
    }
    world.count(if on.len() == 1 { "drift on one member" } else { "the same drift on several members" });
}
