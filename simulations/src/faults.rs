//! What goes wrong, and when: each seed draws which kinds of faults it has (swarm testing).

use althing_protocol::rng::Rng;

use crate::network::Weather;
use crate::world::{Event, MS, SECOND, World};

/// Which faults a seed has.
pub(crate) struct Faults {
    rng: Rng,
    /// Nothing goes wrong any more, or yet.
    pub(crate) on: bool,
    pub(crate) weather: Weather,
    pub(crate) partitions: bool,
    pub(crate) one_sided: bool,
    pub(crate) crashes: bool,
    pub(crate) blackouts: bool,
    pub(crate) slow_disks: bool,
    pub(crate) lossy_fetches: bool,
    /// Notifications of changed files get lost.
    pub(crate) deaf: bool,
    pub(crate) skew: bool,
    /// Changes are noticed at once, on all members at the same time.
    pub(crate) prompt: bool,
    /// Mean time between disasters, in microseconds.
    pace: u64,
    cuts: u64,
    pub(crate) partitioned: u64,
}

impl Faults {
    pub(crate) fn new(any: bool, mut rng: Rng) -> Self {
        let mut some =
            |per_mille: u64, most: u64| if rng.chance(per_mille) { rng.below(most + 1) } else { 0 };
        let weather = Weather {
            lost: some(600, 200),
            doubled: some(500, 200),
            late: some(500, 100),
            delay: 100 + some(700, 20 * MS),
            jitter: 500 + some(700, 150 * MS),
        };
        Self {
            on: false,
            weather,
            partitions: rng.chance(600),
            one_sided: rng.chance(300),
            crashes: rng.chance(700),
            blackouts: rng.chance(200),
            slow_disks: rng.chance(400) && any,
            lossy_fetches: rng.chance(400) && any,
            deaf: rng.chance(400) && any,
            skew: rng.chance(400),
            prompt: rng.chance(400),
            pace: 2 * SECOND + rng.below(30 * SECOND),
            cuts: 0,
            partitioned: 0,
            rng,
        }
    }
}

/// From now on things go wrong.
pub(crate) fn begin(world: &mut World) {
    if !world.options.faults {
        return;
    }
    world.faults.on = true;
    world.network.weather = world.faults.weather;
    if world.faults.skew {
        for host in &mut world.hosts {
            host.skew = world.faults.rng.below(120_000) as i64 - 60_000;
        }
    }
    let after = pause(world);
    world.schedule(after, Event::Disaster);
}

/// From now on nothing goes wrong, and everything that did is put right.
pub(crate) fn end(world: &mut World) {
    world.faults.on = false;
    world.faults.slow_disks = false;
    world.faults.lossy_fetches = false;
    world.faults.deaf = false;
    world.network.weather = Weather::FINE;
    world.mend();
    for at in 0..world.hosts.len() {
        world.hosts[at].doomed = None;
        world.start(at);
    }
    world.note(None, "everything is healed");
}

fn pause(world: &mut World) -> u64 {
    let pace = world.faults.pace;
    pace / 10 + world.faults.rng.below(2 * pace)
}

/// Something goes wrong.
pub(crate) fn strike(world: &mut World) {
    if !world.faults.on {
        return;
    }
    let after = pause(world);
    world.schedule(after, Event::Disaster);
    let kinds: Vec<fn(&mut World)> = [
        (world.faults.partitions, partition as fn(&mut World)),
        (world.faults.crashes, crash),
        (world.faults.crashes, crash),
        (world.faults.blackouts, blackout),
        (world.faults.skew, jump),
    ]
    .into_iter()
    .filter(|(on, _)| *on)
    .map(|(_, kind)| kind)
    .collect();
    if let Some(kind) = world.faults.rng.pick(&kinds).copied() {
        kind(world);
    }
}

fn partition(world: &mut World) {
    if world.network.is_partitioned() {
        return;
    }
    let mut all: Vec<usize> = (0..world.hosts.len()).collect();
    world.faults.rng.shuffle(&mut all);
    let at = 1 + world.faults.rng.below(all.len() as u64 - 1) as usize;
    let (one, other) = all.split_at(at);
    let one_sided = world.faults.one_sided && world.faults.rng.chance(500);
    world.cut(one, other, one_sided);
    world.faults.partitioned += 1;
    world.count(if one_sided { "a one-sided partition" } else { "a partition" });
    let names: Vec<&str> = one.iter().map(|at| world.hosts[*at].name.as_str()).collect();
    world.note(
        None,
        format!("{} are cut off{}", names.join(" "), if one_sided { " in one direction" } else { "" }),
    );
    world.faults.cuts += 1;
    let number = world.faults.cuts;
    // Some flap, some last long.
    let most = if world.faults.rng.chance(300) { 2 * SECOND } else { 45 * SECOND };
    let after = 200 * MS + world.faults.rng.below(most);
    world.schedule(after, Event::Heal { number });
}

/// A partition ends.
pub(crate) fn heal(world: &mut World, number: u64) {
    if number == world.faults.cuts && world.network.is_partitioned() {
        world.note(None, "the partition heals");
        world.mend();
    }
}

/// A process dies, between any two of its outputs, and comes back.
fn crash(world: &mut World) {
    let up: Vec<usize> = (0..world.hosts.len()).filter(|at| world.hosts[*at].is_up()).collect();
    let Some(at) = world.faults.rng.pick(&up).copied() else { return };
    if world.faults.rng.chance(500) {
        world.hosts[at].doomed = Some(1 + world.faults.rng.below(60));
    } else {
        world.crash(at, "");
    }
    let most = if world.faults.rng.chance(500) { SECOND } else { 40 * SECOND };
    let after = 50 * MS + world.faults.rng.below(most);
    world.schedule(after, Event::Start { host: at });
}

/// The power fails for many at once.
fn blackout(world: &mut World) {
    world.count("a blackout");
    for at in 0..world.hosts.len() {
        if world.faults.rng.chance(800) {
            world.crash(at, "as the power fails");
            let after = 100 * MS + world.faults.rng.below(10 * SECOND);
            world.schedule(after, Event::Start { host: at });
        }
    }
}

/// A civil clock jumps.
fn jump(world: &mut World) {
    let at = world.faults.rng.below(world.hosts.len() as u64) as usize;
    world.hosts[at].skew = world.faults.rng.below(120_000) as i64 - 60_000;
    world.count("a clock jumped");
}
