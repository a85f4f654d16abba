//! TOML files that people write: values with their places, and problems shown where they are (cli.md "Errors").

use std::fmt::Write as _;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// A file that was read.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// As it is named in errors.
    pub(crate) name: String,
    /// Its text.
    pub(crate) text: String,
}

/// A value under its full key: `node.listen`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Sections and key, joined by dots.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) key_at: Range<usize>,
    /// What it is.
    pub(crate) value: Value,
    /// Where the value stands.
    pub(crate) value_at: Range<usize>,
}

/// What a value may be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A text.
    Text(String),
    /// True or false.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A list of texts.
    Texts(Vec<String>),
    /// Anything else, by the name of its kind.
    Other(&'static str),
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    /// Bytes of the text.
    pub(crate) at: Range<usize>,
    /// A few words, shown at the place.
    pub(crate) what: String,
}

impl Problem {
    /// Something wrong at this place.
    pub(crate) fn new(at: Range<usize>, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }
}

impl File {
    /// All values, in the order of the file; or the first place that is not TOML.
    pub(crate) fn entries(&self) -> Result<Vec<Entry>, Problem> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let end = self.text.len();
            Problem::new(error.span().unwrap_or(end..end), error.message().to_owned())
        })?;
        let mut found = Vec::new();
        flatten("", table.get_ref(), &mut found);
        found.sort_by_key(|entry| entry.key_at.start);
        Ok(found)
    }

    /// `shop.toml:9:10`
    pub(crate) fn position(&self, problem: &Problem) -> String {
        let (line, column, _) = self.line_of(problem.at.start);
        format!("{}:{line}:{column}", self.name)
    }

    /// Line and column, from 1, and where the line begins.
    fn line_of(&self, at: usize) -> (usize, usize, usize) {
        let before = self.text.get(..at.min(self.text.len())).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[start..].chars().count() + 1, start)
    }

    /// The place with its line and the one before, the words below what is wrong.
    pub(crate) fn shown(&self, problem: &Problem) -> String {
        let (number, column, start) = self.line_of(problem.at.start);
        let lines: Vec<&str> = self.text.lines().collect();
        let line = lines.get(number - 1).copied().unwrap_or_default();
        let end = problem.at.end.min(start + line.len()).max(problem.at.start);
        let marked = self.text.get(problem.at.start..end).unwrap_or_default().chars().count().max(1);
        let width = number.to_string().len();
        let mut text = format!("{}\n", self.position(problem));
        if let Some(before) = number.checked_sub(2).and_then(|at| lines.get(at)) {
            let _ = writeln!(text, "{:>width$} | {before}", number - 1);
        }
        let _ = writeln!(text, "{number:>width$} | {line}");
        let _ = write!(
            text,
            "{:>width$} | {:>skip$}{} {}",
            "",
            "",
            "^".repeat(marked),
            problem.what,
            skip = column - 1
        );
        text
    }
}

fn flatten(prefix: &str, table: &DeTable<'_>, found: &mut Vec<Entry>) {
    for (key, value) in table {
        let name =
            if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        let plain = match value.get_ref() {
            DeValue::Table(inner) => {
                flatten(&name, inner, found);
                continue;
            }
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                let digits = number.as_str().replace('_', "");
                i64::from_str_radix(&digits, number.radix()).map_or(Value::Other("a number"), Value::Number)
            }
            DeValue::Float(_) => Value::Other("a number"),
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(items) => {
                texts(items).map_or(Value::Other("a list of other things"), Value::Texts)
            }
        };
        found.push(Entry { key: name, key_at: key.span(), value: plain, value_at: value.span() });
    }
}

/// The items of a list, if all are texts.
fn texts(items: &DeArray<'_>) -> Option<Vec<String>> {
    let text = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        _ => None,
    };
    items.iter().map(text).collect()
}

impl Value {
    /// The name of its kind, for who expected another.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Flag(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Texts(_) => "a list",
            Self::Other(kind) => kind,
        }
    }
}

/// The known name that a mistyped one is closest to, if any is close: at most two letters differ.
pub(crate) fn closest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|name| (distance(typed, name), name));
    near.filter(|(distance, _)| *distance <= 2).min().map(|(_, name)| name)
}

/// Letters to insert, remove or exchange (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, letter) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], at + 1);
        for (place, other) in b.iter().enumerate() {
            let exchanged = corner + usize::from(letter != *other);
            corner = row[place + 1];
            row[place + 1] = exchanged.min(row[place] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        File { name: "shop.toml".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn values_have_their_full_keys_in_the_order_of_the_file() {
        let entries =
            file("name = 'shop'\n[node]\nlisten = \"10.0.0.11:7800\"\nn = 3\n").entries().expect("toml");
        let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["name", "node.listen", "node.n"]);
        assert_eq!(entries[1].value, Value::Text("10.0.0.11:7800".to_owned()));
        assert_eq!(entries[2].value, Value::Number(3));
        let others = file("a = true\nb = ['x', 'y']\nc = ['x', 1]\nd = 1.5\n").entries().expect("toml");
        let kinds: Vec<&str> = others.iter().map(|entry| entry.value.kind()).collect();
        assert_eq!(kinds, ["true or false", "a list", "a list of other things", "a number"]);
    }

    #[test]
    fn a_problem_is_shown_where_it_is() {
        let file = file("name = \"shop\"\npath = \"../etc/nginx\"\n");
        let entry = file.entries().expect("toml").remove(1);
        let problem = Problem::new(entry.value_at, "leaves the root");
        let expected = "\
shop.toml:2:8
1 | name = \"shop\"
2 | path = \"../etc/nginx\"
  |        ^^^^^^^^^^^^^^ leaves the root";
        assert_eq!(file.shown(&problem), expected);
    }

    #[test]
    fn what_is_no_toml_has_a_place_too() {
        let file = file("name = \"shop\nroot = 1\n");
        let problem = file.entries().expect_err("not closed");
        assert!(file.position(&problem).starts_with("shop.toml:1:"), "{problem:?}");
        assert!(!file.shown(&problem).is_empty());
    }

    #[test]
    fn mistyped_names_are_recognised() {
        let known = ["node.listen", "node.prefix", "log.level"];
        assert_eq!(closest("node.lisen", known), Some("node.listen"));
        assert_eq!(closest("log.levle", known), Some("log.level"));
        assert_eq!(closest("sunshine", known), None);
    }
}
