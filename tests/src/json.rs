//! Looking into documents by path, with failures that show the document.

use anyhow::{Context, Result};
use serde_json::Value;

/// What tests ask of a document; `/members/0/name` is a JSON pointer.
pub trait Json {
    /// What is there.
    fn at(&self, pointer: &str) -> Result<&Value>;
    /// The text there.
    fn text(&self, pointer: &str) -> Result<&str>;
    /// The number there.
    fn number(&self, pointer: &str) -> Result<u64>;
    /// The truth there.
    fn flag(&self, pointer: &str) -> Result<bool>;
    /// The list there.
    fn list(&self, pointer: &str) -> Result<&Vec<Value>>;
    /// The texts in the list there.
    fn texts(&self, pointer: &str) -> Result<Vec<&str>>;
    /// The entry of the list there whose `field` is `value`.
    fn find(&self, pointer: &str, field: &str, value: &str) -> Result<&Value>;
}

impl Json for Value {
    fn at(&self, pointer: &str) -> Result<&Value> {
        self.pointer(pointer).with_context(|| format!("no {pointer} in {self}"))
    }

    fn text(&self, pointer: &str) -> Result<&str> {
        self.at(pointer)?.as_str().with_context(|| format!("{pointer} is no text in {self}"))
    }

    fn number(&self, pointer: &str) -> Result<u64> {
        self.at(pointer)?.as_u64().with_context(|| format!("{pointer} is no number in {self}"))
    }

    fn flag(&self, pointer: &str) -> Result<bool> {
        self.at(pointer)?.as_bool().with_context(|| format!("{pointer} is neither true nor false in {self}"))
    }

    fn list(&self, pointer: &str) -> Result<&Vec<Value>> {
        self.at(pointer)?.as_array().with_context(|| format!("{pointer} is no list in {self}"))
    }

    fn texts(&self, pointer: &str) -> Result<Vec<&str>> {
        let texts = self.list(pointer)?.iter().map(Value::as_str).collect::<Option<Vec<_>>>();
        texts.with_context(|| format!("{pointer} is not made of texts in {self}"))
    }

    fn find(&self, pointer: &str, field: &str, value: &str) -> Result<&Value> {
        let found = self.list(pointer)?.iter().find(|entry| entry[field] == value);
        found.with_context(|| format!("no entry of {pointer} has {field} {value} in {self}"))
    }
}
