//! What goes wrong between hosts.

use super::{any, span};
use crate::network::Damage;
use crate::world::{Event, MS, SECOND, World};

/// All hosts: those that somebody named, and the others in a random order.
fn shuffled(world: &mut World) -> Vec<usize> {
    let mut all: Vec<usize> = (0..world.hosts.len()).filter(|at| !world.hosts[*at].absent).collect();
    world.faults.rng.shuffle(&mut all);
    for (at, named) in world.faults.named.iter().enumerate() {
        if let Some(found) = all.iter().position(|host| host == named) {
            all.swap(at, found);
        }
    }
    all
}

/// Whether the network can be cut now: not if it is, or if there is one host.
fn is_whole(world: &mut World) -> bool {
    let whole = !world.network.is_partitioned();
    if !whole && !world.faults.named.is_empty() {
        world.note(None, "nothing more is cut off: something is");
    }
    whole && world.hosts.len() > 1
}

/// Those that somebody named and the others, or two random parts, neither of them empty; none if there is a cut already.
fn parts(world: &mut World) -> Option<(Vec<usize>, Vec<usize>)> {
    if !is_whole(world) {
        return None;
    }
    let mut one = shuffled(world);
    let at = match world.faults.named.len() {
        0 => 1 + world.faults.rng.below(one.len() as u64 - 1) as usize,
        named => named,
    };
    let other = one.split_off(at);
    Some((one, other))
}

/// Who sends something, and whom: any two that run, or the two ends that somebody named. None if one of them does not.
fn two(world: &mut World) -> Option<(usize, usize)> {
    let (from, to) = if world.faults.named.is_empty() {
        (any(world, true)?, any(world, true)?)
    } else {
        let all = shuffled(world);
        (*all.first()?, *all.get(1)?)
    };
    let run = world.hosts[from].is_up() && world.hosts[to].is_up();
    (from != to && run).then_some((from, to))
}

fn names(world: &World, hosts: &[usize]) -> String {
    hosts.iter().map(|at| world.hosts[*at].name.as_str()).collect::<Vec<_>>().join(" ")
}

/// The network will be whole again after a while; some cuts flap, some last long.
fn heal_later(world: &mut World, what: &'static str, text: String) {
    world.count(what);
    world.note(None, text);
    world.faults.partitioned += 1;
    world.faults.cuts += 1;
    let number = world.faults.cuts;
    let after = world.faults.lasts.unwrap_or_else(|| 200 * MS + span(world, 2 * SECOND, 45 * SECOND));
    world.schedule(after, Event::Heal { number });
}

/// Two parts that do not hear each other.
pub(super) fn partition(world: &mut World) {
    let Some((one, other)) = parts(world) else { return };
    world.cut(&one, &other, false);
    let text = format!("{} are cut off", names(world, &one));
    heal_later(world, "a partition", text);
}

/// One part that is not heard and hears.
pub(super) fn one_sided(world: &mut World) {
    let Some((one, other)) = parts(world) else { return };
    world.cut(&one, &other, true);
    let text = format!("{} are cut off in one direction", names(world, &one));
    heal_later(world, "a one-sided partition", text);
}

/// One host alone.
pub(super) fn isolate(world: &mut World) {
    if !is_whole(world) {
        return;
    }
    let all = shuffled(world);
    world.cut(&all[..1], &all[1..], false);
    let text = format!("{} is alone", names(world, &all[..1]));
    heal_later(world, "a host alone", text);
}

/// Two parts that only one host, the bridge, hears both of.
pub(super) fn bridge(world: &mut World) {
    let Some((one, other)) = parts(world).filter(|(one, other)| one.len() + other.len() > 2) else { return };
    let (one, other) = if one.len() > 1 { (one, other) } else { (other, one) };
    world.cut(&one[1..], &other, false);
    let text = format!("only {} hears both sides", names(world, &one[..1]));
    heal_later(world, "a bridge", text);
}

/// A link that comes and goes faster than anybody can take in.
pub(super) fn flap(world: &mut World) {
    let all = shuffled(world);
    let ([a, b, ..], false) = (&all[..], world.network.is_partitioned()) else { return };
    let (a, b) = (*a, *b);
    world.count("a flapping link");
    let text = format!("the link of {} and {} flaps", names(world, &[a]), names(world, &[b]));
    world.note(None, text);
    let mut at = 0;
    for _ in 0..6 {
        at += 20 * MS + world.faults.rng.below(2 * SECOND);
        world.schedule(at, Event::Flap { a, b });
    }
}

/// A connection breaks, with what was under way on it, and is made anew.
pub(super) fn reset(world: &mut World) {
    let all = shuffled(world);
    if let [a, b, ..] = all[..] {
        world.count("a connection was reset");
        world.reset(a, b);
    }
}

/// Somebody sends again what others said long ago: signatures hold, whoever carries them.
pub(super) fn replay(world: &mut World) {
    if let Some((from, to)) = two(world) {
        world.replay(from, to);
    }
}

/// One end of a connection knows that it is gone, and the other goes on as if it stood.
pub(super) fn half_open(world: &mut World) {
    let all = shuffled(world);
    if let [a, b, ..] = all[..] {
        let after = span(world, 5 * SECOND, 40 * SECOND);
        if world.half_open(a, b, after) {
            world.count("a half-open connection");
            let text = format!("its connection to {} is half open", world.hosts[b].name);
            world.note(Some(a), text);
        }
    }
}

/// Bytes are changed on their way: the encryption notices, and the connection ends.
pub(super) fn corrupt(world: &mut World) {
    damage(world, Damage::Changed);
}

/// A connection ends in the middle of a message.
pub(super) fn truncate(world: &mut World) {
    damage(world, Damage::Cut);
}

fn damage(world: &mut World, how: Damage) {
    let all = shuffled(world);
    if let [a, b, ..] = all[..] {
        world.network.connection(a, b).damage = Some(how);
        if !world.faults.named.is_empty() {
            world.note(
                None,
                format!("what {} and {} say next is damaged", names(world, &[a]), names(world, &[b])),
            );
        }
    }
}

/// Everything takes much longer for a while.
pub(super) fn delay_spike(world: &mut World) {
    world.count("delays rose");
    world.note(None, "messages take long");
    world.faults.storms += 1;
    let number = world.faults.storms;
    world.network.weather.delay += 50 * MS + world.faults.rng.below(400 * MS);
    world.network.weather.jitter += world.faults.rng.below(SECOND);
    let after = span(world, 2 * SECOND, 30 * SECOND);
    world.schedule(after, Event::Calm { number });
}

/// A host's links carry little for a while: messages queue, and what does not fit is dropped.
pub(super) fn narrow(world: &mut World) {
    let Some(at) = any(world, false) else { return };
    world.count("a host had narrow links");
    world.note(Some(at), "has narrow links");
    let rate = 300 + world.faults.rng.below(6_000);
    let until = world.now + span(world, 5 * SECOND, 40 * SECOND);
    world.network.narrow(at, rate, until);
}

/// Hosts are clogged one after the other, and let go in another order: what was said meanwhile comes late, all at once.
pub(super) fn swizzle(world: &mut World) {
    let mut some = shuffled(world);
    let count = match world.faults.named.len() {
        0 => 1 + world.faults.rng.below(some.len() as u64) as usize,
        named => named,
    };
    some.truncate(count);
    world.count("hosts were clogged and let go in another order");
    let text = format!("{} are clogged", names(world, &some));
    world.note(None, text);
    let mut at = 0;
    for host in &some {
        at += world.faults.rng.below(2 * SECOND);
        world.schedule(at, Event::Clog { host: *host, on: true });
    }
    world.faults.rng.shuffle(&mut some);
    for host in some {
        at += 100 * MS + world.faults.rng.below(4 * SECOND);
        world.schedule(at, Event::Clog { host, on: false });
    }
}

/// Settled records of long ago are sent to somebody who has them.
pub(super) fn old_chain(world: &mut World) {
    if let Some((from, to)) = two(world) {
        let after = world.faults.rng.below(8);
        world.send_old_chain(from, to, after);
    }
}
