//! How all members are at a moment: what each knows and has, and what it says of itself.

use althing_protocol::event::Severity;

use crate::host::Host;
use crate::timeline::{Placed, Seen, Survey};
use crate::world::World;

/// Looks at the members of the entity, and at the hosts that were to be.
pub(crate) fn survey(world: &World, when: &'static str) -> Survey {
    let is_meant = |(at, host): &(usize, &Host)| {
        let known = world.reference.state().is_some_and(|state| state.member(&host.id).is_some());
        !host.absent && (known || *at < world.options.members)
    };
    let members =
        world.hosts.iter().enumerate().filter(is_meant).map(|(_, host)| seen(world, host)).collect();
    Survey { seconds: world.seconds(), when, members }
}

fn seen(world: &World, host: &Host) -> Seen {
    let (name, member) = (host.name.clone(), host.member.as_ref());
    let state = member.and_then(|member| member.state());
    let status = member.and_then(|member| member.status());
    let critical = status.iter().flat_map(|status| &status.attention);
    let critical = critical.filter(|attention| attention.severity == Severity::Critical);
    // What a stopped member knows is on its disk; what is there is there all the same.
    let settled = state.or_else(|| world.reference.state());
    let placed = settled.into_iter().flat_map(|state| {
        state.applications.iter().filter(|(_, application)| state.is_placed(application, &host.id))
    });
    let applications = placed.map(|(name, application)| {
        let there = host.live.get(name).and_then(|live| live.root());
        let all = world.reference.state().and_then(|state| state.applications.get(name));
        let known =
            all.into_iter().chain([application]).flat_map(|application| application.revisions.iter().rev());
        let mut known = known.filter(|revision| Some(revision.root) == there);
        let number = application.settled().map_or(0, |revision| revision.number);
        let own = application.settled().filter(|revision| Some(revision.root) == there);
        let there = own.or_else(|| known.next()).map(|revision| revision.number);
        Placed { name: name.clone(), known: if state.is_some() { number } else { 0 }, there }
    });
    Seen {
        name,
        runs: host.is_up(),
        epoch: state.map_or(0, |state| state.epoch),
        votes: member.is_some_and(|member| member.may_vote()),
        majority: status.as_ref().is_some_and(|status| status.view.majority_reachable),
        applications: applications.collect(),
        says: critical.map(|attention| attention.text.clone()).collect(),
    }
}
