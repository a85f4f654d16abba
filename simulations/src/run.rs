//! One seed from beginning to end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use althing_protocol::control::{Command, Outcome as Answer};
use althing_protocol::governance::{Governance, QuorumRule};
use althing_protocol::handling::Handling;
use althing_protocol::placement::Placement;
use althing_protocol::record::Policy;
use althing_protocol::time::Millis;

use crate::options::Options;
use crate::plan::Plan;
use crate::timeline::{Outcome, Violation};
use crate::world::{SECOND, World};
use crate::{faults, liveness, workload};

/// Runs one seed: an entity comes together, lives through faults, and must come to rest when they end.
pub fn simulate(options: &Options) -> Outcome {
    let mut world = World::new(options.clone());
    let result = catch_unwind(AssertUnwindSafe(|| live(&mut world)));
    if let Err(panic) = result {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        world.violate("panic", text);
    }
    outcome(world)
}

/// What is planned for a case: when, in seconds after the faults begin, and what.
pub fn plan_of(options: &Options) -> Vec<(f64, String)> {
    Plan::new(options).acts.into_iter().map(|act| (act.at as f64 / SECOND as f64, act.name)).collect()
}

/// An entity comes together, and has something.
fn begin(world: &mut World) {
    if let Some(likeness) = world.options.likeness.clone() {
        return crate::likeness::found(world, &likeness);
    }
    found(world);
    create(world, "web", Policy::Majority);
    if world.workload.rng.chance(300) && world.options.deploys.is_empty() {
        create(world, "api", Policy::Certified);
    }
}

fn live(world: &mut World) {
    begin(world);
    if !world.violations.is_empty() {
        return;
    }
    world.begin();
    world.survey("at the beginning");
    faults::begin(world);
    world.run((world.options.hours * 3600.0) as u64 * SECOND);
    let forked = world.forked;
    world.go_on();
    world.survey("before everything is healed");
    faults::end(world);
    if world.violations.is_empty() && !forked {
        faults::put_right(world);
    }
    if world.forked {
        liveness::demand_stop(world);
    } else if world.violations.is_empty() {
        calm(world);
        liveness::demand(world);
    }
    world.survey("at the end");
}

/// What was changed so often that members leave it alone is put right when an administrator says so.
fn calm(world: &mut World) {
    for at in 0..world.hosts.len() {
        let Some(member) = &world.hosts[at].member else { continue };
        let names = member.state().into_iter().flat_map(|state| state.applications.keys());
        let left = |name: &&String| !member.left_alone(name).is_empty();
        let contested: Vec<String> = names.filter(left).cloned().collect();
        for application in contested {
            world.count("contested paths were repaired by hand");
            world.request(at, Command::Repair { application });
        }
    }
}

/// The first host founds an entity, and the others join it, but for those that are to come later.
pub(crate) fn found(world: &mut World) {
    let address = world.hosts[0].address;
    let governance = Governance { quorum: world.options.rule(), ..Governance::default() };
    if governance.quorum == QuorumRule::Supermajority {
        world.count("more than two thirds settle");
    }
    let init = Command::Init { name: "test".into(), member: "m1".into(), address, governance };
    ask(world, 0, init);
    let others = world.options.members as u32 - 1;
    if others == 0 {
        return;
    }
    let lasts = Millis::seconds(24 * 3600);
    let invite = Command::Invite { uses: others, lasts, note: String::new(), spare: false };
    let Some(Answer::Invitation { invitation, .. }) = ask(world, 0, invite) else {
        return world.violate("§5.5.8", "no invitation was made");
    };
    let requests: Vec<u64> = (1..world.options.members)
        .map(|at| {
            let (member, address) = (world.hosts[at].name.clone(), world.hosts[at].address);
            let join = Command::Join { invitation: invitation.clone(), member, address };
            world.request(at, join)
        })
        .collect();
    let count = world.options.members;
    let joined = |world: &World| {
        let voters = |at: usize| world.hosts[at].member.as_ref().and_then(|member| member.state());
        requests.iter().all(|request| world.replies.contains_key(request))
            && (0..count).all(|at| voters(at).is_some_and(|state| state.voters().count() == count))
            && liveness::stuck(world).is_empty()
    };
    if !world.run_until(120 * SECOND, joined) && world.violations.is_empty() {
        let reasons = liveness::stuck(world).join("; ");
        world.violate("§5.5.8", format!("not all joined: {reasons}"));
    }
}

/// Defines an application with random content from the second host, or the only one.
pub(crate) fn create(world: &mut World, name: &str, policy: Policy) {
    let at = 1.min(world.options.members - 1);
    let source = Some(workload::source(world, at));
    let root = format!("/srv/{name}");
    let (application, unmanaged) = (name.into(), Vec::new());
    let create = Command::Create {
        application,
        root,
        policy,
        source,
        replace: false,
        unmanaged,
        handling: Handling::default(),
        placement: Placement::default(),
        adopts: None,
        rollout: None,
    };
    ask(world, at, create);
    if !world.run_until(60 * SECOND, |world| liveness::stuck(world).is_empty()) && world.violations.is_empty()
    {
        let reasons = liveness::stuck(world).join("; ");
        world.violate("§5.5.8", format!("the first content did not arrive: {reasons}"));
    }
}

/// Asks, and waits for the answer; a refusal here is a violation, since nothing is wrong yet.
pub(crate) fn ask(world: &mut World, at: usize, command: Command) -> Option<Answer> {
    if !world.violations.is_empty() {
        return None;
    }
    let what = format!("{command:?}");
    let request = world.request(at, command);
    world.run_until(60 * SECOND, |world| world.replies.contains_key(&request));
    match world.replies.get(&request).cloned() {
        Some(Ok(answer)) => Some(answer),
        Some(Err(refusal)) => {
            world.violate("requests", format!("{what} was refused: {refusal}"));
            None
        }
        None => {
            world.violate("§5.5.8", format!("{what} was not answered"));
            None
        }
    }
}

fn outcome(mut world: World) -> Outcome {
    world.sometimes.extend(world.network.fates.marks());
    let get = |name: &str| world.sometimes.get(name).copied().unwrap_or(0);
    let violations: Vec<Violation> = world.violations.clone();
    Outcome {
        seed: world.options.seed,
        members: world.options.members,
        begun: world.begun,
        seconds: world.seconds(),
        events: world.steps,
        messages: world.network.messages,
        bytes: world.network.bytes,
        epochs: world.reference.head().map_or(0, |head| head.state.epoch),
        deployments: world.reference.revisions,
        repairs: get("drift was repaired"),
        crashes: get("a crash"),
        partitions: world.faults.partitioned,
        trace: world.trace(),
        violations,
        likeness: world.options.likeness.as_deref().cloned(),
        tally: world.tallies(),
        surveys: world.surveys,
        untold: world.untold,
        timeline: world.timeline,
        sometimes: world.sometimes,
    }
}
