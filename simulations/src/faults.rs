//! What goes wrong. Each class of faults is a row of [`CLASSES`]; which of them a seed has, and when they strike, is
//! planned before ([`crate::plan`]), and what is wrong all the time is drawn in [`Faults::new`].

mod admins;
mod disks;
mod hooks;
mod liars;
mod links;
mod processes;
pub(crate) mod stores;

use althing_protocol::rng::Rng;

use crate::network::Weather;
use crate::options::Options;
use crate::plan::{Act, Does, Plan};
use crate::world::{Event, MS, World, stream};

/// A class of faults that strike now and then.
pub(crate) struct Class {
    /// What acts, options and documents call it.
    pub(crate) name: &'static str,
    /// In how many of a thousand seeds it happens at all.
    pub(crate) per_mille: u64,
    /// Seconds between two of them, on average over all seeds that have it.
    pub(crate) every: u64,
    /// How often in one world at most.
    pub(crate) most: usize,
    pub(crate) strike: fn(&mut World),
    /// What naming hosts for it means.
    pub(crate) place: Place,
    /// It goes on for a time.
    pub(crate) lasts: bool,
}

/// What it means that somebody names hosts for a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It strikes on each of them.
    Each,
    /// It strikes once: they are one side, and all others the other one.
    Side,
    /// It strikes once, between the two of them: who names one leaves the other end to chance.
    Link,
    /// It strikes once, on all of them.
    Together,
    /// Nobody can name any: the world has it where it can happen.
    Anywhere,
}

const fn class(name: &'static str, per_mille: u64, every: u64, most: usize, strike: fn(&mut World)) -> Class {
    Class { name, per_mille, every, most, strike, place: Place::Each, lasts: false }
}

impl Class {
    const fn of(self, place: Place) -> Self {
        Self { place, ..self }
    }

    const fn lasts(self) -> Self {
        Self { lasts: true, ..self }
    }
}

/// Every class. What takes a vote away for good is rare, and never takes a majority (`stores::may_spoil`).
pub(crate) const CLASSES: &[Class] = &[
    class("partition", 500, 120, 500, links::partition).of(Place::Side).lasts(),
    class("one-sided", 250, 150, 500, links::one_sided).of(Place::Side).lasts(),
    class("alone", 250, 150, 500, links::isolate).lasts(),
    class("bridge", 200, 180, 500, links::bridge).of(Place::Side).lasts(),
    class("flap", 200, 150, 500, links::flap).of(Place::Link),
    class("reset", 250, 60, 500, links::reset).of(Place::Link),
    class("half-open", 200, 120, 500, links::half_open).of(Place::Link).lasts(),
    class("corruption", 200, 90, 500, links::corrupt).of(Place::Link),
    class("truncation", 200, 90, 500, links::truncate).of(Place::Link),
    class("delay-spike", 250, 150, 500, links::delay_spike).of(Place::Anywhere).lasts(),
    class("narrow", 150, 200, 500, links::narrow).lasts(),
    class("swizzle", 150, 200, 500, links::swizzle).of(Place::Together),
    class("replay", 250, 90, 500, links::replay).of(Place::Link),
    class("old-chain", 200, 120, 500, links::old_chain).of(Place::Link),
    class("move", 150, 250, 6, processes::relocate).lasts(),
    class("crash", 500, 100, 500, processes::crash).lasts(),
    class("die-in-step", 400, 120, 500, processes::die_between_outputs).lasts(),
    class("blackout", 150, 250, 20, processes::blackout).of(Place::Anywhere),
    class("long-outage", 150, 250, 20, processes::long_outage).lasts(),
    class("pause", 300, 120, 500, processes::pause).lasts(),
    class("upgrade", 1000, 40, 500, processes::upgrade).of(Place::Anywhere).lasts(),
    class("hang", 200, 150, 500, processes::hang).lasts(),
    class("throttle", 200, 150, 500, processes::throttle).lasts(),
    class("clock-jump", 300, 90, 500, processes::jump),
    class("no-room", 200, 150, 500, disks::no_room).lasts(),
    class("full-disk", 150, 200, 500, disks::full).lasts(),
    class("write-error", 200, 200, 500, disks::write_error).lasts(),
    class("sync-error", 200, 200, 500, disks::sync_error).lasts(),
    class("read-error", 200, 200, 500, disks::read_error).lasts(),
    class("torn-write", 200, 150, 500, disks::torn_write).lasts(),
    class("bit-rot", 250, 100, 500, disks::bit_rot),
    class("misdirected", 150, 150, 500, disks::misdirected),
    class("lost-disk", 80, 300, 2, stores::lost).lasts(),
    class("old-disk", 120, 100, 8, stores::old),
    class("lying-disk", 80, 300, 2, stores::lying),
    class("twin", 60, 300, 1, stores::twin),
    class("silent", 60, 300, 1, liars::silent),
    class("selective", 80, 300, 1, liars::selective),
    class("stale", 80, 300, 1, liars::stale),
    class("garbage", 80, 300, 1, liars::garbage),
    class("bad-content", 80, 300, 1, liars::bad_content),
    class("equivocation", 60, 300, 1, liars::equivocator),
    class("forgery", 80, 300, 1, liars::forger),
    class("hooks-fail", 300, 100, 500, hooks::fail).lasts(),
    class("race", 400, 90, 500, admins::race).of(Place::Anywhere),
    class("stale-invitation", 150, 250, 10, admins::stale_invitation).of(Place::Anywhere),
    class("readmission", 300, 80, 500, admins::readmit).of(Place::Anywhere),
    class("recovery", 60, 400, 1, admins::recover),
];

/// What is wrong, and what will be.
pub(crate) struct Faults {
    /// For the act under way.
    pub(crate) rng: Rng,
    /// Nothing goes wrong any more, or yet.
    pub(crate) on: bool,
    pub(crate) plan: Plan,
    weather: Weather,
    pub(crate) slow_disks: bool,
    pub(crate) lossy_fetches: bool,
    /// Notifications of changed files get lost.
    pub(crate) deaf: bool,
    /// Changes are noticed at once, on all members at the same time.
    pub(crate) prompt: bool,
    /// The hosts that somebody named for the act under way.
    named: Vec<usize>,
    /// How many microseconds it goes on, if somebody said so.
    lasts: Option<u64>,
    /// When the last fault was put right.
    pub(crate) ended: Option<u64>,
    cuts: u64,
    storms: u64,
    pub(crate) partitioned: u64,
}

impl Faults {
    pub(crate) fn new(options: &Options) -> Self {
        let plan = Plan::new(options);
        let mut rng = stream(options.seed, "weather");
        let mut some = |name: &str, most: u64| {
            let drawn = rng.below(most + 1);
            if plan.has(name) { drawn } else { 0 }
        };
        let weather = Weather {
            lost: some("loss", 200),
            doubled: some("duplication", 200),
            late: some("reordering", 100),
            delay: 100 + some("delay", 20 * MS),
            jitter: 500 + some("jitter", 150 * MS),
            rate: some("narrow-links", 200_000),
        };
        let weather = Weather { rate: if weather.rate == 0 { 0 } else { 30_000 + weather.rate }, ..weather };
        Self {
            on: false,
            weather,
            slow_disks: plan.has("slow-disks"),
            lossy_fetches: plan.has("lossy-fetches"),
            deaf: plan.has("lost-notices"),
            prompt: plan.has("prompt-notices"),
            named: Vec::new(),
            lasts: None,
            ended: None,
            cuts: 0,
            storms: 0,
            partitioned: 0,
            plan,
            rng,
        }
    }
}

/// From now on things go wrong, and administrators work, as planned.
pub(crate) fn begin(world: &mut World) {
    let acts: Vec<u64> = world.faults.plan.acts.iter().map(|act| act.at).collect();
    for (number, at) in acts.into_iter().enumerate() {
        world.schedule(at, Event::Act { number });
    }
    world.workload.on = true;
    if !world.options.faults {
        return;
    }
    world.faults.on = true;
    world.network.weather = world.faults.weather;
    if world.faults.plan.has("jitter") {
        world.count("messages took more or less long");
    }
    if world.faults.plan.has("uneven-links") {
        world.count("each link was another");
        world.network.differ(stream(world.options.seed, "links"));
    }
    if world.faults.slow_disks {
        world.count("disks were slow");
    }
    for at in 0..world.hosts.len() {
        if world.faults.plan.has("wrong-clocks") {
            world.count("a clock was wrong");
            world.hosts[at].skew = world.faults.rng.below(120_000) as i64 - 60_000;
        }
        if world.faults.plan.has("drifting-clocks") {
            world.count("a clock ran fast or slow");
            let faster = world.faults.rng.below(1000) as i64 - 500;
            world.set_clock_speed(at, faster);
        }
    }
}

/// From now on nothing goes wrong, and everything that did is put right.
pub(crate) fn end(world: &mut World) {
    world.faults.on = false;
    world.faults.ended = Some(world.now);
    world.workload.on = false;
    world.faults.slow_disks = false;
    world.faults.lossy_fetches = false;
    world.faults.deaf = false;
    world.network.weather = Weather::FINE;
    world.network.clear();
    world.mend();
    stores::part_twins(world);
    for at in 0..world.hosts.len() {
        liars::mend(world, at);
        processes::bring_up_to_date(world, at);
        let host = &mut world.hosts[at];
        (host.doomed, host.frozen, host.slow, host.unreadable_until, host.tear) = (None, 0, 0, 0, false);
        host.hooks_fail_until = 0;
        world.unclog(at);
        world.fill(at, false);
        world.start(at);
    }
    world.note(None, "everything is healed");
}

/// Something planned happens.
pub(crate) fn act(world: &mut World, number: usize) {
    let Some(act) = world.faults.plan.acts.get(number).cloned() else { return };
    let rng = stream(world.options.seed, &format!("act {}", act.name));
    match act.does {
        Does::Work if world.workload.on => {
            world.workload.rng = rng;
            crate::workload::work(world);
        }
        Does::Fault(strike) if world.faults.on => {
            world.faults.rng = rng;
            let at = |name: &String| world.hosts.iter().position(|host| host.name == *name);
            world.faults.named = act.hosts.iter().filter_map(at).collect();
            world.faults.lasts = act.lasts;
            let before = told(world);
            strike(world);
            if act.is_asked_for() {
                answer(world, &act, before);
            }
            world.faults.named.clear();
            world.faults.lasts = None;
        }
        Does::Deploy { application } if world.workload.on => {
            world.workload.rng = rng;
            let at =
                act.hosts.first().and_then(|name| world.hosts.iter().position(|host| host.name == *name));
            if let Some(at) = at {
                crate::workload::deploy(world, at, application);
            }
        }
        Does::Work | Does::Fault(_) | Does::Deploy { .. } => {}
    }
}

/// How much the timeline and the counts have.
fn told(world: &World) -> (usize, u64) {
    (world.timeline.len(), world.sometimes.values().sum())
}

/// Whoever asked for a fault is told of it, also where it says nothing, or could not strike.
fn answer(world: &mut World, act: &Act, before: (usize, u64)) {
    let after = told(world);
    if after.0 == before.0 {
        let at = if act.hosts.is_empty() { String::new() } else { format!(" at {}", act.hosts.join(" ")) };
        let what = if after.1 == before.1 { "is asked for, and cannot strike now" } else { "strikes" };
        world.note(None, format!("{}{at} {what}", act.class()));
    }
}

pub(crate) use admins::{come_over, give_up, late_join, put_right};

/// A cut ends.
pub(crate) fn heal(world: &mut World, number: u64) {
    if number == world.faults.cuts && world.network.is_partitioned() {
        world.survey("before the network is whole again");
        world.note(None, "the network is whole again");
        world.mend();
    }
}

/// Delays are again what they are in this seed.
pub(crate) fn calm(world: &mut World, number: u64) {
    if number == world.faults.storms && world.faults.on {
        world.note(None, "delays are as before");
        world.network.weather = world.faults.weather;
    }
}

/// A flapping link goes down, or up.
pub(crate) fn flap(world: &mut World, a: usize, b: usize) {
    if world.faults.on {
        world.toggle(a, b);
    }
}

/// One host: the one that was named, or any; one that runs, if `up`.
fn any(world: &mut World, up: bool) -> Option<usize> {
    let fits = |at: &usize| !world.hosts[*at].absent && (!up || world.hosts[*at].is_up());
    if let Some(named) = world.faults.named.first().copied() {
        return fits(&named).then_some(named);
    }
    let hosts: Vec<usize> = (0..world.hosts.len()).filter(fits).collect();
    world.faults.rng.pick(&hosts).copied()
}

/// What somebody said; else short times and long ones, in microseconds.
fn span(world: &mut World, short: u64, long: u64) -> u64 {
    if let Some(lasts) = world.faults.lasts {
        return lasts;
    }
    let most = if world.faults.rng.chance(400) { short } else { long };
    50 * MS + world.faults.rng.below(most)
}
