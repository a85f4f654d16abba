//! `init`, `invite`, `join`, `leave`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use althing_protocol::control::{Code, Command};
use althing_protocol::governance::{Authority, Governance, Operator, Operators, QuorumRule};
use althing_protocol::invitation::Invitation;
use serde_json::json;

use super::{change, change_saying, millis};
use crate::args::entity::{Init, Invite, InviteNew, InviteVerb, Join, Leave, Quorum};
use crate::client::Query;
use crate::context::Context;
use crate::error::{Failure, Result, usage};
use crate::exit::Exit;
use crate::render::members;
use crate::render::time::{now, of_millis};
use crate::{ask, context, key};

/// More than the longest invitation; what is longer is something else.
const LONGEST: u64 = 64 << 10;
/// How long an invitation is good for.
const INVITATION: Duration = Duration::from_secs(3600);

/// What the founder of an entity should know.
const ALONE: &str = "\
  A lone member settles every vote by itself. Three members survive the loss of one, five of two.
  next  althing invite
";

pub(super) async fn init(context: &Context, args: Init) -> Result<Exit> {
    let authority = authority(args.operators, &args.operator_key)?;
    let governance = Governance { quorum: args.quorum.into(), authority };
    let mut body = json!({ "name": args.name, "member": member_name(args.member_name)? });
    if governance != Governance::default() {
        body["governance"] = json!(governance);
    }
    let done = context.post("init", &body, &["althing", "status"]).await?;
    context.report(&done)?;
    if !context.quiet {
        context::print(ALONE)?;
    }
    Ok(Exit::OK)
}

/// Of so many signatures of these, or of the members.
pub(super) fn authority(needed: Option<u32>, keys: &[PathBuf]) -> Result<Authority> {
    let Some(needed) = needed else { return Ok(Authority::Members) };
    let keys: Result<Vec<Operator>> = keys.iter().map(|path| Ok(key::read(path)?.operator)).collect();
    let operators = Operators { needed, keys: keys? };
    match operators.flaw() {
        Some(flaw) => Err(usage(format!("these cannot be the operators: {flaw}")).into()),
        None => Ok(Authority::Operators(operators)),
    }
}

impl From<Quorum> for QuorumRule {
    fn from(rule: Quorum) -> Self {
        match rule {
            Quorum::Majority => Self::Majority,
            Quorum::Supermajority => Self::Supermajority,
        }
    }
}

pub(super) async fn invite(context: &Context, args: Invite) -> Result<Exit> {
    if args.verb.is_some() && args.new != InviteNew::default() {
        return Err(usage(
            "--for, --uses, --note and --spare belong to `althing invite` or `althing invite new`",
        )
        .into());
    }
    match args.verb {
        None => new(context, args.new).await,
        Some(InviteVerb::New(args)) => new(context, args).await,
        Some(InviteVerb::List) => context.read(&Query::new("invitations"), members::invitations).await,
        Some(InviteVerb::Revoke { id }) => {
            let text = format!("Invitation {id} is revoked.\n");
            change_saying(context, &Command::Revoke { id }, &["althing", "invite", "list"], &text).await
        }
    }
}

async fn new(context: &Context, args: InviteNew) -> Result<Exit> {
    let command = Command::Invite {
        uses: args.uses.unwrap_or(1),
        lasts: millis(args.lasts.unwrap_or(INVITATION)),
        note: args.note.unwrap_or_default(),
        spare: args.spare,
    };
    change(context, &command, &["althing", "invite", "list"]).await
}

pub(super) async fn join(context: &Context, args: Join) -> Result<Exit> {
    let member = member_name(args.member_name)?;
    let from_stdin = args.stdin.is_some();
    let text = match (from_stdin, &args.token_file) {
        (true, _) => read(std::io::stdin().lock(), "standard input")?,
        (false, Some(path)) => read(open(path)?, &path.display().to_string())?,
        (false, None) if ask::can_hide(context) => ask::secret("Paste the invitation: ")?,
        (false, None) => {
            let failure = usage("nobody can be asked for the invitation here: add - or --token-file F");
            return Err(failure.fact("so", "nothing was changed").into());
        }
    };
    let invitation = Invitation::decode(&text).map_err(|error| {
        Failure::new(Code::InvitationBad, "this is not an invitation")
            .fact("reason", error)
            .remedy("make a new one, on a member", &["althing", "invite"])
    })?;
    agree(context, &invitation, &member)?;
    let body = json!({ "invitation": text.trim(), "member": member });
    let done = context.post("join", &body, &["althing", "status"]).await?;
    context.report(&done)?;
    Ok(Exit::OK)
}

/// Shows what the invitation says, and asks.
fn agree(context: &Context, invitation: &Invitation, member: &str) -> Result<()> {
    if !context.quiet {
        let addresses: Vec<String> = invitation.addresses.iter().map(ToString::to_string).collect();
        let expires = context.look.until(&of_millis(invitation.expires.0), &now());
        eprintln!("  entity     {}", invitation.entity.short());
        eprintln!("  invited by {}, expires {expires}", addresses.join(" "));
        eprintln!("  this machine will be {member}");
        eprintln!("  what is in the place of the entity's applications goes to the trash");
    }
    ask::moderate(context, "Join?")
}

pub(super) async fn leave(context: &Context, args: Leave) -> Result<Exit> {
    if args.purge {
        return super::standing::purge(context, args.confirm.as_deref()).await;
    }
    ask::moderate(context, "Take this machine out of its entity? Its files stay as they are.")?;
    let text = "This machine left its entity.\n  back in  althing join\n";
    change_saying(context, &Command::Leave, &["althing", "status"], text).await
}

/// The name that was given, or that of the host without its domain.
fn member_name(given: Option<String>) -> Result<String> {
    if let Some(name) = given {
        return Ok(name);
    }
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let name = host.split('.').next().unwrap_or_default().to_ascii_lowercase();
    if name.is_empty() {
        return Err(usage("this machine has no host name: add --member-name NAME").into());
    }
    Ok(name)
}

fn open(path: &Path) -> Result<std::fs::File> {
    let failed = |error| Failure::new(Code::Input, format!("{} cannot be read: {error}", path.display()));
    Ok(std::fs::File::open(path).map_err(failed)?)
}

fn read(from: impl std::io::Read, name: &str) -> Result<String> {
    let mut text = String::new();
    let failed = |error| Failure::new(Code::Input, format!("{name} cannot be read: {error}"));
    from.take(LONGEST).read_to_string(&mut text).map_err(failed)?;
    Ok(context::one_line(text))
}
