//! `explain`: the registry of errors and conditions, as a page or as a list.

use std::fmt::Write as _;

use althing_protocol::explain::{Condition, Page};
use serde_json::{Value, json};

use crate::args::Output;
use crate::context::{Context, print};
use crate::error::{Failure, Result};
use crate::exit::{self, Exit, Kind};
use crate::render::Look;
use crate::render::colour::Paint;
use crate::render::document;
use crate::render::table::{Cell, Table};

/// What can be explained.
#[derive(Clone, Copy)]
enum Topic {
    /// An error.
    Error(Kind),
    /// What `status` lists.
    Condition(Condition),
}

impl Topic {
    fn all() -> Vec<Self> {
        let errors = exit::all().into_iter().map(Self::Error);
        errors.chain(Condition::ALL.iter().copied().map(Self::Condition)).collect()
    }

    fn number(self) -> &'static str {
        match self {
            Self::Error(kind) => kind.number,
            Self::Condition(condition) => condition.number(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Error(kind) => kind.name,
            Self::Condition(condition) => condition.name(),
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Error(kind) => kind.meaning,
            Self::Condition(condition) => condition.title(),
        }
    }

    fn page(self) -> Page {
        match self {
            Self::Error(kind) => kind.page,
            Self::Condition(condition) => condition.page(),
        }
    }

    /// `exit 75`, or `warning, ends by itself`.
    fn weight(self) -> String {
        match self {
            Self::Error(kind) => format!("exit {}", kind.exit),
            Self::Condition(condition) => {
                let severity = severity(condition);
                let ends = if condition.is_automatic() { "ends with its cause" } else { "needs somebody" };
                format!("{severity}, {ends}")
            }
        }
    }

    fn is(self, wanted: &str) -> bool {
        self.name().eq_ignore_ascii_case(wanted)
            || self.number().eq_ignore_ascii_case(wanted)
            || self.number().strip_prefix('E') == Some(wanted)
    }

    fn fields(self) -> Value {
        let remedy = |(text, command): &(&str, &str)| json!({ "text": text, "command": command.split(' ').collect::<Vec<_>>() });
        let page = self.page();
        let remedies: Vec<Value> = page.remedies.iter().map(remedy).collect();
        let mut fields = json!({
            "code": self.number(), "name": self.name(), "meaning": self.meaning(), "text": page.text,
            "remedies": remedies,
        });
        match self {
            Self::Error(kind) => fields["exit"] = json!(kind.exit),
            Self::Condition(condition) => {
                fields["severity"] = json!(condition.severity());
                fields["automatic"] = json!(condition.is_automatic());
            }
        }
        fields
    }
}

fn severity(condition: Condition) -> String {
    format!("{:?}", condition.severity()).to_lowercase()
}

pub(super) fn explain(context: &Context, wanted: Option<&str>) -> Result<Exit> {
    let all = Topic::all();
    let Some(wanted) = wanted else {
        print(&match context.output {
            Output::Json => {
                let codes: Vec<Value> = all.iter().map(|topic| topic.fields()).collect();
                document::own("althing.codes/1", json!({ "codes": codes }))
            }
            Output::Table => list(&all, &context.look),
        })?;
        return Ok(Exit::OK);
    };
    let Some(topic) = all.iter().find(|topic| topic.is(wanted)) else {
        let failure = Failure::new(exit::NO_SUCH_CODE, format!("there is no error or condition {wanted}"));
        return Err(failure.remedy("list all", &["althing", "explain"]).into());
    };
    print(&match context.output {
        Output::Json => document::own("althing.explain/1", topic.fields()),
        Output::Table => page(*topic, &context.look),
    })?;
    Ok(Exit::OK)
}

fn list(all: &[Topic], look: &Look) -> String {
    let mut table = Table::new(&["CODE", "NAME", "WEIGHT", "MEANING"]).keep(3);
    for topic in all {
        let name = Cell::from(topic.name());
        table.row([
            Cell::from(topic.number()),
            name,
            Cell::from(topic.weight()),
            Cell::from(topic.meaning()),
        ]);
    }
    table.text(look)
}

fn page(topic: Topic, look: &Look) -> String {
    let head = look.paint(Paint::Bold, &format!("{} {}", topic.number(), topic.name()));
    let page = topic.page();
    let mut text = format!("{head}   {}\n\n{}\n\n", topic.weight(), topic.meaning());
    for line in wrapped(page.text, look.width.unwrap_or(100).clamp(40, 100)) {
        let _ = writeln!(text, "{line}");
    }
    let mut table = Table::new(&["", "", ""]).keep(3).indent(2);
    for (at, (what, command)) in page.remedies.iter().enumerate() {
        let label = if at == 0 { "try" } else { "" };
        table.row([Cell::from(label), Cell::from(*command), Cell::painted(*what, Paint::Dim)]);
    }
    text + "\n" + &table.text(look)
}

/// Lines of at most so many columns.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().map(|line| line.chars().count()).unwrap_or(0);
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> Topic {
        Topic::all().into_iter().find(|topic| topic.is(name)).expect("a topic")
    }

    #[test]
    fn a_page_says_what_it_means_and_what_to_do() {
        let expected = "\
E702 would-empty-service   exit 107

Nobody would be left in service.

Taking out the last member in service would leave nobody to serve. Bring another in first, or say
with -y that nobody shall serve.

  try  althing member in NAME      bring another in
       althing member out NAME -y  do it anyway
";
        assert_eq!(page(topic("702"), &Look::plain()), expected);
    }

    #[test]
    fn conditions_are_explained_as_well() {
        let expected = "\
A301 out-of-service   notice, needs somebody

A member was taken out of service.

It takes no traffic; it still counts in the majority, holds content and is repaired. If a time was
given, it comes back by itself.

  try  althing member in MEMBER  bring it back
";
        assert_eq!(page(topic("out-of-service"), &Look::plain()), expected);
        assert!(topic("a202").is("content-differs"));
    }

    #[test]
    fn lists_have_every_code_and_condition() {
        let text = list(&Topic::all(), &Look::plain());
        assert_eq!(text.lines().count(), 1 + exit::all().len() + Condition::ALL.len());
    }
}
