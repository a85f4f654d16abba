//! Applications and the trash.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

/// List, inspect, define and roll back applications
#[derive(Debug, Args)]
#[command(
    visible_alias = "apps",
    after_help = "Examples:\n  althing apps\n  althing app diff shop --member web7"
)]
pub(crate) struct App {
    #[command(subcommand)]
    pub(crate) verb: Option<AppVerb>,
}

/// What to do with applications.
#[derive(Debug, Subcommand)]
pub(crate) enum AppVerb {
    /// List all applications (what `althing app` alone does)
    #[command(after_help = "Examples:\n  althing app list -w")]
    List {
        /// Show it again every two seconds
        #[arg(short, long)]
        watch: bool,
    },
    New(New),
    Place(Place),
    /// Check the file that says what an application is
    #[command(after_help = "Examples:\n  althing app check shop.toml")]
    Check {
        /// A TOML file with name, root, policy, groups, switching, owners, xattrs, unmanaged, adopt, and the tables update and hooks
        manifest: PathBuf,
    },
    /// Define an application as a file says, or change it to that
    #[command(after_help = "Examples:\n  althing app apply shop.toml -n\n  althing app apply shop.toml")]
    Apply {
        /// A TOML file with name, root, policy, groups, switching, owners, xattrs, unmanaged, adopt, and the tables update and hooks
        manifest: PathBuf,
        /// Members that it does not go to any more leave its files, instead of moving them to the trash
        #[arg(long)]
        keep_files: bool,
        /// Only say what would be done
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Show one application
    #[command(
        after_help = "Examples:\n  althing app show shop\n  althing app show shop --manifest > shop.toml"
    )]
    Show {
        /// Its name
        #[arg(value_name = "A")]
        app: String,
        /// As the file that `althing app apply` reads
        #[arg(long)]
        manifest: bool,
    },
    Items(Items),
    Diff(Diff),
    /// Show the revisions of an application that are kept
    #[command(after_help = "Examples:\n  althing app history shop")]
    History {
        /// Its name
        #[arg(value_name = "A")]
        app: String,
    },
    /// Read everything of an application again: on this member, or on each that it goes to
    #[command(
        after_help = "Examples:\n  althing app verify shop\n  althing app verify shop --on web7 --exit-code\n  althing app verify shop --everywhere"
    )]
    Verify {
        /// Its name
        #[arg(value_name = "A")]
        app: String,
        /// Ask every member that it goes to
        #[arg(long)]
        everywhere: bool,
        /// Exit with 2 if it differs from what is settled
        #[arg(long)]
        exit_code: bool,
    },
    /// Repair an application on this member now
    #[command(after_help = "Examples:\n  althing app repair shop --on web7")]
    Repair {
        /// Its name
        #[arg(value_name = "A")]
        app: String,
        /// Exit with 2 if it still differs from what is settled
        #[arg(long)]
        exit_code: bool,
    },
    /// Settle the content of an earlier revision as a new one
    #[command(after_help = "Examples:\n  althing app rollback shop --to 41")]
    Rollback {
        /// Its name
        #[arg(value_name = "A")]
        app: String,
        /// The revision, as `althing app history` shows it
        #[arg(long, value_name = "REV")]
        to: u64,
    },
    /// Stop repair of an application for a time
    #[command(after_help = "Examples:\n  althing app pause shop --for 1h")]
    Pause {
        /// Its name
        #[arg(value_name = "A")]
        app: String,
        /// For how long
        #[arg(long = "for", value_name = "TIME", default_value = "30m", value_parser = crate::span::parse)]
        lasts: Duration,
    },
    /// Let repair of an application go on
    #[command(after_help = "Examples:\n  althing app resume shop")]
    Resume {
        /// Its name
        #[arg(value_name = "A")]
        app: String,
    },
    /// Take an application out of the entity; its files go to the trash of each member
    #[command(
        after_help = "Examples:\n  althing app remove shop\n  althing app remove shop --keep-files --confirm shop"
    )]
    Remove {
        /// Its name
        #[arg(value_name = "A")]
        app: String,
        /// Leave its files where they are
        #[arg(long)]
        keep_files: bool,
        /// Its name again, instead of typing it when asked
        #[arg(long, value_name = "A")]
        confirm: Option<String>,
    },
}

/// Define an application, and deploy its first revision
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing app new shop --from ./site
  althing app new shop --from ./site --unmanaged 'cache/**' --unmanaged '*.log'
  althing app new shop --adopt
  althing app new shop --from ./site --group web
  althing app new shop --root /var/www/shop --policy certified
  althing app new shop --from ./site --switching release
  althing app new shop --from ./site --owners --xattr 'user.*' --xattr system.posix_acl_access")]
pub(crate) struct New {
    /// Its name
    #[arg(value_name = "A")]
    pub(crate) app: String,
    /// A directory on this machine with its first content; without, it is only defined
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
    /// Where it lies on every member; /srv/A by default
    #[arg(long, value_name = "PATH")]
    pub(crate) root: Option<PathBuf>,
    /// What it means when a majority changed the same way
    #[arg(long, default_value = "majority")]
    pub(crate) policy: Policy,
    /// Content that members have there already may go to the trash
    #[arg(long)]
    pub(crate) replace: bool,
    /// What more than half of the members have there already becomes revision 1 (the default without --from)
    #[arg(long, conflicts_with_all = ["from", "replace"])]
    pub(crate) adopt: bool,
    /// It goes to the members of this group only; may be given several times
    #[arg(long = "group", value_name = "NAME")]
    pub(crate) groups: Vec<String>,
    /// Leave these paths below the root alone; may be given several times. * and ? stay within a name, ** does not
    #[arg(long, value_name = "PATTERN")]
    pub(crate) unmanaged: Vec<String>,
    /// How another revision comes into force on a member
    #[arg(long, default_value = "in-place")]
    pub(crate) switching: Switching,
    /// How many members apply a revision at once: a number, or a share of them; one at a time by default
    #[arg(long, value_name = "N|PCT", value_parser = crate::span::batch)]
    pub(crate) batch: Option<althing_protocol::rollout::Batch>,
    /// Owner and group of every item are settled, too, by name; daemons must run as root, or be able to give files away
    #[arg(long)]
    pub(crate) owners: bool,
    /// Extended attributes of this name are settled, too; may be given several times. user.NAME, user.*,
    /// security.capability, system.posix_acl_access or system.posix_acl_default
    #[arg(long = "xattr", value_name = "PATTERN")]
    pub(crate) xattrs: Vec<String>,
}

/// How another revision comes into force on a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Switching {
    /// Item by item in one tree.
    InPlace,
    /// As a whole: the root is a link to one of the trees in ROOT.releases.
    Release,
}

/// Say which members an application goes to
///
/// Members that it does not go to any more clear it away: their files of it go to the trash. Members that it goes to now
/// fetch it. A group is a name that members have in their label `group`: `althing member label web3 group=web`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing app place shop --group web
  althing app place shop --group web --group cache --keep-files
  althing app place shop --all")]
pub(crate) struct Place {
    /// Its name
    #[arg(value_name = "A")]
    pub(crate) app: String,
    /// To the members of this group; may be given several times
    #[arg(long = "group", value_name = "NAME", required_unless_present = "all")]
    pub(crate) groups: Vec<String>,
    /// To all members
    #[arg(long, conflicts_with = "groups")]
    pub(crate) all: bool,
    /// Members that it does not go to any more leave its files where they are
    #[arg(long)]
    pub(crate) keep_files: bool,
}

/// What it means when a majority of members changed the same way outside of an update.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Policy {
    /// It becomes what is settled.
    Majority,
    /// It is drift: only a commit changes what is settled.
    Certified,
}

/// List the items of an application
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing app items shop htdocs/img
  althing app items shop --observed --on web7")]
pub(crate) struct Items {
    /// Its name
    #[arg(value_name = "A")]
    pub(crate) app: String,
    /// Only what lies below this path
    pub(crate) prefix: Option<String>,
    /// Of this revision; the one in force by default
    #[arg(long, value_name = "REV")]
    pub(crate) revision: Option<u64>,
    /// What is on the disk of the member that answers
    #[arg(long, conflicts_with = "revision")]
    pub(crate) observed: bool,
}

/// Show what differs: a member's disk from the revision in force, or two revisions
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing app diff shop --member web7
  althing app diff shop --from 41 --to 42 --stat")]
pub(crate) struct Diff {
    /// Its name
    #[arg(value_name = "A")]
    pub(crate) app: String,
    /// Compare this member's disk; by default that of the member that answers
    #[arg(long, value_name = "M", conflicts_with_all = ["from", "to"])]
    pub(crate) member: Option<String>,
    /// Compare this revision
    #[arg(long, value_name = "REV", requires = "to")]
    pub(crate) from: Option<u64>,
    /// With this one
    #[arg(long, value_name = "REV", requires = "from")]
    pub(crate) to: Option<u64>,
    /// Only the sums
    #[arg(long)]
    pub(crate) stat: bool,
    /// Exit with 2 if there are differences
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// List and restore what repair took away
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  althing trash\n  althing trash restore 7c1e90")]
pub(crate) struct Trash {
    #[command(subcommand)]
    pub(crate) verb: Option<TrashVerb>,
}

/// What to do with the trash.
#[derive(Debug, Subcommand)]
pub(crate) enum TrashVerb {
    /// List what is in the trash of this member (what `althing trash` alone does)
    #[command(after_help = "Examples:\n  althing trash list shop")]
    List {
        /// Only of this application
        #[arg(value_name = "A")]
        app: Option<String>,
    },
    /// Put something back
    #[command(after_help = "Examples:\n  althing trash restore 7c1e90 --to /tmp/debug.php")]
    Restore {
        /// Its id, as `althing trash list` shows it
        id: String,
        /// Put it there instead of where it was
        #[arg(long, value_name = "PATH")]
        to: Option<PathBuf>,
    },
}
