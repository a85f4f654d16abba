//! An outcome for people: the timeline with what several members tell at once in one line, how all members were now and
//! then, and the sums.

use std::collections::BTreeSet;
use std::fmt::Write;

use althing_protocol::record::Policy;

use crate::likeness::Likeness;
use crate::timeline::{Entry, Outcome, Placed, Seen, Survey, Tally};

/// The same thing told by others within so many seconds is one line.
const TOGETHER: f64 = 2.0;
/// More names than these are counted.
const NAMES: usize = 12;

/// Who told something, from when until when.
struct Line<'a> {
    from: f64,
    until: f64,
    hosts: Vec<&'a str>,
    text: &'a str,
}

/// The story; with `whole` also how the entity came to be.
pub fn story(outcome: &Outcome, whole: bool) -> String {
    let mut text = String::new();
    let all: Vec<&str> = names(outcome);
    let begun = if whole { f64::MIN } else { outcome.begun };
    let told: Vec<&Entry> = outcome.timeline.iter().filter(|entry| entry.seconds >= begun).collect();
    if let Some(likeness) = &outcome.likeness {
        like(&mut text, likeness);
    }
    let mut surveys = outcome.surveys.iter().peekable();
    for line in lines(&told) {
        while let Some(survey) = surveys.next_if(|survey| survey.seconds <= line.from) {
            show(&mut text, outcome.begun, survey);
        }
        let when = times(line.from - outcome.begun, line.until - outcome.begun);
        let who = who(&line.hosts, &all);
        let _ = writeln!(text, "{when:>15} s  {who}{}{}", if who.is_empty() { "" } else { ": " }, line.text);
    }
    if outcome.untold > 0 {
        let _ = writeln!(text, "{:>15}    {} more that happened later are not told", "", outcome.untold);
    }
    surveys.for_each(|survey| show(&mut text, outcome.begun, survey));
    outcome.tally.iter().for_each(|tally| counts(&mut text, tally));
    sums(&mut text, outcome);
    text
}

/// Messages between two moments, the most of them first.
fn counts(text: &mut String, tally: &Tally) {
    let _ =
        writeln!(text, "sent from {} s to {} s:", tally.from as f64 / 1000.0, tally.until as f64 / 1000.0);
    let mut kinds: Vec<_> = tally.kinds.iter().collect();
    kinds.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    for (kind, (count, bytes)) in kinds {
        let _ = writeln!(text, "  {kind:<12} {count:>9} messages {bytes:>12} bytes");
    }
}

/// What was taken over, and what was not.
fn like(text: &mut String, likeness: &Likeness) {
    let (voters, all) = (likeness.voters(), likeness.members.len());
    let _ = writeln!(
        text,
        "like {}, of {} records: {all} members, {voters} of them vote, and {} settle",
        likeness.name,
        likeness.epoch,
        likeness.quorum.of(voters)
    );
    for application in &likeness.applications {
        let extent = application.extent.map_or("nothing settled".to_owned(), |extent| {
            format!("{} items, {} bytes", extent.items, extent.bytes)
        });
        let (name, policy) = (&application.name, policy(application.policy));
        let (to, batch) = (&application.placement, application.rollout.batch);
        let _ = writeln!(text, "  application {name}: {extent}; to {to}, {batch} at once; {policy}");
    }
    for line in &likeness.left_out {
        let _ = writeln!(text, "  not taken over: {line}");
    }
}

fn policy(policy: Policy) -> &'static str {
    match policy {
        Policy::Majority => "what more than half have becomes settled",
        Policy::Certified => "only what is committed is settled",
    }
}

/// The members, as far as anybody looked at them or they told something.
fn names(outcome: &Outcome) -> Vec<&str> {
    match outcome.surveys.first() {
        Some(survey) => survey.members.iter().map(|seen| seen.name.as_str()).collect(),
        None => Vec::new(),
    }
}

/// Puts together what several told within a short time; nobody tells one thing twice in one line.
fn lines<'a>(told: &[&'a Entry]) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    for entry in told {
        let host = entry.host.as_str();
        let same = lines.iter_mut().rev().take_while(|line| entry.seconds - line.from <= TOGETHER);
        let mut same =
            same.filter(|line| line.text == entry.text && !host.is_empty() && !line.hosts.contains(&host));
        match same.next() {
            Some(line) => {
                line.hosts.push(host);
                line.until = entry.seconds;
            }
            None => {
                let hosts = if host.is_empty() { Vec::new() } else { vec![host] };
                lines.push(Line { from: entry.seconds, until: entry.seconds, hosts, text: &entry.text });
            }
        }
    }
    lines
}

fn times(from: f64, until: f64) -> String {
    if until - from < 0.05 { format!("{from:.1}") } else { format!("{from:.1} to {until:.1}") }
}

/// Hosts in their order; all of them, or very many, in a word.
fn who(hosts: &[&str], all: &[&str]) -> String {
    let told: BTreeSet<&str> = hosts.iter().copied().collect();
    if all.len() > 1 && all.iter().all(|name| told.contains(name)) {
        return "all".to_owned();
    }
    let mut names: Vec<&str> = all.iter().copied().filter(|name| told.contains(name)).collect();
    names.extend(told.iter().filter(|name| !all.contains(name)));
    match names.len() {
        0..=NAMES => names.join(" "),
        more => format!("{} and {} more", names[..NAMES].join(" "), more - NAMES),
    }
}

/// One line for members that are alike.
fn show(text: &mut String, begun: f64, survey: &Survey) {
    let _ = writeln!(text, "\n{:>15.1} s  {}:", survey.seconds - begun, survey.when);
    let all: Vec<&str> = survey.members.iter().map(|seen| seen.name.as_str()).collect();
    let mut alike: Vec<(String, Vec<&str>)> = Vec::new();
    for seen in &survey.members {
        let state = state(seen);
        match alike.iter_mut().find(|(known, _)| *known == state) {
            Some((_, names)) => names.push(&seen.name),
            None => alike.push((state, vec![&seen.name])),
        }
    }
    for (state, names) in alike {
        let _ = writeln!(text, "{:17}  {}: {state}", "", who(&names, &all));
    }
    text.push('\n');
}

fn state(seen: &Seen) -> String {
    let has = |placed: &Placed| match placed.there {
        Some(there) if there == placed.known || !seen.runs => format!("{} revision {there}", placed.name),
        Some(there) => format!("{} revision {there}, and {} is settled", placed.name, placed.known),
        None => format!("{} as nobody settled it", placed.name),
    };
    let applications: Vec<String> = seen.applications.iter().map(has).collect();
    let applications = if applications.is_empty() { "nothing".to_owned() } else { applications.join("; ") };
    if !seen.runs {
        return format!("does not run; {applications}");
    }
    let majority = if seen.majority { "a majority in reach" } else { "NO majority in reach" };
    let says: Vec<String> = seen.says.iter().map(|text| format!("; says: {text}")).collect();
    format!("{} records, {applications}, {majority}{}", seen.epoch, says.concat())
}

fn sums(text: &mut String, outcome: &Outcome) {
    let _ = writeln!(
        text,
        "seed {}: {} members, {:.0} s simulated, {} events, {} messages, {} bytes\n\
         {} records settled, {} revisions, {} repairs, {} crashes, {} partitions\ntrace {}",
        outcome.seed,
        outcome.members,
        outcome.seconds,
        outcome.events,
        outcome.messages,
        outcome.bytes,
        outcome.epochs,
        outcome.deployments,
        outcome.repairs,
        outcome.crashes,
        outcome.partitions,
        outcome.trace,
    );
    for violation in &outcome.violations {
        let _ = writeln!(
            text,
            "VIOLATION of {} at {:.3} s: {}",
            violation.clause, violation.seconds, violation.text
        );
    }
    if outcome.violations.is_empty() {
        text.push_str("no violation\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Violation;

    fn entry(seconds: f64, host: &str, text: &str) -> Entry {
        Entry { seconds, host: host.into(), text: text.into() }
    }

    fn seen(name: &str, there: u64, majority: bool) -> Seen {
        let applications = vec![Placed { name: "web".into(), known: 2, there: Some(there) }];
        let says = if majority { Vec::new() } else { vec!["cut off".to_owned()] };
        Seen { name: name.into(), runs: true, epoch: 10, votes: true, majority, applications, says }
    }

    fn outcome() -> Outcome {
        let members = vec![seen("m1", 2, true), seen("m2", 2, true), seen("m3", 1, false)];
        Outcome {
            begun: 60.0,
            surveys: vec![Survey { seconds: 91.5, when: "before that", members }],
            timeline: vec![
                entry(1.0, "m1", "entity.founded"),
                entry(90.0, "m1", "revision.settled"),
                entry(90.2, "m2", "revision.settled"),
                entry(90.3, "", "m3 is cut off"),
                entry(90.4, "m3", "revision.settled"),
                entry(95.0, "m1", "revision.settled"),
                entry(95.1, "m1", "revision.settled"),
            ],
            ..Outcome::default()
        }
    }

    #[test]
    fn what_several_tell_at_once_is_one_line_and_nobody_is_in_a_line_twice() {
        let told = story(&outcome(), false);
        let lines: Vec<&str> = told.lines().map(str::trim).collect();
        assert_eq!(
            lines[..10],
            [
                "30.0 to 30.4 s  all: revision.settled",
                "30.3 s  m3 is cut off",
                "",
                "31.5 s  before that:",
                "m1 m2: 10 records, web revision 2, a majority in reach",
                "m3: 10 records, web revision 1, and 2 is settled, NO majority in reach; says: cut off",
                "",
                "35.0 s  m1: revision.settled",
                "35.1 s  m1: revision.settled",
                "seed 0: 0 members, 0 s simulated, 0 events, 0 messages, 0 bytes",
            ]
        );
        assert!(told.ends_with("no violation\n") && story(&outcome(), true).contains("entity.founded"));
    }

    #[test]
    fn a_violation_is_the_end_of_the_story() {
        let told = story(&Outcome { untold: 3, ..outcome() }, false);
        assert!(told.contains("3 more that happened later are not told"), "{told}");
        let violation = Violation { clause: "§5.2", step: 1, seconds: 3.0, text: "two records".into() };
        let told = story(&Outcome { violations: vec![violation], ..outcome() }, false);
        assert!(told.ends_with("VIOLATION of §5.2 at 3.000 s: two records\n"), "{told}");
    }
}
