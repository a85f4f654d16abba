//! Updates: open, stage, diff, commit, abort, and all in one.

use std::path::PathBuf;
use std::time::Duration;

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
  althing update open shop --on web7 --adopt")]
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
}

/// Settle what is staged, or the edited files, as the next revision
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing update commit\n  althing update commit shop --expect 42 --wait -y"
)]
pub(crate) struct Commit {
    /// The application; may be left out if one window is open here
    #[arg(value_name = "A")]
    pub(crate) app: Option<String>,
    /// Only if this is the revision in force
    #[arg(long, value_name = "REV")]
    pub(crate) expect: Option<u64>,
    /// Wait until every member has it
    #[arg(long)]
    pub(crate) wait: bool,
}

/// Open a window, stage a directory and commit it, in one step
///
/// Does not ask: `althing app rollback` undoes it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing deploy shop --from ./site
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
    /// Wait until every member has it
    #[arg(long)]
    pub(crate) wait: bool,
}
