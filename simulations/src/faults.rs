//! What goes wrong, and when: each seed draws which kinds of faults it has (swarm testing).

mod disks;
mod links;
mod processes;

use althing_protocol::rng::Rng;

use crate::network::Weather;
use crate::world::{Event, MS, SECOND, World};

/// A kind of disaster: in how many of a thousand seeds it happens at all, and what it does.
type Kind = (u64, fn(&mut World));

/// Everything that strikes now and then. What is wrong all the time is drawn in [`Faults::new`].
const KINDS: [Kind; 13] = [
    (600, links::partition),
    (300, links::one_sided),
    (300, links::isolate),
    (250, links::bridge),
    (300, links::flap),
    (300, links::reset),
    (250, links::replay),
    (700, processes::crash),
    (500, processes::die_between_outputs),
    (200, processes::blackout),
    (350, processes::pause),
    (400, processes::jump),
    (250, disks::fill),
];

/// Which faults a seed has.
pub(crate) struct Faults {
    rng: Rng,
    /// Nothing goes wrong any more, or yet.
    pub(crate) on: bool,
    pub(crate) weather: Weather,
    kinds: Vec<fn(&mut World)>,
    pub(crate) slow_disks: bool,
    pub(crate) lossy_fetches: bool,
    /// Notifications of changed files get lost.
    pub(crate) deaf: bool,
    /// Civil clocks are wrong.
    skew: bool,
    /// Clocks run at different speeds.
    drift: bool,
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
        let kinds = KINDS.iter().filter(|(per_mille, _)| rng.chance(*per_mille)).map(|(_, kind)| *kind);
        Self {
            on: false,
            weather,
            kinds: kinds.collect(),
            slow_disks: rng.chance(400) && any,
            lossy_fetches: rng.chance(400) && any,
            deaf: rng.chance(400) && any,
            skew: rng.chance(400),
            drift: rng.chance(300),
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
    for at in 0..world.hosts.len() {
        if world.faults.skew {
            world.hosts[at].skew = world.faults.rng.below(120_000) as i64 - 60_000;
        }
        if world.faults.drift {
            world.count("a clock ran fast or slow");
            let faster = world.faults.rng.below(1000) as i64 - 500;
            world.set_clock_speed(at, faster);
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
        let host = &mut world.hosts[at];
        (host.doomed, host.frozen) = (None, 0);
        world.fill(at, false);
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
    if let Some(kind) = world.faults.rng.pick(&world.faults.kinds).copied() {
        kind(world);
    }
}

/// A cut ends.
pub(crate) fn heal(world: &mut World, number: u64) {
    if number == world.faults.cuts && world.network.is_partitioned() {
        world.note(None, "the network is whole again");
        world.mend();
    }
}

/// A flapping link goes down, or up.
pub(crate) fn flap(world: &mut World, a: usize, b: usize) {
    if world.faults.on {
        world.toggle(a, b);
    }
}

/// One host at random; one that runs, if `up`.
fn any(world: &mut World, up: bool) -> Option<usize> {
    let hosts: Vec<usize> = (0..world.hosts.len()).filter(|at| !up || world.hosts[*at].is_up()).collect();
    world.faults.rng.pick(&hosts).copied()
}

/// Short times and long ones, in microseconds.
fn span(world: &mut World, short: u64, long: u64) -> u64 {
    let most = if world.faults.rng.chance(400) { short } else { long };
    50 * MS + world.faults.rng.below(most)
}
