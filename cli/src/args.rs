//! The command line as clap sees it: the tree of cli.md, and nothing about what commands do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) mod app;
pub(crate) mod entity;
pub(crate) mod look;
pub(crate) mod operator;
#[cfg(test)]
mod tests;
pub(crate) mod tools;
pub(crate) mod update;

/// Where a node keeps its data, and its socket.
pub(crate) const DIRECTORY: &str = "/var/lib/althing";

/// What `althing` alone prints. A test checks that each command is in it exactly once.
pub(crate) const ROOT_HELP: &str = "\
althing keeps a group of servers in agreement, without a controller.

Start      demo        a five-member entity on this machine, with a site to break
           run         the daemon: what a service starts on each machine
           init        make this machine the first member of a new entity
           invite      print an invitation for the next machine
           join        join this machine to an entity      leave    take it out again
Look       status      the entity at a glance
           why         why something is in its state       events   what happened
           health      health and what it is made of       vote     what members report
           audit       who had what settled, when and where
Members    member      list, show, out, in, spare, label, rename, readmit, remove
           roster      who counts; recovery
           resolve     acknowledge a contradiction, so that settling goes on
           operator    keys that sign what administrators ask for
           request     what waits for their signatures
Content    app         list, diff, verify, history, rollback, pause
           update      open, diff, commit, abort: change an application from any member
           deploy      all of that in one step             trash    what repair took away
Serving    balance     the share of the load that each member takes
Tools      doctor  config  backup  wait  simulate  explain  completions  version

Every command takes --json, --on MEMBER (answer as that member) and --help.
First steps: `althing demo`, or `althing run` and `althing init` on a real machine.
";

/// althing keeps a group of servers in agreement, without a controller.
#[derive(Debug, Parser)]
#[command(
    name = "althing",
    version,
    override_help = ROOT_HELP,
    disable_help_subcommand = true,
    subcommand_required = false,
    propagate_version = false,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Where the node of this machine keeps its data and its socket
    #[arg(long, global = true, hide_short_help = true, value_name = "DIR", env = "ALTHING_DIR", hide_env_values = true, default_value = DIRECTORY)]
    pub(crate) dir: PathBuf,
    /// The socket of the node to talk to, instead of /run/althing/althing.sock or DIR/althing.sock
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "PATH",
        env = "ALTHING_NODE",
        hide_env_values = true
    )]
    pub(crate) node: Option<PathBuf>,
    /// Let this member answer; the node relays
    #[arg(long, global = true, hide_short_help = true, value_name = "MEMBER")]
    pub(crate) on: Option<String>,
    /// One JSON document on stdout; errors as one on stderr
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) json: bool,
    /// How to print: table or json
    #[arg(
        short,
        long,
        global = true,
        hide_short_help = true,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(crate) output: Output,
    /// When to use colours: auto, always or never
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "WHEN",
        hide_possible_values = true,
        default_value = "auto"
    )]
    pub(crate) color: Colour,
    /// Answer questions of the milder kind with yes
    #[arg(short, long, global = true, hide_short_help = true)]
    pub(crate) yes: bool,
    /// Never ask: fail and name the flag that answers
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) no_input: bool,
    /// Give up after this time, such as 500ms, 30s, 5m
    #[arg(long, global = true, hide_short_help = true, value_name = "TIME", value_parser = crate::span::parse)]
    pub(crate) timeout: Option<Duration>,
    /// Sign what is asked for with the key of an operator in this file; again for each of several
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    pub(crate) sign: Vec<PathBuf>,
    /// Print times in UTC
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) utc: bool,
    /// No progress, no hints
    #[arg(short, long, global = true, hide_short_help = true)]
    pub(crate) quiet: bool,
}

/// How to print.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// When to use colours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Demo(tools::Demo),
    Run(Run),
    Init(entity::Init),
    Invite(entity::Invite),
    Join(entity::Join),
    Leave(entity::Leave),
    Roster(entity::Roster),
    Resolve(entity::Resolve),
    Operator(operator::Operator),
    Request(operator::Request),
    Status(look::Status),
    Why(look::Why),
    Events(look::Events),
    Health(look::Health),
    Vote(look::Vote),
    Audit(look::Audit),
    Member(look::Member),
    App(app::App),
    Update(update::Update),
    Deploy(update::Deploy),
    Trash(app::Trash),
    Balance(look::Balance),
    Wait(tools::Wait),
    Simulate(tools::Simulate),
    Explain(tools::Explain),
    Completions(tools::Completions),
    Version(tools::Version),
    Doctor(tools::Doctor),
    Config(tools::Config),
    Backup(tools::Backup),
    #[command(name = "__complete", hide = true)]
    Complete(tools::Complete),
}

/// Run the daemon: what a service starts on each machine
///
/// Keeps its data in the directory given by --dir, and answers commands on a socket. A new node waits
/// until it is told to found an entity (`althing init`) or to enter one (`althing join`). SIGTERM and Ctrl-C stop it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  althing run --listen 10.0.0.11:7800
  althing run --dir /tmp/a --listen 127.0.0.1:7810 --prefix /tmp/a-files")]
pub(crate) struct Run {
    /// Where to listen; by default port 7800 of the address that the default route uses
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where to listen for content; by default the port after --listen
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) bulk_listen: Option<SocketAddr>,
    /// Put all applications below this directory, outside of --dir (to try several members on one machine)
    #[arg(long, value_name = "PATH")]
    pub(crate) prefix: Option<PathBuf>,
    /// Read this file, and conf.d beside it, instead of /etc/althing/althing.toml
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where to answer commands; by default /run/althing/althing.sock, or althing.sock in another --dir
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// What to log, such as info, debug, althing_node=trace
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// Behave as a program that speaks no newer protocol version than this one
    #[arg(long, hide = true, value_name = "VERSION", env = "ALTHING_SPEAKS", hide_env_values = true,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(althing_protocol::state::PROTOCOL)))]
    pub(crate) speaks: Option<u32>,
    /// Let tests cut this node's connections
    #[arg(long, hide = true)]
    pub(crate) allow_faults: bool,
    /// Stop when standard input ends: with whoever holds the other end of it
    #[arg(long, hide = true)]
    pub(crate) until_eof: bool,
}
