//! What a member is never asked from afar: who is on another machine decides nothing that only whoever is on this one
//! may (PROTOCOL.md A5). A member of the roster that means no good could else have all others leave, forget what they
//! said, or hand out what lies on their disks.

use althing_protocol::control::{Code, Command, Refusal};
use althing_protocol::effect::Source;

use super::Call;
use super::changes::{CommandBody, RestoreBody, parse};

/// Why a call of another member is not answered by this one, if it is one of these.
pub(super) fn refuse(call: &Call, own: &str) -> Result<(), Refusal> {
    if call.body.is_none() {
        return refuse_another(call, own);
    }
    let is_local = match call.path.as_str() {
        "command" => is_local(&parse::<CommandBody>(call)?.command),
        "trash/restore" => parse::<RestoreBody>(call)?.to.is_some(),
        _ => true,
    };
    if !is_local {
        return Ok(());
    }
    let text = "only whoever is on this machine may ask that of it";
    Err(Refusal::new(Code::Denied, text)
        .fact("changed", "nothing")
        .fact("so", "log in there, and ask without --on"))
}

/// Nothing is passed on twice: whose tree it is, answers.
fn refuse_another(call: &Call, own: &str) -> Result<(), Refusal> {
    let asked = call.query.get("member").filter(|member| call.path == "diff" && *member != own);
    let Some(member) = asked else { return Ok(()) };
    let text = format!("{own} was asked to ask {member}: that is passed on once");
    let words = call.query.get("app").map_or("APP", String::as_str);
    Err(Refusal::new(Code::Denied, text)
        .try_("ask it itself", &format!("althing app diff {words} --member {member}")))
}

/// Whether a whole tree is read, or told item by item.
pub(super) fn takes_a_tree(call: &Call) -> bool {
    let changes_patterns = || {
        let body = parse::<CommandBody>(call).ok();
        body.is_some_and(|body| matches!(body.command, Command::Arrange { definition, .. } if definition.unmanaged.is_some()))
    };
    match call.path.as_str() {
        "items" | "diff" | "update-diff" => true,
        "command" => changes_patterns(),
        _ => false,
    }
}

/// Why somebody who asks for many trees at once is not told another one.
pub(super) fn too_many() -> Refusal {
    let text = "too many calls of this member wait for whole trees";
    Refusal::new(Code::Failed, text).fact("changed", "nothing").fact("so", "ask again when they are answered")
}

/// What is about the machine itself, what a person must have looked at there, and what reads its disk.
fn is_local(command: &Command) -> bool {
    match command {
        Command::Init { .. }
        | Command::Join { .. }
        | Command::Leave
        | Command::Move { .. }
        | Command::Resolve { .. }
        | Command::Recover { .. } => true,
        Command::Create { source, .. } => source.as_ref().is_some_and(is_directory),
        Command::Stage { source, .. } | Command::Deploy { source, .. } => is_directory(source),
        Command::Draft { command } => is_local(command),
        _ => false,
    }
}

fn is_directory(source: &Source) -> bool {
    matches!(source, Source::Directory(_))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    fn refused(path: &str, body: &Value) -> bool {
        let (path, by) = (path.to_owned(), "eve@web9".to_owned());
        let call = Call { path, query: BTreeMap::new(), body: Some(body.to_string()), by };
        refuse(&call, "web1").is_err()
    }

    fn command(command: &Command) -> bool {
        refused("command", &json!({ "command": command }))
    }

    fn deploy(source: Source) -> Command {
        let (application, reason) = ("shop".to_owned(), String::new());
        Command::Deploy { application, source, reason, replace: false, wish: Default::default() }
    }

    #[test]
    fn nobody_afar_decides_about_the_machine_or_reads_its_disk() {
        for call in ["purge", "init", "join", "debug/disk", "anything"] {
            assert!(refused(call, &json!({})), "{call}");
        }
        assert!(command(&Command::Leave) && command(&Command::Resolve { keep: None }));
        let secret = deploy(Source::Directory("/root".to_owned()));
        assert!(command(&secret));
        let draft = Command::Draft { command: Box::new(secret) };
        assert!(command(&draft));
        assert!(command(&Command::Draft { command: Box::new(draft) }));
        assert!(refused("trash/restore", &json!({ "id": "a-1", "to": "/etc/cron.d/x" })));
    }

    #[test]
    fn what_the_entity_decides_may_be_asked_of_any_member() {
        assert!(!command(&Command::Abort { application: "shop".to_owned() }));
        assert!(!command(&deploy(Source::Live)));
        assert!(!command(&Command::Readmit { member: "web1".to_owned() }));
        assert!(!refused("trash/restore", &json!({ "id": "a-1", "to": null })));
        let reading =
            Call { path: "status".to_owned(), query: BTreeMap::new(), body: None, by: "eve@web9".to_owned() };
        assert!(refuse(&reading, "web1").is_ok());
    }

    #[test]
    fn nothing_is_passed_on_twice() {
        let diff = |member: &str| {
            let query = [("app", "shop"), ("member", member)];
            let query = query.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            Call { path: "diff".to_owned(), query, body: None, by: "eve@web9".to_owned() }
        };
        assert!(refuse(&diff("web1"), "web1").is_ok());
        assert!(refuse(&diff("web2"), "web1").is_err());
        assert!(takes_a_tree(&diff("web1")));
    }
}
