//! `run`: the daemon, unless this program was built as a client only.

use crate::args::Run;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;

/// Runs until SIGTERM or Ctrl-C.
#[cfg(feature = "daemon")]
pub(crate) fn run(context: &Context, args: Run) -> Result<Exit> {
    let mut settings = crate::config::Config::load(args.config.as_deref())?;
    let text = |path: Option<std::path::PathBuf>| path.map(|path| path.display().to_string());
    settings.set_by_flag("node.listen", args.listen.map(|listen| listen.to_string()), "--listen");
    settings.set_by_flag(
        "node.bulk_listen",
        args.bulk_listen.map(|listen| listen.to_string()),
        "--bulk-listen",
    );
    settings.set_by_flag("node.prefix", text(args.prefix), "--prefix");
    settings.set_by_flag("api.socket", text(args.socket), "--socket");
    settings.set_by_flag("log.level", args.log, "--log");
    let listen = match settings.address("node.listen") {
        Some(listen) => listen,
        None => here::listen()?,
    };
    if args.until_eof {
        end::with_stdin()?;
    }
    let config = althing_node::Config {
        dir: context.dir.clone(),
        listen,
        bulk_listen: settings.address("node.bulk_listen"),
        prefix: settings.path("node.prefix"),
        log: settings.text("log.level").map(str::to_owned),
        socket: settings.path("api.socket").unwrap_or_else(|| crate::socket::of(&context.dir)),
        group: settings.text("api.group").map(str::to_owned),
        speaks: args.speaks.unwrap_or(althing_protocol::state::PROTOCOL),
        trusting_period: settings.span("node.trusting_period"),
        hooks: settings.switch("hooks.allowed").unwrap_or(true),
        faults: args.allow_faults,
    };
    match althing_node::run(config) {
        Ok(althing_node::Ended::Stopped) => Ok(Exit::OK),
        Ok(althing_node::Ended::Purged) => again(),
        Err(error) => Err(end::said(&error).into()),
    }
}

/// The same daemon in the same process, with nothing left of the one before.
#[cfg(feature = "daemon")]
fn again() -> Result<Exit> {
    use std::os::unix::process::CommandExt as _;

    let mut words = std::env::args_os();
    words.next();
    Err(std::process::Command::new(std::env::current_exe()?).args(words).exec().into())
}

/// There is no daemon in this program.
#[cfg(not(feature = "daemon"))]
pub(crate) fn run(_context: &Context, args: Run) -> Result<Exit> {
    let Run { config, .. } = args;
    crate::config::Config::load(config.as_deref())?;
    Err(crate::error::usage("this program was built without the daemon")
        .fact("built", "with --no-default-features: a client only")
        .into())
}

/// Why it ended; and ending together with the process that started this one.
#[cfg(feature = "daemon")]
mod end {
    use std::io;
    use std::time::Duration;

    use althing_protocol::control::Code;
    use rustix::process::{Signal, getpid, kill_process};

    use crate::error::{Failure, Result};

    /// How long an orderly end may take.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Why the daemon ended, or did not start.
    pub(super) fn said(error: &anyhow::Error) -> Failure {
        if let Some(used) = althing_node::in_use(error) {
            let dir = used.dir.display().to_string();
            let process = used.pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
            return Failure::new(Code::InUse, format!("another node runs with {dir}; it goes on"))
                .fact("process", process)
                .remedy("see the one that runs", &["althing", "status", "--dir", &dir])
                .remedy("run another member here", &["althing", "run", "--dir", &format!("{dir}-2")]);
        }
        let mut failure = Failure::new(Code::Failed, format!("the node stopped: {error}"));
        for cause in error.chain().skip(1) {
            failure = failure.fact("because", cause);
        }
        failure
    }

    /// The kernel closes a pipe however its other end died, by `kill -9` too.
    pub(super) fn with_stdin() -> Result<()> {
        let watch = || {
            // An error says the same as the end.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            if kill_process(getpid(), Signal::TERM).is_ok() {
                std::thread::sleep(PATIENCE);
            }
            std::process::exit(1);
        };
        std::thread::Builder::new().name("until-eof".into()).spawn(watch)?;
        Ok(())
    }
}

/// What this machine can tell of itself.
#[cfg(feature = "daemon")]
mod here {
    use std::net::{IpAddr, SocketAddr, UdpSocket};

    use crate::error::{Result, usage};

    /// Where members listen unless they are told otherwise.
    const PORT: u16 = 7800;

    /// The address from which this machine would send to the Internet: others are likely to reach it there. Connecting
    /// a UDP socket sends nothing; the destination is one of documentation (RFC 5737).
    pub(super) fn listen() -> Result<SocketAddr> {
        let found = UdpSocket::bind(("0.0.0.0", 0)).and_then(|socket| {
            socket.connect(("192.0.2.1", 9))?;
            socket.local_addr()
        });
        match found.map(|address| address.ip()) {
            Ok(ip @ IpAddr::V4(_)) if !ip.is_unspecified() => Ok(SocketAddr::new(ip, PORT)),
            _ => Err(usage("this machine has no default route to tell its address by: add --listen IP:PORT")
                .into()),
        }
    }
}
