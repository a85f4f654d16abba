//! Looking: commands that never change anything (and `member remove`, which lives with its noun).

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

/// Show the entity at a glance
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing status\n  althing status -w\n  althing status --on web7 --json | jq .health"
)]
pub(crate) struct Status {
    /// Show it again every two seconds
    #[arg(short, long)]
    pub(crate) watch: bool,
}

/// Explain why something is in its state, and what happens next
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  althing why\n  althing why web7\n  althing why app/shop")]
pub(crate) struct Why {
    /// A member or application, as web7, member/web7 or app/shop; the entity by default
    pub(crate) subject: Option<String>,
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

/// List, show, re-admit and remove members
#[derive(Debug, Args)]
#[command(visible_alias = "members", after_help = "Examples:\n  althing members\n  althing member show web7")]
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
    /// Have a member count again whose store was lost, restored or copied
    ///
    /// It must run and be heard. It keeps its place in the roster, and counts again when it has caught up.
    #[command(after_help = "Examples:\n  althing member readmit web7")]
    Readmit {
        /// Its name
        #[arg(value_name = "M")]
        member: String,
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
