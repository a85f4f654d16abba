//! Commands that read: what they ask for, and what they print of the answer.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::fake::{Node, althing, answer};

/// A status as a node sends it; the order of its fields is not that of any type here.
const STATUS: &str = r#"{"answered_by":"web1","schema":"althing.status/1","at":"2026-11-23T14:05:07Z","entity":{"name":"shop-fe","id":"b3:0101010101010101010101010101010101010101010101010101010101010101","epoch":7,"roster_revision":3},"health":{"state":"ok","since_seconds":40,"ok":3,"warning":0,"critical":0,"unknown":0},"majority":2,"members":{"total":3,"reachable":3,"voters":3},"applications":[{"name":"shop","path":"/srv/shop","revision":4,"root":null,"agree":3,"of":3,"state":"agreed","differing":[],"items":1,"bytes":2,"policy":"majority","window":null,"updated":null,"by":null,"from":null}],"attention":[],"updates":{"open":[],"last":null},"view":{"oldest_report_ms":100,"majority_reachable":true,"confirmed_ms":40},"not_known_yet":{"more":1}}"#;

const EVENTS: &str = r#"{"schema":"althing.events/1","at":"2026-11-23T14:05:07Z","answered_by":"web1","events":[{"id":"web7/1","at":"2026-11-23T14:02:11Z","severity":"warning","kind":"content.differs","member":"web7","application":"shop","text":"shop: \u001b[2Jevil"}],"cursor":"c/1"}"#;

#[test]
fn status_is_a_screen_for_people() {
    let node = Node::always(200, STATUS);
    let expected = "\
shop-fe   OK for 40 s
3 members, 3 reachable, majority 2
1 application, agreed by 3 of 3
no window open
as seen by web1 at 14:05:07 · reports up to 0.1 s old · epoch 7 confirmed 0.0 s ago
";
    assert_eq!(node.run("status").answered(), expected);
    assert_eq!(node.run("--color always status").answered().matches("\u{1b}[").count(), 6);
}

#[test]
fn documents_are_passed_on_as_they_came() {
    let node = Node::always(200, &format!("{STATUS}\n"));
    for line in ["status --json", "status -o json", "--json status"] {
        assert_eq!(node.run(line).answered(), format!("{STATUS}\n"), "{line}");
    }
}

#[test]
fn each_command_asks_for_its_document() {
    let node = Node::always(200, r#"{"schema":"any"}"#);
    let expected = [
        ("status --on web7", "status?on=web7"),
        ("why", "why"),
        ("why web7 --at 2026-11-23T14:02:11Z", "why?subject=web7&at_ms=1795442531000"),
        ("status --everywhere", "everywhere"),
        ("audit", "audit"),
        ("audit --since 10m --by ada --verify", "audit?since_seconds=600&by=ada&verify=1"),
        ("version --entity", "members"),
        ("events --until 2026-11-23T14:02:11Z", "events?until_ms=1795442531000&since_seconds=86400"),
        ("why app/shop", "why?subject=app%2Fshop"),
        ("health", "health"),
        ("votes", "votes"),
        ("vote shop --on web7", "votes?app=shop&on=web7"),
        ("members", "members"),
        ("member list", "members"),
        ("member show web7", "member?name=web7"),
        ("roster", "roster"),
        ("roster show --on web7", "roster?on=web7"),
        ("roster history", "roster-history"),
        ("balance", "balance"),
        ("balance show", "balance"),
        ("apps", "apps"),
        ("app list", "apps"),
        ("app show shop", "app?name=shop"),
        ("app history shop", "history?app=shop"),
        ("app items shop", "items?app=shop"),
        ("app items shop a/b --revision 3", "items?app=shop&prefix=a%2Fb&revision=3"),
        ("app items shop --observed", "items?app=shop&observed=1"),
        ("trash", "trash"),
        ("trash list shop", "trash?app=shop"),
        ("invite list", "invitations"),
        ("update status shop", "update?app=shop"),
        ("events", "events?since_seconds=86400"),
        (
            "events --since 30m --severity warning --member a --member b --app c --limit 5",
            "events?severity=warning&limit=5&member=a%2Cb&app=c&since_seconds=1800",
        ),
        ("events --after c/1", "events?after=c%2F1"),
    ];
    for (line, path) in expected {
        node.run(&format!("{line} --json")).answered();
        assert_eq!(node.lines().pop(), Some(format!("GET /v1/{path}")), "{line}");
    }
}

#[test]
fn differences_can_be_told_by_the_exit_code() {
    let side = r#"{"member":null,"revision":1,"root":"b3:0101010101010101010101010101010101010101010101010101010101010101"}"#;
    let diff = |changes: &str| {
        format!(
            r#"{{"schema":"althing.diff/1","at":"2026-11-23T14:05:07Z","answered_by":"web1","application":"shop","have":{side},"want":{side},"changes":[{changes}],"totals":{{"fetch":0,"remove":1,"attributes":0,"bytes":0}}}}"#
        )
    };
    let same = Node::always(200, &diff(""));
    assert_eq!(same.run("app diff shop --exit-code").code, 0);
    let change = r#"{"path":"a","change":"-","action":"remove","have":null,"want":null}"#;
    let other = Node::always(200, &diff(change));
    for (line, path) in [
        ("app diff shop --member web7", "diff?app=shop&member=web7"),
        ("app diff shop --from 1 --to 2", "diff?app=shop&from=1&to=2"),
        ("update diff shop", "update-diff?app=shop"),
    ] {
        assert_eq!(other.run(line).code, 0, "{line}");
        assert_eq!(other.run(&format!("{line} --exit-code")).code, 2, "{line}");
        assert_eq!(other.lines().pop(), Some(format!("GET /v1/{path}")), "{line}");
    }
}

#[test]
fn nothing_that_a_node_says_steers_the_terminal() {
    let node = Node::always(200, EVENTS);
    let expected = "\
TIME      SEVERITY  MEMBER  EVENT            DETAIL
14:02:11  warning   web7    content.differs  shop: \\u{1b}[2Jevil
";
    assert_eq!(node.run("events").answered(), expected);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let node = Node::new(|_, _| answer(200, EVENTS));
    let mut command = node.command("events -f --json");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut first).expect("a line");
    let ended = child.wait_with_output().expect("ends");
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
    assert!(
        first.starts_with(r#"{"schema":"althing.event/1","answered_by":"web1","id":"web7/1""#),
        "{first}"
    );
    let lines = node.lines();
    assert_eq!(lines[0], "GET /v1/events?since_seconds=0");
    assert_eq!(lines[1], "GET /v1/events?after=c%2F1&wait_seconds=25");
}

#[test]
fn the_version_needs_no_node() {
    let text = r#"{"schema":"althing.version/1","at":"2026-11-23T14:05:07Z","answered_by":"web1","version":"0.9.2","protocol":3,"in_entity":true}"#;
    let node = Node::always(200, text);
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(
        node.run("version").answered(),
        format!("althing {own}\nnode web1 0.9.2, protocol 3, in an entity\n")
    );
    let json: serde_json::Value = serde_json::from_str(&node.run("version --json").answered()).expect("json");
    assert_eq!((&json["client"], &json["version"]), (&own.into(), &"0.9.2".into()));
    let alone = althing("version --dir /nonexistent").output().expect("runs");
    assert_eq!(alone.status.code(), Some(0));
}

#[test]
fn some_answers_need_no_node_at_all() {
    let output = |line: &str| {
        let output = althing(line).output().expect("runs");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{line}");
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(output("").starts_with("althing keeps a group of servers in agreement"));
    assert_eq!(output(""), output("--help"));
    assert!(output("explain e412").starts_with("E412 window-open   exit 75\n"));
    assert_eq!(output("explain window-open"), output("explain 412"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(output(&format!("completions {shell}")).contains("__complete"), "{shell}");
    }
}
