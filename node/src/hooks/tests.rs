//! Real programs, run as the daemon runs them.

use std::fs;
use std::sync::Arc;

use althing_protocol::time::Millis;
use tempfile::TempDir;

use super::*;
use crate::files::{Files, Job, Source};

/// A member's store with one captured tree that has a hook.
struct World {
    store: Arc<Store>,
    root: Hash,
    directory: TempDir,
}

impl World {
    fn new(script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let store = Arc::new(Store::open(&at.join("daemon/store")).unwrap());
        let live = at.join("live");
        fs::create_dir_all(live.join("hooks")).unwrap();
        fs::write(live.join("page"), "settled").unwrap();
        fs::write(live.join("hooks/run"), script).unwrap();
        fs::set_permissions(live.join("hooks/run"), Permissions::from_mode(0o755)).unwrap();
        let files = Files::new("shop", &live, &at.join("daemon"), Arc::clone(&store)).unwrap();
        let root = files.capture(&Source::Live, Job::unattended()).unwrap().root;
        Self { store, root, directory }
    }

    fn request(&self, kind: Kind) -> Request {
        let hook = Hook { path: "hooks/run".into(), arguments: Vec::new(), limit: Millis(20_000) };
        Request {
            application: "shop".into(),
            member: "web1".into(),
            kind,
            hook,
            from: self.root,
            root: self.root,
            revision: 7,
            live: self.directory.path().join("live"),
            place: self.directory.path().join("daemon/hooks/shop"),
        }
    }

    fn run(&self, request: &Request) -> Ran {
        let ran = run(&self.store, request);
        assert!(!request.place.exists(), "nothing is left of a run");
        ran
    }
}

#[test]
fn a_hook_is_told_what_is_documented_and_nothing_else() {
    let world = World::new("#!/bin/sh\nenv > \"$ALTHING_ROOT/env\"\npwd >> \"$ALTHING_ROOT/env\"\n");
    assert_eq!(world.run(&world.request(Kind::After)), Ran::Well);
    let live = world.directory.path().join("live");
    let said = fs::read_to_string(live.join("env")).unwrap();
    for line in
        ["ALTHING_APPLICATION=shop", "ALTHING_HOOK=after", "ALTHING_REVISION=7", "ALTHING_MEMBER=web1"]
    {
        assert!(said.lines().any(|it| it == line), "{line}: {said}");
    }
    assert!(said.lines().any(|line| line == live.display().to_string()), "{said}");
    let foreign = |line: &&str| {
        let own = ["ALTHING_", "PATH=", "LANG=", "PWD=", "OLDPWD=", "SHLVL=", "_=", "/"];
        !own.iter().any(|start| line.starts_with(start))
    };
    assert_eq!(said.lines().filter(foreign).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn a_check_sees_the_staged_content_and_not_the_live_tree() {
    let world = World::new("#!/bin/sh\ncat page; test \"$(cat page)\" = settled\n");
    fs::write(world.directory.path().join("live/page"), "drifted").unwrap();
    assert_eq!(world.run(&world.request(Kind::Check)), Ran::Well);
    assert_eq!(
        world.run(&world.request(Kind::After)),
        Ran::Badly("ended with exit 1: drifted".to_owned()),
        "what comes after an apply sees the live tree"
    );
}

#[test]
fn the_bytes_that_run_are_settled_ones() {
    let world = World::new("#!/bin/sh\nexit 0\n");
    let changed = world.directory.path().join("live/hooks/run");
    fs::write(&changed, "#!/bin/sh\nexit 9\n").unwrap();
    assert_eq!(world.run(&world.request(Kind::After)), Ran::Well);
}

/// Between two passes of the scrub nobody knows yet that the disk changed a program.
#[test]
fn a_program_that_rotted_is_not_run() {
    let world = World::new("#!/bin/sh\ntouch \"$ALTHING_ROOT/ran\"\n");
    let request = world.request(Kind::After);
    let (_, content) = program_of(&world.store, &request).unwrap().unwrap();
    let name = content.hex();
    let at = find(world.directory.path(), &name).unwrap();
    let rotted = fs::read_to_string(&at).unwrap().replace("ran", "run");
    fs::set_permissions(&at, Permissions::from_mode(0o600)).unwrap();
    fs::write(&at, rotted).unwrap();
    let ran = world.run(&request);
    assert!(matches!(&ran, Ran::Badly(text) if text.contains("is damaged here")), "{ran:?}");
    assert!(!world.directory.path().join("live/run").exists(), "nothing of it ran");
}

fn find(below: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(below).ok()?.flatten().find_map(|entry| match entry.file_name() == name {
        true => Some(entry.path()),
        false => find(&entry.path(), name),
    })
}

#[test]
fn what_a_hook_says_is_cut_and_cleaned() {
    let world = World::new("#!/bin/sh\nprintf 'no\\033[31m config\\n\\n'; yes x | head -c 1000000; exit 3\n");
    let Ran::Badly(text) = world.run(&world.request(Kind::After)) else { panic!("it fails") };
    assert!(text.starts_with("ended with exit 3: no[31m config; x; "), "{text}");
    assert!(text.len() < OUTPUT + 100, "{text}");
}

#[test]
fn what_takes_too_long_is_killed_with_what_it_started() {
    let world = World::new("#!/bin/sh\nsleep 600 & echo $! > \"$ALTHING_ROOT/pid\"; wait\n");
    let mut request = world.request(Kind::After);
    request.hook.limit = Millis(5_000);
    let ran = world.run(&request);
    assert!(matches!(&ran, Ran::Badly(text) if text.starts_with("took longer than 5 s")), "{ran:?}");
    let pid = fs::read_to_string(world.directory.path().join("live/pid")).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let gone = (0..500).any(|_| {
        let is_gone = state().is_empty() || state().contains(") Z ");
        if !is_gone {
            std::thread::sleep(PAUSE);
        }
        is_gone
    });
    assert!(gone, "{}", state());
}

#[test]
fn a_hook_that_is_not_there_or_not_a_program_is_told_apart() {
    let world = World::new("#!/bin/sh\n");
    let mut request = world.request(Kind::After);
    request.hook.path = "hooks/other".into();
    assert_eq!(world.run(&request), Ran::Absent);
    request.hook.path = "page".into();
    assert_eq!(world.run(&request), Ran::Badly("is not executable".to_owned()));
    let world = World::new("no program at all");
    assert!(
        matches!(world.run(&world.request(Kind::After)), Ran::Badly(text) if text.starts_with("could not be run"))
    );
}

#[test]
fn a_staged_tree_is_not_for_writing() {
    let world =
        World::new("#!/bin/sh\ntest \"$(stat -c %a page)\" = 444 && test \"$(stat -c %a hooks)\" = 555\n");
    fs::set_permissions(world.directory.path().join("live/page"), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(world.run(&world.request(Kind::Check)), Ran::Well);
}

/// A daemon that is killed cannot end what it began; the one that comes after it does.
#[test]
fn what_a_killed_daemon_has_left_running_is_ended_before_the_next_run() {
    let script = "#!/bin/sh\n[ -e \"$ALTHING_ROOT/quick\" ] || s=600\necho $$ >> \"$ALTHING_ROOT/pids\"; sleep \"${s:-0}\"\n";
    let world = World::new(script);
    let request = world.request(Kind::After);
    let live = world.directory.path().join("live");
    // What `attempt` does, without what comes after the start: nobody watches this one.
    fs::create_dir_all(&request.place).unwrap();
    let lives = earlier::mark(&request.place).unwrap();
    let program = request.place.join("hook");
    let (_, content) = program_of(&world.store, &request).unwrap().unwrap();
    copy(&world.store, &content, &program, 0o500).unwrap();
    let mut left = start(&program, (&live, &lives), &request).unwrap();
    earlier::name(&request.place, &left).unwrap();
    drop(lives);
    let pids = || fs::read_to_string(live.join("pids")).unwrap_or_default();
    while pids().lines().count() < 1 {
        std::thread::sleep(PAUSE);
    }
    // Somebody has to bury it here, as the first process of the machine does.
    let buried = std::thread::spawn(move || left.wait().unwrap());
    fs::write(live.join("quick"), "").unwrap();
    assert_eq!(world.run(&request), Ran::Well);
    assert_eq!(buried.join().unwrap().signal(), Some(9), "the one that was left was killed");
    assert_eq!(pids().lines().count(), 2);
}

#[test]
fn what_is_left_of_a_run_is_put_away_by_the_next_start() {
    let world = World::new("#!/bin/sh\n");
    let place = world.request(Kind::Check).place;
    fs::create_dir_all(place.join("staged/deep")).unwrap();
    fs::set_permissions(place.join("staged"), Permissions::from_mode(0o500)).unwrap();
    drop(earlier::mark(&place).unwrap());
    let hooks = place.parent().unwrap();
    tidy(hooks).unwrap();
    assert!(!place.exists());
    tidy(&hooks.join("none")).unwrap();
}
