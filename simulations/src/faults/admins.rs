//! What administrators do to each other, and to put things right.

use althing_protocol::control::{Command, Outcome as Answer};
use althing_protocol::explain::Condition;
use althing_protocol::member::Member;
use althing_protocol::time::Millis;
use althing_protocol::view::Attention;

use super::{any, stores};
use crate::host::Standing;
use crate::workload;
use crate::world::{Event, MS, SECOND, World};

/// Hosts whose processes answer and are in the entity.
fn ready(world: &World) -> Vec<usize> {
    let ready = |at: &usize| {
        let host = &world.hosts[*at];
        host.is_member() && host.frozen <= world.now && !host.liar && !world.is_twin(*at)
    };
    (0..world.hosts.len()).filter(ready).collect()
}

/// Two administrators deploy at once, on two members.
pub(super) fn race(world: &mut World) {
    let mut some = ready(world);
    world.faults.rng.shuffle(&mut some);
    let [a, b, ..] = some[..] else { return };
    world.workload.rng = world.faults.rng.clone();
    let Some(application) = workload::application(world, a) else { return };
    world.count("two administrators deployed at once");
    for at in [a, b] {
        let source = workload::source(world, at);
        let (application, reason) = (application.clone(), "faster".to_owned());
        world.request(
            at,
            Command::Deploy { application, source, reason, replace: false, wish: Default::default() },
        );
    }
}

/// Somebody joins with an invitation that has expired.
pub(super) fn stale_invitation(world: &mut World) {
    let outside = |at: &usize| {
        let host = &world.hosts[*at];
        host.is_up()
            && !host.is_member()
            && host.frozen <= world.now
            && host.standing == Standing::Sound
            && !world.is_twin(*at)
    };
    let newcomer = (0..world.hosts.len()).find(outside);
    let (Some(newcomer), Some(at)) = (newcomer, ready(world).first().copied()) else { return };
    let lasts = Millis::seconds(1);
    let request = world.request(at, Command::Invite { uses: 1, lasts, note: String::new(), spare: false });
    let after = 70 * SECOND + world.faults.rng.below(120 * SECOND);
    world.schedule(after, Event::LateJoin { host: newcomer, request });
}

/// The one with the old invitation asks.
pub(crate) fn late_join(world: &mut World, at: usize, request: u64) {
    let host = &world.hosts[at];
    if !host.is_up() || host.is_member() || host.frozen > world.now {
        return;
    }
    if let Some(Ok(Answer::Invitation { invitation, .. })) = world.replies.get(&request).cloned() {
        let (member, address) = (host.name.clone(), host.address);
        world.count("an invitation was used too late");
        world.request(at, Command::Join { invitation, member, address });
    }
}

/// Whoever lost its store is let in again.
pub(super) fn readmit(world: &mut World) {
    let burnt = |at: &usize| world.hosts[*at].standing != Standing::Sound && world.hosts[*at].is_up();
    let burnt = |at: &usize| burnt(at) && stores::may_let_in(world, *at);
    let Some(who) = (0..world.hosts.len()).find(burnt) else { return };
    let Some(at) = ready(world).into_iter().find(|at| *at != who) else { return };
    world.count("somebody asked for a re-admission");
    let member = in_roster(world, who);
    world.request(at, Command::Readmit { member });
}

/// What a machine is called in the roster: a copy like its original.
fn in_roster(world: &World, who: usize) -> String {
    world.hosts[who].name.trim_end_matches('\'').to_owned()
}

/// Most members are lost for long, and those that are left begin anew.
pub(super) fn recover(world: &mut World) {
    let Some(first) = any(world, true).filter(|at| world.hosts[*at].is_member()) else { return };
    let Some(state) = world.reference.state() else { return };
    let quorum = state.quorum();
    let voters: Vec<usize> = state.voters().filter_map(|voter| world.by_id.get(&voter.id).copied()).collect();
    if voters.len() < 2 || !voters.contains(&first) || world.hosts.iter().any(|host| host.liar) {
        return;
    }
    world.count("the majority was lost for long");
    let others: Vec<usize> = voters.iter().copied().filter(|at| *at != first).collect();
    let (gone, kept) = others.split_at(quorum.min(others.len()));
    for at in gone {
        world.crash(*at, "as its site burns down");
        world.hosts[*at].away_until = world.now + 120 * SECOND;
        let after = 120 * SECOND + world.faults.rng.below(30 * SECOND);
        world.schedule(after, Event::Start { host: *at });
    }
    let kept = kept.iter().map(|at| world.hosts[*at].name.clone()).collect();
    world.schedule(15 * SECOND, Event::Recover { host: first, kept });
}

/// An administrator gives the old majority up.
pub(crate) fn give_up(world: &mut World, at: usize, kept: Vec<String>) {
    if world.faults.on && world.hosts[at].is_member() && world.hosts[at].frozen <= world.now {
        let request = world.request(at, Command::Recover { keep: kept.clone(), approvals: String::new() });
        world.schedule(2 * SECOND, Event::ComeOver { request, kept });
    }
}

/// Those that were kept come over to the new entity.
pub(crate) fn come_over(world: &mut World, request: u64, kept: &[String]) {
    let Some(Ok(Answer::Recovered { invitation, .. })) = world.replies.get(&request).cloned() else { return };
    world.count("an entity was begun anew");
    let Some(invitation) = invitation else { return };
    for name in kept {
        let Some(at) = world.hosts.iter().position(|host| host.name == *name) else { continue };
        if world.hosts[at].is_up() && world.hosts[at].frozen <= world.now {
            let (invitation, address) = (invitation.clone(), world.hosts[at].address);
            world.request(at, Command::Join { invitation, member: name.clone(), address });
        }
    }
}

/// What nothing but an administrator can put right is put right by one: the last part of every seed.
pub(crate) fn put_right(world: &mut World) {
    world.run(60 * SECOND);
    for round in 0..4 {
        let all: Vec<usize> = (0..world.hosts.len()).filter(|at| !world.hosts[*at].absent).collect();
        all.iter().for_each(|at| acknowledge(world, *at));
        world.run(5 * SECOND);
        for at in &all {
            if world.hosts[*at].standing != Standing::Sound {
                invite_back(world, *at);
                let_in_again(world, *at);
            }
        }
        if !all.iter().any(|at| is_mute(world, *at) || is_stopped(world, *at) || is_lost(world, *at)) {
            return;
        }
        world.run((10 + 10 * round) * SECOND + 100 * MS);
    }
}

/// A voter of the entity that does not vote.
fn is_mute(world: &World, at: usize) -> bool {
    let stopped = |member: &Member| {
        member.state().is_some_and(|state| state.is_voter(&member.id())) && !member.may_vote()
    };
    world.hosts[at].member.as_ref().is_some_and(stopped)
}

/// A member whose disk does not know of the entity, or only of the one before.
fn is_lost(world: &World, at: usize) -> bool {
    let host = &world.hosts[at];
    let known = world.reference.state().is_some_and(|state| state.member(&host.id).is_some());
    let own = host.member.as_ref().and_then(|member| member.state()).map(|state| state.entity);
    known && (!host.is_member() || own != Some(world.reference.entity))
}

/// A member, voter or not, whose status says that it stopped for contradicting signatures: it installs nothing either.
fn is_stopped(world: &World, at: usize) -> bool {
    let status = world.hosts[at].member.as_ref().and_then(|member| member.status());
    let named = |one: &Attention| one.condition == Condition::Contradiction.name();
    status.is_some_and(|status| status.attention.iter().any(named))
}

/// A member that saw contradicting signatures stops, until an administrator has seen them too.
fn acknowledge(world: &mut World, at: usize) {
    if !world.sometimes.contains_key("two votes in one place were found") {
        return;
    }
    if is_mute(world, at) || is_stopped(world, at) {
        world.count("an administrator acknowledged a contradiction");
        world.request(at, Command::Resolve { keep: None });
    }
}

/// Somebody who can settle something for another one.
fn helper(world: &World, who: usize) -> Option<usize> {
    let votes = |at: &usize| world.hosts[*at].member.as_ref().is_some_and(|member| member.may_vote());
    ready(world).into_iter().find(|at| *at != who && votes(at))
}

/// Whoever lost its disk learns by an invitation where the others are.
fn invite_back(world: &mut World, who: usize) {
    if !is_lost(world, who) || !world.hosts[who].is_up() {
        return;
    }
    let Some(at) = helper(world, who) else { return };
    let lasts = Millis::seconds(600);
    let request = world.request(at, Command::Invite { uses: 1, lasts, note: String::new(), spare: false });
    world.run(5 * SECOND);
    if let Some(Ok(Answer::Invitation { invitation, .. })) = world.replies.get(&request).cloned() {
        let (member, address) = (world.hosts[who].name.clone(), world.hosts[who].address);
        world.request(who, Command::Join { invitation, member, address });
        world.run(10 * SECOND);
    }
}

/// Whose store does not count is re-admitted with the one that it has now.
fn let_in_again(world: &mut World, who: usize) {
    if !is_mute(world, who) {
        return;
    }
    if let Some(at) = helper(world, who) {
        let member = in_roster(world, who);
        world.request(at, Command::Readmit { member });
    }
}
