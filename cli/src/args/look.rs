//! Looking: commands that never change anything (and those of `member` that do, which live with their noun).

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::moment::Moment;

/// Show the entity at a glance
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing status\n  althing status -w\n  althing status --everywhere\n  althing status --on web7 --json | jq .health"
)]
pub(crate) struct Status {
    /// Show it again every two seconds
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Ask every member how it sees the entity, and show where they differ
    #[arg(long)]
    pub(crate) everywhere: bool,
}

/// Explain why something is in its state, and what happens next
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing why\n  althing why web7\n  althing why app/shop\n  althing why web7 --at 14:02"
)]
pub(crate) struct Why {
    /// A member or application, as web7, member/web7 or app/shop; the entity by default
    pub(crate) subject: Option<String>,
    /// Why it was so at an earlier time, such as 14:02, 30m (ago) or 2026-11-23T14:02:11Z
    #[arg(long, value_name = "TIME", value_parser = crate::moment::parse)]
    pub(crate) at: Option<Moment>,
}

/// Show what happened
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing events --since 30m
  althing events -f --severity warning
  althing events --member web7 --app shop --json")]
pub(crate) struct Events {
    /// How far back
    #[arg(long, value_name = "TIME", value_parser = crate::span::parse)]
    pub(crate) since: Option<Duration>,
    /// Up to this time, such as 14:02, 30m (ago) or 2026-11-23T14:02:11Z
    #[arg(long, value_name = "TIME", conflicts_with = "follow", value_parser = crate::moment::parse)]
    pub(crate) until: Option<Moment>,
    /// Go on with what happens from now; JSON lines with --json
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// This severe or worse
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) severity: Option<Severity>,
    /// Of this member (may be repeated)
    #[arg(long, value_name = "M")]
    pub(crate) member: Vec<String>,
    /// Of this application (may be repeated)
    #[arg(long, value_name = "A")]
    pub(crate) app: Vec<String>,
    /// Of this kind, such as content.differs (may be repeated)
    #[arg(long, value_name = "K")]
    pub(crate) kind: Vec<String>,
    /// What came after this point, the `cursor` of an earlier answer
    #[arg(long, value_name = "CURSOR", conflicts_with = "since")]
    pub(crate) after: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u32>,
}

/// How severe an event is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Severity {
    Info,
    Notice,
    Warning,
    Critical,
}

/// Show health and what it is made of
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  althing health\n  althing health -w")]
pub(crate) struct Health {
    /// Show it again every two seconds
    #[arg(short, long)]
    pub(crate) watch: bool,
}

/// Show which content members report, and whether a majority agrees
#[derive(Debug, Args)]
#[command(visible_alias = "votes", after_help = "Examples:\n  althing vote shop\n  althing votes")]
pub(crate) struct Vote {
    /// Only of this application
    pub(crate) app: Option<String>,
}

/// Show who had what settled, when and where: the chain, as people read it
///
/// With --verify the whole chain is checked from the genesis on: every signature, every record, every resulting state.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing audit --since 7d\n  althing audit --by ada\n  althing audit --verify --on web7"
)]
pub(crate) struct Audit {
    /// How far back
    #[arg(long, value_name = "TIME", value_parser = crate::span::parse)]
    pub(crate) since: Option<Duration>,
    /// Only what this person or program asked for
    #[arg(long, value_name = "WHO")]
    pub(crate) by: Option<String>,
    /// Check the certificates and records of the whole chain
    #[arg(long)]
    pub(crate) verify: bool,
}

/// List, show, name and remove members, take them out of service and bring them in
#[derive(Debug, Args)]
#[command(
    visible_alias = "members",
    after_help = "Examples:\n  althing members\n  althing member show web7\n  althing member out web7 --reason \"new disk\""
)]
pub(crate) struct Member {
    #[command(subcommand)]
    pub(crate) verb: Option<MemberVerb>,
}

/// What to do with members.
#[derive(Debug, Subcommand)]
pub(crate) enum MemberVerb {
    /// List all members (what `althing member` alone does)
    #[command(after_help = "Examples:\n  althing member list -w")]
    List {
        /// Show it again every two seconds
        #[arg(short, long)]
        watch: bool,
    },
    /// Show one member
    #[command(after_help = "Examples:\n  althing member show web7")]
    Show {
        /// Its name
        #[arg(value_name = "M")]
        member: String,
    },
    /// Take a member out of service: it takes no traffic, and counts as before
    #[command(
        after_help = "Examples:\n  althing member out web3 --reason \"new disk\"\n  althing member out web3 --for 30m"
    )]
    Out {
        /// Its name
        #[arg(value_name = "M")]
        member: String,
        /// Why, for the others
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
        /// For how long; without, until it is brought in
        #[arg(long = "for", value_name = "TIME", value_parser = crate::span::parse)]
        lasts: Option<Duration>,
    },
    /// Have a member count again whose store was lost, restored or copied
    ///
    /// It must run and be heard. It keeps its place in the roster, and counts again when it has caught up.
    #[command(after_help = "Examples:\n  althing member readmit web7")]
    Readmit {
        /// Its name
        #[arg(value_name = "M")]
        member: String,
    },
    /// Bring a member into service
    #[command(after_help = "Examples:\n  althing member in web3")]
    In {
        /// Its name
        #[arg(value_name = "M")]
        member: String,
    },
    /// Make a member a spare, which holds all content and does not count; or, with --off, one that counts
    #[command(after_help = "Examples:\n  althing member spare web9\n  althing member spare web9 --off")]
    Spare {
        /// Its name
        #[arg(value_name = "M")]
        member: String,
        /// Let it count again
        #[arg(long)]
        off: bool,
    },
    /// Give a member another name
    #[command(after_help = "Examples:\n  althing member rename web3 shop3")]
    Rename {
        /// Its name
        #[arg(value_name = "M")]
        member: String,
        /// Its new name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Set labels of a member, or remove them
    ///
    /// The label `group` lists the groups that the member is in, separated by commas. Applications go to all members or to
    /// those of their groups: `althing app place`.
    #[command(
        after_help = "Examples:\n  althing member label web3 zone=b rack=4\n  althing member label web3 rack=\n  althing member label web3 group=web,cache"
    )]
    Label {
        /// Its name
        #[arg(value_name = "M")]
        member: String,
        /// Key and value; without a value the label is removed
        #[arg(value_name = "K=V", required = true, value_parser = label)]
        labels: Vec<(String, Option<String>)>,
        /// Leave the files of applications that do not go to it any more, instead of moving them to the trash
        #[arg(long)]
        keep_files: bool,
    },
    /// Remove a member from the roster for good
    ///
    /// For a machine that is gone. One that is alive better leaves by itself: `althing leave` there.
    #[command(after_help = "Examples:\n  althing member remove web9 --confirm web9")]
    Remove {
        /// Its name
        #[arg(value_name = "M")]
        member: String,
        /// Its name again, instead of typing it when asked
        #[arg(long, value_name = "M")]
        confirm: Option<String>,
    },
}

/// `zone=b`, or `zone=` to remove it.
fn label(text: &str) -> Result<(String, Option<String>), String> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| format!("'{text}' is not a label; write it as key=value"))?;
    Ok((key.to_owned(), Some(value.to_owned()).filter(|value| !value.is_empty())))
}

/// Show the share of the load that each member should take
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  althing balance")]
pub(crate) struct Balance {
    #[command(subcommand)]
    pub(crate) verb: Option<BalanceVerb>,
}

/// What to do with shares.
#[derive(Debug, Subcommand)]
pub(crate) enum BalanceVerb {
    /// Show shares and why they are so (what `althing balance` alone does)
    #[command(after_help = "Examples:\n  althing balance show -w")]
    Show {
        /// Show it again every two seconds
        #[arg(short, long)]
        watch: bool,
    },
}
