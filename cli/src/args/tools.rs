//! Trying, waiting, explaining.

use std::path::PathBuf;

use clap::{Args, Subcommand};
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
    after_help = "Examples:\n  althing simulate --seed 7\n  althing simulate --seed 7 --members 9 --hours 24 --json\n  althing simulate --members 5 --fault crash@60+30:m2 --fault partition@120\n  althing simulate --hours 0.1 --deploy 30:m2 --fault partition@30.1+120:m6,m7,m8,m9\n  althing simulate --from-dir /var/lib/althing --deploy 30:web1 --fault crash@30.2+60:web2"
)]
pub(crate) struct Simulate {
    /// The same seed gives the same run
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many members: m1, m2, …
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) members: u16,
    /// How many simulated hours
    #[arg(long, value_name = "H", default_value_t = 1.0)]
    pub(crate) hours: f64,
    /// Nothing goes wrong but this: CLASS in the seeds that have it, or CLASS@SECONDS once, CLASS@SECONDS+SECONDS:MEMBER,… once, for so long, there; may be repeated
    #[arg(long = "fault", value_name = "SPEC")]
    pub(crate) faults: Vec<String>,
    /// Administrators do nothing but this: deploy something new at a member, SECONDS:MEMBER or SECONDS:MEMBER:APP; may be repeated
    #[arg(long = "deploy", value_name = "SPEC")]
    pub(crate) deploys: Vec<String>,
    /// Simulate an entity like that of the member in this directory: its members, quorum rule and applications
    #[arg(long, value_name = "DIR", conflicts_with_all = ["members", "quorum"])]
    pub(crate) from_dir: Option<PathBuf>,
    /// By which rule they settle: majority or supermajority; else the seed says
    #[arg(long, value_name = "RULE")]
    pub(crate) quorum: Option<super::entity::Quorum>,
    /// Tell proposals and votes too
    #[arg(long)]
    pub(crate) votes: bool,
    /// Count messages by kind between these moments: SECONDS,SECONDS,…
    #[arg(long, value_name = "SPEC")]
    pub(crate) tally: Option<String>,
    /// Tell also how the entity came to be, and who misses whom
    #[arg(long)]
    pub(crate) whole: bool,
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

/// Explain an error code or a condition of `status`, or list all
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing explain E412\n  althing explain content-differs\n  althing explain"
)]
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
///
/// Members of one entity may run different programs while they are upgraded one after the other. The entity itself uses one
/// protocol version, which older programs must speak as well; a newer one is settled when all members speak it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing version\n  althing version --entity\n  althing version --settle 2"
)]
pub(crate) struct Version {
    /// Print which versions the members of the entity run and speak
    #[arg(long)]
    pub(crate) entity: bool,
    /// Have the entity use this protocol version, when all members speak it; there is no way back
    #[arg(long, value_name = "NUMBER", conflicts_with = "entity")]
    pub(crate) settle: Option<u32>,
}

/// Look for what may go wrong on this machine and in the entity, and say what mends it
///
/// Exits with 1 if something is an error; warnings work, but not as well as they could.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  althing doctor\n  althing doctor --json\n  althing doctor --fix")]
pub(crate) struct Doctor {
    /// Mend what can be mended without harm: the mode of the data directory
    #[arg(long)]
    pub(crate) fix: bool,
}

/// Check and show the configuration of this machine: files, variables, and where each value comes from
///
/// Facts of this machine come from /etc/althing/althing.toml, then conf.d/*.toml beside it, then variables
/// ALTHING_SECTION__KEY, then flags. What members share is settled with commands and has no place there.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing config check\n  althing config show --origin\n  althing config default"
)]
pub(crate) struct Config {
    /// Read this file, and conf.d beside it, instead of the usual one
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: Option<ConfigVerb>,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Say what is wrong with the configuration, or with these files
    #[command(after_help = "Examples:\n  althing config check\n  althing config check althing.toml")]
    Check {
        /// Check these files by themselves
        #[arg(value_name = "F")]
        files: Vec<PathBuf>,
    },
    /// Show what is set (what `althing config` alone does)
    #[command(after_help = "Examples:\n  althing config show --origin")]
    Show {
        /// Show where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Print a file with every key, commented out
    #[command(after_help = "Examples:\n  althing config default")]
    Default,
}

/// Make, check and restore backups: the chain of settled records and, on wish, the content in force
///
/// A backup has no keys and no votes. What is restored from it cannot vote: it joins as a newcomer and finds the content
/// on its own disk. A copy of a data directory is no backup: it may have forgotten what it signed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing backup create farm.backup --with-content\n  althing backup check farm.backup\n  althing backup restore farm.backup --dir /tmp/new"
)]
pub(crate) struct Backup {
    #[command(subcommand)]
    pub(crate) verb: BackupVerb,
}

/// What to do with backups.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupVerb {
    /// Write a backup of the entity, as this member has it
    #[command(
        after_help = "Examples:\n  althing backup create farm.backup\n  althing backup create farm.backup --with-content"
    )]
    Create {
        /// The file; it must not be there yet
        #[arg(value_name = "F")]
        file: PathBuf,
        /// With the content in force of all applications
        #[arg(long)]
        with_content: bool,
    },
    /// Check every record and byte of a backup; needs no node
    #[command(after_help = "Examples:\n  althing backup check farm.backup")]
    Check {
        /// The file
        #[arg(value_name = "F")]
        file: PathBuf,
    },
    /// Make a data directory with the content of a backup, for a node that then joins; or, with --to, plain files
    ///
    /// The directory is that of --dir, and must be new or empty. With --to, no node is needed: each application is put
    /// below that directory, which must be new or empty, under its name.
    #[command(
        after_help = "Examples:\n  althing backup restore farm.backup --dir /tmp/new\n  althing backup restore farm.backup --to /tmp/files"
    )]
    Restore {
        /// The file
        #[arg(value_name = "F")]
        file: PathBuf,
        /// Write the files of all applications below this directory
        #[arg(long, value_name = "PATH")]
        to: Option<PathBuf>,
    },
}

/// Print what fits at the last word; completion scripts call it
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  althing __complete -- althing member show")]
pub(crate) struct Complete {
    /// The words typed so far
    #[arg(last = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<String>,
}
