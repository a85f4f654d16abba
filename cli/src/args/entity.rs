//! Founding, inviting, joining, leaving.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

/// Make this machine the first member of a new entity
///
/// A lone member settles every vote by itself. Three members survive the loss of one, five of two.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing init --name shop-fe\n  althing init --name shop-fe --member-name web1\n  althing init --name shop-fe --quorum supermajority"
)]
pub(crate) struct Init {
    /// Name of the entity
    #[arg(long, value_name = "ENTITY")]
    pub(crate) name: String,
    /// Name of this machine in it; by default its host name
    #[arg(long, value_name = "NAME")]
    pub(crate) member_name: Option<String>,
    /// How many of the voters settle: more than half, or more than two thirds, which holds against fewer than a third
    /// that lie
    #[arg(long, value_name = "RULE", default_value = "majority")]
    pub(crate) quorum: Quorum,
    /// Have operators govern: so many of their signatures are needed for what administrators ask for
    #[arg(long, value_name = "K", requires = "operator_key")]
    pub(crate) operators: Option<u32>,
    /// The key of an operator, or its public half; again for each
    #[arg(long, value_name = "FILE", requires = "operators")]
    pub(crate) operator_key: Vec<PathBuf>,
}

/// Whose word changes need.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Whose {
    /// That of any member.
    Members,
    /// That of operators.
    Operators,
}

/// How many of the voters settle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Quorum {
    /// More than half.
    Majority,
    /// More than two thirds.
    Supermajority,
}

/// Print an invitation for the next machine, or list and revoke invitations
///
/// Whoever has the text can join until it is used up, expired or revoked. It is not shown again.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing invite\n  althing invite --uses 3 --for 24h --note \"rack 4\"\n  althing invite list"
)]
pub(crate) struct Invite {
    #[command(subcommand)]
    pub(crate) verb: Option<InviteVerb>,
    #[command(flatten)]
    pub(crate) new: InviteNew,
}

/// What to do with invitations.
#[derive(Debug, Subcommand)]
pub(crate) enum InviteVerb {
    /// Print an invitation for the next machine (what `althing invite` alone does)
    #[command(after_help = "Examples:\n  althing invite new --for 10m\n  althing invite new --json")]
    New(InviteNew),
    /// List invitations that can still be used
    #[command(after_help = "Examples:\n  althing invite list")]
    List,
    /// End an invitation before its time
    #[command(after_help = "Examples:\n  althing invite revoke 7c1e")]
    Revoke {
        /// Its id, or the start of it, as `althing invite list` shows it
        id: String,
    },
}

/// A new invitation. Without defaults, so that flags before another verb are noticed: clap would take global flags
/// there for a conflict too.
#[derive(Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct InviteNew {
    /// How long it is good for [default: 1h]
    #[arg(long = "for", value_name = "TIME", value_parser = crate::span::parse)]
    pub(crate) lasts: Option<Duration>,
    /// How many machines may use it [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) uses: Option<u32>,
    /// What it is for, shown in lists
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Let in spares: they hold all content, do not count, and wait to be brought into service
    #[arg(long)]
    pub(crate) spare: bool,
}

/// Join this machine to an entity
///
/// Asks for the invitation, which is never taken from the command line, where other users could read it. The
/// content of all applications is brought here; what is in its place goes to the trash.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing join
  althing join --token-file /run/invitation -y
  althing join - -y --member-name web2")]
pub(crate) struct Join {
    /// Read the invitation from standard input
    #[arg(value_name = "-", value_parser = ["-"], conflicts_with = "token_file")]
    pub(crate) stdin: Option<String>,
    /// Read the invitation from a file
    #[arg(long, value_name = "F")]
    pub(crate) token_file: Option<PathBuf>,
    /// Name of this machine in the entity; by default its host name
    #[arg(long, value_name = "NAME")]
    pub(crate) member_name: Option<String>,
}

/// Take this machine out of its entity
///
/// The others settle that it does not count any more. Its files stay as they are.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing leave\n  althing leave -y\n  althing leave --purge --confirm shop-fe"
)]
pub(crate) struct Leave {
    /// Forget the entity here as well: key, votes and chain go, files and content stay, and this machine can join anew
    #[arg(long)]
    pub(crate) purge: bool,
    /// With --purge, the entity's name, instead of typing it when asked
    #[arg(long, value_name = "ENTITY", requires = "purge")]
    pub(crate) confirm: Option<String>,
}

/// Show who counts, who did, or begin anew when the majority is lost for good
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  althing roster\n  althing roster history")]
pub(crate) struct Roster {
    #[command(subcommand)]
    pub(crate) verb: Option<RosterVerb>,
}

/// What to do with the roster.
#[derive(Debug, Subcommand)]
pub(crate) enum RosterVerb {
    /// Show who counts, the majority, the failover order and past members (what `althing roster` alone does)
    #[command(after_help = "Examples:\n  althing roster show\n  althing roster show --json")]
    Show,
    /// Show the epochs that changed the roster, from the chain
    #[command(after_help = "Examples:\n  althing roster history")]
    History,
    /// Say anew whose word changes need: that of any member, or of operators
    ///
    /// Operators that are to govern sign it with as many keys as will be needed, those that govern until then as well:
    /// --sign FILE for each, or `althing request sign`.
    #[command(
        after_help = "Examples:\n  althing roster authority operators --operators 2 --operator-key ada.key --operator-key bo.key.pub --sign ada.key\n  althing roster authority members --sign ada.key"
    )]
    Authority {
        /// Whose
        kind: Whose,
        /// How many signatures of operators are needed
        #[arg(long, value_name = "K")]
        operators: Option<u32>,
        /// The key of an operator, or its public half; again for each
        #[arg(long, value_name = "FILE")]
        operator_key: Vec<PathBuf>,
        /// The entity's name, instead of typing it when asked
        #[arg(long, value_name = "ENTITY")]
        confirm: Option<String>,
    },
    /// Say anew how many of the voters settle: more than half, or more than two thirds
    ///
    /// With a supermajority what is settled stays settled while fewer than a third of the voters lie; in exchange fewer
    /// may be away: none of 3, 1 of 4, 2 of 7. New content must be held by as many as must agree.
    #[command(
        after_help = "Examples:\n  althing roster quorum supermajority\n  althing roster quorum majority --confirm shop-fe"
    )]
    Quorum {
        /// The rule
        rule: Quorum,
        /// The entity's name, instead of typing it when asked
        #[arg(long, value_name = "ENTITY")]
        confirm: Option<String>,
    },
    /// Begin the entity anew with the members that are left
    ///
    /// Only for a majority that is lost for good: the old chain is not continued, and members of it that come back go
    /// mute. This member founds a new entity of the same name, with all applications and their kept revisions, and
    /// invites the members named by --keep, which come over with `althing join` and keep what they have. What was
    /// settled without this member knowing of it is lost.
    #[command(after_help = "Examples:\n  althing roster recover --keep web1,web2 --confirm shop-fe")]
    Recover {
        /// Members of the old roster that come over, by name; this one always does
        #[arg(long, value_name = "M,M,…", value_delimiter = ',')]
        keep: Vec<String>,
        /// The entity's name, instead of typing it when asked
        #[arg(long, value_name = "ENTITY")]
        confirm: Option<String>,
    },
}

/// Acknowledge what was found to contradict what was settled, so that settling goes on here
///
/// Nothing is settled on a member that saw two signatures of one member that cannot both be honest, or two settled
/// records of one epoch. What it saw is kept for good, and shown by `althing roster`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  althing resolve --confirm shop-fe\n  althing resolve --keep b3:7c1e2a --confirm shop-fe"
)]
pub(crate) struct Resolve {
    /// Of two branches, a record of the one to go on with, as `althing status` names it
    #[arg(long, value_name = "HASH")]
    pub(crate) keep: Option<String>,
    /// The entity's name, instead of typing it when asked
    #[arg(long, value_name = "ENTITY")]
    pub(crate) confirm: Option<String>,
}
