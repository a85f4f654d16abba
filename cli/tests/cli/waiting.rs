//! `wait`, and `--wait` of what is settled.

use serde_json::json;

use crate::fake::{Node, althing, answer};

fn shop(agree: u64, revision: u64) -> serde_json::Value {
    json!({
        "schema": "althing.app/1", "at": "2026-11-23T14:05:07Z", "answered_by": "web1",
        "name": "shop", "path": "/srv/shop", "revision": revision, "root": null, "agree": agree, "of": 3,
        "state": if agree == 3 { "agreed" } else { "repairing" }, "differing": [], "items": 1, "bytes": 2,
        "policy": "majority", "window": null, "updated": null, "by": null, "from": null,
    })
}

fn status(agree: u64, revision: u64) -> String {
    let app = shop(agree, revision);
    let health = json!({
        "state": "ok", "since_seconds": 40, "ok": 3, "warning": 0, "critical": 0, "unknown": 0,
    });
    let id = format!("b3:{}", "01".repeat(32));
    json!({
        "schema": "althing.status/1", "at": "2026-11-23T14:05:07Z", "answered_by": "web1",
        "entity": { "name": "shop-fe", "id": id, "epoch": 7, "roster_revision": 3 }, "health": health,
        "majority": 2, "members": { "total": 3, "reachable": 3, "voters": 3 }, "applications": [app],
        "attention": [], "updates": { "open": [], "last": null },
        "view": { "oldest_report_ms": 100, "majority_reachable": true },
    })
    .to_string()
}

#[test]
fn it_ends_when_all_conditions_hold() {
    let node = Node::new(|_, before| answer(200, &status(before.min(3) as u64, 4)));
    let text = node.run("wait --for app/shop=agreed --for health=ok --for members=3").answered();
    assert!(text.starts_with("app/shop=agreed, health=ok, members=3 after "), "{text}");
    assert_eq!(node.lines(), ["GET /v1/status"; 4]);
    let json = node.run("wait --for app/shop=4 --json").answered();
    assert!(json.starts_with(r#"{"schema":"althing.wait/1""#) && json.contains(r#""met":true"#), "{json}");
    assert_eq!(node.run("wait --for app/shop=4 -q").answered(), "");
}

#[test]
fn it_fails_with_124_and_says_what_is_so_instead() {
    let node = Node::always(200, &status(2, 4));
    let ran = node.run("wait --for app/shop=agreed --for app/shop=5 --for health=ok --timeout 500ms");
    assert_eq!((ran.code, ran.stdout.as_str()), (124, ""));
    let expected = "\
error: not so within 0.5 s                                            [E003 timed-out]
  app/shop=agreed  2 of 3 agree
  app/shop=5       revision 4 is in force
  try  althing status   see what is so
";
    assert_eq!(ran.stderr, expected);
}

#[test]
fn a_node_that_is_not_up_yet_may_come() {
    let output = althing("wait --for health=ok --timeout 300ms --dir /nonexistent").output().expect("runs");
    assert_eq!(output.status.code(), Some(124));
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.contains("node-down  no node answers"), "{text}");
}

#[test]
fn a_deploy_can_wait_for_every_member() {
    let root = format!("b3:{}", "18".repeat(32));
    let settled = json!({ "settled": {
        "application": "shop", "revision": 5, "root": root, "extent": { "items": 1, "bytes": 2 },
        "holders": 2, "of": 3,
    }});
    let done = json!({ "at": "2026-11-23T14:05:07Z", "answered_by": "web1", "outcome": settled }).to_string();
    let node = Node::new(move |asked, before| match asked.line.as_str() {
        "GET /v1/app?name=shop" => answer(200, &shop(before.min(3) as u64, 5).to_string()),
        _ => answer(200, &done),
    });
    let text = node.run("deploy shop --from . --wait").answered();
    assert!(text.contains("\nEvery member of shop has it, after "), "{text}");
    assert_eq!(node.lines().len(), 4);
}
