//! `althing simulate`: what the documents say of it is what it answers.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use althing_tests::{Cluster, Json, Ran, Site, program, story};
use anyhow::{Context, Result, ensure};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);

/// The answer to the user's question.
const DOCUMENT: &str = "../docs/howto/link-failure.md";

/// Runs `althing` outside any entity.
fn althing(words: &[&str]) -> Result<Ran> {
    Ran::of(Command::new(program()?).args(words), "")
}

/// The commands of the document, as words after `althing`.
fn documented() -> Result<Vec<Vec<String>>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
    let text = fs::read_to_string(path)?;
    let commands = text.lines().filter_map(|line| line.strip_prefix("$ althing simulate "));
    Ok(commands.map(|rest| rest.split_whitespace().map(str::to_owned).collect()).collect())
}

fn simulated(words: &[String], more: &[&str]) -> Result<Value> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    althing(&[&["simulate"], &words[..], more, &["--json"]].concat())?.document()
}

/// Members at a moment: name, revision that is there, whether they say that a majority can be reached, what they say.
fn surveyed<'a>(outcome: &'a Value, when: &str) -> Result<Vec<(&'a str, u64, bool, usize)>> {
    let survey = outcome.find("/surveys", "when", when)?;
    let member = |seen: &'a Value| {
        let name = seen["name"].as_str().context("a name")?;
        let there = seen.pointer("/applications/0/there").and_then(Value::as_u64).context("a revision")?;
        let majority = seen["majority"].as_bool().context("a majority")?;
        Ok((name, there, majority, seen["says"].as_array().map_or(0, Vec::len)))
    };
    survey["members"].as_array().context("members")?.iter().map(member).collect()
}

/// How often something was told whose text has this in it, and by whom.
fn told<'a>(outcome: &'a Value, what: &str) -> Vec<&'a str> {
    let all = outcome["timeline"].as_array().into_iter().flatten();
    let such = all.filter(|entry| entry["text"].as_str().is_some_and(|text| text.contains(what)));
    let mut hosts: Vec<&str> = such.filter_map(|entry| entry["host"].as_str()).collect();
    hosts.sort_unstable();
    hosts
}

const FIVE: [&str; 5] = ["m1", "m2", "m3", "m4", "m5"];
const FOUR: [&str; 4] = ["m6", "m7", "m8", "m9"];

#[test]
fn a_link_that_fails_during_a_deployment_leaves_five_that_settle_and_four_that_say_so() -> Result<()> {
    let [first, _] = &documented()?[..] else { anyhow::bail!("the document has other commands") };
    let outcome = simulated(first, &[])?;
    ensure!(outcome["violations"] == Value::Array(Vec::new()), "{outcome}");
    let apart = surveyed(&outcome, "before the network is whole again")?;
    ensure!(apart.len() == 9, "{apart:?}");
    for (name, there, majority, says) in apart {
        let expected = if FIVE.contains(&name) { (2, true, 0) } else { (1, false, 1) };
        ensure!((there, majority, says) == expected, "{name} has revision {there}, {majority}, says {says}");
    }
    ensure!(told(&outcome, "majority.lost") == FOUR, "{outcome}");
    ensure!(told(&outcome, "refused, no-majority") == ["m7"], "{outcome}");
    for (name, there, majority, says) in surveyed(&outcome, "at the end")? {
        ensure!((there, majority, says) == (2, true, 0), "{name} has revision {there} in the end");
    }
    let replaced = told(&outcome, "revision.applied: web");
    ensure!(FIVE.iter().chain(&FOUR).all(|name| replaced.contains(name)), "{replaced:?}");
    Ok(())
}

#[test]
fn a_deployment_begun_among_four_of_nine_changes_nothing() -> Result<()> {
    let [_, second] = &documented()?[..] else { anyhow::bail!("the document has other commands") };
    let outcome = simulated(second, &[])?;
    ensure!(outcome["violations"] == Value::Array(Vec::new()), "{outcome}");
    ensure!(told(&outcome, "refused, no-majority") == ["m7"], "{outcome}");
    for when in ["before the network is whole again", "at the end"] {
        for (name, there, ..) in surveyed(&outcome, when)? {
            ensure!(there == 1, "{name} has revision {there} {when}");
        }
    }
    Ok(())
}

#[test]
fn neither_site_settles_where_two_thirds_must_agree() -> Result<()> {
    let [first, _] = &documented()?[..] else { anyhow::bail!("the document has other commands") };
    let outcome = simulated(first, &["--quorum", "supermajority"])?;
    for (name, there, majority, _) in surveyed(&outcome, "before the network is whole again")? {
        ensure!((there, majority) == (1, false), "{name} has revision {there}, {majority}");
    }
    Ok(())
}

#[test]
fn the_story_is_told_by_side_and_one_line_says_it_for_all() -> Result<()> {
    let [first, _] = &documented()?[..] else { anyhow::bail!("the document has other commands") };
    let words: Vec<&str> = first.iter().map(String::as_str).collect();
    let ran = althing(&[&["simulate"], &words[..]].concat())?.ended(0)?;
    for line in [
        "m6 m7 m8 m9 are cut off",
        "m6 m7 m8 m9: majority.lost: 4 of 9",
        "m1 m2 m3 m4 m5: 10 records, web revision 2, a majority in reach",
        "all: 10 records, web revision 2, a majority in reach",
        "no violation",
    ] {
        ensure!(ran.stdout.contains(line), "{line:?} is not in\n{}", ran.stdout);
    }
    ensure!(!ran.stdout.contains("member.joined"), "the joins were not asked for\n{}", ran.stdout);
    let whole = althing(&[&["simulate", "--whole"], &words[..]].concat())?.ended(0)?;
    ensure!(whole.stdout.contains("member.joined"), "{}", whole.stdout);
    Ok(())
}

#[test]
fn an_entity_like_a_members_own_is_simulated_while_it_runs_and_when_it_is_stopped() {
    story(3, |cluster| {
        let site = Site::make(&cluster.path("site"), 60, 5)?;
        cluster.web(1).json(&["app", "new", "shop", "--from", &site.root.to_string_lossy()])?;
        cluster.web(1).json(&["member", "label", "web3", "group=big"])?;
        cluster.web(3).json(&[
            "app",
            "new",
            "pics",
            "--from",
            &site.root.to_string_lossy(),
            "--group",
            "big",
        ])?;
        cluster.agreed("shop", 1, LIMIT)?;
        let dir = cluster.web(2).dir.clone();
        let shown = cluster.web(2).json(&["app", "show", "shop"])?;
        let like = |dir: &Path| {
            let words = ["--hours", "0.05", "--deploy", "10:web3:pics", "--fault", "crash@10.1+30:web1"];
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            simulated(&words, &["--from-dir", &dir.to_string_lossy()])
        };
        let outcome = like(&dir)?;
        ensure!(outcome["violations"] == Value::Array(Vec::new()), "{outcome}");
        let likeness = &outcome["likeness"];
        ensure!(likeness.text("/name")? == "demo" && likeness.text("/quorum")? == "majority", "{likeness}");
        let names = likeness.list("/members")?.iter().filter_map(|member| member["name"].as_str());
        ensure!(names.eq(["web1", "web2", "web3"]), "{likeness}");
        let shop = likeness.find("/applications", "name", "shop")?;
        ensure!(
            shop["extent"]["items"] == shown["items"] && shop["extent"]["bytes"] == shown["bytes"],
            "{shop} {shown}"
        );
        ensure!(shop.number("/extent/items")? >= 60, "{shop}");
        let pics = likeness.find("/applications", "name", "pics")?;
        ensure!(pics["placement"] == serde_json::json!(["big"]), "{pics}");
        let end = outcome.find("/surveys", "when", "at the end")?;
        let web3 = end.find("/members", "name", "web3")?;
        ensure!(web3.find("/applications", "name", "pics")?.number("/there")? == 2, "{end}");
        ensure!(end.find("/members", "name", "web1")?.list("/applications")?.len() == 1, "{end}");

        // The same of a stopped member, and of a copy without its key: that is never read.
        cluster.web(2).stop()?;
        ensure!(like(&dir)?.get("trace") == outcome.get("trace"), "one state is simulated in two ways");
        let copy = cluster.path("copy");
        let copied = Command::new("cp").arg("-r").arg(&dir).arg(&copy).status()?;
        ensure!(copied.success(), "{copied}");
        fs::remove_file(copy.join("key"))?;
        ensure!(like(&copy)?.get("trace") == outcome.get("trace"), "the key was missed");
        cluster.web(2).start()?;
        no_entity_is_like_nothing(cluster)
    });
}

fn no_entity_is_like_nothing(cluster: &mut Cluster) -> Result<()> {
    let (empty, nowhere) = (cluster.path("empty"), cluster.path("nowhere"));
    fs::create_dir_all(&empty)?;
    let alone = cluster.add()?.dir.clone();
    for (dir, exit, code) in [(&empty, 65, "E103"), (&nowhere, 65, "E103"), (&alone, 69, "E101")] {
        let ran = althing(&["simulate", "--from-dir", &dir.to_string_lossy(), "--json"])?;
        ran.refused(exit, code)?;
    }
    ensure!(!nowhere.exists() && fs::read_dir(&empty)?.next().is_none(), "something was made");
    Ok(())
}

#[test]
fn what_cannot_be_simulated_is_refused() -> Result<()> {
    for (words, why) in [
        (["--fault", "crash@30:m12"], "no member \"m12\""),
        (["--fault", "earthquake"], "no fault \"earthquake\""),
        (["--fault", "reset@30+5"], "over at once"),
        (["--deploy", "30"], "not SECONDS:MEMBER"),
        (["--deploy", "9999:m1"], "after the end"),
    ] {
        let ran = althing(&[&["simulate"][..], &words].concat())?.ended(64)?;
        ensure!(ran.stderr.contains(why) && ran.stdout.is_empty(), "{words:?}: {ran:?}");
    }
    Ok(())
}
