//! Coming in, going out, coming back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use althing_node::net::{Net, NetConfig, Speech};
use althing_protocol::codec;
use althing_protocol::control::Refusal;
use althing_protocol::identity::Identity;
use althing_protocol::invitation::{Answer, Invitation};
use althing_protocol::record::{Abilities, JoinRequest, Newcomer};
use althing_protocol::state::PROTOCOL;
use althing_protocol::statement::{Address, Id16};
use althing_protocol::time::WallTime;
use althing_tests::{Cluster, Json, Member, Ran, Site, story, wait_until};
use anyhow::{Context, Result, ensure};

const LIMIT: Duration = Duration::from_secs(30);

fn deploy_first(cluster: &mut Cluster, numbers: &[usize]) -> Result<Site> {
    let site = Site::make(&cluster.path("site"), 60, 3)?;
    cluster.web(1).json(&["app", "new", "shop", "--from", &site.root.to_string_lossy()])?;
    cluster.have(numbers, "shop", &site.tree, LIMIT)?;
    Ok(site)
}

#[test]
fn invitations_end_and_say_why() {
    story(1, |cluster| {
        let used = cluster.invite(&["--note", "rack 4"])?;
        let list = cluster.web(1).json(&["invite", "list"])?;
        ensure!(list.find("/invitations", "note", "rack 4")?.number("/uses")? == 1, "{list}");
        cluster.add()?.join(&used)?.document()?;
        cluster.settled_roster(2)?;
        let twelve = cluster.add()?.join(&used)?.refused(65, "E312")?;
        ensure!(!twelve.list("/error/remedies")?.is_empty(), "{twelve}");
        ensure!(twelve.text("/error/message")?.contains("the last time by web2 at"), "{twelve}");
        ensure!(twelve.text("/error/facts/by")? == "web2", "{twelve}");
        // It knows it from its disk, too.
        cluster.web(1).kill();
        cluster.web(1).start()?;
        cluster.settled_roster_of(&[1, 2])?;
        let twelve = cluster.web(3).join(&used)?.refused(65, "E312")?;
        ensure!(twelve.text("/error/facts/by")? == "web2", "{twelve}");

        let short = cluster.invite(&["--for", "1s"])?;
        std::thread::sleep(Duration::from_millis(1200));
        let over = cluster.web(3).join(&short)?.refused(65, "E311")?;
        ensure!(over.text("/error/message")?.contains("by the clock of web1, which says"), "{over}");

        let good = cluster.invite(&[])?;
        let other = if good.ends_with('a') { "b" } else { "a" };
        let mistyped = format!("{}{other}", &good[..good.len() - 1]);
        cluster.web(3).join(&mistyped)?.refused(65, "E314")?;
        cluster.web(3).join("good morning")?.refused(65, "E314")?;
        cluster.web(3).join("")?.refused(65, "E314")?;

        let made = cluster.web(2).json(&["invite", "--uses", "5"])?;
        let id = made.text("/id")?.to_owned();
        cluster.web(1).json(&["invite", "revoke", &id])?;
        let revoked = cluster.web(3).join(made.text("/invitation")?)?.refused(65, "E313")?;
        ensure!(revoked.text("/error/facts/by")?.ends_with(" on web1"), "{revoked}");
        cluster.web(1).refused(105, "E404", &["invite", "revoke", &id])?;

        // Another member has the name.
        let words = ["join", "-", "-y", "--json", "--member-name", "web1"];
        Ran::of(&mut cluster.web(3).command(&words)?, &good)?.refused(65, "E316")?;
        // Nothing of all that spoilt the good one, or the machine.
        cluster.web(3).join(&good)?.document()?;
        cluster.settled_roster(3)?;
        let again = cluster.invite(&[])?;
        cluster.web(3).join(&again)?.refused(78, "E102")?;
        Ok(())
    });
}

/// A request to join of a machine whose clock says this.
fn asked_at(invitation: &Invitation, clock: u64) -> Result<Refusal> {
    let own = Identity::from_seed([77; 32]);
    let nowhere = Address { control: ([127, 0, 0, 1], 1).into(), bulk: ([127, 0, 0, 1], 2).into() };
    let (member, store, name) = (own.id(), Id16([77; 16]), "web9".to_owned());
    let newcomer = Newcomer { member, store, name, address: nowhere };
    let abilities = Abilities::of(PROTOCOL).at(WallTime(clock));
    let asks = JoinRequest::sign_as(abilities, invitation.entity, newcomer, &invitation.identity(), &own);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let any = ([127, 0, 0, 1], 0).into();
        let config = NetConfig { secret: [77; 32], listen: any, bulk_listen: any, speech: Speech::Lines };
        let (net, _events) = Net::start(config).await?;
        let to = *invitation.addresses.first().context("an address")?;
        let (_, bytes) = net.join(to, codec::encode(&asks), LIMIT).await?;
        net.shutdown().await;
        match codec::decode::<Answer>(&bytes, 1 << 20)? {
            Answer::Refused(refusal) => Ok(refusal),
            Answer::Welcome(welcome) => anyhow::bail!("let in: {welcome:?}"),
        }
    })
}

/// E319: as a machine would ask whose clock is wrong; the clocks of this one cannot be set.
#[test]
fn a_machine_whose_clock_is_wrong_is_told_so() {
    story(1, |cluster| {
        let text = cluster.invite(&[])?;
        let invitation = Invitation::decode(&text)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
        for (clock, says) in
            [(now + 440_000, "7 min ahead of that of web1"), (now - 3 * 3_600_000, "h behind")]
        {
            let refusal = asked_at(&invitation, clock)?;
            ensure!(refusal.code.number() == "E319" && refusal.message.contains(says), "{refusal:?}");
        }
        // The invitation is as good as before.
        cluster.add()?.join(&text)?.document()?;
        cluster.settled_roster(2)
    });
}

#[test]
fn newcomers_get_everything_even_while_a_window_is_open() {
    story(3, |cluster| {
        let site = deploy_first(cluster, &[1, 2, 3])?;
        let next = site.next(&cluster.path("next"), 1)?;
        cluster.web(2).json(&["update", "open", "shop"])?;
        cluster.web(2).json(&["update", "stage", "shop", "--from", &next.root.to_string_lossy()])?;
        cluster.join()?;
        cluster.settled_roster(4)?;
        cluster.have(&[4], "shop", &site.tree, LIMIT)?;
        cluster.web(2).json(&["update", "commit", "shop", "-y"])?;
        cluster.have(&[1, 2, 3, 4], "shop", &next.tree, LIMIT)?;
        cluster.agreed("shop", 2, LIMIT)?;

        // What a newcomer has in the place of an application goes to its trash.
        let invitation = cluster.invite(&[])?;
        let fifth = cluster.add()?;
        std::fs::create_dir_all(fifth.root("shop"))?;
        std::fs::write(fifth.root("shop").join("mine.txt"), b"kept")?;
        fifth.join(&invitation)?.document()?;
        cluster.have(&[5], "shop", &next.tree, LIMIT)?;
        let trash = cluster.web(5).json(&["trash", "list", "shop"])?;
        trash.find("/items", "path", "mine.txt")?;
        leave_and_remove(cluster, &next)
    });
}

fn leave_and_remove(cluster: &mut Cluster, site: &Site) -> Result<()> {
    cluster.web(5).refused(64, "E001", &["leave", "--no-input"])?;
    cluster.web(5).json(&["leave", "-y"])?;
    let names = |member: &Member| -> Result<Vec<String>> {
        let list = member.json(&["member", "list"])?;
        list.list("/members")?.iter().map(|entry| Ok(entry.text("/name")?.to_owned())).collect()
    };
    wait_until(LIMIT, "web5 is out of the roster", || match names(&cluster.members[0]) {
        Ok(names) if names == ["web1", "web2", "web3", "web4"] => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    // Its files stay, and the name is free for it to come back.
    cluster.have(&[5], "shop", &site.tree, LIMIT)?;

    cluster.web(4).kill();
    cluster.web(1).refused(105, "E401", &["member", "remove", "web9", "--confirm", "web9"])?;
    cluster.web(1).refused(64, "E001", &["member", "remove", "web4", "--no-input"])?;
    cluster.web(1).json(&["member", "remove", "web4", "--confirm", "web4"])?;
    wait_until(LIMIT, "web4 is out of the roster", || match names(&cluster.members[2]) {
        Ok(names) if names == ["web1", "web2", "web3"] => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    let votes = cluster.web(1).json(&["vote", "shop"])?;
    ensure!(votes.number("/applications/0/needed")? == 2, "{votes}");
    // Two of three decide, and hold what they decide, without the two that are gone and one that is away.
    cluster.web(3).kill();
    cluster.web(2).json(&["app", "pause", "shop"])?;
    cluster.web(2).json(&["app", "resume", "shop"])?;
    let last = site.next(&cluster.path("last"), 9)?;
    let from = last.root.to_string_lossy().into_owned();
    cluster.web(2).json(&["deploy", "shop", "--from", &from])?;
    cluster.have(&[1, 2], "shop", &last.tree, LIMIT)?;
    cluster.web(3).start()?;
    cluster.have(&[1, 2, 3], "shop", &last.tree, LIMIT).map(|_| ())
}

#[test]
fn who_comes_back_is_heard_and_catches_up() {
    story(5, |cluster| {
        let site = deploy_first(cluster, &[1, 2, 3, 4, 5])?;
        second_daemon_is_refused(cluster)?;

        // The same key on the same address after kill -9: heard again, and voting.
        cluster.web(2).kill();
        cluster.web(2).start()?;
        let took = alive(cluster, 1, "web2")?;
        eprintln!("web2 is heard by web1 {took:?} after it answers again");
        ensure!(took < Duration::from_secs(15), "a restarted member was not heard for {took:?}");
        cluster.settled_roster(5)?;

        // Away during 30 records.
        let status = cluster.web(5).stop()?;
        ensure!(status.success(), "SIGTERM: {status}");
        let before = cluster.web(1).json(&["status"])?.number("/entity/epoch")?;
        for _ in 0..15 {
            cluster.web(1).json(&["app", "pause", "shop"])?;
            cluster.web(3).json(&["app", "resume", "shop"])?;
        }
        let next = site.next(&cluster.path("next"), 4)?;
        cluster.web(4).json(&["deploy", "shop", "--from", &next.root.to_string_lossy()])?;
        let after = cluster.web(1).json(&["status"])?.number("/entity/epoch")?;
        ensure!(after >= before + 30, "{before} to {after}");
        cluster.web(5).start()?;
        let took = cluster.have(&[5], "shop", &next.tree, LIMIT)?;
        eprintln!("web5 caught up with {} records in {took:?}", after - before);
        cluster.agreed("shop", 2, LIMIT)?;

        // The power fails for all at once.
        cluster.members.iter_mut().for_each(Member::kill);
        cluster.members.iter_mut().try_for_each(Member::launch)?;
        cluster.members.iter_mut().try_for_each(Member::answers)?;
        cluster.settled_roster(5)?;
        cluster.agreed("shop", 2, LIMIT)?;
        let last = next.next(&cluster.path("last"), 5)?;
        cluster.web(5).json(&["deploy", "shop", "--from", &last.root.to_string_lossy()])?;
        cluster.have(&[1, 2, 3, 4, 5], "shop", &last.tree, LIMIT).map(|_| ())
    });
}

fn second_daemon_is_refused(cluster: &mut Cluster) -> Result<()> {
    let refused = Ran::of(cluster.web(1).daemon()?.arg("--json"), "")?.refused(75, "E105")?;
    ensure!(refused.text("/error/message")?.contains("web1"), "it does not say which directory: {refused}");
    ensure!(refused.text("/error/facts/process")?.parse::<u32>().is_ok(), "{refused}");
    ensure!(refused.to_string().contains("see the one that runs"), "{refused}");
    cluster.web(1).json(&["status"]).map(|_| ())
}

/// Waits until member `number` says that `name` is alive.
fn alive(cluster: &Cluster, number: usize, name: &str) -> Result<Duration> {
    let member = &cluster.members[number - 1];
    wait_until(LIMIT, &format!("web{number} hears {name}"), || {
        let list = member.json(&["member", "list"]).map_err(|error| error.to_string())?;
        let found = list.find("/members", "name", name).map_err(|error| error.to_string())?;
        if found["state"] == "alive" && found["votes"] == true { Ok(()) } else { Err(found.to_string()) }
    })
}

/// A member that comes back at another address is found there by those that stayed, votes, and is named.
#[test]
fn a_member_that_moves_is_found_again() {
    story(3, |cluster| {
        let site = deploy_first(cluster, &[1, 2, 3])?;
        let before = cluster.web(3).address();
        cluster.web(3).stop()?;
        cluster.web(3).move_elsewhere()?;
        let after = cluster.web(3).address();
        ensure!(before != after, "{after}");
        cluster.web(3).start()?;
        alive(cluster, 1, "web3")?;
        wait_until(LIMIT, "all know its new address", || {
            for member in &cluster.members {
                let shown = member.json(&["member", "show", "web3"]).map_err(|error| error.to_string())?;
                if !shown.to_string().contains(&after) {
                    return Err(shown.to_string());
                }
            }
            Ok(())
        })?;
        cluster.settled_roster(3)?;
        let moved = cluster.web(2).json(&["audit"])?;
        let moved = moved.find("/entries", "change", "move")?.clone();
        ensure!(moved["from"] == "web3" && moved.text("/text")?.contains(&after), "{moved}");

        // Its vote counts: of three, one is away.
        cluster.web(1).kill();
        cluster.web(2).json(&["app", "pause", "shop"])?;
        cluster.web(2).json(&["app", "resume", "shop"])?;
        // Who was away when it moved finds it as well, and gets its content from it.
        cluster.web(3).stop()?;
        cluster.web(3).move_elsewhere()?;
        cluster.web(3).start()?;
        cluster.settled_roster_of(&[2, 3])?;
        cluster.web(1).start()?;
        cluster.settled_roster(3)?;
        let next = site.next(&cluster.path("next"), 1)?;
        cluster.web(3).json(&["deploy", "shop", "--from", &next.root.to_string_lossy()])?;
        cluster.have(&[1, 2, 3], "shop", &next.tree, LIMIT).map(|_| ())
    });
}

/// All move at once: a new network. As long as one is found at an address that somebody knows, all find one another.
#[test]
fn most_may_move_at_once_if_one_stays() {
    story(3, |cluster| {
        let site = deploy_first(cluster, &[1, 2, 3])?;
        for number in [2, 3] {
            cluster.web(number).stop()?;
            cluster.web(number).move_elsewhere()?;
        }
        for number in [2, 3] {
            cluster.web(number).start()?;
        }
        cluster.settled_roster(3)?;
        let next = site.next(&cluster.path("next"), 1)?;
        cluster.web(2).json(&["deploy", "shop", "--from", &next.root.to_string_lossy()])?;
        cluster.have(&[1, 2, 3], "shop", &next.tree, LIMIT).map(|_| ())
    });
}
