//! Operators: their keys, and what waits for their signatures.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Make an operator's key, or show the public half of one
///
/// Where operators govern an entity, what administrators ask for needs their signatures. A key is a file that is read by
/// commands alone (--sign FILE): it belongs on no member.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  althing operator keygen --out ada.key\n  althing operator show ada.key")]
pub(crate) struct Operator {
    #[command(subcommand)]
    pub(crate) verb: OperatorVerb,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum OperatorVerb {
    /// Write a new key to FILE, for its owner alone (0600) and not encrypted, and the public half to FILE.pub
    #[command(
        after_help = "Examples:\n  althing operator keygen --out ada.key\n  althing operator keygen --out /media/stick/ada.key --name ada"
    )]
    Keygen {
        /// Where to; nothing may be there
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The operator's name; by default that of the file without its ending
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Show the name and the public half of a key
    #[command(
        after_help = "Examples:\n  althing operator show ada.key\n  althing operator show ada.key.pub --json"
    )]
    Show {
        /// A key, or the public half of one
        file: PathBuf,
    },
}

/// Show, sign or withdraw what waits for the signatures of operators
///
/// A command with fewer --sign FILE than the entity needs leaves a request, which waits for 24 hours. Every member shows
/// it and takes a signature.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  althing request list\n  althing request sign 7c1e2a40 --sign bo.key")]
pub(crate) struct Request {
    #[command(subcommand)]
    pub(crate) verb: Option<RequestVerb>,
}

/// What to do with requests.
#[derive(Debug, Subcommand)]
pub(crate) enum RequestVerb {
    /// List what waits (what `althing request` alone does)
    #[command(after_help = "Examples:\n  althing request list\n  althing request list --json")]
    List,
    /// Show what a request does, and who has signed it
    #[command(after_help = "Examples:\n  althing request show 7c1e2a40")]
    Show {
        /// Its id, or the start of it
        id: String,
    },
    /// Sign a request with --sign FILE; it is carried out when it has enough signatures
    #[command(
        after_help = "Examples:\n  althing request sign 7c1e2a40 --sign bo.key\n  althing request sign 7c1e2a40 --sign bo.key -y"
    )]
    Sign {
        /// Its id, or the start of it
        id: String,
    },
    /// Give a request up
    #[command(after_help = "Examples:\n  althing request withdraw 7c1e2a40")]
    Withdraw {
        /// Its id, or the start of it
        id: String,
    },
}
