//! Commands that change something: what they ask for, and what they print of the outcome.

use serde_json::{Value, json};

use crate::fake::{Node, Step, answer};

const DONE: &str = r#"{"at":"2026-11-23T14:05:07Z","answered_by":"web1","outcome":"done"}"#;

fn settled() -> String {
    let root = format!("b3:{}", "18".repeat(32));
    let extent = json!({ "items": 903, "bytes": 48_000_000 });
    let body = json!({
        "application": "api", "revision": 18, "root": root, "extent": extent, "holders": 5, "of": 9,
    });
    json!({ "at": "2026-11-23T14:05:07Z", "answered_by": "web1", "outcome": { "settled": body } }).to_string()
}

#[test]
fn each_command_posts_itself() {
    let node = Node::always(200, DONE);
    let here = std::env::current_dir().expect("a directory");
    let site = here.join("site").display().to_string();
    let source = json!({ "Directory": site });
    let create = json!({ "Create": {
        "application": "shop", "root": "/srv/shop", "policy": "majority", "source": source, "replace": false,
        "unmanaged": [], "placement": [], "adopts": null,
    }});
    let defined = json!({ "Create": {
        "application": "shop", "root": "/var/www", "policy": "certified", "source": null, "replace": true,
        "unmanaged": ["cache/**", "*.log"], "placement": [], "adopts": null,
    }});
    let expected = [
        ("invite", json!({ "Invite": { "uses": 1, "lasts": 3_600_000, "note": "", "spare": false } })),
        (
            "invite new --uses 3 --for 10m --note x",
            json!({ "Invite": { "uses": 3, "lasts": 600_000, "note": "x", "spare": false } }),
        ),
        ("invite --spare", json!({ "Invite": { "uses": 1, "lasts": 3_600_000, "note": "", "spare": true } })),
        (
            "member out web3 --reason disk --for 30m",
            json!({ "TakeOut": { "member": "web3", "reason": "disk", "lasts": 1_800_000, "anyway": false } }),
        ),
        (
            "member out web3 -y",
            json!({ "TakeOut": { "member": "web3", "reason": "", "lasts": null, "anyway": true } }),
        ),
        ("member in web3", json!({ "BringIn": { "member": "web3" } })),
        ("member spare web3", json!({ "Spare": { "member": "web3", "anyway": false } })),
        ("member spare web3 --off", json!({ "Enlist": { "member": "web3" } })),
        ("member rename web3 shop3", json!({ "Rename": { "member": "web3", "name": "shop3" } })),
        (
            "member label web3 zone=b rack=",
            json!({ "Label": { "member": "web3", "labels": { "zone": "b", "rack": null }, "keep_files": false } }),
        ),
        ("invite revoke 7c", json!({ "Revoke": { "id": "7c" } })),
        ("leave -y", json!("Leave")),
        ("version --settle 2 -y", json!({ "Raise": { "protocol": 2 } })),
        ("member readmit web9", json!({ "Readmit": { "member": "web9" } })),
        ("member remove web9 --confirm web9", json!({ "Remove": { "member": "web9" } })),
        ("app new shop --from site", create),
        (
            "app new shop --root /var/www --policy certified --replace --unmanaged cache/** --unmanaged *.log",
            defined,
        ),
        ("app verify shop", json!({ "Verify": { "application": "shop" } })),
        ("app repair shop", json!({ "Repair": { "application": "shop" } })),
        ("app rollback shop --to 41 -y", json!({ "Rollback": { "application": "shop", "to": 41 } })),
        ("app pause shop", json!({ "Pause": { "application": "shop", "lasts": 1_800_000 } })),
        ("app resume shop", json!({ "Pause": { "application": "shop", "lasts": null } })),
        (
            "update open shop --for 5m --reason r",
            json!({ "Open": { "application": "shop", "lasts": 300_000, "reason": "r", "adopt": false } }),
        ),
        (
            "update open shop --adopt",
            json!({ "Open": { "application": "shop", "lasts": 900_000, "reason": "", "adopt": true } }),
        ),
        ("update extend shop --for 1h", json!({ "Extend": { "application": "shop", "lasts": 3_600_000 } })),
        (
            "app remove shop --confirm shop",
            json!({ "Discard": { "application": "shop", "keep_files": false } }),
        ),
        (
            "app remove shop --keep-files --confirm shop",
            json!({ "Discard": { "application": "shop", "keep_files": true } }),
        ),
        ("update stage shop --from ./site", json!({ "Stage": { "application": "shop", "source": source } })),
        ("update commit shop -y", json!({ "Commit": { "application": "shop", "expect": null } })),
        ("update commit shop --expect 4 -y", json!({ "Commit": { "application": "shop", "expect": 4 } })),
        ("update abort shop -y", json!({ "Abort": { "application": "shop" } })),
        (
            "deploy shop --from site --reason r",
            json!({ "Deploy": { "application": "shop", "source": source, "reason": "r", "replace": false } }),
        ),
    ];
    for (line, command) in expected {
        node.run(line).answered();
        let asked = node.asked().pop().expect("asked");
        assert_eq!(
            (asked.line.as_str(), asked.body),
            ("POST /v1/command", json!({ "command": command })),
            "{line}"
        );
    }
}

#[test]
fn other_endpoints_get_their_bodies() {
    let node = Node::always(200, DONE);
    let posted = |line: &str| {
        node.run(line).answered();
        let asked = node.asked().pop().expect("asked");
        (asked.line, asked.body)
    };
    assert_eq!(
        posted("init --name shop-fe --member-name web1 --on x"),
        ("POST /v1/init?on=x".to_owned(), json!({ "name": "shop-fe", "member": "web1" }))
    );
    let (_, by_host) = posted("init --name shop-fe");
    assert!(by_host["member"].as_str().is_some_and(|name| !name.is_empty() && !name.contains('.')));
}

#[test]
fn restoring_says_where() {
    let node = Node::always(
        200,
        r#"{"at":"2026-11-23T14:05:07Z","answered_by":"web7","outcome":{"restored":{"path":"/tmp/x"}}}"#,
    );
    let text = node.run("trash restore 7c1e --to /tmp/x").answered();
    assert_eq!(text, "Restored to /tmp/x on web7.\n");
    let asked = node.asked().pop().expect("asked");
    assert_eq!(
        (asked.line.as_str(), asked.body),
        ("POST /v1/trash/restore", json!({ "id": "7c1e", "to": "/tmp/x" }))
    );
    let document: Value =
        serde_json::from_str(&node.run("trash restore 7c1e --json").answered()).expect("json");
    assert_eq!((&document["schema"], &document["path"]), (&json!("althing.restored/1"), &json!("/tmp/x")));
    assert_eq!(node.asked().pop().expect("asked").body, json!({ "id": "7c1e", "to": null }));
}

#[test]
fn outcomes_of_other_versions_are_done_all_the_same() {
    let node = Node::always(200, r#"{"at":"x","answered_by":"web7","outcome":{"new_thing":{}}}"#);
    let ran = node.run("deploy shop --from .");
    assert_eq!(ran.code, 70);
    assert!(ran.stderr.starts_with("error: it was done, but"), "{}", ran.stderr);
}

#[test]
fn progress_is_quiet_without_a_terminal_and_lines_may_come_in_pieces() {
    let text = settled();
    let (first, second) = text.split_at(40);
    let steps = vec![
        Step::Head(200),
        Step::Send("{\"progress\":{\"stage\":\"stage\",\"done\":1,\"of\":9}}\n{\"progr".to_owned()),
        Step::Send("ess\":{\"stage\":\"vote\",\"done\":1,\"of\":9}}\n\n".to_owned()),
        Step::Send(first.to_owned()),
        Step::Send(second.to_owned()),
    ];
    let node = Node::new(move |_, _| steps.clone());
    let expected = "\
Revision 18 of api is settled: 903 items, 48 MB; 5 of 9 members hold it.
  undo    althing app rollback api --to 17
";
    assert_eq!(node.run("deploy api --from .").answered(), expected);
    assert_eq!(node.run("deploy api --from . -q").answered().lines().count(), 1);
    let document: Value =
        serde_json::from_str(&node.run("deploy api --from . --json").answered()).expect("json");
    assert_eq!(document["schema"], "althing.update/1");
    assert_eq!((&document["result"], &document["revision"]), (&json!("committed"), &json!(18)));
}

#[test]
fn questions_without_anybody_to_answer_name_the_flag() {
    let node = Node::always(200, DONE);
    for (line, flag) in [
        ("leave", "-y"),
        ("leave --no-input", "-y"),
        ("update commit shop", "-y"),
        ("update abort shop", "-y"),
        ("app rollback shop --to 1", "-y"),
        ("member remove web9", "--confirm web9"),
        ("member remove web9 -y", "--confirm web9"),
        ("join", "--token-file"),
    ] {
        let ran = node.run(line);
        assert_eq!((ran.code, ran.stdout.as_str()), (64, ""), "{line}");
        assert!(ran.stderr.contains(flag), "{line}: {}", ran.stderr);
    }
    assert_eq!(node.run("member remove web9 --confirm web8").code, 64);
    assert_eq!(node.lines(), [""; 0], "nothing was sent");
}

#[test]
fn the_only_open_window_need_not_be_named() {
    let app = |name: &str, window: Value| {
        json!({
            "name": name, "path": "/srv/x", "revision": 4, "root": null, "agree": 3, "of": 3, "state": "window",
            "differing": [], "items": 1, "bytes": 2, "policy": "majority", "window": window, "updated": null,
            "by": null, "from": null,
        })
    };
    let window = |member: &str| {
        json!({
            "member": member, "by": "ada", "reason": "", "opened": "2026-11-23T14:00:00Z",
            "expires": "2026-11-23T14:20:07Z", "staged": null, "holders": 0,
        })
    };
    let node = |apps: Vec<Value>| {
        let at = "2026-11-23T14:05:07Z";
        let body =
            json!({ "schema": "althing.apps/1", "at": at, "answered_by": "web1", "applications": apps });
        Node::new(move |asked, _| {
            if asked.line.starts_with("POST") { answer(200, DONE) } else { answer(200, &body.to_string()) }
        })
    };
    let one = node(vec![app("a", Value::Null), app("b", window("web2")), app("c", window("web1"))]);
    one.run("update commit -y").answered();
    let body = one.asked().pop().expect("asked").body;
    assert_eq!(body, json!({ "command": { "Commit": { "application": "c", "expect": null } } }));
    assert_eq!(one.run("update").answered().lines().count(), 3);

    let none = node(vec![app("b", window("web2"))]).run("update commit -y");
    assert_eq!(none.code, 75);
    assert!(none.stderr.contains("[E413 no-window]"), "{}", none.stderr);

    let many = node(vec![app("b", window("web1")), app("c", window("web1"))]).run("update abort -y");
    assert_eq!(many.code, 64);
    assert!(many.stderr.contains("open  b c"), "{}", many.stderr);
}

#[test]
fn invitations_are_read_from_anywhere_but_the_command_line() {
    let text = invitation();
    let node = Node::always(200, DONE);
    let expected = json!({ "invitation": text, "member": "web2" });
    let ran = node.run_with("join - -y --member-name web2", &format!("\n  {text} \n"));
    assert_eq!((ran.code, node.asked().pop().expect("asked").body), (0, expected.clone()), "{ran:?}");
    assert!(ran.stderr.contains("invited by 10.0.0.11:7800"), "{}", ran.stderr);

    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &text).expect("written");
    let ran = node.run(&format!("join --token-file {} -y -q --member-name web2", file.path().display()));
    assert_eq!((ran.answered(), node.asked().pop().expect("asked").body), (String::new(), expected));

    let sent = node.asked().len();
    assert_eq!(node.run_with("join - --member-name web2", &text).code, 64, "nobody to agree");
    let mistyped = node.run_with("join - -y", &text.replace("althing1", "althing1x"));
    assert_eq!(mistyped.code, 65);
    assert!(mistyped.stderr.contains("[E314 not-an-invitation]"), "{}", mistyped.stderr);
    assert!(!mistyped.stderr.contains(&text[10..]), "the secret stays secret");
    assert_eq!(node.run(&format!("join {text}")).code, 64);
    assert_eq!(node.asked().len(), sent, "nothing was sent");
}

fn invitation() -> String {
    use althing_protocol::hash::Hash;
    use althing_protocol::invitation::Invitation;
    use althing_protocol::time::WallTime;
    let addresses = vec!["10.0.0.11:7800".parse().expect("an address")];
    let expires = WallTime(1_795_446_240_000);
    let (entity, secret) = (Hash([1; 32]), [7; 16]);
    let invitation =
        Invitation { entity, secret, expires, addresses, succeeds: None, protocol: 1, checkpoint: None };
    invitation.encode()
}
