//! Answers: the text as it came, for programs; the typed document made safe to print, for people.

use althing_protocol::control::Outcome;
use althing_protocol::view::Document;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Result, bug};

/// The answer to a reading command.
#[derive(Debug)]
pub(crate) struct Answer {
    text: String,
    value: Value,
}

impl Answer {
    /// Checks that it is one JSON document.
    pub(crate) fn new(text: String) -> Result<Self> {
        let value = serde_json::from_str(&text)
            .map_err(|error| bug(format!("the node's answer is not a JSON document: {error}")))?;
        Ok(Self { text, value })
    }

    /// The document as the node sent it, on one line.
    pub(crate) fn line(&self) -> String {
        let text = self.text.trim();
        if text.contains('\n') { self.value.to_string() } else { text.to_owned() }
    }

    /// The document's fields.
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// The typed document. What would steer a terminal is escaped in all its texts.
    pub(crate) fn document<T: DeserializeOwned>(&self) -> Result<Document<T>> {
        let mut value = self.value.clone();
        make_printable(&mut value);
        let schema = value.get("schema").and_then(Value::as_str).unwrap_or("a document").to_owned();
        serde_json::from_value(value).map_err(|error| {
            bug(format!("{schema} is not understood: {error}"))
                .fact("likely", "the node is of another version; --json shows what it sent")
                .into()
        })
    }
}

/// The answer to a changing command.
#[derive(Debug)]
pub(crate) struct Done<T = Outcome> {
    /// RFC 3339, UTC.
    pub(crate) at: String,
    /// Name of the member that did it.
    pub(crate) answered_by: String,
    /// What it brought about.
    pub(crate) outcome: T,
}

fn make_printable(value: &mut Value) {
    match value {
        Value::String(text) => *text = printable(text),
        Value::Array(values) => values.iter_mut().for_each(make_printable),
        Value::Object(fields) => fields.values_mut().for_each(make_printable),
        _ => {}
    }
}

/// Control characters, and those that turn the direction of writing.
fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// The text with everything that steers a terminal escaped as Rust does.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if steers(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        assert_eq!(printable("a\u{1b}[2Jb\n\u{202e}c ü"), "a\\u{1b}[2Jb\\n\\u{202e}c ü");
    }

    #[test]
    fn lines_stay_as_sent() {
        let answer = Answer::new("{\"b\":1.0,\"a\":2}\n".to_owned()).expect("json");
        assert_eq!(answer.line(), "{\"b\":1.0,\"a\":2}");
        assert!(Answer::new("nope".to_owned()).is_err());
    }
}
