//! What a changing command brought about: a document of its own schema, or a few lines that end with the undo.

use althing_protocol::control::Outcome;
use althing_protocol::governance::QuorumRule;
use althing_protocol::view::AuthorityView;
use serde_json::{Value, json};

use super::Look;
use super::colour::Paint;
use super::document;
use super::size::{bytes, of_things};
use super::time::{of_millis, seconds_between, span};
use crate::client::{Done, printable};

/// The document of an outcome, on one line.
pub(crate) fn document(done: &Done) -> String {
    let (schema, body) = fields(&done.outcome);
    // Who has just become a member answered when it had no name yet.
    let named = match &done.outcome {
        Outcome::Member { member, .. } => member,
        _ => &done.answered_by,
    };
    document::of_member(schema, &done.at, named, body)
}

fn fields(outcome: &Outcome) -> (&'static str, Value) {
    match outcome {
        Outcome::Done => ("althing.done/1", json!({ "result": "done" })),
        Outcome::Member { entity, id, member, voters, majority, quorum } => (
            "althing.membership/1",
            json!({
                "result": "member", "entity": entity, "id": id, "member": member, "voters": voters,
                "majority": majority, "quorum": quorum,
            }),
        ),
        Outcome::Draft { id, order, need } => {
            ("althing.draft/1", json!({ "result": "draft", "request": id, "order": order, "need": need }))
        }
        Outcome::Authority { authority } => (
            "althing.authority/1",
            json!({ "result": "authority", "authority": AuthorityView::from(authority) }),
        ),
        Outcome::Quorum { rule, voters, needed } => (
            "althing.quorum/1",
            json!({ "result": "quorum", "quorum": rule, "voters": voters, "majority": needed }),
        ),
        Outcome::Invitation { invitation, id, expires, uses } => (
            "althing.invitation/1",
            json!({ "invitation": invitation, "id": id, "expires": of_millis(expires.0), "uses": uses }),
        ),
        Outcome::Recovered { entity, id, from, epoch, others, invitation, expires } => (
            "althing.recovery/1",
            json!({
                "result": "recovered", "entity": entity, "id": id, "from": from, "epoch": epoch, "awaited": others,
                "invitation": invitation, "expires": expires.map(|expires| of_millis(expires.0)),
            }),
        ),
        Outcome::Created { application, root } => (
            "althing.application/1",
            json!({ "result": "created", "application": application, "path": root }),
        ),
        Outcome::Removed { application, root, keep_files } => (
            "althing.application/1",
            json!({ "result": "removed", "application": application, "path": root, "keep_files": keep_files }),
        ),
        Outcome::Window { application, expires, revision, staged } => (
            "althing.update/1",
            json!({
                "result": "opened", "application": application, "revision": revision,
                "expires": of_millis(expires.0), "staged": staged,
            }),
        ),
        Outcome::Staged { application, root, extent } => (
            "althing.update/1",
            json!({ "result": "staged", "application": application, "root": root, "items": extent.items, "bytes": extent.bytes }),
        ),
        Outcome::Settled { application, revision, root, extent, holders, of } => (
            "althing.update/1",
            json!({
                "result": "committed", "application": application, "revision": revision, "root": root,
                "items": extent.items, "bytes": extent.bytes, "holders": holders, "of": of,
            }),
        ),
        Outcome::Unchanged { application, revision } => (
            "althing.update/1",
            json!({ "result": "unchanged", "application": application, "revision": revision }),
        ),
        Outcome::Raised { protocol } => {
            ("althing.protocol/1", json!({ "result": "settled", "protocol": protocol }))
        }
        Outcome::Looked { application, observed, agrees } => (
            "althing.verification/1",
            json!({ "application": application, "observed": observed, "agrees": agrees }),
        ),
    }
}

/// The lines of an outcome; empty for one that has nothing to say. Quiet leaves the hints out.
pub(crate) fn screen(done: &Done, look: &Look, quiet: bool) -> String {
    let (answer, hints) = lines(done, look);
    let answer: String = answer.lines().map(|line| printable(line) + "\n").collect();
    if quiet { answer } else { answer + &hints }
}

fn lines(done: &Done, look: &Look) -> (String, String) {
    let nothing = String::new;
    match &done.outcome {
        Outcome::Done => (nothing(), nothing()),
        Outcome::Member { entity, member, .. } => (
            format!("This machine is {member}, a member of entity {entity}."),
            "  look  althing status\n".to_owned(),
        ),
        Outcome::Draft { .. } | Outcome::Authority { .. } | Outcome::Quorum { .. } => {
            governing_lines(&done.outcome)
        }
        Outcome::Invitation { invitation, expires, uses, .. } => {
            (invitation_lines(invitation, &of_millis(expires.0), *uses, done, look), nothing())
        }
        Outcome::Recovered { entity, epoch, others, invitation, expires, .. } => {
            let until =
                expires.map(|expires| look.until(&of_millis(expires.0), &done.at)).unwrap_or_default();
            (recovered_lines(entity, *epoch, others, invitation.as_deref(), &until), nothing())
        }
        Outcome::Created { application, root } => (
            format!(
                "Application {application} is defined, at {root} on every member; it has no content yet."
            ),
            format!("  next  althing deploy {application} --from DIR\n"),
        ),
        Outcome::Removed { application, root, keep_files } => removed_lines(application, root, *keep_files),
        Outcome::Window { application, expires, revision, staged } => {
            let staged = staged.map(|root| root.short());
            window_lines(application, (&of_millis(expires.0), *revision), staged, done, look)
        }
        Outcome::Staged { application, root, extent } => (
            format!(
                "Staged for {application}: {}, {} ({}).",
                of_things(extent.items, "item"),
                bytes(extent.bytes),
                root.short()
            ),
            format!(
                "\n  althing update diff {application}      what would be deployed\n  althing update commit {application}    settle it\n"
            ),
        ),
        Outcome::Settled { application, revision, extent, holders, of, .. } => (
            format!(
                "Revision {revision} of {application} is settled: {}, {}; {holders} of {of} members hold it.",
                of_things(extent.items, "item"),
                bytes(extent.bytes)
            ),
            undo(application, *revision),
        ),
        Outcome::Unchanged { application, revision } => (
            format!("Nothing to change: this is revision {revision} of {application}, which is in force."),
            nothing(),
        ),
        Outcome::Raised { protocol } => (
            format!(
                "The entity uses protocol {protocol}; programs that do not speak it are refused from now on."
            ),
            "  see  althing version --entity\n".to_owned(),
        ),
        Outcome::Looked { application, observed, agrees } => {
            looked(application, observed.map(|root| root.short()), *agrees, done, look)
        }
    }
}

/// Who decides from now on.
fn governing_lines(outcome: &Outcome) -> (String, String) {
    match outcome {
        Outcome::Draft { id, need, .. } => {
            (format!("Request {id} needs {need} signatures of operators."), String::new())
        }
        Outcome::Authority { authority } => (
            match authority.operators() {
                None => "Any member may ask for any change from now on.".to_owned(),
                Some(operators) => format!(
                    "What administrators ask for needs {} of {} operators from now on: add --sign FILE to commands.",
                    operators.needed,
                    operators.keys.len()
                ),
            },
            "  look  althing roster\n".to_owned(),
        ),
        Outcome::Quorum { rule, voters, needed } => {
            let other = match rule {
                QuorumRule::Majority => QuorumRule::Supermajority,
                QuorumRule::Supermajority => QuorumRule::Majority,
            };
            let away = voters.saturating_sub(*needed);
            (
                format!("{needed} of {voters} voters settle from now on ({rule}); {away} may be away."),
                format!("  undo  althing roster quorum {other}\n"),
            )
        }
        _ => (String::new(), String::new()),
    }
}

fn recovered_lines(
    entity: &str,
    epoch: u64,
    others: &[String],
    invitation: Option<&str>,
    until: &str,
) -> String {
    let mut text = format!(
        "Entity {entity} is begun anew, after epoch {epoch} of the old one; this machine is its first voter.\nMembers of the old entity that come back go mute as soon as they meet it.\n"
    );
    if invitation.is_none() && !others.is_empty() {
        let (on, count) = (others.join(", "), others.len());
        text +=
            &format!("For {on}, by word of operators:\n  next  althing invite --uses {count} --sign FILE\n");
    }
    if let Some(invitation) = invitation {
        let on = others.join(", ");
        text += &format!(
            "On each of {on} run (until {until})\n\n    althing join\n\nand paste this line:\n\n    {invitation}\n"
        );
    }
    text
}

fn invitation_lines(invitation: &str, expires: &str, uses: u32, done: &Done, look: &Look) -> String {
    let machines = if uses == 1 { "one machine".to_owned() } else { format!("{uses} machines") };
    let valid = seconds_between(&done.at, expires).map(|seconds| span(seconds.round())).unwrap_or_default();
    let until = look.until(expires, &done.at);
    format!(
        "Invitation for {machines}, valid for {valid} (until {until}). There, run\n\n    althing join\n\nand paste this line:\n\n    {invitation}\n"
    )
}

fn window_lines(
    application: &str,
    (expires, revision): (&str, u64),
    staged: Option<String>,
    done: &Done,
    look: &Look,
) -> (String, String) {
    let until = look.until(expires, &done.at);
    let left = seconds_between(&done.at, expires).map(|seconds| span(seconds.round())).unwrap_or_default();
    let answer =
        format!("Update window for {application} is open on {} until {until} ({left}).", done.answered_by);
    let begins = match staged {
        Some(root) => format!("  What lies there now is staged ({root}).\n\n"),
        None => format!(
            "  Change its files on {}, or  althing update stage {application} --from DIR\n\n",
            done.answered_by
        ),
    };
    let hints = format!(
        "{begins}  althing update diff {application}      what would be deployed
  althing update commit {application}    make it revision {}
  althing update abort {application}     close the window without a change
",
        revision + 1
    );
    (answer, hints)
}

fn removed_lines(application: &str, root: &str, keep_files: bool) -> (String, String) {
    let what = if keep_files { "stay" } else { "go to the trash of each member, for 7 days" };
    let answer = format!("Application {application} is removed; its files at {root} {what}.");
    let hints =
        if keep_files { String::new() } else { format!("  back  althing trash list {application}\n") };
    (answer, hints)
}

fn undo(application: &str, revision: u64) -> String {
    match revision {
        0 | 1 => format!("  look    althing app show {application}\n"),
        _ => format!("  undo    althing app rollback {application} --to {}\n", revision - 1),
    }
}

fn looked(
    application: &str,
    observed: Option<String>,
    agrees: bool,
    done: &Done,
    look: &Look,
) -> (String, String) {
    let member = &done.answered_by;
    match (observed, agrees) {
        (_, true) => (format!("{application} on {member} is what is settled."), String::new()),
        (None, false) => (format!("{application} is not there on {member}."), why(member)),
        (Some(root), false) => {
            let differs = look.paint(Paint::Plain, "differs from what is settled");
            let answer = format!("{application} on {member} {differs}: it has {root}.");
            (answer, format!("  see  althing app diff {application} --member {member}\n"))
        }
    }
}

fn why(member: &str) -> String {
    format!("  see  althing why {member}\n")
}

#[cfg(test)]
pub(super) mod tests {
    use althing_protocol::hash::Hash;
    use althing_protocol::manifest::Extent;
    use althing_protocol::time::WallTime;

    use althing_protocol::governance::Authority;

    use super::*;

    fn done(outcome: Outcome) -> Done {
        Done { at: "2026-11-23T14:04:00Z".to_owned(), answered_by: "web1".to_owned(), outcome }
    }

    fn settled() -> Done {
        let extent = Extent { items: 903, bytes: 48_000_000 };
        let root = Hash([0x18; 32]);
        done(Outcome::Settled {
            application: "api".to_owned(),
            revision: 18,
            root,
            extent,
            holders: 5,
            of: 9,
        })
    }

    #[test]
    fn a_commit_says_how_to_undo_it() {
        let expected = "\
Revision 18 of api is settled: 903 items, 48 MB; 5 of 9 members hold it.
  undo    althing app rollback api --to 17
";
        assert_eq!(screen(&settled(), &Look::plain(), false), expected);
        assert_eq!(screen(&settled(), &Look::plain(), true).lines().count(), 1);
    }

    #[test]
    fn documents_have_the_envelope_and_flat_fields() {
        let document: Value = serde_json::from_str(&document(&settled())).expect("json");
        assert_eq!(document["schema"], "althing.update/1");
        assert_eq!(document["answered_by"], "web1");
        assert_eq!((&document["result"], &document["bytes"]), (&json!("committed"), &json!(48_000_000)));
        assert_eq!(document["root"], format!("b3:{}", "18".repeat(32)));
    }

    #[test]
    fn an_invitation_can_be_pasted() {
        let expires = WallTime(1_795_446_240_000);
        let invitation = Outcome::Invitation {
            invitation: "althing1abc".to_owned(),
            id: "7c1e".to_owned(),
            expires,
            uses: 1,
        };
        let expected = "\
Invitation for one machine, valid for 1 h (until 15:04). There, run

    althing join

and paste this line:

    althing1abc
";
        let done = done(invitation);
        let text = screen(&done, &Look::plain(), false);
        assert_eq!(text, expected);
        assert!(document(&done).contains(r#""expires":"2026-11-23T15:04:00Z""#));
    }

    #[test]
    fn an_open_window_says_what_comes_next() {
        let expires = WallTime(1_795_443_540_000);
        let done =
            done(Outcome::Window { application: "api".to_owned(), expires, revision: 17, staged: None });
        let expected = "\
Update window for api is open on web1 until 14:19 (15 min).
  Change its files on web1, or  althing update stage api --from DIR

  althing update diff api      what would be deployed
  althing update commit api    make it revision 18
  althing update abort api     close the window without a change
";
        assert_eq!(screen(&done, &Look::plain(), false), expected);
    }

    #[test]
    fn a_window_that_adopts_says_what_is_staged() {
        let (expires, staged) = (WallTime(1_795_443_540_000), Some(Hash([0x18; 32])));
        let done = done(Outcome::Window { application: "api".to_owned(), expires, revision: 17, staged });
        let expected = "\
Update window for api is open on web1 until 14:19 (15 min).
  What lies there now is staged (b3:1818…18).

  althing update diff api      what would be deployed
  althing update commit api    make it revision 18
  althing update abort api     close the window without a change
";
        assert_eq!(screen(&done, &Look::plain(), false), expected);
    }

    #[test]
    fn a_removed_application_says_where_its_files_are() {
        let removed = |keep_files| {
            let (application, root) = ("api".to_owned(), "/srv/api".to_owned());
            done(Outcome::Removed { application, root, keep_files })
        };
        let expected = "\
Application api is removed; its files at /srv/api go to the trash of each member, for 7 days.
  back  althing trash list api
";
        assert_eq!(screen(&removed(false), &Look::plain(), false), expected);
        let stay = screen(&removed(true), &Look::plain(), false);
        assert_eq!(stay, "Application api is removed; its files at /srv/api stay.\n");
        let document: Value = serde_json::from_str(&document(&removed(true))).expect("json");
        assert_eq!((&document["result"], &document["keep_files"]), (&json!("removed"), &json!(true)));
    }

    /// A screen of each outcome.
    pub(crate) fn screens() -> Vec<String> {
        let (name, root) = ("api".to_owned(), Hash([0x18; 32]));
        let member = Outcome::Member {
            entity: "shop-fe".to_owned(),
            id: root,
            member: "web1".to_owned(),
            voters: 1,
            majority: 1,
            quorum: QuorumRule::Majority,
        };
        let window = |staged| {
            let (application, expires) = ("api".to_owned(), WallTime(1_795_443_540_000));
            Outcome::Window { application, expires, revision: 17, staged }
        };
        let outcomes = vec![
            member,
            Outcome::Quorum { rule: QuorumRule::Supermajority, voters: 7, needed: 5 },
            Outcome::Authority { authority: Authority::Members },
            Outcome::Created { application: name.clone(), root: "/srv/api".to_owned() },
            Outcome::Removed { application: name.clone(), root: "/srv/api".to_owned(), keep_files: false },
            Outcome::Removed { application: name.clone(), root: "/srv/api".to_owned(), keep_files: true },
            window(None),
            window(Some(root)),
            Outcome::Staged { application: name.clone(), root, extent: Extent { items: 1, bytes: 1 } },
            Outcome::Looked { application: name.clone(), observed: Some(root), agrees: false },
            Outcome::Looked { application: name, observed: None, agrees: false },
        ];
        let outcomes = outcomes.into_iter().map(done).chain([settled()]);
        outcomes.map(|done| screen(&done, &Look::plain(), false)).collect()
    }
}
