//! `config check`, `config show`, `config default`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::args::Output;
use crate::args::tools::{Config as Args, ConfigVerb};
use crate::config::{self, Config, SETTINGS};
use crate::context::{Context, print};
use crate::error::Result;
use crate::exit::Exit;
use crate::render::colour::Paint;
use crate::render::document;
use crate::render::table::{Cell, Table};

pub(super) fn config(context: &Context, args: Args) -> Result<Exit> {
    match args.verb.unwrap_or(ConfigVerb::Show { origin: false }) {
        ConfigVerb::Check { files } => check(context, args.config.as_deref(), &files),
        ConfigVerb::Show { origin } => show(context, &Config::load(args.config.as_deref())?, origin),
        ConfigVerb::Default => {
            print(&config::default_file())?;
            Ok(Exit::OK)
        }
    }
}

fn check(context: &Context, named: Option<&Path>, files: &[PathBuf]) -> Result<Exit> {
    let set = if files.is_empty() {
        let config = Config::load(named)?;
        SETTINGS.iter().filter(|setting| config.text(setting.key).is_some()).count()
    } else {
        Config::check(files)?;
        files.len()
    };
    let text = match (context.output, files.is_empty()) {
        (Output::Json, _) => document::own("althing.config-check/1", json!({ "valid": true })),
        (Output::Table, true) => {
            format!("The configuration of this machine is valid; it sets {set} of {} keys.\n", SETTINGS.len())
        }
        (Output::Table, false) => format!("Valid, each by itself: {set} of {set} files.\n"),
    };
    print(&text)?;
    Ok(Exit::OK)
}

fn show(context: &Context, config: &Config, origin: bool) -> Result<Exit> {
    if context.output == Output::Json {
        let of = |setting: &config::Setting| {
            let origin = config.origin(setting.key).map(ToString::to_string);
            json!({ "key": setting.key, "value": config.text(setting.key), "origin": origin, "default": setting.default })
        };
        let settings: Vec<Value> = SETTINGS.iter().map(of).collect();
        print(&document::own("althing.config/1", json!({ "settings": settings })))?;
        return Ok(Exit::OK);
    }
    let titles: &[&'static str] = if origin { &["KEY", "VALUE", "FROM"] } else { &["KEY", "VALUE"] };
    let mut table = Table::new(titles).keep(3);
    for setting in &SETTINGS {
        let value = match config.text(setting.key) {
            Some(value) => Cell::from(value),
            None => Cell::painted(format!("({})", setting.default), Paint::Dim),
        };
        let from = config.origin(setting.key).map_or_else(|| "default".to_owned(), ToString::to_string);
        let cells = [Cell::from(setting.key), value, Cell::from(from)];
        table.row(cells.into_iter().take(titles.len()));
    }
    print(&table.text(&context.look))?;
    Ok(Exit::OK)
}
