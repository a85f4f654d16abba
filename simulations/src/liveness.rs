//! §5.5.8: after faults stop, every request is answered, every member reaches the head and its content, in bounded
//! time; and if not, who is stuck and why.

use althing_protocol::limits;
use althing_protocol::state::{Application, Role};

use crate::host::{Host, Standing};
use crate::world::{SECOND, World};

/// So long after the last fault everything must be at rest.
pub(crate) const BOUND: u64 = 240 * SECOND;

/// Everything that keeps the entity from rest.
pub(crate) fn stuck(world: &World) -> Vec<String> {
    let mut reasons = Vec::new();
    let Some(head) = world.reference.head() else { return vec!["there is no entity".into()] };
    for (at, host) in world.hosts.iter().enumerate() {
        if host.absent {
            continue;
        }
        let Some(member) = &host.member else {
            reasons.push(format!("{} does not run", host.name));
            continue;
        };
        let Some(state) = member.state() else {
            if head.state.member(&host.id).is_some() && host.standing != Standing::Sound {
                reasons.push(format!("{} is a member and does not know it", host.name));
            }
            continue;
        };
        if state.entity != world.reference.entity || head.state.member(&host.id).is_none() {
            continue;
        }
        if member.head() != Some(head.record) {
            let text = format!("{} is at epoch {} of {}", host.name, state.epoch, head.state.epoch);
            reasons.push(text);
            continue;
        }
        // Spares never vote; whoever has joined is not at rest before it does.
        let spare = head.state.member(&host.id).is_some_and(|member| member.role == Role::Follower);
        if !spare && !member.may_vote() && host.standing == Standing::Sound {
            reasons.push(format!("{} does not vote", host.name));
        }
        content(world, at, &mut reasons);
    }
    for (request, asked) in &world.asked {
        let host = &world.hosts[asked.host];
        let age = (world.now - asked.at) / SECOND;
        reasons.push(format!("{} has not answered ({request}) for {age} s: {}", host.name, asked.what));
    }
    reasons
}

/// Content that is not what was settled.
fn content(world: &World, at: usize, reasons: &mut Vec<String>) {
    let host = &world.hosts[at];
    let (Some(member), Some(state)) = (&host.member, world.reference.state()) else { return };
    for (name, application) in &state.applications {
        if let Some(window) = &application.window {
            let author = state.name_of(&window.author);
            reasons.push(format!("a window of {name} is open on {author}, implicit: {}", window.implicit));
        }
        let Some(settled) = application.settled() else { continue };
        if !state.is_placed(application, &host.id) {
            elsewhere(world, at, (name, application), reasons);
            continue;
        }
        let live = host.live.get(name).and_then(|live| live.root());
        let observed = member.observed(name);
        let applied = member.applied(name);
        if live != Some(settled.root)
            || observed != Some(settled.root)
            || applied.map(|a| a.1) != Some(settled.root)
        {
            let lacking = host.content.lacking(&world.library, &settled.root).len();
            reasons.push(format!(
                "{}: {name} should be {}, is {}, observed {}, applied {:?}, {lacking} pieces lacking",
                host.name,
                settled.root.short(),
                live.map_or("absent".into(), |root| root.short()),
                observed.map_or("nothing".into(), |root| root.short()),
                applied,
            ));
        }
    }
}

/// Of an application that does not go to this host: its tree is no business of the host's, and a keeper has its content.
fn elsewhere(world: &World, at: usize, (name, application): (&str, &Application), reasons: &mut Vec<String>) {
    let (host, Some(state)) = (&world.hosts[at], world.reference.state()) else { return };
    if host.places.contains(name) {
        reasons.push(format!("{}: {name} was not cleared away", host.name));
    }
    let Some(root) = application.root_hash() else { return };
    let lacking = host.content.lacking(&world.library, &root).len();
    if lacking > 0 && state.keepers(name, application).contains(&host.id) {
        reasons.push(format!("{}: keeps {name}, and lacks {lacking} pieces", host.name));
    }
}

/// Demands rest.
pub(crate) fn demand(world: &mut World) {
    let rest = world.run_until(BOUND, |world| stuck(world).is_empty());
    if !rest && world.violations.is_empty() {
        let reasons = stuck(world);
        let text = format!("after {} s: {}", BOUND / SECOND, reasons.join("; "));
        world.violate("§5.5.8", text);
    }
}

/// The host runs, and its head is not the one that was settled first.
fn is_elsewhere(world: &World, host: &Host) -> bool {
    let Some(member) = host.member.as_ref() else { return false };
    let (Some(state), Some(head)) = (member.state(), member.head()) else { return false };
    let settled = world.reference.chain_of(&state.entity).and_then(|chain| chain.get(&state.epoch));
    settled.is_none_or(|settled| settled.record != head)
}

/// A fork that lies further back than a member remembers who decided (V12): it cannot judge what it is shown of it.
fn is_too_old(fork: u64, head: u64) -> bool {
    fork + limits::TRAIL_EPOCHS as u64 <= head + 1
}

/// After a fork that is proved: everybody that saw both branches and can judge them stops, and those are all that can be
/// reached and have not gone on alone for long.
pub(crate) fn demand_stop(world: &mut World) {
    // A copy that was stopped for good may have been alone with its branch: then nobody can show it any more.
    if world.hosts.iter().all(|host| !is_elsewhere(world, host)) {
        return world.count("a branch went with the machine that it was on");
    }
    let goes_on = |world: &World| -> Vec<String> {
        let Some(state) = world.reference.state() else { return Vec::new() };
        let hosts = world.hosts.iter().filter(|host| {
            let member = host.member.as_ref();
            let own = member.and_then(|member| member.state());
            let here =
                own.is_some_and(|own| own.entity == state.entity && !is_too_old(world.fork_epoch, own.epoch));
            here && !host.absent && state.is_voter(&host.id) && member.is_some_and(|member| member.may_vote())
        });
        hosts.map(|host| host.name.clone()).collect()
    };
    let stopped = world.run_until(BOUND, |world| goes_on(world).is_empty());
    if !stopped && world.violations.is_empty() {
        let text = format!("the entity has forked, and still voting: {}", goes_on(world).join(" "));
        world.violate("§5.5.9", text);
    }
    world.count("a fork was proved and everybody stopped");
}
