//! Trying, waiting, explaining.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use crate::condition::Condition;

/// Start a small entity on this machine, with a site to break and watch being repaired
///
/// Nothing needs privileges, and nothing is left when it ends. With --auto it exits with 0 only if every act reached
/// its end in its time; after a failure data and logs are kept, and the error says where.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing demo\n  althing demo --members 7 --auto\n  althing demo --auto --json"
)]
pub(crate) struct Demo {
    /// How many members, from 3: so many go on while one is down
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(3..=25))]
    pub(crate) members: u16,
    /// Play all acts without asking, each within its time
    #[arg(long)]
    pub(crate) auto: bool,
    /// Keep data and logs in this directory, which must be new or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

/// Simulate an entity through disasters, by the same rules and in no time
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing simulate --seed 7\n  althing simulate --seed 7 --members 9 --hours 24 --json"
)]
pub(crate) struct Simulate {
    /// The same seed gives the same run
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many members
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) members: u16,
    /// How many simulated hours
    #[arg(long, value_name = "H", default_value_t = 1.0)]
    pub(crate) hours: f64,
}

/// Wait until something is so; exit with 124 if it is not in time
///
/// Conditions:
///   app/A=agreed        every member of application A has the settled content
///   app/A=REV           revision REV of A, or a later one, is in force
///   update/A=closed     no update window of A is open (or =open)
///   health=ok           the entity's health (or =warning, =critical, =unknown)
///   member/M=alive      as `althing members` shows it (or =unreachable, =down, =gone)
///   members=9           the roster has nine members and all are heard
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  althing wait --for app/shop=agreed
  althing wait --for members=9 --for health=ok --timeout 2m"
)]
pub(crate) struct Wait {
    /// What to wait for; may be repeated, and all must hold at once (30 s unless --timeout says otherwise)
    #[arg(long = "for", value_name = "COND", required = true)]
    pub(crate) conditions: Vec<Condition>,
}

/// Explain an error code, or list all
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  althing explain E412\n  althing explain window-open\n  althing explain")]
pub(crate) struct Explain {
    /// Its number or name
    pub(crate) code: Option<String>,
}

/// Print what makes a shell complete this command
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  althing completions bash")]
pub(crate) struct Completions {
    /// For which shell
    pub(crate) shell: Shell,
}

/// Print the version of this program and of the node that answers
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  althing version")]
pub(crate) struct Version {}
