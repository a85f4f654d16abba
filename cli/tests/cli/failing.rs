//! What goes wrong: exit codes, the screen of an error, and its document.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::fake::{Node, Ran, Step, althing};

const REFUSED: &str = r#"{"schema":"althing.error/1","at":"2026-11-23T14:12:11Z","answered_by":"web1","error":{"code":"E412","name":"window-open","exit":75,"message":"an update window for shop is already open on web4","facts":{"member":"web4","by":"ada","closes_in_seconds":380},"remedies":[{"text":"see what is staged there","command":["althing","update","status","shop"]}],"explain":"althing explain E412","more":1}}"#;

const SCREEN: &str = "\
error: an update window for shop is already open on web4              [E412 window-open]
  member             web4
  by                 ada
  closes_in_seconds  380
  try  althing update status shop   see what is staged there
";

fn run(line: &str) -> Ran {
    Ran::of(althing(line).output().expect("runs"))
}

#[test]
fn a_refusal_is_shown_with_what_to_do() {
    // As the answer to reading (status 409), as that to a change, and as the last of several lines.
    let late = format!("{{\"progress\":{{\"stage\":\"vote\",\"done\":1,\"of\":9}}}}\n{REFUSED}\n");
    for (line, node) in [
        ("status", Node::always(409, REFUSED)),
        ("update open shop", Node::always(409, REFUSED)),
        ("update open shop", Node::always(200, &late)),
    ] {
        let ran = node.run(line);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (75, "", SCREEN), "{line}");
        let ran = node.run(&format!("{line} --json"));
        assert_eq!((ran.code, ran.stdout.as_str()), (75, ""), "{line}");
        assert_eq!(ran.stderr, format!("{REFUSED}\n"), "the document as it came");
    }
}

#[test]
fn without_a_node_there_is_a_way_to_start_one() {
    let ran = run("status --dir /nonexistent/a");
    assert_eq!((ran.code, ran.stdout.as_str()), (69, ""));
    let expected = "\
error: no node answers at /nonexistent/a/althing.sock                 [E201 node-down]
  reason  there is no socket: the node was never started there
  try  althing run --dir /nonexistent/a   start it
";
    assert_eq!(ran.stderr, expected);
    let ran = run("--json deploy shop --from . --node /nonexistent/web4.sock");
    assert_eq!((ran.code, ran.stdout.as_str()), (69, ""));
    let document: Value = serde_json::from_str(&ran.stderr).expect("json");
    assert_eq!(document["schema"], "althing.error/1");
    assert_eq!(document["error"]["name"], "node-down");
    assert_eq!(document["error"]["remedies"][1]["command"], serde_json::json!(["althing", "run"]));
}

#[test]
fn a_socket_that_nobody_listens_on_is_a_node_that_is_down() {
    let dir = tempfile::tempdir().expect("a directory");
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("althing.sock")).expect("a socket"));
    let ran = run(&format!("status --dir {}", dir.path().display()));
    assert_eq!(ran.code, 69);
    assert!(ran.stderr.contains("the node is not running"), "{}", ran.stderr);
}

#[test]
fn wrong_usage_is_64_and_json_when_asked_for() {
    for line in
        ["statsu", "stat", "status --nope", "app new", "wait --for x=y", "init", "update open a --for 5"]
    {
        let ran = run(line);
        assert_eq!((ran.code, ran.stdout.as_str()), (64, ""), "{line}");
        assert!(ran.stderr.starts_with("error: "), "{line}: {}", ran.stderr);
        let ran = run(&format!("{line} --json"));
        let document: Value = serde_json::from_str(&ran.stderr).expect("json");
        assert_eq!((ran.code, &document["error"]["code"]), (64, &"E001".into()), "{line}");
    }
    assert!(run("statsu").stderr.contains("'status'"));
    assert_eq!(run("explain E999").code, 105);
}

#[test]
fn a_node_that_breaks_off_leaves_no_doubt() {
    let progress = Step::Send("{\"progress\":{\"stage\":\"vote\",\"done\":1,\"of\":9}}\n".to_owned());
    let cut = [Step::Head(200), progress.clone(), Step::Cut];
    let ended = [Step::Head(200), progress];
    for steps in [cut.to_vec(), ended.to_vec(), vec![Step::Cut]] {
        let node = Node::new(move |_, _| steps.clone());
        let ran = node.run("deploy shop --from .");
        assert_eq!((ran.code, ran.stdout.as_str()), (69, ""), "{ran:?}");
        assert!(ran.stderr.contains("may have been done"), "{}", ran.stderr);
    }
}

#[test]
fn answers_that_are_none_are_reported() {
    let ran = Node::always(200, "<html>").run("status");
    assert_eq!(ran.code, 70);
    let ran = Node::always(200, r#"{"schema":"althing.status/1","at":"x","answered_by":"y"}"#).run("status");
    assert_eq!(ran.code, 70);
    assert!(ran.stderr.contains("of another version"), "{}", ran.stderr);
    let ran = Node::always(404, "not found").run("status");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("HTTP 404"), "{}", ran.stderr);
}

#[test]
fn time_runs_out() {
    let steps = [Step::Head(200), Step::Pause(Duration::from_secs(5))];
    let node = Node::new(move |_, _| steps.to_vec());
    let ran = node.run("status --timeout 100ms");
    assert_eq!(ran.code, 124);
    assert!(ran.stderr.starts_with("error: no answer within 0.1 s"), "{}", ran.stderr);
}

#[test]
fn ctrl_c_says_what_is_so() {
    let progress = Step::Send("{\"progress\":{\"stage\":\"vote\",\"done\":1,\"of\":9}}\n".to_owned());
    let steps = [Step::Head(200), progress, Step::Pause(Duration::from_secs(20))];
    let node = Node::new(move |_, _| steps.to_vec());
    let mut command = node.command("deploy shop --from .");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    while node.asked().is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_secs(2));
    let process = rustix::process::Pid::from_raw(child.id().try_into().expect("small")).expect("not 0");
    rustix::process::kill_process(process, rustix::process::Signal::INT).expect("sent");
    let ran = Ran::of(child.wait_with_output().expect("ends"));
    assert_eq!((ran.code, ran.stdout.as_str()), (130, ""));
    let expected = "\
error: interrupted                                                    [E004 interrupted]
  so  the node was at `vote` and goes on with it; nothing is left half done
  try  althing app show shop   see how it ends
";
    assert_eq!(ran.stderr, expected);
}
