//! Updates: open, stage, diff, commit, abort, and all in one.

use std::path::PathBuf;
use std::time::Duration;

use althing_protocol::rollout::Batch;
use clap::{Args, Subcommand};

/// Change an application from any member, within an update window
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing update open shop --for 15m --reason \"release 2026.11.3\"
  althing update stage shop --from ./site
  althing update diff shop
  althing update commit shop")]
pub(crate) struct Update {
    #[command(subcommand)]
    pub(crate) verb: Option<UpdateVerb>,
}

/// What to do with updates.
#[derive(Debug, Subcommand)]
pub(crate) enum UpdateVerb {
    /// List open update windows (what `althing update` alone does)
    #[command(after_help = "Examples:\n  althing update list")]
    List,
    Open(Open),
    /// Stage the content of a directory in the window that is open here
    #[command(after_help = "Examples:\n  althing update stage shop --from ./site")]
    Stage {
        /// The application; may be left out if one window is open here
        #[arg(value_name = "A")]
        app: Option<String>,
        /// A directory on this machine
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
    },
    /// Show what a commit would change
    #[command(after_help = "Examples:\n  althing update diff\n  althing update diff shop --exit-code")]
    Diff {
        /// The application; may be left out if one window is open here
        #[arg(value_name = "A")]
        app: Option<String>,
        /// Only the sums
        #[arg(long)]
        stat: bool,
        /// Exit with 2 if there are differences
        #[arg(long)]
        exit_code: bool,
    },
    /// Show an application's update window
    #[command(after_help = "Examples:\n  althing update status shop")]
    Status {
        /// The application; may be left out if one window is open here
        #[arg(value_name = "A")]
        app: Option<String>,
    },
    /// Let the window that is open here stand longer, or less long
    #[command(
        after_help = "Examples:\n  althing update extend --for 1h\n  althing update extend shop --for 30m"
    )]
    Extend {
        /// The application; may be left out if one window is open here
        #[arg(value_name = "A")]
        app: Option<String>,
        /// For how long from now
        #[arg(long = "for", value_name = "TIME", value_parser = crate::span::parse)]
        lasts: Duration,
    },
    Commit(Commit),
    /// Close a window without a change
    #[command(
        after_help = "Examples:\n  althing update abort shop\n  althing update abort shop --on web4 -y"
    )]
    Abort {
        /// The application; may be left out if one window is open here
        #[arg(value_name = "A")]
        app: Option<String>,
    },
}

/// Open an update window here: from now on this member alone may change the application
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing update open shop --for 15m --reason \"release 2026.11.3\"
  althing update open shop --on web7 --adopt
  althing update open shop --auto --quiet-for 2s --for 8h")]
pub(crate) struct Open {
    /// The application
    #[arg(value_name = "A")]
    pub(crate) app: String,
    /// It closes by itself after this time
    #[arg(long = "for", value_name = "TIME", default_value = "15m", value_parser = crate::span::parse)]
    pub(crate) lasts: Duration,
    /// Why, for those who look
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    /// Begin with what lies on this member's disk now, so that a commit makes it the next revision
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Commit the edits under the application's root by itself whenever they have rested; the window stays open
    #[arg(long)]
    pub(crate) auto: bool,
    /// With --auto: how long they must rest
    #[arg(long, value_name = "TIME", default_value = "2s", requires = "auto", value_parser = crate::span::parse)]
    pub(crate) quiet_for: Duration,
}

/// Settle what is staged, or the edited files, as the next revision
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing update commit
  althing update commit shop --expect 42 --wait -y
  althing update commit shop --batch 2 --probation 10m
  althing update commit shop --continue")]
pub(crate) struct Commit {
    /// The application; may be left out if one window is open here
    #[arg(value_name = "A")]
    pub(crate) app: Option<String>,
    /// Only if this is the revision in force
    #[arg(long, value_name = "REV")]
    pub(crate) expect: Option<u64>,
    #[command(flatten)]
    pub(crate) rollout: RolloutArgs,
    /// Also if nothing differs: every member applies the revision once more, and runs its after hooks
    #[arg(long)]
    pub(crate) allow_empty: bool,
    /// Let a roll-out go on that a failing hook has stopped, instead of settling anything
    #[arg(long = "continue", conflicts_with_all = ["expect", "batch", "probation", "allow_empty"])]
    pub(crate) goes_on: bool,
    /// Wait until every member has it, and show how far it is
    #[arg(long)]
    pub(crate) wait: bool,
}

/// How a revision gets onto the members.
#[derive(Debug, Args)]
pub(crate) struct RolloutArgs {
    /// How many members apply it at once: a number, or a share of them; instead of what the application's definition says
    #[arg(long, value_name = "N|PCT", value_parser = crate::span::batch)]
    pub(crate) batch: Option<Batch>,
    /// If its after hooks fail on the first members within this time, members go back to the revision before by themselves
    #[arg(long, value_name = "TIME", value_parser = crate::span::parse)]
    pub(crate) probation: Option<Duration>,
}

/// Open a window, stage a directory and commit it, in one step
///
/// Does not ask: `althing app rollback` undoes it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing deploy shop --from ./site
  althing deploy shop --from ./site --batch 10% --probation 15m
  althing deploy shop --from ./site --reason \"release 2026.11.3\" --wait --timeout 2m")]
pub(crate) struct Deploy {
    /// The application
    #[arg(value_name = "A")]
    pub(crate) app: String,
    /// A directory on this machine
    #[arg(long, value_name = "DIR")]
    pub(crate) from: PathBuf,
    /// Why, for those who look
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    /// As the first content: move what members have at the root to the trash
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) rollout: RolloutArgs,
    /// Wait until every member has it, and show how far it is
    #[arg(long)]
    pub(crate) wait: bool,
}
