//! The command line resolved: where to ask, how to print, whom to ask back.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use althing_protocol::control::Command;
use althing_protocol::view::Document;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::args::{Colour, Global, Output};
use crate::client::{Answer, Client, Done, Query};
use crate::error::{Failure, Result};
use crate::exit::{self, Exit};
use crate::pager;
use crate::progress::Bar;
use crate::render::{Look, outcome};
use crate::signing;

/// What all commands are given.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The node.
    pub(crate) client: Client,
    /// For people or for programs.
    pub(crate) output: Output,
    /// How stdout looks.
    pub(crate) look: Look,
    /// `-y`
    pub(crate) yes: bool,
    /// Whether questions may be asked.
    pub(crate) may_ask: bool,
    /// No progress, no hints.
    pub(crate) quiet: bool,
    /// `--dir`
    pub(crate) dir: PathBuf,
    /// `--sign`
    pub(crate) sign: Vec<PathBuf>,
}

impl Context {
    /// From the flags, the environment and the terminal.
    pub(crate) fn resolve(global: Global) -> Self {
        let socket = global.node.unwrap_or_else(|| crate::socket::of(&global.dir));
        let output = if global.json { Output::Json } else { global.output };
        let quiet = global.quiet || output == Output::Json;
        Self {
            client: Client { socket, on: global.on, timeout: global.timeout },
            output,
            look: Look::of_stdout(global.color, global.utc),
            yes: global.yes,
            may_ask: !global.no_input && io::stdin().is_terminal() && io::stderr().is_terminal(),
            quiet,
            dir: global.dir,
            sign: global.sign,
        }
    }

    /// Prints a reading command's document: as it came, or as this screen.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        query: &Query,
        screen: impl Fn(&Document<T>, &Look) -> String,
    ) -> Result<Exit> {
        let answer = self.client.get(query).await?;
        self.show(&answer, screen)?;
        Ok(Exit::OK)
    }

    /// The same, for what may be longer than the terminal.
    pub(crate) async fn read_long<T: DeserializeOwned>(
        &self,
        query: &Query,
        screen: impl Fn(&Document<T>, &Look) -> String,
    ) -> Result<Exit> {
        let answer = self.client.get(query).await?;
        match self.output {
            Output::Json => print(&format!("{}\n", answer.line()))?,
            Output::Table => pager::show(&screen(&answer.document()?, &self.look))?,
        }
        Ok(Exit::OK)
    }

    /// Reads again every two seconds until interrupted: JSON lines, or the screen over and over.
    pub(crate) async fn watch<T: DeserializeOwned>(
        &self,
        query: &Query,
        screen: impl Fn(&Document<T>, &Look) -> String,
    ) -> Result<Exit> {
        let clears = self.output == Output::Table && io::stdout().is_terminal();
        let mut every = tokio::time::interval(std::time::Duration::from_secs(2));
        loop {
            every.tick().await;
            let answer = self.client.get(query).await?;
            if clears {
                print("\x1b[H\x1b[2J")?;
            }
            self.show(&answer, &screen)?;
            if self.output == Output::Table && !clears {
                print("\n")?;
            }
        }
    }

    /// Reads once, or watches.
    pub(crate) async fn look<T: DeserializeOwned>(
        &self,
        watch: bool,
        query: &Query,
        screen: impl Fn(&Document<T>, &Look) -> String,
    ) -> Result<Exit> {
        if watch { self.watch(query, screen).await } else { self.read(query, screen).await }
    }

    fn show<T: DeserializeOwned>(
        &self,
        answer: &Answer,
        screen: impl Fn(&Document<T>, &Look) -> String,
    ) -> Result<()> {
        match self.output {
            Output::Json => print(&format!("{}\n", answer.line())),
            Output::Table => print(&screen(&answer.document()?, &self.look)),
        }
    }

    /// A typed document, not to be printed as it is.
    pub(crate) async fn document<T: DeserializeOwned>(&self, query: &Query) -> Result<Document<T>> {
        self.client.get(query).await?.document()
    }

    /// Sends a command and prints what it brought about; `hint` is where Ctrl-C says to look.
    pub(crate) async fn change(&self, command: &Command, hint: &[&str]) -> Result<Done> {
        let done = self.command(command, hint).await?;
        self.report(&done)?;
        Ok(done)
    }

    /// Sends a command, signed by operators if there are keys to sign with.
    pub(crate) async fn command(&self, command: &Command, hint: &[&str]) -> Result<Done> {
        if self.sign.is_empty() {
            return self.post("command", &json!({ "command": command }), hint).await;
        }
        Box::pin(signing::ordered(self, command, hint)).await
    }

    /// The same, but for the member that is asked.
    pub(crate) fn asking(&self, member: &str) -> Self {
        let mut there = self.clone();
        there.client.on = Some(member.to_owned());
        there.sign = Vec::new();
        there
    }

    /// Sends a request that changes something.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
        hint: &[&str],
    ) -> Result<Done<T>> {
        let mut bar = Bar::new(!self.quiet);
        let work = self.client.post(path, body, |progress| bar.show(progress));
        let done = tokio::select! {
            done = work => Some(done),
            interrupted = tokio::signal::ctrl_c() => { interrupted?; None }
        };
        let stage = bar.finish();
        done.unwrap_or_else(|| Err(interrupted(stage.as_deref(), hint).into()))
    }

    /// Prints what a change brought about.
    pub(crate) fn report(&self, done: &Done) -> Result<()> {
        match self.output {
            Output::Json => print(&outcome::document(done)),
            Output::Table => print(&outcome::screen(done, &self.look, self.quiet)),
        }
    }
}

/// Writes to stdout at once.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Says what is so after Ctrl-C (cli.md, principle 9).
fn interrupted(stage: Option<&str>, hint: &[&str]) -> Failure {
    let so = match stage {
        Some("settle" | "apply") => "the change is settled; members go on to apply it".to_owned(),
        Some(stage) => format!("the node was at `{stage}` and goes on with it; nothing is left half done"),
        None => "the node was asked and goes on with it; nothing is left half done".to_owned(),
    };
    Failure::new(exit::INTERRUPTED, "interrupted").fact("so", so).remedy("see how it ends", hint)
}

/// Whether stdout gets colours (cli.md, principle 8).
pub(crate) fn wants_colour(choice: Colour, is_terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match choice {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto if set("NO_COLOR") => false,
        Colour::Auto
            if std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") =>
        {
            true
        }
        Colour::Auto => is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
    }
}

/// The first line that is not empty: files and pipes may have more around it.
pub(crate) fn one_line(text: String) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).map_or(text.clone(), str::to_owned)
}
